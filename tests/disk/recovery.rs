//! Earlier versions of a cache: which ones are whole, and the way back to one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder_host::{Backend, Change, Entry, ErrorKind, Version};
use larder_host_test::{Error, SimDisk, Subject, Values, When, entry, tree};

use crate::{CACHE, disk};

const HOUR: Duration = Duration::from_secs(3600);

fn file(folder: &Path, version: u64) -> PathBuf {
    folder.join(format!("cache/{version:020}.larder"))
}

fn put(key: &str, value: &str) -> Change {
    Change::Put(Entry::new(key, value))
}

fn values(disk: &Backend) -> BTreeMap<String, String> {
    let contents = disk.load("cache").unwrap();
    assert_eq!(contents.lost, 0);
    let entries = contents.entries.into_iter();
    let text = |value| String::from_utf8(value).unwrap();
    entries
        .map(|entry| (entry.key, text(entry.value)))
        .collect()
}

fn of<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries
        .map(|(key, value)| (key.into(), value.into()))
        .into()
}

/// The numbers of the whole versions, each with the number of newer changes.
fn versions(disk: &Backend) -> Vec<(u64, u64)> {
    let versions: Vec<Version> = disk.versions("cache").unwrap();
    assert!(versions.iter().all(|version| version.saved_at.is_some()));
    let numbers = versions.iter().map(|it| (it.number, it.newer_changes));
    numbers.collect()
}

/// A snapshot and two change files.
fn changed(folder: &Path) -> Backend {
    let disk = disk(folder);
    let ages = Entry::new("c", "ages").ttl(HOUR);
    disk.save("cache", [Entry::new("a", "1"), Entry::new("b", "1"), ages])
        .unwrap();
    disk.apply("cache", [put("a", "2"), Change::Remove("b".into())])
        .unwrap();
    disk.apply("cache", [put("a", "3")]).unwrap();
    disk
}

#[test]
fn every_whole_version_is_listed_with_the_changes_since() {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk(folder.path());
    assert_eq!(versions(&disk), []);
    assert!(!folder.path().join("cache").exists());
    let disk = changed(folder.path());
    assert_eq!(versions(&disk), [(3, 0), (2, 1), (1, 3)]);
    // A damaged version, and all that build on it, are not whole.
    let path = file(folder.path(), 2);
    let mut bytes = fs::read(&path).unwrap();
    bytes[9] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(versions(&disk), [(1, 3)]);
}

#[test]
fn a_version_that_is_gone_back_to_is_the_cache_again() {
    for (number, expected) in [
        (1, of([("a", "1"), ("b", "1"), ("c", "ages")])),
        (2, of([("a", "2"), ("c", "ages")])),
        (3, of([("a", "3"), ("c", "ages")])),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let disk = changed(folder.path());
        let deadline = |disk: &Backend| disk.get("cache", "c").unwrap().unwrap().expires_at;
        let before = deadline(&disk).unwrap();
        disk.recover("cache", number).unwrap();
        assert_eq!(values(&disk), expected);
        let moved = deadline(&disk).unwrap().duration_since(before);
        assert!(moved < HOUR / 60, "the ttl begins anew: {moved:?}");
        assert_eq!(versions(&disk), [(4, 0)], "it is a change like any other");
        disk.apply("cache", [put("d", "new")]).unwrap();
        assert_eq!(values(&disk).len(), expected.len() + 1);
    }
}

/// A change file that is emptied leaves nothing that says which keys it changed.
#[test]
fn a_cache_whose_newest_file_was_emptied_is_got_back_by_its_last_whole_version() {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk(folder.path());
    let entry = |n: usize| Entry::new(format!("key {n}"), format!("{n}"));
    disk.save("cache", (0..100_000).map(entry)).unwrap();
    disk.apply("cache", [put("key 7", "new")]).unwrap();
    fs::write(file(folder.path(), 2), "").unwrap();
    let error = disk.load("cache").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{error}");
    assert_eq!(versions(&disk), [(1, 0)]);
    disk.recover("cache", 1).unwrap();
    let values = values(&disk);
    assert_eq!((values.len(), values["key 7"].as_str()), (100_000, "7"));
    assert!(disk.verify("cache").unwrap().damage.is_empty());
    assert!(!file(folder.path(), 2).exists());
}

#[test]
fn a_version_that_is_missing_or_damaged_is_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let disk = changed(folder.path());
    let path = file(folder.path(), 2);
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    fs::write(&path, bytes).unwrap();
    let before = tree(folder.path());
    // The third version builds on the second.
    for number in [0, 2, 3, 4, u64::MAX] {
        let error = disk.recover("cache", number).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error.kind(), ErrorKind::InvalidArgument(_)),
            "{text}"
        );
        assert!(text.contains(&format!("no version {number} ")), "{text}");
    }
    assert_eq!(tree(folder.path()), before);
    let error = disk.recover("other", 1).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)));
    assert!(!folder.path().join("other").exists());
    for outcome in [disk.recover("a/b", 1), disk.versions("a/b").map(drop)] {
        let error = outcome.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidName(_)));
    }
}

#[test]
fn a_version_of_a_newer_format_is_never_undone() {
    let folder = tempfile::tempdir().unwrap();
    let disk = changed(folder.path());
    let path = file(folder.path(), 3);
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len() - 1;
    bytes[7] = 4;
    bytes[end] = 4;
    fs::write(&path, bytes).unwrap();
    let before = tree(folder.path());
    assert_eq!(versions(&disk), [(2, 0), (1, 2)]);
    let error = disk.recover("cache", 2).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnsupportedVersion(4)));
    assert_eq!(tree(folder.path()), before);
}

/// A person who recovers a cache may lose patience, or the machine its power.
#[test]
fn going_back_is_done_as_a_whole_or_not_at_all_wherever_it_is_stopped() {
    let disk = SimDisk::new(0);
    let subject = Subject::disk_on(&disk);
    let mut backend = subject.open();
    let old = [entry("a", "old", None), entry("b", "old", None)];
    backend.save(CACHE, &old).unwrap();
    backend
        .apply(CACHE, &[larder_host_test::put("a", "new", None)])
        .unwrap();
    drop(backend);
    let load = |disk: &SimDisk| {
        larder_host_test::values(subject.on_simulated(disk).open().load(CACHE).unwrap())
    };
    let (new, old) = (
        load(&disk),
        old.into_iter()
            .map(|it| (it.key, it.value))
            .collect::<Values>(),
    );
    for call in 1.. {
        let disk = disk.fork();
        let mut backend = subject.on_simulated(&disk).open();
        backend.faults().kill(When::any().nth(call));
        let outcome = backend.recover(CACHE, 1);
        drop(backend);
        let returned = outcome.is_ok();
        let allowed = match returned {
            true => vec![&old],
            false => vec![&new, &old],
        };
        assert!(outcome.is_err() || outcome == Ok(Ok(())), "{outcome:?}");
        assert!(allowed.contains(&&load(&disk)), "call {call}");
        for cut in disk.power_cuts(40, call) {
            assert!(allowed.contains(&&load(&cut)), "call {call}, a power cut");
        }
        if returned {
            assert!(call > 10, "it makes calls");
            break;
        }
    }
}

/// Whatever is done between two calls of a recovery is done, and no clear is undone.
#[test]
fn going_back_undoes_no_clear_and_no_save_that_comes_between() {
    let saved = [entry("a", "saved", None)];
    for clears in [true, false] {
        for nth in 1.. {
            let s = Subject::disk();
            let (mut backend, mut other) = (s.open(), s.open());
            backend.save(CACHE, &[entry("a", "old", None)]).unwrap();
            let change = larder_host_test::put("a", "new", None);
            backend.apply(CACHE, &[change]).unwrap();
            let entries = saved.clone();
            backend.faults().before(When::any().nth(nth), move || {
                let outcome = match clears {
                    true => other.clear(CACHE),
                    false => other.save(CACHE, &entries),
                };
                outcome.unwrap();
            });
            let outcome = backend.recover(CACHE, 1).unwrap();
            if backend.faults().fired() == 0 {
                assert!(nth > 10, "it makes calls");
                break;
            }
            let found = larder_host_test::values(s.open().load(CACHE).unwrap());
            let newest = match clears {
                true => Values::new(),
                false => [("a".to_owned(), b"saved".to_vec())].into(),
            };
            match outcome {
                // It came first, and took the version away.
                Err(Error::InvalidArgument(_)) => assert_eq!(found, newest, "call {nth}"),
                // It came before a recovery of what it had left, or after the recovery.
                Ok(()) => {
                    let old = [("a".to_owned(), b"old".to_vec())].into();
                    assert!(found == newest || !clears && found == old, "call {nth}");
                }
                Err(error) => panic!("call {nth}: {error:?}"),
            }
        }
    }
}

/// Where a file is cut short behind one of its frames, only what is missing tells of it.
#[test]
fn a_version_whose_file_is_cut_short_anywhere_is_not_whole() {
    for durability in ["full", "atomic"] {
        let s = Subject::disk().env("LARDER_DURABILITY", durability);
        let mut backend = s.open();
        let entries: Vec<_> = (0..3)
            .map(|n| entry(format!("{n}"), vec![n; 40_000], None))
            .collect();
        backend.save(CACHE, &entries).unwrap();
        let change = entries
            .iter()
            .map(|it| larder_host_test::put(&it.key, vec![7; 40_000], None));
        backend
            .apply(CACHE, &change.collect::<Vec<_>>()[..1])
            .unwrap();
        let before = larder_host_test::values(backend.load(CACHE).unwrap());
        backend
            .apply(CACHE, &[larder_host_test::put("new", vec![1; 10], None)])
            .unwrap();
        let newest = s.folder().join(CACHE).join(crate::version(3));
        let whole = fs::read(&newest).unwrap();
        let is_tried = |at: &usize| {
            at.is_multiple_of(512) || whole[*at..].iter().take(16).any(|byte| *byte != 0)
        };
        for length in (0..whole.len()).filter(is_tried) {
            fs::write(&newest, &whole[..length]).unwrap();
            assert_ne!(backend.recover(CACHE, 3).unwrap(), Ok(()), "{length} bytes");
            if durability == "atomic" {
                // It may be torn, so the version before counts.
                let found = larder_host_test::values(backend.load(CACHE).unwrap());
                assert!(found == before, "{length} bytes");
            }
        }
        let snapshot = s.folder().join(CACHE).join(crate::version(1));
        fs::write(&newest, &whole).unwrap();
        let whole = fs::read(&snapshot).unwrap();
        for length in (0..whole.len()).step_by(1999).chain([80, 100, 120]) {
            fs::write(&snapshot, &whole[..length]).unwrap();
            assert_ne!(backend.recover(CACHE, 1).unwrap(), Ok(()), "{length} bytes");
        }
    }
}
