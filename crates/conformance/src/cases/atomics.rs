//! Cases about changes under conditions.

use super::concurrency::{WRITERS, at_last, at_once};
use super::{SECOND, live, loaded, seconds};
use crate::Subject;
use crate::contract::{condition, entry, put, remove};

/// All conditions hold.
const NONE: [u32; 0] = [];

/// The result names the conditions that do not hold.
pub(crate) fn changes_are_made_if_every_condition_holds_and_otherwise_none(s: &dyn Subject) {
    let mut backend = s.open();
    let changes = [put("a", "2", None), remove("b"), put("c", "3", None)];
    let conditions = [
        condition("a", Some(b"1")),
        condition("c", None),
        condition("b", Some(b"")),
    ];
    let unmet = backend.apply_if("sessions", &conditions, &changes).unwrap();
    assert_eq!(unmet, [0, 2]);
    assert_eq!(loaded(&mut backend, "sessions"), []);
    let before = [entry("a", "1", None), entry("b", "", None)];
    backend.save("sessions", &before).unwrap();
    let mut others = conditions.to_vec();
    others.push(condition("a", Some(b"2")));
    let unmet = backend.apply_if("sessions", &others, &changes).unwrap();
    assert_eq!(unmet, [3]);
    let unchanged = [live("a", "1", None), live("b", "", None)];
    assert_eq!(loaded(&mut s.open(), "sessions"), unchanged);
    let unmet = backend.apply_if("sessions", &conditions, &changes).unwrap();
    assert_eq!(unmet, NONE);
    let changed = [live("a", "2", None), live("c", "3", None)];
    assert_eq!(loaded(&mut s.open(), "sessions"), changed);
}

/// Nothing is written.
pub(crate) fn conditions_without_changes_only_look(s: &dyn Subject) {
    let mut backend = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    let conditions = [condition("a", Some(b"1")), condition("a", None)];
    assert_eq!(backend.apply_if("sessions", &conditions, &[]).unwrap(), [1]);
    assert_eq!(backend.apply_if("sessions", &[], &[]).unwrap(), NONE);
    assert_eq!(backend.apply_if("unknown", &[], &[]).unwrap(), NONE);
    assert_eq!(loaded(&mut backend, "sessions"), [live("a", "1", None)]);
}

/// An expired value is as good as none.
pub(crate) fn a_condition_of_no_value_holds_after_the_value_has_expired(s: &dyn Subject) {
    let mut backend = s.open();
    let absent = [condition("lock", None)];
    let take = [put("lock", "mine", Some(10 * SECOND))];
    assert_eq!(backend.apply_if("locks", &absent, &take).unwrap(), NONE);
    assert_eq!(backend.apply_if("locks", &absent, &take).unwrap(), [0]);
    s.clock().advance(seconds(10));
    assert_eq!(backend.apply_if("locks", &absent, &take).unwrap(), NONE);
}

/// Each writer adds to one number, and looks again when another was faster.
pub(crate) fn counters_of_instances_at_once_lose_no_increment(s: &dyn Subject) {
    const INCREMENTS: usize = 15;
    let count = |value: &[u8]| -> usize { String::from_utf8_lossy(value).parse().unwrap() };
    at_once(
        s,
        |_, backend| {
            for _ in 0..INCREMENTS {
                loop {
                    let found = at_last(|| backend.get_many("counters", &["a"])).remove(0);
                    let value = found.map(|found| found.value);
                    let next = value.as_deref().map_or(0, count) + 1;
                    let expected = [condition("a", value.as_deref())];
                    let changes = [put("a", next.to_string(), None)];
                    if at_last(|| backend.apply_if("counters", &expected, &changes)).is_empty() {
                        break;
                    }
                }
            }
        },
        |backend| {
            let found = at_last(|| backend.get_many("counters", &["a"])).remove(0);
            let value = found.map_or(0, |found| count(&found.value));
            assert!(value <= WRITERS * INCREMENTS, "the counter is {value}");
        },
    );
    let found = s.open().get_many("counters", &["a"]).unwrap().remove(0);
    let value = found.map_or(0, |found| count(&found.value));
    assert_eq!(value, WRITERS * INCREMENTS, "increments are lost");
}
