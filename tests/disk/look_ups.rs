//! The tables of large files: a look-up reads little, and damage to a table costs nothing.

use std::fs;
use std::path::PathBuf;

use larder_host_test::{Call, Entry, Subject, entry, put};

use crate::{CACHE, version};

const PAGE: usize = 4096;

fn key(n: usize) -> String {
    format!("key {n}")
}

fn entries(count: usize) -> Vec<Entry> {
    (0..count)
        .map(|n| entry(key(n), n.to_string().repeat(20), None))
        .collect()
}

/// Storage with one large snapshot.
fn saved(count: usize) -> (Subject, PathBuf) {
    let s = Subject::disk();
    s.open().save(CACHE, &entries(count)).unwrap();
    let path = s.folder().join(CACHE).join(version(1));
    (s, path)
}

/// The values of these keys, as text.
fn got(s: &Subject, keys: &[usize]) -> Vec<Option<String>> {
    let keys: Vec<String> = keys.iter().map(|n| key(*n)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = s.open().get_many(CACHE, &keys).unwrap().into_iter();
    found
        .map(|found| found.map(|found| String::from_utf8(found.value).unwrap()))
        .collect()
}

/// Where the pages of the table begin: they end where the directory begins.
fn pages(bytes: &[u8], count: usize) -> std::ops::Range<usize> {
    let (rest, _) = bytes.split_last_chunk::<8>().unwrap();
    let (_, offset) = rest.split_last_chunk().unwrap();
    let end = u64::from_le_bytes(*offset) as usize;
    end - count.div_ceil(384) * PAGE..end
}

#[test]
fn a_look_up_reads_a_page_and_a_block_however_large_the_cache_is() {
    let mut reads = Vec::new();
    for count in [5_000, 50_000] {
        let (s, _) = saved(count);
        let mut backend = s.open();
        let (there, missing) = (key(count / 2), "no key");
        for key in [there.as_str(), missing] {
            let found = backend.get_many(CACHE, &[key]).unwrap();
            assert_eq!(found[0].is_some(), key != missing);
            let calls = backend.faults().calls();
            let read = calls.iter().filter(|made| made.call == Call::Read);
            reads.push(read.count());
        }
    }
    // Most of them read the header and the directory. A missing key needs no block.
    assert!(reads.iter().all(|count| *count <= 12), "{reads:?}");
    assert!(reads[1] < reads[0] && reads[3] < reads[2], "{reads:?}");
}

#[test]
fn a_damaged_table_loses_nothing() {
    const COUNT: usize = 3_000;
    let (s, path) = saved(COUNT);
    let whole = fs::read(&path).unwrap();
    let pages = pages(&whole, COUNT);
    let keys: Vec<usize> = (0..COUNT).step_by(7).collect();
    let expected = got(&s, &keys);
    assert!(expected.iter().all(Option::is_some));
    for page in pages.clone().step_by(PAGE) {
        for byte in [0, 8, 9, 10, 500, PAGE - 1] {
            let mut damaged = whole.clone();
            damaged[page + byte] ^= 0x41;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(
                got(&s, &keys),
                expected,
                "byte {byte} of the page at {page}"
            );
            let report = s.open().verify(CACHE).unwrap();
            assert_eq!(report.damage.len(), 1, "{report:?}");
            assert_eq!(report.damage[0].offset, page as u64);
            assert_eq!(report.damage[0].entries, 0);
        }
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(s.open().verify(CACHE).unwrap().damage, []);
}

#[test]
fn a_look_up_among_damage_gives_what_a_load_gives() {
    const COUNT: usize = 2_000;
    let (s, path) = saved(COUNT);
    // Older values, which must not show through where newer ones are lost.
    let changed: Vec<_> = (0..COUNT)
        .step_by(2)
        .map(|n| put(key(n), "changed".repeat(20), None))
        .collect();
    s.open().apply(CACHE, &changed).unwrap();
    let changes = path.with_file_name(version(2));
    let keys: Vec<usize> = (0..COUNT).collect();
    for file in [path, changes] {
        let whole = fs::read(&file).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 25) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x41;
            fs::write(&file, &damaged).unwrap();
            let loaded = s.open().load(CACHE).unwrap();
            let mut expected = vec![None; COUNT];
            for entry in loaded.entries {
                let n: usize = entry.key[4..].parse().unwrap();
                expected[n] = Some(String::from_utf8(entry.value).unwrap());
            }
            assert!(
                got(&s, &keys) == expected,
                "byte {at} of {}",
                file.display()
            );
        }
        fs::write(&file, &whole).unwrap();
    }
}

/// Compacted changes have a table. What is lost of them hides the older values below.
#[test]
fn a_lost_change_of_a_large_file_shows_no_older_value() {
    const COUNT: usize = 4_000;
    const CHANGED: usize = 1_500;
    let (s, _) = saved(COUNT);
    let mut backend = s.open();
    for changes in (0..CHANGED).collect::<Vec<_>>().chunks(60) {
        let changes = changes.iter().map(|n| put(key(*n), "new".repeat(50), None));
        backend.apply(CACHE, &changes.collect::<Vec<_>>()).unwrap();
    }
    let files = fs::read_dir(s.folder().join(CACHE)).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let compacted = files.filter(|path| {
        let bytes = fs::read(path).unwrap();
        bytes.len() > 64 * 1024 && !path.ends_with(version(1))
    });
    let compacted: Vec<PathBuf> = compacted.collect();
    let [file] = compacted.as_slice() else {
        panic!("{compacted:?} have tables");
    };
    let keys: Vec<usize> = (0..CHANGED).collect();
    let new = "new".repeat(50);
    assert!(
        got(&s, &keys)
            .iter()
            .all(|value| value.as_ref() == Some(&new))
    );
    let whole = fs::read(file).unwrap();
    let mut lost = 0;
    for at in (0..whole.len()).step_by(whole.len() / 12) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x41;
        fs::write(file, &damaged).unwrap();
        for value in got(&s, &keys) {
            match value {
                Some(value) => assert_eq!(value, new, "byte {at}"),
                None => lost += 1,
            }
        }
    }
    assert!(lost > 0);
}
