//! Cases about changes to single entries.

use std::collections::BTreeMap;

use super::{SECOND, live, loaded, seconds};
use crate::contract::{Entry, LiveEntry, entry, put, remove, sorted};
use crate::{Feature, Subject};

/// All of them in one apply.
pub(crate) fn apply_puts_replaces_and_removes(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = [
        entry("kept", "1", None),
        entry("replaced", "2", None),
        entry("removed", "3", None),
    ];
    backend.save("sessions", &entries).unwrap();
    let changes = [
        put("new", "4", Some(SECOND)),
        put("replaced", "5", None),
        remove("removed"),
        remove("was never there"),
    ];
    backend.apply("sessions", &changes).unwrap();
    let deadline = s.clock().instant() + SECOND;
    let expected = [
        live("kept", "1", None),
        live("new", "4", Some(deadline)),
        live("replaced", "5", None),
    ];
    assert_eq!(loaded(&mut backend, "sessions"), expected);
    assert_eq!(loaded(&mut s.open(), "sessions"), expected);
}

/// The cache may never have existed, or may have been cleared.
pub(crate) fn apply_creates_a_cache(s: &dyn Subject) {
    let mut backend = s.open();
    for _ in 0..2 {
        let changes = [remove("b"), put("a", "1", None)];
        backend.apply("sessions", &changes).unwrap();
        assert_eq!(loaded(&mut s.open(), "sessions"), [live("a", "1", None)]);
        backend.clear("sessions").unwrap();
    }
}

/// The version does not change, and no cache appears.
pub(crate) fn apply_of_no_changes_does_nothing(s: &dyn Subject) {
    let mut backend = s.open();
    backend.apply("unknown", &[]).unwrap();
    assert_eq!(loaded(&mut backend, "unknown"), []);
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    let stat = s
        .offers(Feature::Inspect)
        .then(|| backend.stat("sessions").unwrap());
    s.clock().advance(seconds(1));
    backend.apply("sessions", &[]).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), [live("a", "1", None)]);
    if let Some(stat) = stat {
        assert_eq!(backend.stat("sessions").unwrap(), stat);
        assert_eq!(backend.list_caches().unwrap(), ["sessions"]);
    }
}

/// Changes are made in their order.
pub(crate) fn apply_counts_the_last_change_to_a_key(s: &dyn Subject) {
    let mut backend = s.open();
    backend
        .save("sessions", &[entry("a", "0", None), entry("b", "0", None)])
        .unwrap();
    let changes = [
        put("a", "1", None),
        put("b", "1", None),
        put("c", "1", None),
        remove("a"),
        put("a", "2", None),
        put("b", "2", Some(SECOND)),
        remove("b"),
        put("c", "2", None),
        put("c", "3", Some(0)),
    ];
    backend.apply("sessions", &changes).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), [live("a", "2", None)]);
}

/// The key may exist or not.
pub(crate) fn apply_with_a_ttl_of_zero_removes(s: &dyn Subject) {
    let mut backend = s.open();
    backend
        .save("sessions", &[entry("a", "1", None), entry("b", "2", None)])
        .unwrap();
    backend
        .apply(
            "sessions",
            &[put("a", "3", Some(0)), put("c", "4", Some(0))],
        )
        .unwrap();
    assert_eq!(loaded(&mut s.open(), "sessions"), [live("b", "2", None)]);
}

/// Each ttl counts from the call that stored its entry.
pub(crate) fn apply_leaves_other_entries_and_their_deadlines_alone(s: &dyn Subject) {
    let start = s.clock().instant();
    let ttl = 100 * SECOND;
    s.open()
        .save(
            "sessions",
            &[entry("a", "1", Some(ttl)), entry("b", "2", Some(ttl))],
        )
        .unwrap();
    s.clock().advance(seconds(30));
    s.open()
        .apply("sessions", &[put("c", "3", Some(ttl))])
        .unwrap();
    s.clock().advance(seconds(30));
    s.open()
        .apply("sessions", &[put("b", "4", Some(ttl))])
        .unwrap();
    s.clock().advance(seconds(30));
    let expected = [
        live("a", "1", Some(start + ttl)),
        live("b", "4", Some(start + 60 * SECOND + ttl)),
        live("c", "3", Some(start + 30 * SECOND + ttl)),
    ];
    assert_eq!(loaded(&mut s.open(), "sessions"), expected);
    s.clock().advance(seconds(10));
    assert_eq!(loaded(&mut s.open(), "sessions"), expected[1..]);
}

/// Keys that are put, and keys that are removed.
pub(crate) fn apply_takes_any_key(s: &dyn Subject) {
    let mut backend = s.open();
    let keys = ["", "\0", "../../etc/passwd", "\u{feff}", "鍵🔑", "line\r\n"];
    let changes = keys.map(|key| put(key, "1", None));
    backend.apply("sessions", &changes).unwrap();
    let expected = keys.map(|key| live(key, "1", None)).to_vec();
    assert_eq!(loaded(&mut s.open(), "sessions"), sorted(expected));
    let changes = keys.map(remove);
    backend.apply("sessions", &changes).unwrap();
    assert_eq!(loaded(&mut s.open(), "sessions"), []);
}

/// Small and large ones in the same apply.
pub(crate) fn apply_takes_values_of_several_mebibytes(s: &dyn Subject) {
    let large = |n: u32| -> Vec<u8> {
        let words = (0..1 << 19).flat_map(|at: u32| at.wrapping_mul(n).to_le_bytes());
        words.collect()
    };
    let changes = [
        put("a", large(2_654_435_761), None),
        put("b", "small", None),
        put("c", large(2_246_822_519), None),
    ];
    s.open().apply("sessions", &changes).unwrap();
    let expected = [
        live("a", large(2_654_435_761), None),
        live("b", "small", None),
        live("c", large(2_246_822_519), None),
    ];
    // Without `assert_eq`, which would print megabytes.
    assert!(loaded(&mut s.open(), "sessions") == expected);
}

/// Also if the backend compacts its files in between.
pub(crate) fn hundreds_of_applies_add_up(s: &dyn Subject) {
    let mut backend = s.open();
    let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for n in 0..100 {
        model.insert(format!("first:{n}"), vec![n; 100]);
    }
    let entries: Vec<Entry> = model
        .iter()
        .map(|(key, value)| entry(key, value.clone(), None))
        .collect();
    backend.save("sessions", &entries).unwrap();
    for n in 0..600_u32 {
        let changed = format!("key:{}", n % 37);
        let removed = format!("first:{}", n % 101);
        let value = n.to_string().repeat(1 + n as usize % 50).into_bytes();
        let changes = [put(&changed, value.clone(), None), remove(&removed)];
        backend.apply("sessions", &changes).unwrap();
        model.insert(changed, value);
        model.remove(&removed);
        if n % 20 == 7 {
            backend = s.open();
        }
        if n % 50 == 0 || n > 590 {
            let expected: Vec<LiveEntry> = model
                .iter()
                .map(|(key, value)| live(key, value.clone(), None))
                .collect();
            assert_eq!(loaded(&mut backend, "sessions"), expected, "apply {n}");
        }
    }
}
