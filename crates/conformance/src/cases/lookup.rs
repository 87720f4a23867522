//! Cases about single keys, without loading the cache.

use std::collections::BTreeSet;

use super::{SECOND, seconds};
use crate::Subject;
use crate::contract::{Error, Found, entry, put, remove};

fn found(value: &str, expires_at: Option<u64>) -> Option<Found> {
    Some(Found {
        value: value.into(),
        expires_at,
    })
}

/// In the order of the keys. A key may be named twice, and any key may be missing.
pub(crate) fn get_many_gives_values_with_their_deadlines(s: &dyn Subject) {
    let mut backend = s.open();
    assert_eq!(backend.get_many("unknown", &["a"]).unwrap(), [None]);
    let entries = [
        entry("a", "1", None),
        entry("b", "2", Some(90 * SECOND)),
        entry("c", "3", Some(10 * SECOND)),
        entry("", "", None),
    ];
    backend.save("sessions", &entries).unwrap();
    let deadline = s.clock().instant() + 90 * SECOND;
    s.clock().advance(seconds(10));
    let keys = ["b", "missing", "c", "", "a", "b"];
    let expected = [
        found("2", Some(deadline)),
        None,
        None,
        found("", None),
        found("1", None),
        found("2", Some(deadline)),
    ];
    assert_eq!(backend.get_many("sessions", &keys).unwrap(), expected);
    assert_eq!(s.open().get_many("sessions", &keys).unwrap(), expected);
    assert_eq!(backend.get_many("sessions", &[]).unwrap(), []);
}

/// The instance that changes a cache sees the change, and so does every other instance.
pub(crate) fn get_many_sees_every_change_that_returned(s: &dyn Subject) {
    let (mut one, mut other) = (s.open(), s.open());
    for n in 0..60_u32 {
        let value = n.to_string();
        let changes = [put("a", value.clone(), None), remove(format!("{}", n % 7))];
        one.apply("sessions", &changes).unwrap();
        for backend in [&mut one, &mut other] {
            let values = backend.get_many("sessions", &["a", "b"]).unwrap();
            assert_eq!(values, [found(&value, None), None], "after change {n}");
        }
        let changes = [put(format!("{}", n % 5), "x", None)];
        other.apply("sessions", &changes).unwrap();
        let key = format!("{}", n % 5);
        let values = one.get_many("sessions", &[&key]).unwrap();
        assert_eq!(values, [found("x", None)], "after change {n}");
    }
    one.clear("sessions").unwrap();
    assert_eq!(other.get_many("sessions", &["a"]).unwrap(), [None]);
}

/// Whatever the limit is. Expired and removed keys are in no page.
pub(crate) fn scan_gives_every_key_once(s: &dyn Subject) {
    let mut backend = s.open();
    assert_eq!(backend.keys("unknown", 10).unwrap(), [""; 0]);
    let live: BTreeSet<String> = (0..500).map(|n| format!("key:{n}")).collect();
    let mut entries: Vec<_> = live.iter().map(|key| entry(key, "1", None)).collect();
    entries.extend((0..100).map(|n| entry(format!("expires:{n}"), "1", Some(SECOND))));
    backend.save("sessions", &entries).unwrap();
    s.clock().advance(seconds(1));
    for limit in [1, 7, 100, 10_000, u32::MAX] {
        let keys = backend.keys("sessions", limit).unwrap();
        assert_eq!(keys.len(), live.len(), "in pages of {limit}");
        assert_eq!(BTreeSet::from_iter(keys), live, "in pages of {limit}");
    }
}

/// Pages come from different instances, and keys are stored and removed between them.
pub(crate) fn a_scan_among_changes_skips_and_repeats_no_key_that_stays(s: &dyn Subject) {
    let stays: BTreeSet<String> = (0..200).map(|n| format!("stays:{n}")).collect();
    let entries: Vec<_> = stays.iter().map(|key| entry(key, "1", None)).collect();
    s.open().save("sessions", &entries).unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    for round in 0.. {
        let mut backend = s.open();
        let page = backend.scan("sessions", after.as_deref(), 9).unwrap();
        found.extend(page.keys);
        let Some(next) = page.next else { break };
        after = Some(next);
        let changes = [
            put(format!("comes:{round}"), "1", None),
            remove(format!("comes:{}", round / 2)),
            put(format!("stays:{}", round * 7 % 200), "2", None),
        ];
        backend.apply("sessions", &changes).unwrap();
        assert!(round < 1000, "the scan does not end");
    }
    found.retain(|key| key.starts_with("stays:"));
    assert_eq!(found.len(), stays.len(), "a key comes twice, or never");
    assert_eq!(BTreeSet::from_iter(found), stays);
}

/// Far more than one read of the storage takes.
pub(crate) fn a_key_among_very_many_is_found(s: &dyn Subject) {
    const COUNT: usize = 30_000;
    let mut backend = s.open();
    let value = |n: usize| format!("{n}:{}", "v".repeat(n % 50));
    let entries: Vec<_> = (0..COUNT)
        .map(|n| entry(format!("key:{n}"), value(n), None))
        .collect();
    backend.save("sessions", &entries).unwrap();
    let mut backend = s.open();
    for n in (0..COUNT).step_by(997) {
        let keys = [format!("key:{n}"), format!("no key:{n}")];
        let both = backend.get_many("sessions", &[&keys[0], &keys[1]]);
        assert_eq!(both.unwrap(), [found(&value(n), None), None]);
    }
    let keys = backend.keys("sessions", 5000).unwrap();
    let keys: BTreeSet<String> = keys.into_iter().collect();
    assert!(entries.iter().all(|entry| keys.contains(&entry.key)));
    assert_eq!(keys.len(), COUNT);
}

/// It is an error of the caller, and no page without end.
pub(crate) fn a_scan_with_a_limit_of_zero_is_refused(s: &dyn Subject) {
    let mut backend = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    let refused = backend.scan("sessions", None, 0);
    assert!(
        matches!(refused, Err(Error::InvalidArgument(_))),
        "{refused:?}"
    );
}
