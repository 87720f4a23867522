//! Damaged storage: intact entries are given, the others are counted, and nothing comes back that
//! was replaced or removed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder_disk::format::GAP;
use larder_host_test::{
    Contents, Entry, Error, Instance, Subject, entry, put, remove, tree, values,
};

use crate::CACHE;

const SECOND: u64 = 1_000_000_000;

/// A cache, its contents, and its files.
struct Sample {
    subject: Subject,
    /// The values, and whether they expire.
    current: BTreeMap<String, (Vec<u8>, bool)>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Sample {
    fn new(subject: Subject) -> Sample {
        let contents = subject.open().load(CACHE).unwrap();
        assert_eq!(contents.lost, 0);
        let entries = contents.entries.into_iter();
        let mut files = tree(subject.folder());
        files.retain(|path, _| subject.folder().join(path).is_file());
        Sample {
            current: entries
                .map(|entry| (entry.key, (entry.value, entry.expires_at.is_some())))
                .collect(),
            files,
            subject,
        }
    }

    fn write(&self, file: &Path, bytes: &[u8]) {
        fs::write(self.subject.folder().join(file), bytes).unwrap();
    }

    /// Puts all files back as they were.
    fn restore(&self) {
        fs::remove_dir_all(self.subject.folder().join(CACHE)).unwrap();
        fs::create_dir(self.subject.folder().join(CACHE)).unwrap();
        for (file, bytes) in &self.files {
            self.write(file, bytes);
        }
    }

    /// Every entry that is given is one of the contents. Says how many of them are not given.
    fn missing(&self, contents: &Contents, case: &str) -> u64 {
        let mut missing = self.current.clone();
        for entry in &contents.entries {
            let expected = missing.remove(&entry.key);
            let found = (entry.value.clone(), entry.expires_at.is_some());
            assert!(
                expected == Some(found),
                "{case}: {:?} is not current, or twice there",
                entry.key
            );
        }
        missing.len() as u64
    }

    /// If any byte of a file is damaged, each entry is given or counted as lost.
    fn survives_flips_of(&self, file: &Path, positions: impl Iterator<Item = usize>) {
        let mut backend = self.subject.open();
        let bytes = &self.files[file];
        let mut damaged = bytes.clone();
        for position in positions {
            for flip in [0x01, 0x80, 0xff] {
                damaged[position] ^= flip;
                self.write(file, &damaged);
                let case = format!("{file:?}, byte {position} ^ {flip:#x}");
                let contents = backend
                    .load(CACHE)
                    .unwrap_or_else(|error| panic!("{case}: {error:?}"));
                assert_eq!(contents.lost, self.missing(&contents, &case), "{case}");
                if flip == 0x01 {
                    verify_points_at(&mut backend, file, position as u64, &case);
                }
                damaged[position] = bytes[position];
            }
        }
        self.write(file, bytes);
        assert_eq!(backend.verify(CACHE).unwrap().damage, []);
    }

    /// Wherever a file is cut short, the entries that are given are current, and a loss is never
    /// silent.
    fn survives_truncations_of(&self, file: &Path, lengths: impl Iterator<Item = usize>) {
        let mut backend = self.subject.open();
        for length in lengths {
            self.write(file, &self.files[file][..length]);
            let case = format!("{file:?}, cut to {length} bytes");
            match backend.load(CACHE) {
                Ok(contents) => {
                    let missing = self.missing(&contents, &case);
                    assert!(
                        missing == 0 || contents.lost > 0,
                        "{case}: {missing} missing"
                    );
                }
                Err(Error::Corrupt(text)) => {
                    let name = file.file_name().and_then(|name| name.to_str()).unwrap();
                    assert!(text.contains(name), "{case}: {text}");
                }
                Err(error) => panic!("{case}: {error:?}"),
            }
            let report = backend.verify(CACHE).unwrap();
            assert_ne!(report.damage, [], "{case}");
        }
        self.write(file, &self.files[file]);
        assert_eq!(backend.verify(CACHE).unwrap().damage, []);
    }
}

fn verify_points_at(backend: &mut Instance, file: &Path, position: u64, case: &str) {
    let report = backend.verify(CACHE).unwrap();
    let path = file.to_str().unwrap();
    let hit = report.damage.iter().any(|damage| {
        let end = damage.offset + damage.length;
        damage.file == path && (damage.offset..end).contains(&position)
    });
    assert!(hit, "{case}: {:?}", report.damage);
}

/// A cache of one block.
fn saved() -> Sample {
    let subject = Subject::disk();
    let entries = [
        entry("a", "one", None),
        entry("b", "two", Some(1000 * SECOND)),
        entry("", "", None),
        entry("d", vec![0; 40], Some(u64::MAX)),
    ];
    subject.open().save(CACHE, &entries).unwrap();
    Sample::new(subject)
}

/// A snapshot and three change files, which replace, remove and bring back entries.
fn changed() -> Sample {
    let subject = saved().subject;
    let mut backend = subject.open();
    let batches = [
        vec![put("a", "old two", None), put("e", "five", Some(SECOND))],
        vec![remove("b"), put("f", "six", None), remove("e")],
        vec![
            put("a", "three", None),
            put("b", "again", None),
            remove("d"),
        ],
    ];
    for changes in batches {
        backend.apply(CACHE, &changes).unwrap();
    }
    Sample::new(subject)
}

/// The same, for a backend that does not trust in syncs.
fn atomic(sample: Sample) -> Sample {
    Sample {
        subject: sample.subject.env("LARDER_DURABILITY", "atomic"),
        ..sample
    }
}

fn large_entries() -> Vec<Entry> {
    (0..6)
        .map(|n| entry(format!("key {n}"), vec![n; 20_000], None))
        .collect()
}

/// A cache of several blocks, and changes to some of them.
fn in_blocks() -> Sample {
    let subject = Subject::disk();
    let mut backend = subject.open();
    backend.save(CACHE, &large_entries()).unwrap();
    let changes = [
        remove("key 1"),
        put("key 3", vec![b'n'; 20_000], None),
        put("key 7", vec![b'n'; 20_000], None),
    ];
    backend.apply(CACHE, &changes).unwrap();
    Sample::new(subject)
}

#[test]
fn any_flipped_byte_of_a_snapshot_is_survived_with_an_exact_count() {
    let sample = saved();
    assert_eq!(sample.files.len(), 1);
    for (file, bytes) in &sample.files {
        sample.survives_flips_of(file, telling(bytes));
    }
}

#[test]
fn any_flipped_byte_of_changes_is_survived_and_brings_nothing_back() {
    let sample = changed();
    assert_eq!(sample.files.len(), 4);
    for (file, bytes) in &sample.files {
        sample.survives_flips_of(file, telling(bytes));
    }
}

/// A power cut may have torn the changes: to salvage some of them would be a mixture.
#[test]
fn changes_that_may_not_be_synced_are_passed_over_when_they_are_damaged() {
    let sample = atomic(changed());
    let mut backend = sample.subject.open();
    let load = |backend: &mut Instance| values(backend.load(CACHE).unwrap());
    let files: Vec<_> = sample.files.iter().collect();
    // The contents when this file is the newest.
    let mut states = Vec::new();
    for (file, _) in files.iter().rev() {
        states.push(load(&mut backend));
        fs::remove_file(sample.subject.folder().join(file)).unwrap();
    }
    sample.restore();
    for ((file, bytes), older) in files.iter().rev().zip(&states[1..]) {
        for position in telling(bytes) {
            let mut damaged = (*bytes).clone();
            damaged[position] ^= 0xff;
            sample.write(file, &damaged);
            assert_eq!(load(&mut backend), *older, "{file:?}, byte {position}");
        }
        let change = [put("new", "change", None)];
        backend.apply(CACHE, &change).unwrap();
        let mut changed = older.clone();
        changed.insert("new".into(), b"change".into());
        assert_eq!(load(&mut backend), changed, "{file:?}");
        sample.restore();
    }
    let (snapshot, bytes) = files[0];
    sample.survives_flips_of(snapshot, telling(bytes));
}

#[test]
fn any_truncation_of_a_small_cache_is_survived() {
    for sample in [saved(), changed()] {
        for (file, bytes) in &sample.files {
            sample.survives_truncations_of(file, telling(bytes));
        }
    }
}

/// The places of a small file, without most of the zeros before its index.
fn telling(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let is_telling =
        |at: &usize| at.is_multiple_of(512) || bytes[*at..].iter().take(64).any(|byte| *byte != 0);
    (0..bytes.len()).filter(is_telling)
}

/// The places of a large file that differ from their neighbours. Most bytes of the values are left
/// out.
fn interesting(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |at| *at < 120 || length - at < 320 || at % 1999 == 0)
}

#[test]
fn damage_to_one_block_leaves_the_others() {
    let sample = in_blocks();
    assert_eq!(sample.files.len(), 2);
    for (file, bytes) in &sample.files {
        sample.survives_flips_of(file, interesting(bytes.len()));
        sample.survives_truncations_of(file, interesting(bytes.len()).step_by(3));
    }
    // In numbers: one damaged value of the snapshot costs one block.
    let (file, bytes) = sample.files.first_key_value().unwrap();
    let place = bytes
        .windows(1000)
        .position(|part| part == [4; 1000])
        .unwrap();
    let mut damaged = bytes.clone();
    damaged[place] = 5;
    sample.write(file, &damaged);
    let contents = sample.subject.open().load(CACHE).unwrap();
    assert!(contents.lost >= 1);
    assert!(
        contents.entries.len() >= 4,
        "{} are left",
        contents.entries.len()
    );
    assert!(contents.entries.iter().all(|entry| entry.key != "key 4"));
}

#[test]
fn a_damaged_block_is_lost_where_the_index_is_damaged_too() {
    let sample = in_blocks();
    let mut backend = sample.subject.open();
    for (file, bytes) in &sample.files {
        let trailer = bytes.len() - 1;
        for position in interesting(trailer).filter(|at| *at >= 120) {
            let mut damaged = bytes.clone();
            damaged[trailer] ^= 0xff;
            damaged[position] ^= 0xff;
            sample.write(file, &damaged);
            let case = format!("{file:?}, bytes {position} and {trailer}");
            let contents = backend.load(CACHE).unwrap();
            let missing = sample.missing(&contents, &case);
            assert!(missing == 0 || contents.lost > 0, "{case}");
        }
        sample.write(file, bytes);
    }
}

/// Where each frame of a file begins and ends: the blocks, the indexes, and at the end the
/// directory.
fn frames(file: &[u8]) -> Vec<(usize, usize)> {
    let length = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut frames = Vec::new();
    let mut at = 8 + 12 + length(8);
    while at < file.len() - 16 {
        if length(at) == 0 {
            at += GAP as usize;
        }
        frames.push((at, at + 12 + length(at)));
        at = frames[frames.len() - 1].1;
    }
    frames
}

#[test]
fn a_block_that_is_damaged_with_its_index_is_counted() {
    let sample = in_blocks();
    let mut backend = sample.subject.open();
    for (number, (file, bytes)) in sample.files.iter().enumerate() {
        let frames = frames(bytes);
        let [blocks @ .., (index, _), _] = &frames[..] else {
            panic!("{file:?} has blocks, an index and a directory");
        };
        assert!(blocks.len() > 1);
        for (_, end) in blocks {
            let mut damaged = bytes.clone();
            damaged[index + 20] ^= 1;
            damaged[end - 1] ^= 1;
            sample.write(file, &damaged);
            let case = format!("{file:?}, the block before {end}");
            let contents = backend.load(CACHE).unwrap();
            let missing = sample.missing(&contents, &case);
            match number {
                // One entry is lost, which may have been replaced since.
                0 => assert!(contents.lost == 1 && missing <= 1, "{case}"),
                // Any older entry may have been changed, and is left out.
                _ => assert!(contents.lost >= missing && missing > 1, "{case}"),
            }
        }
        sample.write(file, bytes);
    }
}

#[test]
fn a_header_and_a_directory_that_are_both_damaged_leave_nothing_to_be_read() {
    let sample = saved();
    let mut backend = sample.subject.open();
    let (file, bytes) = sample.files.first_key_value().unwrap();
    for position in 0..frames(bytes)[0].0 {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[position] ^= flip;
            *damaged.last_mut().unwrap() ^= 0xff;
            sample.write(file, &damaged);
            let outcome = backend.load(CACHE);
            let is_refused = matches!(
                outcome,
                Err(Error::Corrupt(_) | Error::UnsupportedVersion(_))
            );
            assert!(is_refused, "byte {position} ^ {flip:#x}: {outcome:?}");
        }
    }
}

/// A snapshot of several segments with a table, and changes to it.
fn in_segments() -> Sample {
    let subject = Subject::disk();
    let mut backend = subject.open();
    let of = |n: usize| entry(format!("key {n}"), vec![n as u8; 1000], None);
    let entries: Vec<Entry> = (0..3000).map(of).collect();
    backend.save(CACHE, &entries).unwrap();
    let changes: Vec<_> = (0..3000)
        .step_by(50)
        .map(|n| put(format!("key {n}"), "new", None))
        .collect();
    backend.apply(CACHE, &changes).unwrap();
    Sample::new(subject)
}

/// A disk loses a sector at once.
#[test]
fn one_damaged_sector_costs_the_entries_of_its_blocks_and_no_others() {
    const SECTOR: usize = 4096;
    for sample in [saved(), changed(), in_blocks(), in_segments()] {
        let mut backend = sample.subject.open();
        for (file, bytes) in &sample.files {
            // In a large file, the sectors at the ends of segments, and some others.
            let zeros = (0..bytes.len()).step_by(SECTOR / 2);
            let zeros = zeros.filter(|at| bytes[*at..].iter().take(64).all(|byte| *byte == 0));
            let zeros: Vec<usize> = zeros.collect();
            let is_tried = |at: &usize| {
                let end = at + SECTOR;
                bytes.len() < 20 * SECTOR
                    || *at < SECTOR
                    || end + SECTOR > bytes.len()
                    || at.is_multiple_of(25 * SECTOR)
                    || zeros.iter().any(|zero| zero.abs_diff(*at) < 2 * SECTOR)
            };
            for at in (0..bytes.len()).step_by(512).filter(is_tried) {
                for fill in [0, 0xa5] {
                    let mut damaged = bytes.clone();
                    damaged[at..]
                        .iter_mut()
                        .take(SECTOR)
                        .for_each(|byte| *byte = fill);
                    sample.write(file, &damaged);
                    let case = format!("{file:?}, the sector at {at} is {fill:#x}");
                    let contents = backend
                        .load(CACHE)
                        .unwrap_or_else(|error| panic!("{case}: {error:?}"));
                    assert_eq!(contents.lost, sample.missing(&contents, &case), "{case}");
                    assert!(contents.lost <= 130, "{case}: {} are lost", contents.lost);
                }
            }
            sample.write(file, bytes);
        }
    }
}

/// A disk may return a sector of another file.
#[test]
fn a_file_that_begins_as_another_does_is_what_its_end_says() {
    let sample = changed();
    let mut backend = sample.subject.open();
    let begins = |bytes: &Vec<u8>| bytes[..frames(bytes)[0].0].to_vec();
    let beginnings: Vec<_> = sample.files.values().map(begins).collect();
    for (file, bytes) in &sample.files {
        for beginning in beginnings.iter().filter(|begin| !bytes.starts_with(begin)) {
            let mut damaged = bytes.clone();
            damaged[..beginning.len()].copy_from_slice(beginning);
            sample.write(file, &damaged);
            let contents = backend.load(CACHE).unwrap();
            let case = format!("{file:?}");
            assert_eq!(sample.missing(&contents, &case), contents.lost, "{case}");
            assert!(contents.lost <= 4, "{case}: at most a block");
            assert_ne!(backend.verify(CACHE).unwrap().damage, [], "{case}");
        }
        sample.write(file, bytes);
    }
}

#[test]
fn save_and_clear_replace_what_is_damaged() {
    for sample in [saved(), changed(), in_blocks()] {
        for (file, bytes) in &sample.files {
            let positions = [0, 7, 8, 30, bytes.len() / 2, bytes.len() - 1];
            let flips = positions.map(|position| {
                let mut damaged = bytes.clone();
                damaged[position] ^= 0xff;
                damaged
            });
            let cuts = [0, 1, 20, bytes.len() / 2].map(|length| bytes[..length].to_vec());
            for damaged in flips.into_iter().chain(cuts) {
                let mut backend = sample.subject.open();
                sample.write(file, &damaged);
                backend.save(CACHE, &large_entries()).unwrap();
                assert_eq!(values(backend.load(CACHE).unwrap()).len(), 6);
                assert_eq!(backend.verify(CACHE).unwrap().damage, []);

                sample.restore();
                sample.write(file, &damaged);
                backend.clear(CACHE).unwrap();
                assert_eq!(values(backend.load(CACHE).unwrap()).len(), 0);
                assert_eq!(backend.verify(CACHE).unwrap().damage, []);
                sample.restore();
            }
        }
    }
}

/// This holds also when changes are compacted with the damage, or the snapshot is written anew.
#[test]
fn lost_entries_stay_lost_and_counted_until_their_key_is_changed() {
    let sample = in_blocks();
    let mut backend = sample.subject.open();
    let (file, bytes) = sample.files.first_key_value().unwrap();
    let mut damaged = bytes.clone();
    for value in [3, 4] {
        let place = bytes.windows(1000).position(|part| part == [value; 1000]);
        damaged[place.unwrap()] ^= 1;
    }
    sample.write(file, &damaged);
    let before = backend.load(CACHE).unwrap();
    assert!(before.lost >= 1);
    let given: Vec<&String> = before.entries.iter().map(|entry| &entry.key).collect();
    let lost: Vec<&String> = sample
        .current
        .keys()
        .filter(|key| !given.contains(key))
        .collect();
    assert_eq!(lost.len() as u64, before.lost);

    // So many changes are compacted, and later become a new snapshot.
    for (changes, length) in [(40, 10), (20, 20_000)] {
        for n in 0..changes {
            let change = [put("other", vec![n; length], None)];
            backend.apply(CACHE, &change).unwrap();
            let contents = backend.load(CACHE).unwrap();
            assert_eq!(
                contents.lost, before.lost,
                "after {n} changes of {length} bytes"
            );
            assert!(
                contents
                    .entries
                    .iter()
                    .all(|entry| !lost.contains(&&entry.key))
            );
        }
    }
    for (n, key) in (1..).zip(&lost) {
        let change = if n % 2 == 0 {
            remove(*key)
        } else {
            put(*key, "found", None)
        };
        backend.apply(CACHE, &[change]).unwrap();
        assert_eq!(backend.load(CACHE).unwrap().lost, before.lost - n);
    }
    assert_eq!(values(backend.load(CACHE).unwrap())[lost[0]], b"found");
}

#[test]
fn a_file_that_is_missing_is_counted_and_brings_nothing_back() {
    let sample = changed();
    for file in sample.files.keys() {
        if file == sample.files.last_key_value().unwrap().0 {
            // Without the newest file the cache is an older version of itself, and whole.
            continue;
        }
        fs::remove_file(sample.subject.folder().join(file)).unwrap();
        let case = format!("without {file:?}");
        let mut backend = sample.subject.open();
        let contents = backend.load(CACHE).unwrap();
        let missing = sample.missing(&contents, &case);
        assert!(missing == 0 || contents.lost > 0, "{case}");
        assert_ne!(backend.verify(CACHE).unwrap().damage, [], "{case}");
        sample.restore();
    }
}

#[test]
fn a_file_of_anything_never_passes_for_a_cache() {
    let sample = saved();
    let (file, bytes) = sample.files.first_key_value().unwrap();
    let mut doubled = bytes.clone();
    doubled.extend_from_slice(bytes);
    let contents = [
        b"hello".to_vec(),
        vec![0; 10_000],
        vec![0xff; 10_000],
        bytes[..8].repeat(500),
        bytes.iter().rev().copied().collect(),
    ];
    let mut backend = sample.subject.open();
    for content in contents {
        sample.write(file, &content);
        let outcome = backend.load(CACHE);
        assert!(matches!(outcome, Err(Error::Corrupt(_))), "{outcome:?}");
        assert_ne!(backend.verify(CACHE).unwrap().damage, []);
        assert_eq!(backend.list_caches().unwrap(), [CACHE]);
        assert!(matches!(backend.stat(CACHE), Err(Error::Corrupt(_))));
        let outcome = backend.apply(CACHE, &[put("a", "1", None)]);
        assert!(matches!(outcome, Err(Error::Corrupt(_))), "{outcome:?}");
    }
    // With more bytes behind its end, a file still holds the same.
    sample.write(file, &doubled);
    let contents = backend.load(CACHE).unwrap();
    assert_eq!(sample.missing(&contents, "doubled"), contents.lost);
    assert_ne!(backend.verify(CACHE).unwrap().damage, []);
}

#[test]
fn a_newer_format_is_an_unsupported_version_that_save_replaces() {
    a_newer_format_is_named(saved());
    a_newer_format_is_named(atomic(saved()));
}

fn a_newer_format_is_named(sample: Sample) {
    let (file, bytes) = sample.files.first_key_value().unwrap();
    // The magic bytes at both ends of a file contain the version.
    let mut newer = bytes.clone();
    let trailing = bytes.len() - 1;
    newer[7] = 9;
    newer[trailing] = 9;
    sample.write(file, &newer);
    let mut backend = sample.subject.open();
    assert_eq!(backend.load(CACHE), Err(Error::UnsupportedVersion(9)));
    let change = [put("a", "1", None)];
    assert_eq!(
        backend.apply(CACHE, &change),
        Err(Error::UnsupportedVersion(9))
    );
    assert_eq!(backend.load(CACHE), Err(Error::UnsupportedVersion(9)));
    backend.save(CACHE, &large_entries()).unwrap();
    assert_eq!(values(backend.load(CACHE).unwrap()).len(), 6);
}

#[test]
fn a_truncated_file_from_before_the_format_is_corrupt() {
    let subject = Subject::disk();
    let entries: Vec<_> = [("a", "one", None), ("b", "two", Some(1000_u64))]
        .map(|(key, value, ttl)| (key, serde_bytes::Bytes::new(value.as_bytes()), ttl))
        .into();
    let bytes = postcard::to_allocvec(&entries).unwrap();
    let file = subject.folder().join("sessions.postcard");
    let mut backend = subject.open();
    for length in 0..bytes.len() {
        fs::write(&file, &bytes[..length]).unwrap();
        let outcome = backend.load(CACHE);
        assert!(
            matches!(outcome, Err(Error::Corrupt(_))),
            "{length}: {outcome:?}"
        );
        assert_ne!(backend.verify(CACHE).unwrap().damage, []);
    }
    // The old file has no checksums: a flipped byte may change a value, but never causes a trap.
    for position in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[position] ^= flip;
            fs::write(&file, &damaged).unwrap();
            match backend.load(CACHE) {
                Ok(contents) => assert!(contents.entries.len() <= 2),
                Err(error) => assert!(matches!(error, Error::Corrupt(_)), "{error:?}"),
            }
        }
    }
    backend.save(CACHE, &[entry("c", "three", None)]).unwrap();
    assert_eq!(values(backend.load(CACHE).unwrap()).len(), 1);
    subject.clock().advance(Duration::from_secs(1));
    assert!(!file.exists());
}

/// A compacted file carries on the keys that were lost, and is itself whole.
#[test]
fn atomic_changes_upon_a_compaction_that_carries_lost_keys_are_kept() {
    let subject = Subject::disk().env("LARDER_DURABILITY", "atomic");
    let mut backend = subject.open();
    let kept = entry("kept", vec![2; 50_000], None);
    let saved = [entry("lost", vec![1; 100], None), kept];
    backend.save(CACHE, &saved).unwrap();
    let folder = subject.folder().join(CACHE);
    let snapshot = folder.join("00000000000000000001.larder");
    let mut bytes = fs::read(&snapshot).unwrap();
    bytes[100] ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    // Another writer is at work, so that compaction removes none of the superseded files.
    fs::write(folder.join("0123456789abcdef.tmp"), b"").unwrap();
    for changes in 1..7 {
        let change = put(format!("key {changes}"), vec![3; 30_000], None);
        backend.apply(CACHE, &[change]).unwrap();
        let contents = backend.load(CACHE).unwrap();
        assert_eq!((contents.entries.len(), contents.lost), (1 + changes, 1));
    }
}
