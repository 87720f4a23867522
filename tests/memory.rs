//! What does not fit in the memory of the component is an error that says so,
//! and never a trap; what is stored stays stored.

use std::fs;
use std::path::Path;

use larder_host::{Backend, Change, Entry, ErrorKind};

const MIB: usize = 1 << 20;

fn limited(folder: &Path, limit: usize) -> Backend {
    let backend = Backend::builtin().preopen(folder, "/");
    backend.memory_limit(limit).build().unwrap()
}

/// Everything in the folder of a cache, and whether any of it is a temporary.
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
    let small = limited(folder.path(), 32 * MIB);
    small
        .save("cache", [Entry::new("kept", "as it is")])
        .unwrap();
    let before = names(folder.path());
    let mut refused = 0;
    // From what is easy to what the host itself refuses, closely enough to
    // meet every place where memory might run out.
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
                // The host could not hand it over, so that the component never had it.
                Err(ErrorKind::OutOfMemory(_)) if size > 14 * MIB => refused += 1,
                Err(other) => panic!("{size} bytes: {other:?}"),
            }
        }
    }
    assert!(refused > 0);
    let temporary = |name: &String| name.ends_with(".tmp");
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
    limited(folder.path(), 1024 * MIB)
        .save("cache", &entries)
        .unwrap();
    let mut refused = 0;
    for limit in (4..128).step_by(4) {
        match limited(folder.path(), limit * MIB).load("cache") {
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
