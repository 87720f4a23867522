//! Saves and loads in pieces, where the pieces matter. Files have several segments, keys come again
//! in other batches, files are removed while they are written, and files are damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder_host::{Backend, Change, Entry};
use larder_host_test::Values;
use tempfile::TempDir;

use crate::disk;

const HOUR: Duration = Duration::from_secs(3600);

/// The entries that a reader gives, each key once, and how many entries are lost.
fn read(disk: &Backend) -> (Values, u64) {
    let mut entries = disk.read("cache").unwrap();
    let mut values = Values::new();
    for entry in &mut entries {
        let entry = entry.unwrap();
        assert!(
            !values.contains_key(&entry.key),
            "{:?} comes twice",
            entry.key
        );
        values.insert(entry.key, entry.value);
    }
    (values, entries.lost())
}

fn write<'a>(disk: &Backend, entries: impl IntoIterator<Item = &'a Entry>) {
    let mut writer = disk.write("cache");
    for entry in entries {
        writer.put(entry).unwrap();
    }
    writer.commit().unwrap();
}

/// The files in the folder of the cache.
fn files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("cache")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// Entries of about 4 MB together, in several segments.
fn many(value: &str) -> Vec<Entry> {
    let entry = |n| Entry::new(format!("key {n}"), format!("{value} {n:80}"));
    (0..40_000).map(entry).collect()
}

fn values(entries: &[Entry]) -> Values {
    let values = entries.iter();
    values
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect()
}

#[test]
fn the_last_of_several_entries_with_one_key_counts_whatever_lies_between_them() {
    let folder = TempDir::new().unwrap();
    let disk = disk(folder.path());
    let (first, second) = (many("first"), many("second"));
    let mut expected = values(&first);
    let mut entries = first;
    for (n, again) in second.into_iter().enumerate() {
        match n % 4 {
            0 => {
                expected.insert(again.key.clone(), again.value.clone());
                entries.push(again);
            }
            // An entry with a ttl of zero is the last of its key like any other.
            1 => {
                expected.remove(&again.key);
                entries.push(again.ttl(Duration::ZERO));
            }
            2 => entries.push(again.clone().ttl(Duration::ZERO)),
            _ => {}
        }
        if n % 4 == 2 {
            let third = Entry::new(format!("key {n}"), "third").ttl(HOUR);
            expected.insert(third.key.clone(), third.value.clone());
            entries.push(third);
        }
    }
    write(&disk, &entries);
    assert_eq!(read(&disk), (expected, 0));
    assert_eq!(disk.verify("cache").unwrap().damage, []);
    assert_eq!(files(folder.path()).len(), 1, "nothing is left");
}

#[test]
fn a_snapshot_of_several_segments_is_whole_from_its_beginning_to_its_end() {
    let folder = TempDir::new().unwrap();
    let disk = disk(folder.path());
    let entries = many("value");
    write(&disk, &entries);
    let report = disk.verify("cache").unwrap();
    assert_eq!(report.damage, []);
    assert!(report.blocks > 32, "{} blocks", report.blocks);
    assert_eq!(disk.stat("cache").unwrap().entries, entries.len() as u64);
    assert_eq!(read(&disk), (values(&entries), 0));
}

/// Another writer that takes the file for a stale one may remove it.
#[test]
fn a_part_that_is_removed_before_it_is_committed_is_copied() {
    let folder = TempDir::new().unwrap();
    let disk = disk(folder.path());
    let entries = many("value");
    let mut writer = disk.write("cache");
    for entry in &entries {
        writer.put(entry).unwrap();
    }
    for file in files(folder.path()) {
        assert!(file.extension().is_some_and(|suffix| suffix == "part"));
        fs::remove_file(file).unwrap();
    }
    writer.commit().unwrap();
    assert_eq!(read(&disk), (values(&entries), 0));
    assert_eq!(disk.verify("cache").unwrap().damage, []);
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn a_damaged_block_of_one_segment_costs_its_entries_and_no_others() {
    let folder = TempDir::new().unwrap();
    let disk = disk(folder.path());
    let entries = many("value");
    write(&disk, &entries);
    let expected = values(&entries);
    let file = files(folder.path()).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    for at in (200..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&file, &damaged).unwrap();
        let (given, lost) = read(&disk);
        assert!(
            given
                .iter()
                .all(|(key, value)| expected.get(key) == Some(value))
        );
        assert_eq!(
            given.len() as u64 + lost,
            expected.len() as u64,
            "byte {at}"
        );
        assert!(lost < 3000, "byte {at}: {lost} lost");
        let damage = disk.verify("cache").unwrap().damage;
        assert_eq!(damage.len(), 1, "byte {at}");
        assert_eq!(damage[0].entries, lost);
    }
}

/// The keys of more than 64 MiB of changes are compared a share after the other.
#[test]
fn changes_of_very_many_keys_are_each_given_once_and_as_they_are_now() {
    let folder = TempDir::new().unwrap();
    let disk = disk(folder.path());
    let long = "k".repeat(900);
    let key = |n: usize| format!("{n}{long}");
    let snapshot: Vec<Entry> = (0..90_000).map(|n| Entry::new(key(n), "old")).collect();
    write(&disk, &snapshot);
    let mut expected = values(&snapshot);
    for part in 0..4 {
        let change = |n: usize| match n % 3 {
            0 => Change::Remove(key(n)),
            _ => Change::Put(Entry::new(key(n), format!("new {part}"))),
        };
        // Each apply changes some of the entries that the one before changed.
        let changes: Vec<Change> = (part * 15_000..part * 15_000 + 17_000)
            .map(change)
            .collect();
        for change in &changes {
            match change {
                Change::Put(entry) => expected.insert(entry.key.clone(), entry.value.clone()),
                Change::Remove(key) => expected.remove(key),
                other => unreachable!("no change here is {other:?}"),
            };
        }
        disk.apply("cache", changes).unwrap();
        assert_eq!(
            disk.stat("cache").unwrap().files,
            2 + part as u64,
            "not compacted"
        );
        assert_eq!(read(&disk), (expected.clone(), 0));
    }
}
