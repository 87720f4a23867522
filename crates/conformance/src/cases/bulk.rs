//! Cases about readers and writers.

use std::collections::BTreeSet;

use super::{SECOND, live, loaded, seconds};
use crate::contract::{self, Batch, Entry, Error, LiveEntry, batch, entry, put, remove, sorted};
use crate::{Feature, Instance, Subject};

/// Makes this many entries, some with a ttl, in the order of their keys.
fn numbered(count: u64) -> Vec<Entry> {
    let ttl = |n: u64| n.is_multiple_of(3).then_some((n + 1) * SECOND);
    (0..count)
        .map(|n| entry(format!("key:{n:05}"), format!("value {n}"), ttl(n)))
        .collect()
}

/// The live entries of a load, if these entries were saved at this instant.
fn lived(entries: &[Entry], saved: u64) -> Vec<LiveEntry> {
    let live_entry = |entry: &Entry| {
        let deadline = entry.ttl.map(|ttl| saved + ttl);
        live(entry.key.clone(), entry.value.clone(), deadline)
    };
    sorted(entries.iter().map(live_entry).collect())
}

/// Reads an intact cache with a reader, and sorts its entries by their keys.
fn read(instance: &mut Box<dyn Instance>, cache: &str) -> Vec<LiveEntry> {
    let contents = instance.load_in_batches(cache).expect("the reader fails");
    assert_eq!(contents.lost, 0, "the reader reports lost entries");
    sorted(contents.entries)
}

/// Lists and batches give the same caches.
pub(crate) fn what_lists_save_readers_give_and_what_writers_save_lists_give(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = numbered(5_000);
    let expected = lived(&entries, s.clock().instant());
    backend.save("by list", &entries).unwrap();
    let batches: Vec<Vec<Entry>> = entries.chunks(700).map(<[Entry]>::to_vec).collect();
    backend.save_in_batches("in batches", &batches).unwrap();
    for instance in [&mut backend, &mut s.open()] {
        for cache in ["by list", "in batches"] {
            assert!(loaded(instance, cache) == expected, "{cache}");
            assert!(read(instance, cache) == expected, "{cache}");
        }
        assert_eq!(read(instance, "never saved"), []);
    }
}

/// The others may be in the same batch, in the batch before, or far away.
pub(crate) fn the_last_entry_of_a_key_counts_however_many_batches_ago_the_others_were(
    s: &dyn Subject,
) {
    let mut backend = s.open();
    let first = vec![
        entry("twice", "first", None),
        entry("far", "first", Some(SECOND)),
        entry("gone", "first", None),
        entry("back", "first", Some(0)),
        entry("twice", "second", Some(9 * SECOND)),
    ];
    let between: Vec<Entry> = (0..20_000)
        .map(|n| entry(format!("key:{n}"), vec![7; 100], None))
        .collect();
    let last = vec![
        entry("back", "last", None),
        entry("gone", "", Some(0)),
        entry("far", "last", Some(5 * SECOND)),
    ];
    let mut batches = vec![first];
    batches.extend(between.chunks(999).map(<[Entry]>::to_vec));
    batches.push(last);
    let now = s.clock().instant();
    backend.save_in_batches("sessions", &batches).unwrap();
    let mut expected = lived(&between, now);
    expected.extend([
        live("back", "last", None),
        live("far", "last", Some(now + 5 * SECOND)),
        live("twice", "second", Some(now + 9 * SECOND)),
    ]);
    let expected = sorted(expected);
    assert!(read(&mut backend, "sessions") == expected);
    assert!(loaded(&mut s.open(), "sessions") == expected);
    if s.offers(Feature::Inspect) {
        let stat = backend.stat("sessions").unwrap();
        assert_eq!(stat.entries, expected.len() as u64);
    }
}

/// The error is `invalid-argument`, with a text.
pub(crate) fn a_batch_whose_columns_do_not_fit_adds_nothing_and_the_writer_goes_on(
    s: &dyn Subject,
) {
    let good = || batch(&[entry("é", "1", None), entry("", "", Some(SECOND))]);
    type Spoil = fn(&mut Batch);
    let spoiled: [(&str, Spoil); 14] = [
        ("a key length too few", |batch| {
            batch.key_lengths.pop();
        }),
        ("a key length too many", |batch| batch.key_lengths.push(0)),
        ("a value length too few", |batch| {
            batch.value_lengths.pop();
        }),
        ("a value length too many", |batch| {
            batch.value_lengths.push(0)
        }),
        ("a ttl too few", |batch| {
            batch.ttls.pop();
        }),
        ("a ttl too many", |batch| batch.ttls.push(1)),
        ("bytes of keys too many", |batch| batch.keys.push('x')),
        ("bytes of keys too few", |batch| batch.keys.clear()),
        ("bytes of values too many", |batch| batch.values.push(0)),
        ("bytes of values too few", |batch| batch.values.clear()),
        ("an end within a character", |batch| {
            batch.key_lengths = vec![1, 1];
        }),
        ("key lengths that overflow", |batch| {
            batch.key_lengths = vec![u32::MAX, 3];
        }),
        ("value lengths that overflow", |batch| {
            batch.value_lengths = vec![u32::MAX, 2];
        }),
        ("no entries, and bytes of one", |batch| {
            batch.key_lengths.clear();
            batch.value_lengths.clear();
            batch.ttls.clear();
        }),
    ];
    let mut backend = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    let writer = backend.open_writer("sessions").unwrap();
    backend.append(&writer, &good()).unwrap();
    for (what, spoil) in spoiled {
        let mut batch = good();
        batch.keys = batch.keys.replace('é', "ü");
        spoil(&mut batch);
        match backend.append(&writer, &batch) {
            Err(Error::InvalidArgument(why)) => assert!(!why.is_empty(), "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    let more = [entry("b", "2", None)];
    backend.append(&writer, &batch(&more)).unwrap();
    backend.append(&writer, &batch(&[])).unwrap();
    let deadline = s.clock().instant() + SECOND;
    backend.commit(writer).unwrap();
    let expected = [
        live("", "", Some(deadline)),
        live("b", "2", None),
        live("é", "1", None),
    ];
    assert_eq!(read(&mut backend, "sessions"), expected);
    assert_eq!(loaded(&mut backend, "sessions"), expected);
}

/// It may come before or after small entries.
pub(crate) fn an_entry_larger_than_a_batch_is_given_whole(s: &dyn Subject) {
    let mut backend = s.open();
    let large = |n: u32| {
        let value = (0..5 << 18).flat_map(|at: u32| at.wrapping_mul(n).to_le_bytes());
        entry(format!("large {n}"), value.collect::<Vec<u8>>(), None)
    };
    let long = entry("k".repeat(1 << 20), "of a long key", None);
    let mut entries = vec![large(2_654_435_761), long];
    entries.extend(numbered(3_000));
    entries.push(large(2_246_822_519));
    entries.extend([entry("z", "after all", None)]);
    let expected = lived(&entries, s.clock().instant());
    let batches = [entries[..1_000].to_vec(), entries[1_000..].to_vec()];
    backend.save_in_batches("sessions", &batches).unwrap();
    assert!(read(&mut backend, "sessions") == expected);
    assert!(loaded(&mut s.open(), "sessions") == expected);
}

/// The cache may exist or not.
pub(crate) fn a_writer_that_is_dropped_has_done_nothing(s: &dyn Subject) {
    let mut backend = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    for count in [0, 1, 20_000] {
        for cache in ["sessions", "other"] {
            let writer = backend.open_writer(cache).unwrap();
            backend.append(&writer, &batch(&numbered(count))).unwrap();
            backend.close_writer(writer);
        }
        assert_eq!(loaded(&mut backend, "sessions"), [live("a", "1", None)]);
        assert_eq!(loaded(&mut backend, "other"), []);
        if s.offers(Feature::Inspect) {
            assert_eq!(backend.list_caches().unwrap(), ["sessions"]);
            assert_eq!(backend.stat("sessions").unwrap().entries, 1);
            assert_eq!(backend.verify("sessions").unwrap().damage, []);
        }
    }
}

/// A commit replaces changes that were made since the opening. Its ttls count from the commit.
pub(crate) fn a_writer_saves_when_it_is_committed(s: &dyn Subject) {
    let mut backend = s.open();
    let mut other = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    let first = backend.open_writer("sessions").unwrap();
    let second = other.open_writer("sessions").unwrap();
    let third = backend.open_writer("sessions").unwrap();
    let one = |n: &str| batch(&[entry("b", n, Some(10 * SECOND))]);
    backend.append(&first, &one("first")).unwrap();
    other.append(&second, &one("second")).unwrap();
    backend.append(&third, &one("third")).unwrap();
    s.clock().advance(seconds(60));
    other.save("sessions", &[entry("c", "3", None)]).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), [live("c", "3", None)]);
    for (n, writer) in [("third", third), ("first", first)] {
        let deadline = s.clock().instant() + 10 * SECOND;
        backend.commit(writer).unwrap();
        s.clock().advance(seconds(1));
        assert_eq!(
            loaded(&mut other, "sessions"),
            [live("b", n, Some(deadline))]
        );
    }
    backend.clear("sessions").unwrap();
    let deadline = s.clock().instant() + 10 * SECOND;
    other.commit(second).unwrap();
    assert_eq!(
        loaded(&mut backend, "sessions"),
        [live("b", "second", Some(deadline))]
    );
}

/// A writer that got only entries with a ttl of zero empties the cache too.
pub(crate) fn a_writer_without_entries_empties_the_cache(s: &dyn Subject) {
    let mut backend = s.open();
    let no_time = vec![entry("b", "2", Some(0)), entry("a", "3", Some(0))];
    for batches in [vec![], vec![vec![], vec![]], vec![no_time.clone(), no_time]] {
        for saved in [vec![entry("a", "1", None)], vec![]] {
            backend.save("sessions", &saved).unwrap();
            backend.save_in_batches("sessions", &batches).unwrap();
            assert_eq!(read(&mut backend, "sessions"), []);
            assert_eq!(loaded(&mut s.open(), "sessions"), []);
            if s.offers(Feature::Inspect) {
                assert_eq!(backend.stat("sessions").unwrap().entries, 0);
                assert_eq!(backend.list_caches().unwrap(), [""; 0]);
            }
        }
    }
}

/// Later changes do not matter, by this instance or by another, before or after the first batch.
pub(crate) fn a_reader_gives_the_cache_as_it_was_when_it_was_opened(s: &dyn Subject) {
    let mut backend = s.open();
    let entries: Vec<Entry> = (0..3_000)
        .map(|n| entry(format!("key:{n:05}"), vec![n as u8; 500], None))
        .collect();
    type Change = fn(&mut Box<dyn Instance>, &dyn Subject);
    let changes: [Change; 5] = [
        |backend, _| backend.save("sessions", &[entry("a", "1", None)]).unwrap(),
        |backend, _| {
            let batches = [vec![entry("b", "2", None)]];
            backend.save_in_batches("sessions", &batches).unwrap();
        },
        |backend, _| backend.clear("sessions").unwrap(),
        |backend, s| {
            if s.offers(Feature::Updates) {
                for n in 0..100 {
                    let changes = [remove(format!("key:{n:05}")), put("key:02999", "3", None)];
                    backend.apply("sessions", &changes).unwrap();
                }
            }
        },
        |backend, _| {
            backend.clear("sessions").unwrap();
            for n in 0..20 {
                let saved = [entry(format!("{n}"), "4", None)];
                backend.save("sessions", &saved).unwrap();
            }
        },
    ];
    for change in changes {
        for by_another in [false, true] {
            backend.save("sessions", &entries).unwrap();
            if s.offers(Feature::Updates) {
                let changes = [remove("key:00001"), put("key:00002", "new", None)];
                backend.apply("sessions", &changes).unwrap();
            }
            let expected = loaded(&mut backend, "sessions");
            let untouched = backend.open_reader("sessions").unwrap();
            let begun = backend.open_reader("sessions").unwrap();
            let first = backend
                .next(&begun)
                .unwrap()
                .expect("the reader gives no entries");
            match by_another {
                true => change(&mut s.open(), s),
                false => change(&mut backend, s),
            }
            let mut given = contract::entries(first);
            given.extend(backend.rest(&begun).unwrap().entries);
            assert!(sorted(given) == expected);
            let given = backend.rest(&untouched).unwrap();
            assert!(given.lost == 0 && sorted(given.entries) == expected);
            backend.close_reader(begun);
            backend.close_reader(untouched);
        }
    }
}

/// The time of each call counts, not the time of the opening. Deadlines are instants of the clock.
pub(crate) fn a_reader_leaves_out_what_has_expired_by_the_call(s: &dyn Subject) {
    let mut backend = s.open();
    let entries: Vec<Entry> = (0..3_000)
        .map(|n| {
            entry(
                format!("key:{n:05}"),
                vec![7; 500],
                Some((1 + n % 2) * SECOND),
            )
        })
        .collect();
    let now = s.clock().instant();
    backend.save("sessions", &entries).unwrap();
    let reader = backend.open_reader("sessions").unwrap();
    let first = backend
        .next(&reader)
        .unwrap()
        .expect("the reader gives no entries");
    let first = contract::entries(first);
    assert!(
        first.len() < entries.len(),
        "the first batch has all entries"
    );
    let deadlines: BTreeSet<_> = first.iter().map(|entry| entry.expires_at).collect();
    let expected = [Some(now + SECOND), Some(now + 2 * SECOND)];
    assert_eq!(deadlines, BTreeSet::from(expected));
    s.clock().advance(seconds(1));
    let second = backend
        .next(&reader)
        .unwrap()
        .expect("the reader gives no second batch");
    let deadlines = contract::entries(second);
    let deadlines = deadlines.iter().map(|entry| entry.expires_at);
    assert_eq!(
        BTreeSet::from_iter(deadlines),
        BTreeSet::from([expected[1]])
    );
    s.clock().advance(seconds(1));
    assert_eq!(backend.next(&reader).unwrap(), None);
    assert_eq!(backend.lost(&reader), 0, "expired entries count as lost");
    let count = backend.count(&reader);
    assert!(
        count >= entries.len() as u64,
        "the count leaves out expired entries"
    );
}

/// Later calls give nothing too.
pub(crate) fn a_reader_that_gave_everything_gives_nothing_more(s: &dyn Subject) {
    let mut backend = s.open();
    for saved in [vec![], vec![entry("a", "1", None)]] {
        backend.save("sessions", &saved).unwrap();
        let reader = backend.open_reader("sessions").unwrap();
        let given = backend.rest(&reader).unwrap();
        assert_eq!(given.entries.len(), saved.len());
        backend.save("sessions", &[entry("b", "2", None)]).unwrap();
        for _ in 0..3 {
            assert_eq!(backend.next(&reader).unwrap(), None);
            assert_eq!(backend.lost(&reader), 0);
        }
        backend.close_reader(reader);
    }
}

/// The count is there from the beginning, and does not change.
pub(crate) fn a_reader_counts_at_least_what_it_gives(s: &dyn Subject) {
    let mut backend = s.open();
    let mut expect = |given: usize, at_most: u64| {
        let reader = backend.open_reader("sessions").unwrap();
        let count = backend.count(&reader);
        let contents = backend.rest(&reader).unwrap();
        assert_eq!(contents.entries.len(), given);
        assert!(count >= given as u64 && count <= at_most, "{count}");
        assert_eq!(backend.count(&reader), count);
        backend.close_reader(reader);
    };
    expect(0, 0);
    s.open().save("sessions", &numbered(2_000)).unwrap();
    expect(2_000, 2_000);
    s.clock().advance(seconds(3_000));
    expect(1_333, 2_000);
    if s.offers(Feature::Updates) {
        let changes = [remove("key:00001"), put("key:00002", "new", None)];
        s.open().apply("sessions", &changes).unwrap();
        expect(1_332, 2_001);
    }
    s.open().save("sessions", &[]).unwrap();
    expect(0, 0);
}

/// Each cache has several readers, and is copied to another cache while that is read.
pub(crate) fn readers_and_writers_of_one_instance_do_not_touch_each_other(s: &dyn Subject) {
    let mut backend = s.open();
    let entries = |cache: usize| -> Vec<Entry> {
        (0..2_000)
            .map(|n| entry(format!("key:{n:05}"), format!("{cache}").repeat(150), None))
            .collect()
    };
    let names = ["a", "b", "c"];
    for (cache, name) in names.iter().enumerate() {
        backend.save(name, &entries(cache)).unwrap();
    }
    // Every cache is read twice, and copied to the next one.
    let mut copies: Vec<_> = (0..6)
        .map(|n| {
            let reader = backend.open_reader(names[n % 3]).unwrap();
            let writer = backend.open_writer(names[(n + 1) % 3]).unwrap();
            (n, reader, writer)
        })
        .collect();
    while !copies.is_empty() {
        let mut going_on = Vec::new();
        for (n, reader, writer) in copies {
            match backend.next(&reader).unwrap() {
                Some(given) => {
                    let given = contract::entries(given).into_iter();
                    let given = given.map(|given| entry(given.key, given.value, None));
                    let given: Vec<Entry> = given.collect();
                    backend.append(&writer, &batch(&given)).unwrap();
                    going_on.push((n, reader, writer));
                }
                None => {
                    backend.close_reader(reader);
                    backend.commit(writer).unwrap();
                }
            }
        }
        copies = going_on;
    }
    let now = s.clock().instant();
    for (cache, name) in names.iter().enumerate() {
        let expected = lived(&entries((cache + 2) % 3), now);
        assert!(read(&mut backend, name) == expected, "{name}");
        assert!(loaded(&mut s.open(), name) == expected, "{name}");
    }
}
