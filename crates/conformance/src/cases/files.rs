//! Cases about damaged files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{SECOND, live, loaded, seconds};
use crate::contract::{Contents, Entry, Error, LiveEntry, entry, put, remove};
use crate::{Feature, Subject, tree};

const CACHE: &str = "sessions";
/// About how many places of each file are damaged.
const PLACES: usize = 100;
/// The same, if each place costs a save.
const FEW_PLACES: usize = 12;

/// Damages the bytes of a file at a place.
type Damage = fn(&mut Vec<u8>, usize);

/// What a load gives.
type Loaded = Result<Contents, Error>;

/// A cache, its entries, and the files in the folder.
struct Sample<'a> {
    subject: &'a dyn Subject,
    current: BTreeMap<String, LiveEntry>,
    folder: &'a Path,
    folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl<'a> Sample<'a> {
    /// Makes entries of several sizes. Some were replaced or removed, or have expired.
    fn new(subject: &'a dyn Subject) -> Sample<'a> {
        let mut backend = subject.open();
        let numbered = |version: &str| -> Vec<Entry> {
            let ttl = |n: usize| n.is_multiple_of(3).then_some(100 * SECOND);
            let value = |n: usize| format!("{version} {n};").repeat(1 + n * n % 23);
            let entries = (0..24).map(|n| entry(format!("key:{n}"), value(n), ttl(n)));
            entries.collect()
        };
        let mut saved = numbered("replaced");
        saved.push(entry("expired", "nobody is to see this", Some(SECOND)));
        for saved in [saved, numbered("current")] {
            backend
                .save(CACHE, &saved)
                .expect("a change fails on intact storage");
        }
        if subject.offers(Feature::Updates) {
            for n in 0..5 {
                let changes = [
                    put(format!("key:{n}"), format!("newer {n}"), None),
                    put("key:20", format!("newer {n}"), Some(50 * SECOND)),
                    put(format!("new:{n}"), vec![n as u8; 100], None),
                    remove(format!("key:{}", n + 10)),
                    put("expired", "nor this", Some(SECOND)),
                ];
                let applied = backend.apply(CACHE, &changes);
                applied.expect("a change fails on intact storage");
            }
        }
        subject.clock().advance(seconds(2));
        let current = loaded(&mut backend, CACHE).into_iter();
        let current = current.map(|entry| (entry.key.clone(), entry)).collect();
        let folder = subject.folder().expect("the subject has a folder");
        let (files, folders) = tree(folder)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(path, _)| folder.join(path).is_file());
        Sample {
            subject,
            current,
            folder,
            folders: folders.into_keys().collect(),
            files,
        }
    }

    /// Damages each file at about this many places, one at a time, and judges what comes of it.
    fn damaged(&self, places: usize, damage: Damage, judge: impl Fn(&str)) {
        for (file, bytes) in &self.files {
            let last = bytes.len().saturating_sub(1);
            let places = last.min(places - 1);
            for place in (0..=places).map(|n| n * last / places.max(1)) {
                let mut damaged = bytes.clone();
                damage(&mut damaged, place);
                fs::write(self.folder.join(file), damaged).expect("the file can be written");
                judge(&format!("{} damaged at byte {place}", file.display()));
                self.restore();
            }
        }
    }

    /// A load and a reader give only entries of the cache, and count lost ones. Gives how many
    /// entries are missing at most.
    fn missing_at_most(&self, case: &str) -> usize {
        let mut backend = self.subject.open();
        let missing = self.missing(backend.load(CACHE), case);
        match self.subject.offers(Feature::Bulk) {
            true => missing.max(self.missing(backend.load_in_batches(CACHE), case)),
            false => missing,
        }
    }

    /// How many entries are missing. All others must be entries of the cache.
    fn missing(&self, outcome: Loaded, case: &str) -> usize {
        let contents = match outcome {
            Ok(contents) => contents,
            Err(Error::Corrupt(why)) if !why.is_empty() => return self.current.len(),
            Err(Error::UnsupportedVersion(_) | Error::TooLarge(_)) => return self.current.len(),
            Err(error) => panic!("{case}: the error is not about damage: {error:?}"),
        };
        let mut missing = self.current.clone();
        for entry in contents.entries {
            let current = missing.remove(&entry.key);
            let what = "is not what the cache holds, or is given twice";
            assert_eq!(
                Some(&entry),
                current.as_ref(),
                "{case}: {:?} {what}",
                entry.key
            );
        }
        let (missing, lost) = (missing.len(), contents.lost);
        let is_told = missing == 0 || lost > 0;
        assert!(
            is_told,
            "{case}: {missing} entries are not given, and none is counted as lost"
        );
        missing
    }

    /// A load gives what it gave before. It still reports a loss, unless nothing is missing now.
    fn has_kept(&self, before: &Loaded, after: &Loaded, case: &str) {
        let given = |loaded: &Loaded| match loaded {
            Ok(contents) => contents.entries.clone(),
            Err(_) => Vec::new(),
        };
        let is_told = |loaded: &Loaded| loaded.as_ref().map_or(true, |it| it.lost > 0);
        let kept = given(after);
        for entry in given(before) {
            assert!(kept.contains(&entry), "{case}: {:?} is gone", entry.key);
        }
        let whole = self.current.values().all(|entry| kept.contains(entry));
        assert!(
            whole || is_told(after) || !is_told(before),
            "{case}: no loss is reported any more"
        );
    }

    /// Puts everything in the folder back as it was.
    fn restore(&self) {
        for found in fs::read_dir(self.folder).expect("the folder can be listed") {
            let path = found.expect("the folder can be listed").path();
            let removed = match path.is_dir() {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            };
            removed.expect("the contents of the folder can be removed");
        }
        for path in &self.folders {
            let made = fs::create_dir_all(self.folder.join(path));
            made.expect("the folder can be made");
        }
        for (path, bytes) in &self.files {
            let written = fs::write(self.folder.join(path), bytes);
            written.expect("the file can be written");
        }
    }
}

const FLIP: Damage = |bytes, place| {
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= [0x01, 0x80, 0xff][place % 3];
    }
};
const CUT: Damage = |bytes, place| bytes.truncate(place);
const DAMAGES: [Damage; 2] = [FLIP, CUT];

/// One byte of one file at a time.
pub(crate) fn a_flipped_byte_gives_no_wrong_value(s: &dyn Subject) {
    let sample = Sample::new(s);
    sample.damaged(PLACES, FLIP, |case| {
        sample.missing_at_most(case);
    });
}

/// One file at a time, to lengths from zero to all but one byte.
pub(crate) fn a_truncated_file_gives_no_wrong_value(s: &dyn Subject) {
    let sample = Sample::new(s);
    sample.damaged(PLACES, CUT, |case| {
        sample.missing_at_most(case);
    });
}

/// If a load or a reader misses entries, the report has damage.
pub(crate) fn verify_finds_damage_that_a_load_finds(s: &dyn Subject) {
    let sample = Sample::new(s);
    for damage in DAMAGES {
        sample.damaged(PLACES / 4, damage, |case| {
            let missing = sample.missing_at_most(case);
            let report = s.open().verify(CACHE);
            let report = report.unwrap_or_else(|error| panic!("{case}: verify gives {error:?}"));
            let is_told = missing == 0 || !report.damage.is_empty();
            assert!(is_told, "{case}: verify finds no damage");
        });
    }
}

/// After that, a load gives what was saved, and nothing is lost.
pub(crate) fn a_save_replaces_a_damaged_cache(s: &dyn Subject) {
    let sample = Sample::new(s);
    for damage in DAMAGES {
        sample.damaged(FEW_PLACES, damage, |case| {
            let saved = s.open().save(CACHE, &[entry("saved", "anew", None)]);
            saved.unwrap_or_else(|error| panic!("{case}: a save gives {error:?}"));
            let expected = [live("saved", "anew", None)];
            assert_eq!(loaded(&mut s.open(), CACHE), expected, "{case}");
        });
    }
}

/// The caches may share files. What was intact stays, and what was lost stays counted.
pub(crate) fn a_save_leaves_other_caches_in_a_damaged_file_as_they_were(s: &dyn Subject) {
    let save = || s.open().save("other", &[entry("saved", "anew", None)]);
    save().expect("a save fails on intact storage");
    let sample = Sample::new(s);
    for damage in DAMAGES {
        sample.damaged(FEW_PLACES, damage, |case| {
            let before = s.open().load(CACHE);
            // Whether the save works in spite of the damage is another promise.
            let saved = save();
            let case = format!("{case}, then a save of another cache gives {saved:?}");
            sample.has_kept(&before, &s.open().load(CACHE), &case);
        });
    }
}

/// Neither current entries nor replaced ones.
pub(crate) fn clear_leaves_nothing_of_the_data_in_the_folder(s: &dyn Subject) {
    const SECRET: &str = "a value that is easily found again";
    let folder = s.folder().expect("the subject has a folder");
    let mut backend = s.open();
    for n in 0..3 {
        let saved = [entry(format!("{SECRET} {n}"), SECRET, Some(SECOND))];
        backend.save(CACHE, &saved).unwrap();
        if s.offers(Feature::Updates) {
            let changes = [put("key", SECRET, None), remove(format!("{SECRET} {n}"))];
            backend.apply(CACHE, &changes).unwrap();
        }
    }
    backend.clear(CACHE).unwrap();
    for (path, bytes) in tree(folder) {
        let is_found = bytes
            .windows(SECRET.len())
            .any(|at| at == SECRET.as_bytes());
        assert!(!is_found, "{} holds data that was cleared", path.display());
    }
}
