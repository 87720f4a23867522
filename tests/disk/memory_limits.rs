//! Data that does not fit into the memory of the component is an error that says so, and never a
//! trap. Stored entries stay stored.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use larder_host::{Backend, Builder, Change, Entry, Error, ErrorKind};

const MIB: usize = 1 << 20;

/// The memory that the component takes before it does anything.
const LEAST: usize = MIB + 256 * 1024;

/// The component, which is given and asked for entries in batches.
fn limited(folder: &Path, limit: usize) -> Backend {
    build(Backend::builtin(), folder, limit)
}

/// The component without its interface for batches, so that it is given and asked for all entries
/// at once.
fn limited_at_once(folder: &Path, limit: usize) -> Backend {
    static AT_ONCE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let (name, other) = (b"larder:cache/cache-bulk@", b"larder:cache/cache-hulk@");
        let mut bytes = larder_components::DISK.to_vec();
        for at in 0..bytes.len() - name.len() {
            if bytes[at..].starts_with(name) {
                bytes[at..at + name.len()].copy_from_slice(other);
            }
        }
        bytes
    });
    build(Backend::component_bytes(AT_ONCE.as_slice()), folder, limit)
}

fn build(component: Builder, folder: &Path, limit: usize) -> Backend {
    // The code is compiled once for all backends.
    let component = component.code_cache(concat!(env!("CARGO_TARGET_TMPDIR"), "/code"));
    let component = component.preopen(folder, "/").memory_limit(limit);
    component.build().unwrap()
}

/// The names of the files in the folder of the cache.
fn names(folder: &Path) -> Vec<String> {
    let Ok(files) = fs::read_dir(folder.join("cache")) else {
        return Vec::new();
    };
    let name = |file: fs::DirEntry| file.file_name().into_string().unwrap();
    files.map(|file| name(file.unwrap())).collect()
}

#[test]
fn a_write_beyond_the_memory_is_too_large_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let small = limited_at_once(folder.path(), 32 * MIB);
    small
        .save("cache", [Entry::new("kept", "as it is")])
        .unwrap();
    let before = names(folder.path());
    let mut refused = 0;
    // The sizes begin with easy ones and end where the host itself refuses. They are so close that
    // memory runs out at every place where it can.
    for size in (0..34 * MIB).step_by(MIB / 2) {
        let large = Entry::new("large", vec![7; size]);
        for outcome in [
            small.apply(
                "cache",
                [Change::Put(large.clone()), Change::Remove("large".into())],
            ),
            small.save("scratch", [large]),
        ] {
            match outcome.map_err(|error| error.kind().clone()) {
                Ok(()) => {}
                Err(ErrorKind::TooLarge(_)) => refused += 1,
                // The host could not hand the value over, so that the component never had it.
                Err(ErrorKind::OutOfMemory(_)) if size > 14 * MIB => refused += 1,
                Err(other) => panic!("{size} bytes: {other:?}"),
            }
        }
    }
    assert!(refused > 0);
    let temporary = |name: &String| name.ends_with(".tmp") || name.ends_with(".part");
    assert!(!names(folder.path()).iter().any(temporary));
    assert!(names(folder.path()).len() >= before.len());
    let entries = small.load("cache").unwrap().entries;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].value, b"as it is");
}

#[test]
fn a_load_beyond_the_memory_is_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |n: usize| Entry::new(format!("key {n}"), vec![n as u8; 1000]);
    let entries: Vec<Entry> = (0..20_000).map(entry).collect();
    limited_at_once(folder.path(), 1024 * MIB)
        .save("cache", &entries)
        .unwrap();
    let mut refused = 0;
    for limit in (4..128).step_by(4) {
        match limited_at_once(folder.path(), limit * MIB).load("cache") {
            Ok(contents) => assert_eq!(contents.entries.len(), entries.len()),
            Err(error) => {
                let too_large = matches!(error.kind(), ErrorKind::TooLarge(_));
                assert!(too_large, "{limit} MiB: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

/// A change that was made returns no error because its files cannot be compacted now.
#[test]
fn a_large_entry_may_change_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let small = limited(folder.path(), 64 * MIB);
    for round in 0..12 {
        let large = Entry::new("large", vec![round; 9 * MIB]);
        small.apply("cache", [Change::Put(large)]).unwrap();
        let names = names(folder.path());
        assert!(names.iter().all(|name| name.ends_with(".larder")));
        assert!(names.len() < 5, "{names:?}");
    }
    let found = limited(folder.path(), 1024 * MIB).load("cache").unwrap();
    assert_eq!(found.entries[0].value, vec![11; 9 * MIB]);
}

#[test]
fn a_legacy_file_beyond_the_memory_is_too_large_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let small = limited(folder.path(), 64 * MIB);
    let (mut loaded, mut applied, mut refused) = (0, 0, 0);
    for size in (MIB..70 * MIB).step_by(6 * MIB) {
        let value = vec![7; size];
        let entries = [("large", serde_bytes::Bytes::new(&value), None::<u64>)];
        let legacy = folder.path().join("cache.postcard");
        fs::write(&legacy, postcard::to_allocvec(&entries.as_slice()).unwrap()).unwrap();
        let load = small.load("cache").map(|found| {
            assert_eq!(found.entries[0].value, value);
            loaded += 1;
        });
        let apply = small.apply("cache", [Change::Remove("other".into())]);
        let apply = apply.map(|()| {
            assert!(!legacy.exists());
            applied += 1;
        });
        for outcome in [load, apply] {
            match outcome.map_err(|error| error.kind().clone()) {
                Ok(()) => {}
                Err(ErrorKind::TooLarge(_)) => refused += 1,
                Err(other) => panic!("{size} bytes: {other:?}"),
            }
        }
        if !legacy.exists() {
            let ample = limited(folder.path(), 1024 * MIB);
            assert_eq!(ample.load("cache").unwrap().entries[0].value, value);
            fs::remove_dir_all(folder.path().join("cache")).unwrap();
        }
    }
    assert!(loaded > 0 && applied > 0 && refused > 0);
}

/// The directory and an index are damaged, so the blocks are found one after the other.
#[test]
fn a_file_that_is_damaged_in_two_places_is_read_within_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let ample = limited(folder.path(), 1024 * MIB);
    let entry = |n: usize| Entry::new(format!("{n:07}"), vec![n as u8; 20_000]);
    let count = 4000;
    ample.save("cache", (0..count).map(entry)).unwrap();
    let path = folder
        .path()
        .join("cache")
        .join(names(folder.path()).pop().unwrap());
    let mut bytes = fs::read(&path).unwrap();
    // The trailer leads to the directory. The hash of a key is in an index alone.
    *bytes.last_mut().unwrap() ^= 1;
    let hash = xxhash_rust::xxh3::xxh3_64(b"0000000").to_le_bytes();
    let index = bytes.windows(8).position(|window| window == hash).unwrap();
    bytes[index] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(read(&limited(folder.path(), 16 * MIB)).unwrap(), (count, 0));
}

/// Memory limits, in the steps by which a memory grows. The first is too little to begin with.
fn limits() -> impl Iterator<Item = usize> {
    (LEAST..6 * MIB)
        .step_by(64 * 1024)
        .chain((6 * MIB..24 * MIB).step_by(MIB))
}

/// Caches whose entries have very different sizes, in several segments.
fn shapes() -> Vec<(&'static str, Vec<Entry>)> {
    let of = |count: usize, size: usize| {
        let entry = |n| Entry::new(format!("{n:x}"), vec![n as u8; size]);
        (0..count).map(entry).collect::<Vec<Entry>>()
    };
    let mut mixed = of(3000, 300);
    mixed.push(Entry::new("large", vec![1; 2 * MIB]));
    mixed.push(Entry::new("k".repeat(MIB), "large key"));
    mixed.extend(of(100, 60_000));
    vec![
        ("tiny", of(150_000, 0)),
        ("small", of(20_000, 100)),
        ("mixed", mixed),
    ]
}

fn read(backend: &Backend) -> Result<(usize, u64), Error> {
    let mut entries = backend.read("cache")?;
    let mut count = 0;
    for entry in &mut entries {
        entry?;
        count += 1;
    }
    Ok((count, entries.lost()))
}

/// Under every limit, the outcome is as expected, or the error that there is too little memory. It
/// is never a trap. Gives the smallest limit that is enough.
fn check_reads(folder: &Path, shape: &str, expected: (usize, u64)) -> usize {
    let mut enough = None;
    for limit in limits() {
        match read(&limited(folder, limit)) {
            Ok(outcome) => {
                assert_eq!(outcome, expected, "{shape}, {limit} bytes");
                enough = enough.or(Some(limit));
            }
            Err(error) => {
                let too_large = matches!(error.kind(), ErrorKind::TooLarge(_));
                assert!(
                    too_large || limit < LEAST,
                    "{shape}, {limit} bytes: {error}"
                );
            }
        }
    }
    enough.expect("there is a limit that is enough")
}

#[test]
fn under_every_memory_limit_a_reader_gives_entries_or_too_large() {
    for (shape, entries) in shapes() {
        let folder = tempfile::tempdir().unwrap();
        let ample = limited(folder.path(), 1024 * MIB);
        ample.save("cache", &entries).unwrap();
        let count = read(&ample).unwrap().0;
        let enough = check_reads(folder.path(), shape, (count, 0));
        println!("{shape}: read within {enough} bytes");
        assert!(enough < 16 * MIB);

        // The damage is where a reader has to search most: in a block, and in the trailer.
        let snapshot = names(folder.path()).pop().unwrap();
        let path = folder.path().join("cache").join(snapshot);
        let mut bytes = fs::read(&path).unwrap();
        let places = (bytes.len() / 2..bytes.len()).step_by(9973);
        let damage = |at: usize| {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            (at, read(&ample).unwrap())
        };
        let mut damages = places.map(damage);
        let (middle, damaged) = damages.find(|(_, (_, lost))| *lost > 0).unwrap();
        drop(damages);
        bytes[middle] ^= 1;
        check_reads(folder.path(), &format!("{shape}, damaged"), damaged);
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        check_reads(folder.path(), &format!("{shape}, damaged twice"), damaged);

        // A reader holds the keys of the changes in memory.
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        for changes in entries.chunks(entries.len() / 4) {
            let changed = changes.iter().step_by(8).cloned();
            let put: Vec<Change> = changed.map(Change::Put).collect();
            ample.apply("cache", put).unwrap();
        }
        check_reads(folder.path(), &format!("{shape}, changed"), (count, 0));
    }
}

#[test]
fn under_every_memory_limit_a_writer_commits_or_leaves_no_trace() {
    for (shape, entries) in shapes() {
        for repeats in [1, 2] {
            let folder = tempfile::tempdir().unwrap();
            let ample = limited(folder.path(), 1024 * MIB);
            let kept = [Entry::new("kept", "as it is")];
            ample.save("cache", kept).unwrap();
            let sizes = entries
                .iter()
                .map(|entry| entry.key.len() + entry.value.len());
            // The host could not hand the entry over, so that the component never had it.
            let is_too_little =
                |limit: usize| limit < LEAST + MIB / 4 + 2 * sizes.clone().max().unwrap();
            let keys: BTreeSet<_> = entries.iter().map(|entry| &entry.key).collect();
            let mut enough = None;
            for limit in limits().chain([24 * MIB, 28 * MIB, 32 * MIB]) {
                let small = limited(folder.path(), limit);
                let mut writer = small.write("cache");
                let mut repeated = (0..repeats).flat_map(|_| &entries);
                let put = repeated.try_for_each(|entry| writer.put(entry));
                let outcome = put.and_then(|()| writer.commit());
                let (count, lost) = read(&ample).unwrap();
                match outcome.map_err(|error| error.kind().clone()) {
                    Ok(()) => {
                        assert_eq!((count, lost), (keys.len(), 0), "{shape}, {limit} bytes");
                        enough = enough.or(Some(limit));
                        let kept = [Entry::new("kept", "as it is")];
                        ample.save("cache", kept).unwrap();
                        continue;
                    }
                    Err(ErrorKind::TooLarge(_)) => {}
                    Err(ErrorKind::OutOfMemory(_)) if is_too_little(limit) => {}
                    Err(other) => panic!("{shape}, {limit} bytes: {other:?}"),
                }
                assert_eq!((count, lost), (1, 0), "{shape}, {limit} bytes");
            }
            let enough = enough.expect("there is a limit that is enough");
            println!("{shape}, {repeats} times: written within {enough} bytes");
        }
    }
}
