//! Cases about times to live and clocks.

use std::time::Duration;

use super::{SECOND, live, loaded, seconds};
use crate::contract::{LiveEntry, entry, put};
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

/// Such a step may come from a time server.
pub(crate) fn a_wall_clock_set_back_lengthens_no_ttl_by_more_than_the_step(s: &dyn Subject) {
    ends_in_time(s, "sessions", 50);
}

/// Nobody knows how much time has passed.
pub(crate) fn a_wall_clock_set_back_far_lengthens_no_ttl_by_more_than_a_minute(s: &dyn Subject) {
    ends_in_time(s, "by a day", 24 * 3600);
    ends_in_time(s, "by a year", 365 * 24 * 3600);
}

/// The wall clock is set back by so many seconds. The deadline of an entry moves by no more than
/// that, and by no more than a minute.
fn ends_in_time(s: &dyn Subject, cache: &str, step: u64) {
    let mut backend = s.open();
    let ttl = 100 * SECOND;
    let latest = s.clock().instant() + ttl + step.min(60) * SECOND;
    backend.save(cache, &[entry("a", "1", Some(ttl))]).unwrap();
    s.clock().advance(seconds(20));
    s.clock().set_back(seconds(step));
    for n in 0..13 {
        for entry in loaded(&mut backend, cache) {
            let deadline = entry.expires_at.expect("the entry has no deadline");
            assert!(
                deadline <= latest,
                "the deadline is {deadline}, and at most {latest} was expected"
            );
        }
        if s.offers(Feature::Updates) {
            // Changes around it do not lengthen it either, however the backend stores them.
            for m in 0..3 {
                let changes = [put(format!("other:{n}:{m}"), "2", Some(1))];
                backend.apply(cache, &changes).unwrap();
            }
        }
        s.clock().advance(seconds(10));
    }
}

/// An entry with a ttl stays after a step of less than a minute, another after any step.
pub(crate) fn a_wall_clock_set_back_ends_nothing_early(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = [entry("a", "1", Some(100 * SECOND)), entry("b", "2", None)];
    backend.save("sessions", &entries).unwrap();
    s.clock().advance(seconds(20));
    s.clock().set_back(seconds(50));
    let keys = |entries: Vec<LiveEntry>| -> Vec<String> {
        entries.into_iter().map(|entry| entry.key).collect()
    };
    for passed in [0, 35, 40] {
        s.clock().advance(seconds(passed));
        assert_eq!(keys(loaded(&mut backend, "sessions")), ["a", "b"]);
    }
    s.clock().set_back(seconds(365 * 24 * 3600));
    let stays = keys(loaded(&mut s.open(), "sessions"));
    assert!(stays.iter().any(|key| key == "b"), "only {stays:?} stay");
}

/// It never appears.
pub(crate) fn an_entry_with_a_ttl_of_zero_is_not_saved(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = [entry("a", "1", Some(0)), entry("b", "2", Some(1))];
    backend.save("sessions", &entries).unwrap();
    let now = s.clock().instant();
    assert_eq!(
        loaded(&mut backend, "sessions"),
        [live("b", "2", Some(now + 1))]
    );
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
        assert!(
            found == deadlines || found == without_end,
            "the deadlines of the ttls 2^64 - 1 and 2^64 - 2 are {found:?}; expected were \
             {deadlines:?}, or none (2^64 - 1) for the first"
        );
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
