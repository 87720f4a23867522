//! The native build of the storage and the component are the same storage. Each reads and continues
//! the files of the other, and both report damage and obstacles alike.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder_disk::native::{self, Store};
use larder_host::{Backend, Change, Entry};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);

/// The outcome of a load: by key, the value and how long after the entry `hour` it expires; then
/// the number of lost entries. Or the error.
type Loaded = Result<(BTreeMap<String, (Vec<u8>, Option<Duration>)>, u64), String>;

enum Storage {
    Native(Store),
    Component(Backend),
}

use Storage::{Component, Native};

use crate::CACHE;

/// Both storages, for one folder.
fn both(folder: &Path) -> [Storage; 2] {
    [
        Native(Store::open(folder).unwrap()),
        Component(Backend::disk(folder).unwrap()),
    ]
}

impl Storage {
    fn save(&self, entries: &[Entry]) -> Result<(), String> {
        match self {
            Native(store) => {
                let entries: Vec<_> = entries.iter().map(native_entry).collect();
                store.save(CACHE, &entries).map_err(native_error)
            }
            Component(backend) => backend.save(CACHE, entries).map_err(error),
        }
    }

    fn apply(&self, changes: &[Change]) -> Result<(), String> {
        match self {
            Native(store) => {
                let changes: Vec<_> = changes.iter().map(native_change).collect();
                store.apply(CACHE, &changes).map_err(native_error)
            }
            Component(backend) => backend.apply(CACHE, changes).map_err(error),
        }
    }

    fn clear(&self) -> Result<(), String> {
        match self {
            Native(store) => store.clear(CACHE).map_err(native_error),
            Component(backend) => backend.clear(CACHE).map_err(error),
        }
    }

    fn load(&self) -> Loaded {
        match self {
            Native(store) => {
                let loaded = store.load(CACHE).map_err(native_error)?;
                let hour = loaded.entries().find(|(key, ..)| *key == "hour");
                let hour = hour.and_then(|(_, _, deadline)| deadline);
                let entries = loaded.entries().map(|(key, value, deadline)| {
                    let later = deadline.map(|deadline| deadline - hour.unwrap());
                    (
                        key.to_owned(),
                        (value.to_vec(), later.map(Duration::from_nanos)),
                    )
                });
                Ok((entries.collect(), loaded.lost()))
            }
            Component(backend) => {
                let loaded = backend.load(CACHE).map_err(error)?;
                let hour = loaded.entries.iter().find(|entry| entry.key == "hour");
                let hour = hour.and_then(|entry| entry.expires_at);
                let entries = loaded.entries.into_iter().map(|entry| {
                    let later = entry.expires_at.map(|deadline| deadline - hour.unwrap());
                    (entry.key, (entry.value, later))
                });
                Ok((entries.collect(), loaded.lost))
            }
        }
    }
}

fn native_entry(entry: &Entry) -> native::Entry {
    native::Entry {
        key: entry.key.clone(),
        value: entry.value.clone(),
        ttl: entry.ttl.map(|ttl| u64::try_from(ttl.as_nanos()).unwrap()),
    }
}

fn native_change(change: &Change) -> native::Change {
    match change {
        Change::Put(entry) => native::Change::Put(native_entry(entry)),
        Change::Remove(key) => native::Change::Remove(key.clone()),
        other => unreachable!("no change here is {other:?}"),
    }
}

fn native_error(error: native::Error) -> String {
    format!("{error:?}").replace("Error::", "")
}

fn error(error: larder_host::Error) -> String {
    format!("{:?}", error.kind())
}

/// Entries in more than one block, with the extremes of what an entry may be.
fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = (0..5_000)
        .map(|i| Entry::new(format!("key-{i}"), vec![i as u8; i % 300]))
        .collect();
    entries.extend([
        Entry::new("hour", "expires").ttl(HOUR),
        Entry::new("three hours", "expires later").ttl(3 * HOUR),
        Entry::new("", "of the empty key"),
        Entry::new("κλειδί 🔑", [0, 255, 128]),
        Entry::new("large", vec![7; 3 << 20]),
        Entry::new("twice", "replaced"),
        Entry::new("gone", "removed").ttl(Duration::ZERO),
        Entry::new("twice", "counts"),
    ]);
    entries
}

/// The result of a load of these entries.
fn expected(entries: &[Entry]) -> BTreeMap<String, (Vec<u8>, Option<Duration>)> {
    let live = entries
        .iter()
        .filter(|entry| entry.ttl != Some(Duration::ZERO));
    live.map(|entry| {
        let later = entry.ttl.map(|ttl| ttl - HOUR);
        (entry.key.clone(), (entry.value.clone(), later))
    })
    .collect()
}

#[test]
fn each_reads_and_goes_on_with_what_the_other_wrote() {
    for turn in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let storages = both(folder.path());
        let [first, second] = [&storages[turn], &storages[1 - turn]];
        let mut model = expected(&entries());
        first.save(&entries()).unwrap();
        assert!(second.load() == Ok((model.clone(), 0)), "turn {turn}: save");

        // So many changes that files are compacted, of both writers.
        for i in 0..60 {
            let (writer, reader) = match i % 2 {
                0 => (second, first),
                _ => (first, second),
            };
            let (put, removed) = (format!("key-{}", i * 7), format!("key-{}", i * 11 + 1));
            let value = vec![i as u8; i * 50];
            let changes = [
                Change::Put(Entry::new(put.clone(), value.clone())),
                Change::Remove(removed.clone()),
            ];
            writer.apply(&changes).unwrap();
            model.insert(put, (value, None));
            model.remove(&removed);
            assert!(
                reader.load() == Ok((model.clone(), 0)),
                "turn {turn}: change {i}"
            );
        }
        assert!(files(&folder).len() < 60, "nothing was folded");

        second.save(&entries()[..1]).unwrap();
        assert_eq!(first.load(), Ok((expected(&entries()[..1]), 0)));
        first.clear().unwrap();
        assert_eq!(second.load(), Ok((BTreeMap::new(), 0)));
    }
}

#[test]
fn both_lose_the_same_to_the_same_damage() {
    let mut outcomes = Vec::new();
    for at in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let [native, component] = both(folder.path());
        native.save(&entries()).unwrap();
        let [file] = &files(&folder)[..] else {
            panic!("one save, one file");
        };
        let mut bytes = fs::read(file).unwrap();
        let place = (bytes.len() - 1) * at / 39;
        match at % 4 {
            0 => bytes.truncate(place),
            _ => bytes[place] ^= 0x10,
        }
        fs::write(file, bytes).unwrap();
        let outcome = native.load();
        assert!(outcome == component.load(), "damage at {place}");
        outcomes.push(outcome);
    }
    let lossy = |outcome: &Loaded| matches!(outcome, Ok((entries, 1..)) if !entries.is_empty());
    assert!(outcomes.iter().any(lossy), "nothing was lost in part");
    assert!(outcomes.iter().any(Result::is_err), "nothing was corrupt");
}

#[test]
fn both_say_the_same_of_what_is_in_the_way_and_follow_no_link() {
    type Obstacle = fn(&Path, &Path);
    let obstacles: [(&str, Obstacle); 6] = [
        ("a file as the cache", |folder, _| {
            fs::write(folder.join(CACHE), "a file").unwrap();
        }),
        ("a link as the cache", |folder, elsewhere| {
            symlink(elsewhere.join(CACHE), folder.join(CACHE)).unwrap();
        }),
        ("a link to itself as the cache", |folder, _| {
            symlink(CACHE, folder.join(CACHE)).unwrap();
        }),
        ("a link as a version", |folder, elsewhere| {
            let version = "00000000000000000001.larder";
            fs::create_dir(folder.join(CACHE)).unwrap();
            let target = files_of(elsewhere).pop().unwrap();
            symlink(target, folder.join(CACHE).join(version)).unwrap();
        }),
        ("a folder as a version", |folder, _| {
            let version = "00000000000000000001.larder";
            fs::create_dir_all(folder.join(CACHE).join(version)).unwrap();
        }),
        ("a name that is not text", |folder, _| {
            use std::os::unix::ffi::OsStrExt;
            let name = std::ffi::OsStr::from_bytes(b"\xff.larder");
            fs::create_dir(folder.join(CACHE)).unwrap();
            fs::write(folder.join(CACHE).join(name), "").unwrap();
        }),
    ];
    let elsewhere = tempfile::tempdir().unwrap();
    let [native, _] = both(elsewhere.path());
    native.save(&[Entry::new("secret", "value")]).unwrap();
    let secret = files(&elsewhere);

    let mut failed = 0;
    for (obstacle, place) in obstacles {
        type Call = fn(&Storage) -> Result<(), String>;
        let calls: [(&str, Call); 4] = [
            ("load", |storage| {
                let (entries, _) = storage.load()?;
                assert!(!entries.contains_key("secret"), "a link was followed");
                Ok(())
            }),
            ("save", |storage| storage.save(&[Entry::new("key", "")])),
            ("apply", |storage| {
                storage.apply(&[Change::Put(Entry::new("key", ""))])
            }),
            ("clear", Storage::clear),
        ];
        for (name, call) in calls {
            let outcomes = [0, 1].map(|storage| {
                let folder = tempfile::tempdir().unwrap();
                place(folder.path(), elsewhere.path());
                call(&both(folder.path())[storage])
            });
            assert_eq!(outcomes[0], outcomes[1], "{obstacle}: {name}");
            failed += usize::from(outcomes[0].is_err());
            assert_eq!(files(&elsewhere), secret, "{obstacle}: {name}");
        }
    }
    assert!(
        failed >= 12,
        "{failed} calls failed: nothing was in the way"
    );
}

#[test]
fn a_directory_that_is_not_there_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let Err(error) = Store::open(&missing) else {
        panic!("it was opened");
    };
    assert!(matches!(error, native::Error::Other(_)), "{error:?}");
    assert!(!missing.exists());
}

fn files(folder: &TempDir) -> Vec<PathBuf> {
    files_of(folder.path())
}

/// The files of the cache.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(folder.join(CACHE)).unwrap();
    let mut files: Vec<_> = folder.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}
