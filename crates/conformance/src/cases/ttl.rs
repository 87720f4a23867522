//! Cases about times to live and clocks.

use std::time::Duration;

use super::{SECOND, live, loaded, seconds};
use crate::contract::{entry, put};
use crate::{Feature, Instance, Subject};

/// The deadline does not move, to the nanosecond.
pub(crate) fn a_ttl_goes_on_running_across_a_restart(s: &dyn Subject) {
    let ttl = 90 * SECOND + 7;
    let saved = s.clock().instant();
    s.open()
        .save("sessions", &[entry("a", "1", Some(ttl))])
        .unwrap();
    for _ in 0..3 {
        s.clock().advance(Duration::new(20, 1));
        assert_eq!(
            loaded(&mut s.open(), "sessions"),
            [live("a", "1", Some(saved + ttl))]
        );
    }
}

/// Ttls run by the wall clock. Deadlines are instants of the monotonic clock at the load.
pub(crate) fn a_ttl_goes_on_running_when_the_monotonic_clock_starts_again(s: &dyn Subject) {
    let entries = [entry("a", "1", Some(90 * SECOND))];
    s.open().save("sessions", &entries).unwrap();
    s.clock().advance(seconds(30));
    s.clock().reboot();
    assert_eq!(
        loaded(&mut s.open(), "sessions"),
        [live("a", "1", Some(60 * SECOND))]
    );
}

/// A nanosecond earlier, it is there.
pub(crate) fn an_entry_is_dropped_when_its_ttl_has_run_out(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = [
        entry("a", "1", Some(10)),
        entry("b", "2", Some(11)),
        entry("c", "3", None),
    ];
    backend.save("sessions", &entries).unwrap();
    s.clock().advance(Duration::from_nanos(10));
    let now = s.clock().instant();
    assert_eq!(
        loaded(&mut backend, "sessions"),
        [live("b", "2", Some(now + 1)), live("c", "3", None)]
    );
    s.clock().advance(seconds(1));
    assert_eq!(loaded(&mut backend, "sessions"), [live("c", "3", None)]);
    assert_eq!(loaded(&mut s.open(), "sessions"), [live("c", "3", None)]);
}

/// If the wall clock shows a time before the save, no time has passed.
pub(crate) fn a_wall_clock_set_back_never_lengthens_a_ttl(s: &dyn Subject) {
    let mut backend = s.open();
    let ttl = 100 * SECOND;
    backend
        .save("sessions", &[entry("a", "1", Some(ttl))])
        .unwrap();
    s.clock().set_back(seconds(24 * 3600));
    let now = s.clock().instant();
    let expected = [live("a", "1", Some(now + ttl))];
    assert_eq!(loaded(&mut backend, "sessions"), expected);
    assert_eq!(loaded(&mut s.open(), "sessions"), expected);
    if s.offers(Feature::Updates) {
        // Changes around it do not lengthen it either, however the backend stores them.
        for n in 0..100 {
            s.clock().set_back(seconds(3600));
            let changes = [put(format!("other:{n}"), "2", None)];
            backend.apply("sessions", &changes).unwrap();
            let found = loaded(&mut backend, "sessions");
            let deadline = found[0].expires_at.expect("the entry has no deadline");
            assert_eq!(found[0].key, "a");
            assert!(
                deadline <= s.clock().instant() + ttl,
                "the deadline is later after {n} changes"
            );
        }
    }
}

/// It never appears.
pub(crate) fn an_entry_with_a_ttl_of_zero_is_not_saved(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = [entry("a", "1", Some(0)), entry("b", "2", Some(1))];
    backend.save("sessions", &entries).unwrap();
    let now = s.clock().instant();
    let expected = [live("b", "2", Some(now + 1))];
    assert_eq!(loaded(&mut backend, "sessions"), expected);
    // Also if the clock goes back to a time before the save.
    s.clock().set_back(seconds(10));
    assert_eq!(loaded(&mut backend, "sessions"), expected);
    if s.offers(Feature::Inspect) {
        assert_eq!(backend.stat("sessions").unwrap().entries, 1);
    }
}

/// After 584 years, the deadline is the last possible instant. In columns, that stands for none.
pub(crate) fn the_longest_ttl_does_not_overflow(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = [
        entry("a", "1", Some(u64::MAX)),
        entry("b", "2", Some(u64::MAX - 1)),
    ];
    backend.save("sessions", &entries).unwrap();
    let expires = |backend: &mut Box<dyn Instance>, deadlines: [u64; 2]| {
        let found = loaded(backend, "sessions");
        let found = found.iter().map(|entry| entry.expires_at);
        let found: Vec<u64> = found.map(|at| at.unwrap_or(u64::MAX)).collect();
        let without_end = [u64::MAX, deadlines[1]];
        assert!(found == deadlines || found == without_end, "{found:?}");
    };
    expires(&mut backend, [u64::MAX; 2]);
    if !s.offers(Feature::Durability) {
        // Without a restart, the monotonic clock does not start again.
        return;
    }
    let passed = s.clock().instant() + 10 * SECOND;
    s.clock().advance(seconds(10));
    s.clock().reboot();
    let later = u64::MAX - 10 * SECOND;
    expires(&mut s.open(), [later, later - 1]);
    s.clock().advance(Duration::from_nanos(passed));
    expires(&mut s.open(), [later, later - 1]);
}
