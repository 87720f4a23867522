//! Whether all mutants were caught already in the source as it is.
//!
//! `tests/mutants/passed` holds the digest of the source in which all were last caught. It covers
//! the code that mutants change, and the code that judges them. It leaves out the dependencies, the
//! compiler and `larder-host`: these change often, and a change there that hides a mutant is
//! unlikely. The nightly run finds it all the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::{MUTANTS, WORKSPACE};

const PASSED: &str = "tests/mutants/passed";

const FOLDERS: [&str; 9] = [
    // The code that mutants change, or that could make up for a change.
    "src",
    "crates/names/src",
    "wit",
    // The code that judges them.
    "crates/conformance/src",
    "host-test/src",
    "fuzz/checks/src",
    "tests/data/golden",
    "tests/disk",
    "tests/mutants",
];

/// Paths relative to the workspace, and the bytes of the files.
type Files = BTreeMap<String, Vec<u8>>;

/// All files that decide whether the mutants are caught.
pub fn files(workspace: &Path) -> Files {
    let mut files = Files::new();
    for folder in FOLDERS {
        collect(workspace, folder, &mut files);
    }
    files.remove(PASSED);
    files
}

fn collect(workspace: &Path, folder: &str, files: &mut Files) {
    for found in fs::read_dir(workspace.join(folder)).unwrap() {
        let found = found.unwrap();
        let path = format!("{folder}/{}", found.file_name().to_str().unwrap());
        match found.file_type().unwrap().is_dir() {
            true => collect(workspace, &path, files),
            false => drop(files.insert(path, fs::read(found.path()).unwrap())),
        }
    }
}

/// Of the names and the bytes of the files.
pub fn digest(files: &Files) -> u128 {
    let mut hash = Xxh3::new();
    for (name, bytes) in files {
        for part in [name.as_bytes(), bytes] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.digest128()
}

/// The digest of the source in which all mutants were caught. None where that is not known.
pub fn read() -> Option<u128> {
    match fs::read_to_string(Path::new(WORKSPACE).join(PASSED)) {
        Ok(digest) => Some(u128::from_str_radix(digest.trim(), 16).expect("a digest")),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{PASSED}: {error}"),
    }
}

pub fn write(digest: u128) {
    fs::write(
        Path::new(WORKSPACE).join(PASSED),
        format!("{digest:032x}\n"),
    )
    .unwrap();
}

#[test]
fn the_digest_changes_with_any_byte_and_any_name() {
    let mut files = files(Path::new(WORKSPACE));
    for folder in FOLDERS {
        let inside = files.keys().filter(|name| name.starts_with(folder));
        assert!(inside.count() > 0, "{folder}");
    }
    for mutant in MUTANTS {
        assert!(files.contains_key(mutant.file), "{}", mutant.file);
    }
    let before = digest(&files);
    let names: Vec<String> = files.keys().cloned().collect();
    for name in names {
        let bytes = files.remove(&name).unwrap();
        assert_ne!(digest(&files), before, "{name} is gone");
        files.insert(format!("{name}.rs"), bytes.clone());
        assert_ne!(digest(&files), before, "{name} has another name");
        files.remove(&format!("{name}.rs"));
        files.insert(name.clone(), bytes);
        // Each byte of every file would take minutes.
        let last = files[&name].len() - 1;
        for at in [0, last / 2, last] {
            files.get_mut(&name).unwrap()[at] ^= 1;
            assert_ne!(digest(&files), before, "byte {at} of {name}");
            files.get_mut(&name).unwrap()[at] ^= 1;
        }
        assert_eq!(digest(&files), before);
    }
}

#[test]
fn a_byte_that_moves_to_the_next_file_changes_the_digest() {
    let digest_of = |files: [(&str, &str); 2]| {
        let file = |(name, bytes): (&str, &str)| (name.to_owned(), bytes.as_bytes().to_vec());
        digest(&files.map(file).into())
    };
    let whole = digest_of([("a", "bc"), ("d", "e")]);
    for moved in [
        [("a", "b"), ("d", "ce")],
        [("ab", "c"), ("d", "e")],
        [("a", "bcd"), ("d", "")],
    ] {
        assert_ne!(digest_of(moved), whole, "{moved:?}");
    }
}
