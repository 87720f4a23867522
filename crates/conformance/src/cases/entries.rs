//! Cases about load, save and clear.

use super::{SECOND, live, loaded, seconds};
use crate::contract::{Entry, Error, LiveEntry, entry, put, sorted};
use crate::{Feature, Subject};

/// The load is not an error.
pub(crate) fn a_cache_that_was_never_saved_is_empty(s: &dyn Subject) {
    assert_eq!(loaded(&mut s.open(), "sessions"), []);
}

/// The cache may have had entries before, or not.
pub(crate) fn a_cache_saved_with_no_entries_is_empty(s: &dyn Subject) {
    let mut backend = s.open();
    backend.save("sessions", &[]).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), []);
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    backend.save("sessions", &[]).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), []);
    assert_eq!(loaded(&mut s.open(), "sessions"), []);
}

/// Key, value and deadline come back.
pub(crate) fn save_then_load_gives_the_same_entries(s: &dyn Subject) {
    let mut backend = s.open();
    let now = s.clock().instant();
    let entries = [
        entry("user:1", "one", None),
        entry("user:2", "two", Some(90 * SECOND)),
    ];
    backend.save("sessions", &entries).unwrap();
    assert_eq!(
        loaded(&mut backend, "sessions"),
        [
            live("user:1", "one", None),
            live("user:2", "two", Some(now + 90 * SECOND)),
        ]
    );
}

/// Another instance loads them a hundred years later.
pub(crate) fn saved_entries_outlive_a_restart(s: &dyn Subject) {
    let entries = [entry("a", "1", None), entry("b", "2", None)];
    s.open().save("sessions", &entries).unwrap();
    s.clock().advance(seconds(100 * 365 * 24 * 3600));
    assert_eq!(
        loaded(&mut s.open(), "sessions"),
        [live("a", "1", None), live("b", "2", None)]
    );
}

/// Entries that the second save does not have are gone.
pub(crate) fn save_replaces_all_that_the_cache_held(s: &dyn Subject) {
    let mut backend = s.open();
    let before = [entry("a", "1", None), entry("b", "2", None)];
    let after = [entry("b", "3", None), entry("c", "4", None)];
    backend.save("sessions", &before).unwrap();
    backend.save("sessions", &after).unwrap();
    let expected = [live("b", "3", None), live("c", "4", None)];
    assert_eq!(loaded(&mut backend, "sessions"), expected);
    assert_eq!(loaded(&mut s.open(), "sessions"), expected);
}

/// Both may be empty. Keys are not normalized.
pub(crate) fn keys_and_values_come_back_exactly(s: &dyn Subject) {
    let long = "k".repeat(100_000);
    let keys = [
        "",
        " ",
        ".",
        "..",
        "/etc/passwd",
        "../../etc/passwd",
        "C:\\Windows\\System32",
        "\0",
        "a\0b",
        "line\nline\r\n",
        "\u{7f}\u{85}\u{2028}\u{feff}",
        "schlüssel",
        "schlu\u{308}ssel",
        "鍵🔑",
        "{\"json\": [1]}",
        &long,
    ];
    let every_byte: Vec<u8> = (0..=255).collect();
    let values: [&[u8]; 5] = [b"", b"\0", b"\xff\xfe\xfd", &every_byte, &[0; 5000]];
    let mut entries = Vec::new();
    let mut expected = Vec::new();
    for (key, value) in keys.iter().zip(values.iter().cycle()) {
        entries.push(entry(*key, *value, None));
        expected.push(live(*key, *value, None));
    }
    s.open().save("sessions", &entries).unwrap();
    assert_eq!(loaded(&mut s.open(), "sessions"), sorted(expected));
}

/// The value may be larger than the buffers of the backend.
pub(crate) fn a_value_of_several_mebibytes_comes_back(s: &dyn Subject) {
    let value: Vec<u8> = (0..5 << 18)
        .flat_map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let entries = [
        entry("before", "1", None),
        entry("large", value.clone(), None),
        entry("later", "2", None),
    ];
    s.open().save("sessions", &entries).unwrap();
    let found = loaded(&mut s.open(), "sessions");
    // Without `assert_eq`, which would print megabytes.
    assert!(
        found
            == [
                live("before", "1", None),
                live("large", value, None),
                live("later", "2", None),
            ]
    );
}

/// The key may be larger than the buffers of the backend.
pub(crate) fn a_key_of_a_mebibyte_comes_back(s: &dyn Subject) {
    let keys = ["a", "b"].map(|last| "schlüssel".repeat(100_000) + last);
    let entries = keys.each_ref().map(|key| entry(key, "1", None));
    s.open().save("sessions", &entries).unwrap();
    let found = loaded(&mut s.open(), "sessions");
    assert!(found == keys.map(|key| live(key, "1", None)));
}

/// The error gives the size.
pub(crate) fn a_value_is_kept_whole_or_refused_as_too_large(s: &dyn Subject) {
    // The length is no power of two, so that a part in a wrong place is found.
    let pattern: Vec<u8> = (0..65_521_u32).map(|n| (n ^ (n >> 8)) as u8).collect();
    let value = pattern.repeat(700);
    let size = value.len();
    let mut backend = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    let expected = match backend.save("sessions", &[entry("a", value.clone(), None)]) {
        Ok(()) => live("a", value, None),
        Err(Error::TooLarge(told)) => {
            assert!(
                told >= size as u64,
                "{told} bytes are not what is too large"
            );
            live("a", "1", None)
        }
        Err(error) => panic!("a value of {size} bytes: {error:?}"),
    };
    let found = loaded(&mut s.open(), "sessions");
    assert!(found == [expected], "after a save of {size} bytes");
}

/// wasmtime lets a component pass 128 MiB to its host in one call, and traps one that passes more.
/// A backend that passes the value to its storage in pieces is never trapped. The kit does not load
/// the value: the answer would be one piece, whatever the backend does.
pub(crate) fn a_value_larger_than_a_host_takes_at_once_is_stored_or_refused(s: &dyn Subject) {
    const SIZE: usize = (128 << 20) + 1;
    let mut backend = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    match backend.save("sessions", &[entry("large", vec![7; SIZE], None)]) {
        Ok(()) => {
            if s.offers(Feature::Inspect) {
                let stat = backend.stat("sessions").unwrap();
                assert_eq!(stat.entries, 1, "after a save of {SIZE} bytes");
            }
        }
        Err(Error::TooLarge(_) | Error::NoSpace) => {
            let found = loaded(&mut backend, "sessions");
            assert_eq!(found, [live("a", "1", None)], "after a refused save");
        }
        Err(error) => panic!("a value of {SIZE} bytes: {error:?}"),
    }
}

/// Each has its own value and deadline.
pub(crate) fn twenty_thousand_entries_come_back(s: &dyn Subject) {
    let ttl = |n: u64| n.is_multiple_of(3).then_some((n + 1) * SECOND);
    let entries: Vec<Entry> = (0..20_000)
        .map(|n| entry(format!("key:{n:05}"), format!("value {n}"), ttl(n)))
        .collect();
    s.open().save("sessions", &entries).unwrap();
    let now = s.clock().instant();
    let expected: Vec<LiveEntry> = (0..20_000)
        .map(|n| {
            let deadline = ttl(n).map(|ttl| now + ttl);
            live(format!("key:{n:05}"), format!("value {n}"), deadline)
        })
        .collect();
    assert!(loaded(&mut s.open(), "sessions") == expected);
}

/// Its value and its ttl count.
pub(crate) fn the_last_of_several_entries_with_one_key_counts(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = [
        entry("a", "first", Some(SECOND)),
        entry("b", "other", None),
        entry("a", "second", None),
        entry("a", "third", Some(5 * SECOND)),
    ];
    backend.save("sessions", &entries).unwrap();
    let deadline = s.clock().instant() + 5 * SECOND;
    assert_eq!(
        loaded(&mut backend, "sessions"),
        [live("a", "third", Some(deadline)), live("b", "other", None)]
    );
}

/// Also within one save.
pub(crate) fn a_last_entry_that_lives_for_no_time_removes_the_ones_before(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = [
        entry("a", "first", None),
        entry("b", "other", None),
        entry("a", "second", Some(0)),
    ];
    backend.save("sessions", &entries).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), [live("b", "other", None)]);
}

/// They come back neither at once, nor after a restart, nor with later changes.
pub(crate) fn clear_removes_every_entry_for_good(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = [entry("a", "1", None), entry("b", "2", Some(SECOND))];
    backend.save("sessions", &entries).unwrap();
    backend.clear("sessions").unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), []);
    assert_eq!(loaded(&mut s.open(), "sessions"), []);
    if s.offers(Feature::Updates) {
        backend.apply("sessions", &[put("c", "3", None)]).unwrap();
        assert_eq!(loaded(&mut s.open(), "sessions"), [live("c", "3", None)]);
        backend.clear("sessions").unwrap();
    }
    backend.save("sessions", &[entry("d", "4", None)]).unwrap();
    assert_eq!(loaded(&mut s.open(), "sessions"), [live("d", "4", None)]);
}

/// A second clear does nothing too.
pub(crate) fn clear_of_an_empty_or_unknown_cache_does_nothing(s: &dyn Subject) {
    let mut backend = s.open();
    backend.clear("unknown").unwrap();
    backend.clear("unknown").unwrap();
    assert_eq!(loaded(&mut backend, "unknown"), []);
    backend.save("sessions", &[]).unwrap();
    backend.clear("sessions").unwrap();
    backend.clear("sessions").unwrap();
    assert_eq!(loaded(&mut s.open(), "sessions"), []);
    if s.offers(Feature::Inspect) {
        assert_eq!(backend.list_caches().unwrap(), [""; 0]);
    }
}

/// Their names may begin alike.
pub(crate) fn caches_do_not_touch_each_other(s: &dyn Subject) {
    let mut backend = s.open();
    let names = ["a", "aa", "a.b", "a b", "b", "postcard", "ä"];
    for name in names {
        backend.save(name, &[entry("key", name, None)]).unwrap();
    }
    for name in names {
        assert_eq!(loaded(&mut backend, name), [live("key", name, None)]);
    }
    backend.clear("a").unwrap();
    backend.save("aa", &[]).unwrap();
    for name in &names[2..] {
        assert_eq!(loaded(&mut s.open(), name), [live("key", *name, None)]);
    }
}
