//! Reads and writes entry by entry give the same caches as loads and saves, whether the component
//! takes batches or not.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use larder_host::{Backend, Builder, Entries, Entry, ErrorKind, LiveEntry, Writer};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);
const MIB: usize = 1 << 20;

/// The two kinds of components that the tests use: the built-in one, and the same without its
/// interface for batches.
fn kinds() -> [fn() -> Builder; 2] {
    static WITHOUT: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let (name, other) = (b"larder:cache/cache-bulk@", b"larder:cache/cache-hulk@");
        let mut bytes = larder_components::DISK.to_vec();
        for at in 0..bytes.len() - name.len() {
            if bytes[at..].starts_with(name) {
                bytes[at..at + name.len()].copy_from_slice(other);
            }
        }
        bytes
    });
    [Backend::builtin, || {
        let code = concat!(env!("CARGO_TARGET_TMPDIR"), "/code");
        Backend::component_bytes(WITHOUT.as_slice()).code_cache(code)
    }]
}

/// Does this with a backend of each kind, over a folder of its own.
fn with_each(test: impl Fn(&Backend, &Path)) {
    for kind in kinds() {
        let folder = TempDir::new().unwrap();
        let backend = kind().preopen(folder.path(), "/").build().unwrap();
        test(&backend, folder.path());
    }
}

/// Enough entries for many batches.
fn many(value: &str) -> impl Iterator<Item = Entry> {
    (0..10_000).map(move |n| Entry::new(format!("key {n}"), format!("{value:100}")))
}

/// Entries of every kind, with keys that come again in other batches.
fn mixture() -> Vec<Entry> {
    let mut entries: Vec<Entry> = many("first").collect();
    entries.push(Entry::new("", ""));
    entries.push(Entry::new("café ☃", [0xff; 3]));
    entries.push(Entry::new("large", vec![7; MIB]));
    entries.push(Entry::new("l".repeat(MIB), "large key"));
    for n in 0..10_000 {
        let again = Entry::new(format!("key {n}"), format!("again {n}"));
        match n % 4 {
            0 => entries.push(again),
            1 => entries.push(again.ttl(HOUR)),
            2 => entries.push(again.ttl(Duration::ZERO)),
            _ => {}
        }
    }
    entries.push(Entry::new("ages", "").ttl(Duration::MAX));
    entries
}

/// The entries that are left, by key: the value, and how long they live.
fn kept(entries: &[Entry]) -> BTreeMap<String, (Vec<u8>, Option<Duration>)> {
    let mut kept = BTreeMap::new();
    for entry in entries {
        kept.insert(entry.key.clone(), (entry.value.clone(), entry.ttl));
    }
    kept.retain(|_, (_, ttl)| *ttl != Some(Duration::ZERO));
    kept
}

#[track_caller]
fn assert_same(loaded: Vec<LiveEntry>, saved: &[Entry], since: Instant) {
    let mut kept = kept(saved);
    for entry in loaded {
        let (value, ttl) = kept.remove(&entry.key).expect("a key once");
        assert!(value == entry.value, "{:?}", entry.key);
        match ttl {
            Some(Duration::MAX) => {
                let far = |at| at > since + 1000 * HOUR;
                assert!(entry.expires_at.is_none_or(far));
            }
            Some(ttl) => {
                let deadline = entry.expires_at.expect("a deadline");
                // The wall clock may be set meanwhile, which only shortens the ttl.
                assert!(since < deadline && deadline <= Instant::now() + ttl);
            }
            None => assert_eq!(entry.expires_at, None),
        }
    }
    assert_eq!(kept.len(), 0);
}

fn read(backend: &Backend, cache: &str) -> Vec<LiveEntry> {
    let entries = backend.read(cache).unwrap();
    entries.map(|entry| entry.unwrap()).collect()
}

fn temporaries(folder: &Path) -> Vec<PathBuf> {
    let files = |folder: &Path| {
        fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path())
    };
    let folders = files(folder).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| files(&folder).collect::<Vec<_>>());
    files
        .filter(|path| {
            path.extension()
                .is_some_and(|is| is == "part" || is == "tmp")
        })
        .collect()
}

#[test]
fn a_cache_is_the_same_in_whatever_way_it_is_saved_and_loaded() {
    let since = Instant::now();
    let entries = mixture();
    with_each(|backend, _| {
        backend.save("list", &entries).unwrap();
        backend.save("iterator", entries.iter().cloned()).unwrap();
        let mut writer = backend.write("writer");
        for entry in &entries {
            writer.put(entry).unwrap();
        }
        writer.commit().unwrap();
        for cache in ["list", "iterator", "writer"] {
            let contents = backend.load(cache).unwrap();
            assert_eq!(contents.lost, 0);
            assert_same(contents.entries, &entries, since);
            assert_same(read(backend, cache), &entries, since);
        }
    });
}

#[test]
fn a_few_entries_and_none_are_the_same_in_whatever_way_they_are_saved_and_loaded() {
    let since = Instant::now();
    with_each(|backend, _| {
        for entries in [&mixture()[9_990..10_003], &[]] {
            backend.save("list", entries).unwrap();
            let mut writer = backend.write("writer");
            for entry in entries {
                writer.put(entry).unwrap();
            }
            writer.commit().unwrap();
            for cache in ["list", "writer"] {
                assert_same(backend.load(cache).unwrap().entries, entries, since);
                assert_same(read(backend, cache), entries, since);
            }
        }
        assert_eq!(backend.load("missing").unwrap().entries, []);
        assert_eq!(read(backend, "missing"), []);
    });
}

#[test]
fn an_iterator_that_panics_leaves_what_was_there() {
    with_each(|backend, folder| {
        backend.save("cache", [Entry::new("old", "value")]).unwrap();
        for at in [0, 1, 5_000] {
            let panics = many("new").enumerate().map(|(n, entry)| {
                assert!(n != at, "the iterator panics");
                entry
            });
            let save = AssertUnwindSafe(|| backend.save("cache", panics));
            catch_unwind(save).unwrap_err();
            assert_eq!(temporaries(folder), [""; 0].map(PathBuf::from));
            assert_eq!(backend.load("cache").unwrap().entries[0].key, "old");
        }
        backend.save("cache", many("new")).unwrap();
        assert_eq!(backend.load("cache").unwrap().entries.len(), 10_000);
    });
}

#[test]
fn a_writer_that_is_dropped_has_done_nothing() {
    with_each(|backend, folder| {
        for count in [0, 1, 5_000] {
            let mut writer = backend.write("cache");
            for entry in many("new").take(count) {
                writer.put(&entry).unwrap();
            }
            drop(writer);
            assert_eq!(temporaries(folder), [""; 0].map(PathBuf::from));
            assert_eq!(backend.load("cache").unwrap().entries, []);
        }
    });
}

#[test]
fn a_save_that_fails_on_the_way_leaves_what_was_there() {
    for kind in kinds() {
        let folder = TempDir::new().unwrap();
        let builder = kind().preopen(folder.path(), "/");
        let backend = builder.memory_limit(24 * MIB).build().unwrap();
        backend.save("cache", [Entry::new("old", "value")]).unwrap();
        for count in [0, 1, 5_000] {
            let large = Entry::new("large", vec![0; 32 * MIB]);
            let entries = many("new").take(count).chain([large.clone()]);
            let error = backend.save("cache", entries).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::TooLarge(size) if *size > 32 << 20));
            assert_eq!((error.operation(), error.cache()), ("save", Some("cache")));

            let mut writer = backend.write("cache");
            for entry in many("new").take(count) {
                writer.put(&entry).unwrap();
            }
            let error = writer.put(&large).unwrap_err();
            assert_eq!((error.operation(), error.cache()), ("write", Some("cache")));
            let again = writer.put(&Entry::new("small", "")).unwrap_err();
            assert_eq!(again.kind(), error.kind());
            assert_eq!(writer.commit().unwrap_err().kind(), error.kind());

            assert_eq!(temporaries(folder.path()), [""; 0].map(PathBuf::from));
            assert_eq!(backend.load("cache").unwrap().entries[0].key, "old");
        }
    }
}

#[test]
fn a_name_that_is_none_is_refused_to_readers_and_writers() {
    with_each(|backend, _| {
        let invalid = |kind: &ErrorKind| matches!(kind, ErrorKind::InvalidName(_));
        let error = backend.read("..").unwrap_err();
        assert!(invalid(error.kind()), "{error}");
        assert_eq!((error.operation(), error.cache()), ("read", Some("..")));
        assert!(invalid(backend.write("..").commit().unwrap_err().kind()));
        assert!(invalid(backend.save("..", many("")).unwrap_err().kind()));
        assert!(invalid(backend.load("..").unwrap_err().kind()));
    });
}

#[test]
fn entries_can_be_dropped_before_they_are_all_read() {
    with_each(|backend, _| {
        backend.save("cache", many("value")).unwrap();
        for count in [0, 1, 5_000] {
            let entries = backend.read("cache").unwrap();
            assert_eq!(entries.take(count).count(), count);
        }
        assert_eq!(backend.load("cache").unwrap().entries.len(), 10_000);
    });
}

#[test]
fn a_reader_that_is_at_its_end_stays_there() {
    with_each(|backend, _| {
        backend.save("cache", many("value")).unwrap();
        let mut entries = backend.read("cache").unwrap();
        assert_eq!(entries.by_ref().count(), 10_000);
        backend.save("cache", many("other")).unwrap();
        assert!(entries.next().is_none() && entries.next().is_none());
        assert_eq!(entries.lost(), 0);
    });
}

#[test]
fn a_reader_goes_on_with_the_cache_as_it_was() {
    with_each(|backend, _| {
        backend.save("cache", many("old")).unwrap();
        let mut entries = backend.read("cache").unwrap();
        let first = entries.next().unwrap().unwrap();
        backend.save("cache", many("new")).unwrap();
        backend.clear("cache").unwrap();
        let rest = entries.map(|entry| entry.unwrap());
        let old: Vec<_> = rest.chain([first]).collect();
        assert_eq!(old.len(), 10_000);
        assert!(old.iter().all(|entry| entry.value.starts_with(b"old")));
    });
}

#[test]
fn several_caches_are_read_and_written_at_once() {
    with_each(|backend, _| {
        backend.save("a", many("a")).unwrap();
        backend.save("b", many("b")).unwrap();
        let [mut to_a, mut to_b] = ["copy of a", "copy of b"].map(|cache| backend.write(cache));
        let [a, b] = ["a", "b"].map(|cache| backend.read(cache).unwrap());
        for (a, b) in a.zip(b) {
            let again = |entry: LiveEntry| Entry::new(entry.key, entry.value);
            to_a.put(&again(a.unwrap())).unwrap();
            to_b.put(&again(b.unwrap())).unwrap();
        }
        to_a.commit().unwrap();
        to_b.commit().unwrap();
        for name in ["a", "b"] {
            let copied = backend.load(&format!("copy of {name}")).unwrap().entries;
            assert_eq!(copied.len(), 10_000);
            assert!(
                copied
                    .iter()
                    .all(|entry| entry.value.starts_with(name.as_bytes()))
            );
        }
    });
}

#[test]
fn the_time_limit_is_for_each_call_and_not_for_what_is_done_in_between() {
    let limit = Duration::from_secs(2);
    for kind in kinds() {
        let folder = TempDir::new().unwrap();
        let builder = kind().preopen(folder.path(), "/");
        let backend = builder.time_limit(limit).build().unwrap();
        let slow = many("value").inspect(|entry| {
            if entry.key == "key 5000" {
                thread::sleep(limit);
            }
        });
        backend.save("cache", slow).unwrap();
        let mut entries = backend.read("cache").unwrap();
        entries.next().unwrap().unwrap();
        thread::sleep(limit);
        assert_eq!(entries.filter(Result::is_ok).count(), 9_999);
    }
}

#[test]
fn what_is_too_large_to_be_loaded_at_once_can_be_read_and_saved() {
    let folder = TempDir::new().unwrap();
    let builder = Backend::builtin().preopen(folder.path(), "/");
    let backend = builder.memory_limit(24 * MIB).build().unwrap();
    let entries = (0..32).map(|n| Entry::new(format!("key {n}"), vec![n; MIB]));
    backend.save("cache", entries).unwrap();
    let error = backend.load("cache").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge(size) if *size > 24 << 20));
    let entries = backend.read("cache").unwrap();
    let whole = entries.filter(|entry| {
        let entry = entry.as_ref().unwrap();
        entry.value.len() == MIB && entry.key == format!("key {}", entry.value[0])
    });
    assert_eq!(whole.count(), 32);
}

#[test]
fn the_total_is_known_before_anything_is_read() {
    with_each(|backend, _| {
        backend.save("cache", many("value")).unwrap();
        let mut entries = backend.read("cache").unwrap();
        assert_eq!(entries.total(), 10_000);
        entries.next().unwrap().unwrap();
        assert_eq!(entries.total(), 10_000);
        assert_eq!(backend.read("missing").unwrap().total(), 0);
    });
}

#[test]
fn a_reader_tells_at_its_end_how_many_entries_are_lost() {
    with_each(|backend, folder| {
        backend.save("cache", many("value")).unwrap();
        let file = fs::read_dir(folder.join("cache")).unwrap().next().unwrap();
        let file = file.unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
        let contents = backend.load("cache").unwrap();
        assert!(contents.lost > 0);
        assert_eq!(contents.entries.len() as u64 + contents.lost, 10_000);
        let mut entries = backend.read("cache").unwrap();
        let intact = entries.by_ref().filter(Result::is_ok).count();
        assert_eq!(
            (intact, entries.lost()),
            (contents.entries.len(), contents.lost)
        );
    });
}

#[test]
fn readers_and_writers_go_from_thread_to_thread() {
    fn is_send<T: Send + std::fmt::Debug>() {}
    is_send::<Entries>();
    is_send::<Writer>();
    with_each(|backend, _| {
        let mut writer = backend.write("cache");
        let writer = thread::scope(|scope| {
            let put = scope.spawn(move || {
                many("value").for_each(|entry| writer.put(&entry).unwrap());
                writer
            });
            put.join().unwrap()
        });
        writer.commit().unwrap();
        let mut entries = backend.read("cache").unwrap();
        entries.next().unwrap().unwrap();
        let rest = thread::scope(|scope| scope.spawn(|| entries.count()).join().unwrap());
        assert_eq!(rest, 9_999);
    });
}
