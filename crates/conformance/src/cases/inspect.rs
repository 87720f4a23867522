//! Cases about the list, size and state of caches.

use std::time::Duration;

use super::{SECOND, seconds};
use crate::contract::{Entry, entry, put, remove};
use crate::{Feature, Instance, Subject};

/// It has caches whose entries have expired, and no cleared or emptied caches.
pub(crate) fn list_names_caches_that_hold_something_in_order(s: &dyn Subject) {
    let mut backend = s.open();
    assert_eq!(backend.list_caches().unwrap(), [""; 0]);
    for name in ["zebra", "a", "b", "ä", "Z", "10", "9", "cleared", "emptied"] {
        backend.save(name, &[entry("key", "1", None)]).unwrap();
    }
    let entries = [entry("key", "1", Some(1))];
    backend.save("expired", &entries).unwrap();
    s.clock().advance(seconds(1));
    backend.clear("cleared").unwrap();
    backend.save("emptied", &[]).unwrap();
    backend.save("never filled", &[]).unwrap();
    backend
        .save("no time", &[entry("key", "1", Some(0))])
        .unwrap();
    if s.offers(Feature::Updates) {
        backend.apply("applied", &[put("key", "1", None)]).unwrap();
        backend.apply("removed", &[put("key", "1", None)]).unwrap();
        backend.apply("removed", &[remove("key")]).unwrap();
    } else {
        backend.save("applied", &[entry("key", "1", None)]).unwrap();
    }
    let expected = ["10", "9", "Z", "a", "applied", "b", "expired", "zebra", "ä"];
    assert_eq!(backend.list_caches().unwrap(), expected);
    assert_eq!(s.open().list_caches().unwrap(), expected);
}

/// The call is not an error, and creates no cache.
pub(crate) fn stat_of_an_unknown_cache_is_all_zeros(s: &dyn Subject) {
    let mut backend = s.open();
    let stat = backend.stat("unknown").unwrap();
    assert_eq!(
        (stat.entries, stat.bytes, stat.files, stat.version),
        (0, 0, 0, 0)
    );
    assert_eq!(stat.saved_at, None);
    let report = backend.verify("unknown").unwrap();
    assert_eq!((report.files, report.blocks, report.bytes), (0, 0, 0));
    assert_eq!(report.damage, []);
    assert_eq!(backend.list_caches().unwrap(), [""; 0]);
}

/// Expired entries count until they are replaced.
pub(crate) fn stat_counts_and_dates_what_is_stored(s: &dyn Subject) {
    let mut backend = s.open();
    let dated = |backend: &mut Box<dyn Instance>, entries: u64| {
        let now = s.clock().wall();
        s.clock().advance(seconds(60));
        let stat = backend.stat("sessions").unwrap();
        assert_eq!(stat.entries, entries);
        if entries > 0 {
            assert!(stat.bytes > 0 && stat.files > 0, "{stat:?}");
        }
        if let Some(saved_at) = stat.saved_at {
            let saved_at = Duration::new(saved_at.seconds, saved_at.nanoseconds);
            assert_eq!(saved_at, now, "saved-at is not the time of the last change");
        }
    };
    let entries = [
        entry("a", "1", None),
        entry("b", "2", Some(SECOND)),
        entry("a", "3", None),
    ];
    backend.save("sessions", &entries).unwrap();
    dated(&mut backend, 2);
    if s.offers(Feature::Updates) {
        let changes = [put("c", "4", None), put("a", "5", None)];
        backend.apply("sessions", &changes).unwrap();
        dated(&mut backend, 3);
        backend.apply("sessions", &[remove("a")]).unwrap();
        dated(&mut backend, 2);
    }
    backend.save("sessions", &[entry("d", "6", None)]).unwrap();
    dated(&mut backend, 1);
    backend.save("sessions", &[]).unwrap();
    dated(&mut backend, 0);
}

/// Also in other instances, and after a clear.
pub(crate) fn the_version_goes_up_with_every_change(s: &dyn Subject) {
    let mut version = 0;
    let mut gone_up = |what: &str| {
        let stat = s.open().stat("sessions").unwrap();
        assert!(
            stat.version > version,
            "{what}: {} from {version}",
            stat.version
        );
        version = stat.version;
    };
    for n in 0..40 {
        let key = format!("key:{n}");
        s.open()
            .save("sessions", &[entry(&key, "1", None)])
            .unwrap();
        gone_up("save");
        if s.offers(Feature::Updates) {
            s.open().apply("sessions", &[put(&key, "2", None)]).unwrap();
            gone_up("apply");
        }
        if n % 10 == 9 {
            s.open().clear("sessions").unwrap();
        }
    }
}

/// After saves, changes and a clear.
pub(crate) fn verify_finds_no_damage_in_what_was_stored(s: &dyn Subject) {
    let mut backend = s.open();
    let entries: Vec<Entry> = (0..500)
        .map(|n| entry(format!("key:{n}"), vec![7; n * 10], None))
        .collect();
    let whole = |backend: &mut Box<dyn Instance>, what: &str| {
        let report = backend.verify("sessions").unwrap();
        assert_eq!(report.damage, [], "{what}");
        let stat = backend.stat("sessions").unwrap();
        assert_eq!(report.files, stat.files, "{what}");
        report
    };
    backend.save("sessions", &entries).unwrap();
    let report = whole(&mut backend, "saved");
    assert!(report.blocks > 0 && report.bytes > 0, "{report:?}");
    if s.offers(Feature::Updates) {
        for n in 0..40 {
            let changes = [put(format!("key:{n}"), "new", None), remove("key:499")];
            backend.apply("sessions", &changes).unwrap();
            whole(&mut backend, "changed");
        }
    }
    backend.save("sessions", &[]).unwrap();
    whole(&mut backend, "saved empty");
    backend.clear("sessions").unwrap();
    whole(&mut backend, "cleared");
}
