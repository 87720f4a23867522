//! Files of every published version of the format are read for good, and
//! today's version is written to the byte. `tests/data/golden` never changes:
//! a new version adds files to it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use larder_disk::format::{Header, Kind, LostKeys, Put, Record, decode, encode, key_hash};
use larder_host::{Backend, CacheStat};

const SAVED_AT: u64 = 1_700_000_000_123_456_789;
const CENTURY: u64 = 100 * 365 * 24 * 3600 * 1_000_000_000;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/golden")
        .join(name)
}

fn put<'a>(key: &'a str, value: &'a [u8], ttl: Option<u64>) -> Record<'a> {
    let put = Some(Put { value, ttl });
    Record { key, put }
}

fn remove(key: &str) -> Record<'_> {
    Record { key, put: None }
}

fn header(kind: Kind, puts: u64, removes: u64) -> Header {
    Header {
        id: 0x0123_4567_89ab_cdef,
        kind,
        saved_at: SAVED_AT,
        puts,
        removes,
        lost: 0,
    }
}

fn file(header: Header, records: &[Record], lost: &LostKeys) -> Vec<u8> {
    let mut file = Vec::new();
    // Blocks of 40 bytes: a record or two each.
    let Ok(()) = encode(header, records.iter().copied(), lost, 40, |bytes| {
        file.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    });
    file
}

fn snapshot() -> Vec<u8> {
    let records = [
        put("", b"", None),
        put("user:1", b"alice", Some(CENTURY)),
        put("café ☃", &[0, 255, 128], None),
        put("expired", b"long ago", Some(1)),
        put("replaced", b"old", None),
        put("removed", b"gone", None),
        put("lost", b"hidden", None),
    ];
    file(header(Kind::Snapshot, 7, 0), &records, &LostKeys::default())
}

fn changes() -> Vec<u8> {
    let lost = LostKeys {
        puts: vec![key_hash("lost")],
        removes: vec![],
    };
    let records = [put("replaced", b"new", None), remove("removed")];
    file(header(Kind::Changes { covers: 2 }, 2, 1), &records, &lost)
}

#[test]
fn version_1_is_written_to_the_byte() {
    for (name, written) in [
        ("v1/00000000000000000007.larder", snapshot()),
        ("v1/00000000000000000009.larder", changes()),
    ] {
        let kept = fs::read(golden(name)).unwrap();
        assert!(kept == written, "{name} would be written differently");
        let decoded = decode(&kept).unwrap();
        assert_eq!(decoded.header.saved_at, SAVED_AT);
    }
}

/// A folder with a golden cache in it, as a backend would find it.
fn store(cache: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join(cache)).unwrap();
    for entry in fs::read_dir(golden(cache)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(
            entry.path(),
            root.path().join(cache).join(entry.file_name()),
        )
        .unwrap();
    }
    root
}

#[test]
fn version_1_is_read() {
    let root = store("v1");
    let disk = Backend::disk(root.path()).unwrap();
    let contents = disk.load("v1").unwrap();
    let mut entries = BTreeMap::new();
    for entry in contents.entries {
        let expires = entry
            .expires_at
            .map(|at| at > Instant::now() + Duration::from_secs(3600));
        entries.insert(entry.key, (entry.value, expires));
    }
    let expected = [
        ("", &b""[..], None),
        ("café ☃", &[0, 255, 128], None),
        ("replaced", b"new", None),
        ("user:1", b"alice", Some(true)),
    ];
    let expected: BTreeMap<String, _> = expected
        .map(|(key, value, expires)| (key.to_owned(), (value.to_owned(), expires)))
        .into();
    assert_eq!(entries, expected);
    assert_eq!(contents.lost, 1);
    let CacheStat { version, files, .. } = disk.stat("v1").unwrap();
    assert_eq!((version, files), (9, 2));
}

#[test]
fn a_bare_file_from_before_timestamps_is_read_and_superseded() {
    let root = tempfile::tempdir().unwrap();
    let bare = root.path().join("old.postcard");
    fs::copy(golden("bare.postcard"), &bare).unwrap();
    let disk = Backend::disk(root.path()).unwrap();
    assert_eq!(disk.list().unwrap(), ["old"]);

    let load = || {
        let contents = disk.load("old").unwrap();
        assert_eq!(contents.lost, 0);
        let mut entries = contents.entries;
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        entries
    };
    let entries = load();
    let keys: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(
        keys,
        ["a", "b"],
        "a ttl of zero is no entry, and the last of a key counts"
    );
    assert_eq!(entries[0].value, [0, 1, 255]);
    assert!(entries[0].expires_at.is_none());
    assert_eq!(entries[1].value, b"second");
    let in_an_hour = Instant::now() + Duration::from_secs(3600);
    assert!(
        entries[1].expires_at.unwrap() <= in_an_hour,
        "as it is, from now"
    );

    disk.apply("old", [larder_host::Change::Remove("a".into())])
        .unwrap();
    assert!(!bare.exists(), "superseded");
    assert_eq!(load().len(), 1);
    disk.save("old", [] as [larder_host::Entry; 0]).unwrap();
    assert_eq!(load().len(), 0);
}

#[test]
fn a_damaged_bare_file_is_corrupt_and_heals_by_a_save() {
    let whole = fs::read(golden("bare.postcard")).unwrap();
    let root = tempfile::tempdir().unwrap();
    let bare = root.path().join("old.postcard");
    let disk = Backend::disk(root.path()).unwrap();
    for length in 0..whole.len() {
        fs::write(&bare, &whole[..length]).unwrap();
        let error = disk.load("old").unwrap_err();
        assert!(error.to_string().contains("old.postcard"), "{error}");
    }
    disk.save("old", [] as [larder_host::Entry; 0]).unwrap();
    assert_eq!(disk.load("old").unwrap().entries.len(), 0);
}
