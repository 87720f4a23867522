//! Readers and writers of batches: their files on the disk, their memory, and the entries that a
//! reader gives of damaged files. The conformance cases have the promises of every backend.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder_host_test::{
    Call, Contents, Entry, Error, ErrorCode, Instance, LiveEntry, Made, Subject, When, Writer,
    batch, entries, entry, put, remove, tree, values,
};

use crate::CACHE;

const MIB: usize = 1 << 20;

/// Entries so large that a writer writes some of them before it is committed.
fn much(stamp: &str) -> Vec<Entry> {
    let value = |n: usize| format!("{stamp} {n};").repeat(100);
    (0..2_000)
        .map(|n| entry(format!("key:{n:05}"), value(n), None))
        .collect()
}

fn saved(s: &Subject) -> Vec<Entry> {
    let entries = vec![entry("a", "saved", None), entry("b", "saved", None)];
    s.open().save(CACHE, &entries).unwrap();
    entries
}

/// A writer to which these entries were appended.
fn writer_of(backend: &mut Instance, entries: &[Entry]) -> Writer {
    let writer = backend.open_writer(CACHE).unwrap();
    for entries in entries.chunks(500) {
        backend.append(&writer, &batch(entries)).unwrap();
    }
    writer
}

/// The cache holds these entries, when it is loaded and when it is read in batches.
fn assert_holds(s: &Subject, entries: &[Entry]) {
    let expected: BTreeMap<_, _> = entries
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect();
    assert!(values(s.open().load(CACHE).unwrap()) == expected);
    assert!(values(s.open().load_in_batches(CACHE).unwrap()) == expected);
}

fn names(s: &Subject, suffix: &str) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = tree(s.folder()).into_keys().collect();
    names.retain(|path| path.extension().is_some_and(|found| found == suffix));
    names
}

fn nothing() -> Vec<PathBuf> {
    Vec::new()
}

/// The store holds nothing but published files.
fn assert_no_leftovers(s: &Subject) {
    assert_eq!(names(s, "part"), nothing());
    assert_eq!(names(s, "tmp"), nothing());
}

#[test]
fn a_writer_that_is_dropped_leaves_no_file() {
    let s = Subject::disk();
    let mut backend = s.open();
    for is_first in [true, false] {
        let before = tree(s.folder());
        let writer = writer_of(&mut backend, &much("dropped"));
        let [part] = &names(&s, "part")[..] else {
            panic!("a writer has one file");
        };
        let written = fs::metadata(s.folder().join(part)).unwrap().len();
        assert!(written > 1_000_000, "it is written as it comes");
        backend.close_writer(writer);
        let mut after = tree(s.folder());
        if is_first {
            // A folder without files is no cache.
            assert_eq!(after.remove(Path::new(CACHE)), Some(Vec::new()));
            assert_eq!(backend.list_caches().unwrap(), [""; 0]);
        }
        assert_eq!(after, before);
        saved(&s);
    }
}

#[test]
fn a_part_of_a_writer_that_died_is_removed_after_ten_minutes_and_not_before() {
    type Do = fn(&mut Instance);
    let writes: [Do; 4] = [
        |backend| backend.save(CACHE, &[]).unwrap(),
        |backend| backend.apply(CACHE, &[remove("a")]).unwrap(),
        |backend| backend.save_in_batches(CACHE, &[]).unwrap(),
        |backend| {
            backend.open_writer(CACHE).unwrap();
        },
    ];
    for write in writes {
        let s = Subject::disk();
        saved(&s);
        // The instance is gone, and its writer with it, as if the process had been killed.
        writer_of(&mut s.open(), &much("killed"));
        let parts = names(&s, "part");
        assert_eq!(parts.len(), 1);
        assert_holds(&s, &[entry("a", "saved", None), entry("b", "saved", None)]);
        s.clock().advance(Duration::from_secs(590));
        write(&mut s.open());
        assert!(names(&s, "part").contains(&parts[0]));
        s.clock().advance(Duration::from_secs(20));
        write(&mut s.open());
        assert!(!names(&s, "part").contains(&parts[0]));
    }
}

#[test]
fn a_part_that_somebody_removed_is_committed_all_the_same() {
    type Remove = fn(&Subject);
    let removals: [Remove; 2] = [
        |s| {
            for part in names(s, "part") {
                fs::remove_file(s.folder().join(part)).unwrap();
            }
        },
        |s| s.open().clear(CACHE).unwrap(),
    ];
    for durability in ["full", "atomic"] {
        for remove in removals {
            for twice in [false, true] {
                let s = Subject::disk().env("LARDER_DURABILITY", durability);
                saved(&s);
                let mut backend = s.open();
                let mut entries = much("committed");
                let writer = writer_of(&mut backend, &entries);
                remove(&s);
                assert_eq!(names(&s, "part"), nothing());
                let mut more = vec![entry("later", "1", None)];
                if twice {
                    more.push(entry("key:00000", "last", None));
                }
                backend.append(&writer, &batch(&more)).unwrap();
                backend.commit(writer).unwrap();
                entries.extend(more);
                assert_holds(&s, &entries);
                assert_no_leftovers(&s);
                assert_eq!(backend.verify(CACHE).unwrap().damage, []);
            }
        }
    }
}

#[test]
fn clear_removes_the_parts_of_writers() {
    let s = Subject::disk();
    saved(&s);
    let mut backend = s.open();
    let living = writer_of(&mut backend, &much("living"));
    writer_of(&mut s.open(), &much("dead"));
    assert_eq!(names(&s, "part").len(), 2);
    s.open().clear(CACHE).unwrap();
    assert_no_leftovers(&s);
    backend.close_writer(living);
    assert_holds(&s, &[]);
}

#[test]
fn a_writer_keeps_nobody_from_removing_what_is_superseded() {
    let s = Subject::disk();
    let mut backend = s.open();
    let writer = writer_of(&mut backend, &much("slow"));
    for _ in 0..3 {
        saved(&s);
        assert_eq!(names(&s, "larder").len(), 1);
    }
    backend.commit(writer).unwrap();
    assert_holds(&s, &much("slow"));
    assert_eq!(names(&s, "larder").len(), 1);
}

#[test]
fn a_commit_into_a_folder_that_is_gone_is_an_error() {
    let s = Subject::disk();
    saved(&s);
    for is_there_again in [false, true] {
        let mut backend = s.open();
        let writer = writer_of(&mut backend, &much("gone"));
        fs::remove_dir_all(s.folder().join(CACHE)).unwrap();
        if is_there_again {
            saved(&s);
        }
        let outcome = backend.commit(writer);
        assert!(matches!(outcome, Err(Error::Other(_))), "{outcome:?}");
        if is_there_again {
            assert_holds(&s, &[entry("a", "saved", None), entry("b", "saved", None)]);
        }
        saved(&s);
    }
}

#[test]
fn a_file_from_before_the_format_is_read_in_batches_and_superseded_by_a_commit() {
    let s = Subject::disk();
    let old = include_bytes!("../data/golden/bare.postcard");
    let file = s.folder().join("sessions.postcard");
    fs::write(&file, old).unwrap();
    let mut backend = s.open();
    let sorted = |contents: Contents| larder_host_test::sorted(contents.entries);
    let listed = sorted(backend.load(CACHE).unwrap());
    assert!(!listed.is_empty());
    assert_eq!(sorted(backend.load_in_batches(CACHE).unwrap()), listed);
    let writer = writer_of(&mut backend, &much("new"));
    assert!(file.exists());
    backend.commit(writer).unwrap();
    assert!(!file.exists());
    assert_holds(&s, &much("new"));
}

/// The calls to the file system of a save of these batches, since the writer was opened.
fn calls(s: &Subject, batches: &[Vec<Entry>]) -> Vec<Made> {
    let mut backend = s.open();
    backend.save_in_batches(CACHE, batches).unwrap();
    backend.faults().calls()
}

#[test]
fn a_commit_syncs_the_file_before_it_has_its_name_and_the_folder_after() {
    for last in [vec![], vec![entry("key:00001", "twice", None)]] {
        let calls = calls(&Subject::disk(), &[much("new"), last]);
        let place = |wanted: &dyn Fn(&Made) -> bool| calls.iter().position(wanted).unwrap();
        let last_write = calls.iter().rposition(|made| made.call == Call::Write);
        let synced = place(&|made| made.call == Call::SyncData);
        let listed = calls
            .iter()
            .rposition(|made| made.call == Call::List && made.path == CACHE);
        let linked = place(&|made| made.call == Call::Link);
        let folder = place(&|made| made.call == Call::Sync && made.path == CACHE);
        assert!(last_write < Some(synced) && synced < linked && linked < folder);
        // A writer that acts on a listing has a temporary in the folder at that time.
        let renamed = calls.iter().position(|made| made.call == Call::Rename);
        assert!(renamed < Some(linked) && listed > renamed);
    }
}

#[test]
fn an_append_that_fails_is_failed_again_and_cannot_be_committed() {
    let s = Subject::disk();
    let kept = saved(&s);
    for (code, expected) in [
        (ErrorCode::InsufficientSpace, Error::NoSpace),
        (ErrorCode::Access, Error::AccessDenied),
    ] {
        for is_committed in [false, true] {
            let mut backend = s.open();
            let writer = backend.open_writer(CACHE).unwrap();
            backend.faults().fail(When::call(Call::Write).nth(2), code);
            let mut outcomes = Vec::new();
            for entries in much("failed").chunks(200) {
                outcomes.push(backend.append(&writer, &batch(entries)));
            }
            let failed = outcomes.iter().position(Result::is_err).unwrap();
            assert!(failed > 0);
            for outcome in &outcomes[failed..] {
                assert_eq!(*outcome, Err(expected.clone()));
            }
            // The writer holds no space on the disk, and takes no more.
            assert_eq!(names(&s, "part"), nothing());
            backend.append(&writer, &batch(&[])).unwrap_err();
            assert_eq!(backend.faults().calls(), []);
            match is_committed {
                true => assert_eq!(backend.commit(writer), Err(expected.clone())),
                false => backend.close_writer(writer),
            }
            assert_no_leftovers(&s);
            assert_holds(&s, &kept);
        }
    }
}

#[test]
fn a_commit_that_finds_no_space_leaves_the_old_snapshot_and_no_file() {
    for last in [vec![], vec![entry("key:00001", "twice", None)]] {
        let s = Subject::disk();
        let kept = saved(&s);
        let mut failed = 0;
        for call in [
            Call::Create,
            Call::Write,
            Call::Rename,
            Call::Link,
            Call::SyncData,
        ] {
            for nth in 1.. {
                let mut backend = s.open();
                let writer = writer_of(&mut backend, &much("new"));
                backend.append(&writer, &batch(&last)).unwrap();
                let when = When::call(call).nth(nth);
                backend.faults().fail(when, ErrorCode::InsufficientSpace);
                let outcome = backend.commit(writer);
                assert_no_leftovers(&s);
                if backend.faults().fired() == 0 {
                    outcome.unwrap();
                    s.open().save(CACHE, &kept).unwrap();
                    break;
                }
                assert_eq!(outcome, Err(Error::NoSpace), "{call:?} {nth}");
                assert_holds(&s, &kept);
                failed += 1;
            }
        }
        assert!(failed >= 5, "{failed} calls were failed");
    }
}

#[test]
fn a_reader_gives_its_error_again() {
    let s = Subject::disk();
    s.open().save(CACHE, &much("read")).unwrap();
    let mut backend = s.open();
    let reader = backend.open_reader(CACHE).unwrap();
    backend.next(&reader).unwrap().unwrap();
    let reads = When::call(Call::Read);
    backend.faults().fail(reads.nth(1), ErrorCode::Io);
    let failed = loop {
        match backend.next(&reader) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it needs no further read"),
            Err(error) => break error,
        }
    };
    assert!(matches!(failed, Error::Unavailable(_)), "{failed:?}");
    for _ in 0..3 {
        assert_eq!(backend.next(&reader), Err(failed.clone()));
    }
    backend.close_reader(reader);
    assert_holds(&s, &much("read"));
}

#[test]
fn a_reader_of_nothing_readable_is_not_opened() {
    let s = Subject::disk();
    saved(&s);
    let [file] = &names(&s, "larder")[..] else {
        panic!("one save, one file");
    };
    fs::write(s.folder().join(file), [7; 1000]).unwrap();
    let outcome = s.open().open_reader(CACHE).map(drop);
    assert!(matches!(outcome, Err(Error::Corrupt(_))), "{outcome:?}");
    // A save by a writer repairs the cache.
    s.open().save_in_batches(CACHE, &[much("healed")]).unwrap();
    assert_holds(&s, &much("healed"));
}

/// A cache of several segments with changes on top, some of them compacted, and its contents.
fn chain() -> (Subject, BTreeMap<String, Vec<u8>>) {
    let s = Subject::disk();
    let mut backend = s.open();
    let value = |n: usize| format!("value {n}").repeat(100).into_bytes();
    let mut model: BTreeMap<String, Vec<u8>> = (0..4_000)
        .map(|n| (format!("key:{n:05}"), value(n)))
        .collect();
    let entries: Vec<Entry> = model
        .iter()
        .map(|(key, value)| entry(key.clone(), value.clone(), None))
        .collect();
    let batches: Vec<Vec<Entry>> = entries.chunks(600).map(<[Entry]>::to_vec).collect();
    backend.save_in_batches(CACHE, &batches).unwrap();
    for n in 0..25 {
        let mut changes = Vec::new();
        for at in 0..150 {
            let (replaced, removed) = (at * 26 + n * 7, at * 26 + n * 7 + 3);
            let value = format!("new {n} {at}").repeat(10);
            changes.push(put(format!("key:{replaced:05}"), value.clone(), None));
            changes.push(remove(format!("key:{removed:05}")));
            model.insert(format!("key:{replaced:05}"), value.into());
            model.remove(&format!("key:{removed:05}"));
        }
        backend.apply(CACHE, &changes).unwrap();
    }
    assert!(values(backend.load_in_batches(CACHE).unwrap()) == model);
    (s, model)
}

#[test]
fn damaged_blocks_are_counted_as_lost_the_rest_is_given_and_nothing_comes_back() {
    let (s, model) = chain();
    let files = names(&s, "larder");
    assert!(files.len() > 3, "{files:?}");
    let mut backend = s.open();
    let (mut lossy, mut untouched) = (0, 0);
    for file in files {
        let path = s.folder().join(file);
        let bytes = fs::read(&path).unwrap();
        let ends = (0..bytes.len().min(100)).step_by(17);
        let ends = ends.chain((bytes.len().saturating_sub(200)..bytes.len()).step_by(23));
        for at in ends.chain((0..bytes.len()).step_by(bytes.len() / 15)) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            fs::write(&path, damaged).unwrap();
            let reader = backend.open_reader(CACHE).unwrap();
            let mut missing: BTreeSet<&String> = model.keys().collect();
            let mut lost = 0;
            while let Some(given) = backend.next(&reader).unwrap() {
                for given in entries(given) {
                    let LiveEntry { key, value, .. } = given;
                    assert!(
                        missing.remove(&key),
                        "byte {at}: {key} is twice there, or back"
                    );
                    assert!(model[&key] == value, "byte {at}: {key} is not current");
                }
                let now = backend.lost(&reader);
                assert!(lost <= now, "byte {at}: what was lost is found");
                lost = now;
            }
            let lost = backend.lost(&reader);
            backend.close_reader(reader);
            assert_eq!(lost, missing.len() as u64, "byte {at} of {path:?}");
            lossy += u64::from(lost > 0);
            untouched += u64::from(lost == 0);
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(lossy > 20 && untouched > 10, "{lossy}, {untouched}");
}

/// The trailer of a file leads to its directory. A damaged trailer leads anywhere, maybe to the
/// beginning.
#[test]
fn a_damaged_end_of_a_file_larger_than_the_memory_costs_nothing() {
    let s = Subject::disk().memory(16 * MIB);
    let mut backend = s.open();
    let writer = backend.open_writer(CACHE).unwrap();
    for n in 0..40 {
        let large = entry(format!("key:{n}"), vec![n; MIB / 2], None);
        backend.append(&writer, &batch([&large])).unwrap();
    }
    backend.commit(writer).unwrap();
    let [file] = &names(&s, "larder")[..] else {
        panic!("one save, one file");
    };
    let path = s.folder().join(file);
    let size = fs::metadata(&path).unwrap().len();
    // These bits are part of the offset of the directory.
    for bit in [0, 12, 20, 21, 22, 23, 24, 25, 32, 63] {
        let (at, bit) = (size - 16 + bit / 8, bit % 8);
        flip(&path, at, 1 << bit);
        let reader = backend.open_reader(CACHE).unwrap();
        let mut given = 0;
        while let Some(batch) = backend.next(&reader).unwrap() {
            given += batch.key_lengths.len();
        }
        assert_eq!(
            (given, backend.lost(&reader)),
            (40, 0),
            "bit {bit} of byte {at}"
        );
        backend.close_reader(reader);
        flip(&path, at, 1 << bit);
    }
}

#[test]
fn a_reader_and_a_load_of_a_file_that_is_cut_short_agree() {
    let (s, model) = chain();
    let mut backend = s.open();
    for file in names(&s, "larder") {
        let path = s.folder().join(file);
        let bytes = fs::read(&path).unwrap();
        for part in 1..8 {
            fs::write(&path, &bytes[..bytes.len() * part / 8]).unwrap();
            let shown = |outcome: Result<Contents, Error>| {
                outcome.map(|contents| {
                    let entries = contents.entries.into_iter();
                    let entries: BTreeMap<_, _> =
                        entries.map(|entry| (entry.key, entry.value)).collect();
                    (contents.lost, entries)
                })
            };
            let listed = shown(backend.load(CACHE));
            assert!(shown(backend.load_in_batches(CACHE)) == listed);
            let (lost, given) = listed.unwrap();
            assert!(lost > 0 || given == model);
            assert!(
                given
                    .iter()
                    .all(|(key, value)| model.get(key) == Some(value))
            );
        }
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn an_entry_too_large_for_the_memory_is_refused_and_the_writer_goes_on() {
    let s = Subject::disk().memory(24 * MIB);
    let mut backend = s.open();
    let writer = backend.open_writer(CACHE).unwrap();
    let first = entry("first", vec![1; 100_000], None);
    backend.append(&writer, &batch([&first])).unwrap();
    let large = entry("large", vec![2; 8 * MIB], None);
    let beside = entry("beside it", "3", None);
    for _ in 0..3 {
        let outcome = backend.append(&writer, &batch([&beside, &large]));
        assert!(matches!(outcome, Err(Error::TooLarge(_))), "{outcome:?}");
    }
    let fits = entry("fits", vec![4; 3 * MIB], None);
    backend.append(&writer, &batch([&fits])).unwrap();
    backend.commit(writer).unwrap();
    assert_holds(&s, &[first, fits]);
}

/// An entry whose value is `times` times 8 bytes long and differs for each number.
fn numbered(n: u64, times: usize) -> Entry {
    entry(format!("key:{n:08}"), format!("{n:08}").repeat(times), None)
}

/// Saves the entries of these numbers in batches.
fn stream(backend: &mut Instance, numbers: impl Iterator<Item = u64>, times: usize) {
    let writer = backend.open_writer(CACHE).unwrap();
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let some = numbers.by_ref().take(1_000);
        let entries: Vec<Entry> = some.map(|n| numbered(n, times)).collect();
        backend.append(&writer, &batch(&entries)).unwrap();
    }
    backend.commit(writer).unwrap();
}

/// Reads the whole cache. Gives the number of entries, and the sum of their numbers.
fn sum(backend: &mut Instance, times: usize) -> (u64, u64) {
    let (mut count, mut total) = (0, 0);
    let reader = backend.open_reader(CACHE).unwrap();
    while let Some(given) = backend.next(&reader).unwrap() {
        for given in entries(given) {
            let number: u64 = given.key[4..].parse().unwrap();
            assert_eq!(given.value, numbered(number, times).value);
            count += 1;
            total += number;
        }
    }
    assert_eq!(backend.lost(&reader), 0);
    backend.close_reader(reader);
    (count, total)
}

#[test]
fn memory_stays_bounded_while_a_cache_is_written_and_read() {
    const COUNT: u64 = 50_000;
    const TIMES: usize = 110;
    let s = Subject::disk().memory(32 * MIB);
    let mut backend = s.open();
    let all = (COUNT, COUNT * (COUNT - 1) / 2);
    stream(&mut backend, 0..COUNT, TIMES);
    let [file] = &names(&s, "larder")[..] else {
        panic!("one save, one file");
    };
    let size = fs::metadata(s.folder().join(file)).unwrap().len();
    assert!(size > 40 * MIB as u64, "{size} bytes");
    assert_eq!(sum(&mut backend, TIMES), all);
    // A fifth of the keys comes twice, far from each other.
    stream(&mut backend, (0..COUNT).chain((0..COUNT).step_by(5)), TIMES);
    assert_eq!(sum(&mut backend, TIMES), all);
    // Changes are made on top of them; half of the changes remove a key.
    let (mut count, mut total) = all;
    for n in 0..10 {
        let numbers = (n * 700..(n + 1) * 700).map(|n| n * 7);
        let changes: Vec<_> = numbers
            .map(|n| match n % 2 {
                0 => {
                    let Entry { key, value, ttl } = numbered(n, TIMES);
                    put(key, value, ttl)
                }
                _ => {
                    count -= 1;
                    total -= n;
                    remove(numbered(n, TIMES).key)
                }
            })
            .collect();
        backend.apply(CACHE, &changes).unwrap();
    }
    assert!(names(&s, "larder").len() > 1);
    assert_eq!(sum(&mut backend, TIMES), (count, total));
    assert_no_leftovers(&s);
}

/// The keys are so long that a reader compares the changed keys a share after the other.
#[test]
fn changes_with_long_keys_are_merged_a_share_after_the_other() {
    let s = Subject::disk();
    let mut backend = s.open();
    let key = |n: usize| format!("{n:03}").repeat(MIB / 3);
    let writer = backend.open_writer(CACHE).unwrap();
    for n in 0..50 {
        let entries = [entry(key(n), vec![n as u8; MIB / 2], None)];
        backend.append(&writer, &batch(&entries)).unwrap();
    }
    backend.commit(writer).unwrap();
    for n in (0..50).step_by(10) {
        let changes: Vec<_> = (n..n + 10)
            .map(|n| match n % 3 {
                0 => remove(key(n)),
                _ => put(key(n), format!("new {n}"), None),
            })
            .collect();
        backend.apply(CACHE, &changes).unwrap();
    }
    assert!(
        names(&s, "larder").len() > 5,
        "they are not compacted into one"
    );
    let current = |lost: usize, contents: Contents| {
        assert_eq!(contents.lost, lost as u64);
        let entries: BTreeMap<_, _> = contents
            .entries
            .into_iter()
            .map(|entry| (entry.key[..3].parse::<usize>().unwrap(), entry.value))
            .collect();
        assert_eq!(entries.len(), 33 - lost);
        for (n, value) in entries {
            assert!(
                n % 3 != 0 && value == format!("new {n}").into_bytes(),
                "{n}"
            );
        }
    };
    current(0, backend.load_in_batches(CACHE).unwrap());
    current(0, backend.load(CACHE).unwrap());
    // The last of these changes is damaged: the entry that it replaced does not come back.
    let newest = names(&s, "larder").pop().unwrap();
    let path = s.folder().join(newest);
    let mut bytes = fs::read(&path).unwrap();
    let value = bytes
        .windows(6)
        .rposition(|part| part == b"new 49")
        .unwrap();
    bytes[value] ^= 1;
    fs::write(&path, bytes).unwrap();
    let damaged = backend.load_in_batches(CACHE).unwrap();
    let lost = damaged.lost as usize;
    assert!(lost > 0);
    current(lost, damaged);
    current(lost, backend.load(CACHE).unwrap());
}

/// There are more keys than are compared at once, and many come several times.
#[test]
#[ignore = "takes minutes"]
fn millions_of_keys_that_repeat_are_saved_once_nightly() {
    const COUNT: u64 = 5_000_000;
    let s = Subject::disk();
    let mut backend = s.open();
    let all = (COUNT, COUNT * (COUNT - 1) / 2);
    let again = (0..COUNT).step_by(4).chain((0..COUNT).step_by(1_000));
    stream(&mut backend, (0..COUNT).chain(again), 11);
    assert_eq!(sum(&mut backend, 11), all);
    assert_eq!(backend.stat(CACHE).unwrap().entries, COUNT);
    assert_no_leftovers(&s);
}

/// The sizes are beyond 32 bits, and the memory is 32 MiB.
#[test]
#[ignore = "takes minutes and 10 GB of disk"]
fn a_cache_of_more_than_4_gib_is_written_and_read_nightly() {
    const COUNT: u64 = 4_500;
    let s = Subject::disk().memory(32 * MIB);
    let mut backend = s.open();
    let value = |n: u64| n.to_le_bytes().repeat(MIB / 8);
    let write = |backend: &mut Instance, twice: bool| {
        let writer = backend.open_writer(CACHE).unwrap();
        for n in (0..COUNT).chain(twice.then_some(0)) {
            let entries = [entry(format!("{n}"), value(n), None)];
            backend.append(&writer, &batch(&entries)).unwrap();
        }
        backend.commit(writer).unwrap();
    };
    let read = |backend: &mut Instance| {
        let reader = backend.open_reader(CACHE).unwrap();
        assert_eq!(backend.count(&reader), COUNT);
        let mut given = BTreeSet::new();
        while let Some(batch) = backend.next(&reader).unwrap() {
            for entry in entries(batch) {
                let n = entry.key.parse().unwrap();
                assert!(entry.value == value(n), "{n}");
                assert!(given.insert(n), "{n} comes once");
            }
        }
        let lost = backend.lost(&reader);
        backend.close_reader(reader);
        assert_eq!(given.len() as u64 + lost, COUNT);
        lost
    };
    for twice in [false, true] {
        write(&mut backend, twice);
        assert_eq!(read(&mut backend), 0);
        assert!(backend.stat(CACHE).unwrap().bytes > 4 << 30);
    }
    assert_eq!(backend.verify(CACHE).unwrap().damage, []);
    // A damaged byte behind the first 4 GiB costs the block that it is in.
    let [file] = &names_only(&s)[..] else {
        panic!("one save, one file");
    };
    flip(file, (4 << 30) + 12_345_678, 1);
    assert_eq!(read(&mut backend), 1);
    let change = [put("new", "1", None), remove("0")];
    backend.apply(CACHE, &change).unwrap();
    assert_eq!(backend.verify(CACHE).unwrap().damage.len(), 1);
}

/// The published files, whose bytes are not read.
fn names_only(s: &Subject) -> Vec<PathBuf> {
    let files = fs::read_dir(s.folder().join(CACHE)).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

fn flip(path: &Path, at: u64, bits: u8) {
    use std::io::{Read, Seek, SeekFrom, Write};
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ bits]).unwrap();
}
