//! A backend that is no component. It has a file for each cache. Each change writes the whole file
//! anew, one change at a time.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use larder_conformance::contract::{Change, Contents, Entry, Error, LiveEntry};
use larder_conformance::{Clock, Feature, Instance, Subject};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

/// The promise that it breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Believes a damaged file.
    ChecksNothing,
    /// Takes a damaged cache for an empty one.
    TakesDamageForNothing,
    /// Fails a save where the cache is damaged.
    SavesUponNoDamage,
    /// Keeps a cleared cache under another name.
    ClearKeepsACopy,
    /// Changes the cache as it was when the instance started.
    ChangesWhatItKnew,
    /// Adds to what another instance has saved, once it has found such a cache.
    MixesWithOthers,
    /// Ends a ttl when the wall clock shows its end, however far that is set back.
    TrustsTheWallClock,
    /// Takes an entry of the future for one without a ttl.
    KeepsTheFuture,
    /// Ends an entry of the future, however near that is.
    EndsTheFuture,
    /// Has one file for all caches, and a save replaces that where it is damaged.
    SharesAFile,
}

pub struct Plain {
    folder: TempDir,
    clock: Clock,
    fault: Option<Fault>,
    turn: Arc<Mutex<()>>,
    opened: AtomicU64,
}

struct Opened {
    folder: PathBuf,
    clock: Clock,
    fault: Option<Fault>,
    turn: Arc<Mutex<()>>,
    number: u64,
    /// The caches that the instance knows and does not look at again, for a fault.
    known: HashMap<String, Cache>,
    mixes: bool,
}

/// The instance that saved the cache, and the entries by their keys.
type Cache = (u64, BTreeMap<String, Stored>);

/// A value; and when it was stored and its ttl, in nanoseconds.
type Stored = (Vec<u8>, Option<(u64, u64)>);

/// The caches in a file, by their names.
type Caches = BTreeMap<String, Cache>;

/// The largest size of a cache in bytes.
const LARGEST: usize = 24 << 20;
/// How far in the future an entry may be stored, in nanoseconds, before it ends.
const MOST_AHEAD: u64 = 60_000_000_000;

impl Plain {
    pub fn new(fault: Option<Fault>) -> Plain {
        Plain {
            folder: TempDir::new().expect("a temporary folder"),
            clock: Clock::starting_now(),
            fault,
            turn: Arc::default(),
            opened: AtomicU64::new(0),
        }
    }
}

impl Subject for Plain {
    fn open(&self) -> Box<dyn Instance> {
        let mut opened = Opened {
            folder: self.folder.path().to_owned(),
            clock: self.clock.clone(),
            fault: self.fault,
            turn: Arc::clone(&self.turn),
            number: self.opened.fetch_add(1, Ordering::Relaxed),
            known: HashMap::new(),
            mixes: false,
        };
        if self.fault == Some(Fault::ChangesWhatItKnew) {
            for file in fs::read_dir(self.folder.path()).expect("the folder can be listed") {
                let name = file.expect("the folder can be listed").file_name();
                let name = name.to_str().and_then(|name| name.strip_suffix(".plain"));
                if let Some(cache) = name.filter(|name| opened.read(name).is_ok()) {
                    let found = opened.read(cache).expect("it could be read");
                    opened.known.insert(cache.to_owned(), found);
                }
            }
        }
        Box::new(opened)
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn offers(&self, feature: Feature) -> bool {
        matches!(
            feature,
            Feature::Updates | Feature::Durability | Feature::Concurrency | Feature::Files
        )
    }

    fn folder(&self) -> Option<&Path> {
        Some(self.folder.path())
    }
}

impl Instance for Opened {
    fn load(&mut self, cache: &str) -> Result<Contents, Error> {
        check(cache)?;
        let (wall, monotonic) = (self.wall(), self.clock.instant());
        let (_, stored) = match self.read(cache) {
            Err(_) if self.fault == Some(Fault::TakesDamageForNothing) => Cache::default(),
            read => read?,
        };
        let entries = stored.into_iter().filter_map(|(key, (value, life))| {
            let life = life
                .filter(|(stored, _)| *stored <= wall || self.fault != Some(Fault::KeepsTheFuture));
            let left = life.map(|(stored, ttl)| self.left(ttl, stored, wall));
            (left != Some(0)).then(|| LiveEntry {
                key,
                value,
                expires_at: left.map(|left| monotonic.saturating_add(left)),
            })
        });
        Ok(Contents {
            entries: entries.collect(),
            lost: 0,
        })
    }

    fn save(&mut self, cache: &str, entries: &[Entry]) -> Result<(), Error> {
        check(cache)?;
        let turn = Arc::clone(&self.turn);
        let _turn = lock(&turn);
        let found = self.read(cache);
        if let (Err(error), Some(Fault::SavesUponNoDamage)) = (&found, self.fault) {
            return Err(error.clone());
        }
        let found = found.unwrap_or_default();
        self.mixes |= !found.1.is_empty() && found.0 != self.number;
        let mut saved = match self.fault {
            Some(Fault::MixesWithOthers) if self.mixes => found.1,
            _ => BTreeMap::new(),
        };
        for entry in entries {
            self.put(&mut saved, entry);
        }
        self.write(cache, saved)
    }

    fn clear(&mut self, cache: &str) -> Result<(), Error> {
        check(cache)?;
        let turn = Arc::clone(&self.turn);
        let _turn = lock(&turn);
        self.known.remove(cache);
        let file = self.file(cache);
        let mut others = self.read_all(cache).unwrap_or_default();
        others.remove(cache);
        let cleared = match self.fault {
            Some(Fault::ClearKeepsACopy) => fs::rename(&file, file.with_extension("old")),
            _ if !others.is_empty() => return self.write_all(cache, &others),
            _ => fs::remove_file(file),
        };
        match cleared {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unavailable(&error)),
            _ => Ok(()),
        }
    }

    fn apply(&mut self, cache: &str, changes: &[Change]) -> Result<(), Error> {
        check(cache)?;
        if changes.is_empty() {
            return Ok(());
        }
        let turn = Arc::clone(&self.turn);
        let _turn = lock(&turn);
        let (_, mut stored) = match self.fault {
            Some(Fault::ChangesWhatItKnew) => self.known.remove(cache).unwrap_or_default(),
            _ => self.read(cache)?,
        };
        for change in changes {
            match change {
                Change::Put(entry) => self.put(&mut stored, entry),
                Change::Remove(key) => drop(stored.remove(key)),
            }
        }
        self.write(cache, stored)
    }
}

impl Opened {
    fn wall(&self) -> u64 {
        u64::try_from(self.clock.wall().as_nanos()).expect("it is before 2554")
    }

    /// The rest of a ttl, in nanoseconds.
    fn left(&self, ttl: u64, stored: u64, wall: u64) -> u64 {
        let (passed, ahead) = (wall.saturating_sub(stored), stored.saturating_sub(wall));
        match self.fault {
            Some(Fault::TrustsTheWallClock) => ttl.saturating_add(ahead).saturating_sub(passed),
            Some(Fault::EndsTheFuture) if ahead > 0 => 0,
            _ if ahead > MOST_AHEAD => 0,
            _ => ttl.saturating_sub(passed),
        }
    }

    fn file(&self, cache: &str) -> PathBuf {
        let name = match self.fault {
            Some(Fault::SharesAFile) => "all",
            _ => cache,
        };
        self.folder.join(format!("{name}.plain"))
    }

    fn put(&self, stored: &mut BTreeMap<String, Stored>, entry: &Entry) {
        let life = entry.ttl.map(|ttl| (self.wall(), ttl));
        match entry.ttl {
            Some(0) => stored.remove(&entry.key),
            _ => stored.insert(entry.key.clone(), (entry.value.clone(), life)),
        };
    }

    /// The stored cache. It is empty where there is none.
    fn read(&self, cache: &str) -> Result<Cache, Error> {
        let mut caches = self.read_all(cache)?;
        Ok(caches.remove(cache).unwrap_or_default())
    }

    /// All caches in the file of a cache.
    fn read_all(&self, cache: &str) -> Result<Caches, Error> {
        let bytes = match fs::read(self.file(cache)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Caches::new()),
            read => read.map_err(|error| unavailable(&error))?,
        };
        let corrupt = || Error::Corrupt(format!("the file of {cache} is damaged"));
        let (checksum, stored) = bytes.split_first_chunk().ok_or_else(corrupt)?;
        let is_whole = u64::from_le_bytes(*checksum) == xxh3_64(stored);
        match is_whole || self.fault == Some(Fault::ChecksNothing) {
            true => postcard::from_bytes(stored).map_err(|_| corrupt()),
            false => Err(corrupt()),
        }
    }

    /// Replaces a cache as a whole. Nobody else writes at the same time.
    fn write(&mut self, cache: &str, stored: BTreeMap<String, Stored>) -> Result<(), Error> {
        let size = |(key, (value, _)): (&String, &Stored)| key.len() + value.len();
        let size: usize = stored.iter().map(size).sum();
        if size > LARGEST {
            return Err(Error::TooLarge(size as u64));
        }
        let stored = (self.number, stored);
        let mut caches = self.read_all(cache).unwrap_or_default();
        caches.insert(cache.to_owned(), stored.clone());
        self.write_all(cache, &caches)?;
        if self.fault == Some(Fault::ChangesWhatItKnew) {
            self.known.insert(cache.to_owned(), stored);
        }
        Ok(())
    }

    /// Replaces the file of a cache.
    fn write_all(&self, cache: &str, caches: &Caches) -> Result<(), Error> {
        let encoded = postcard::to_allocvec(caches).expect("entries can be encoded");
        let mut bytes = xxh3_64(&encoded).to_le_bytes().to_vec();
        bytes.extend(encoded);
        let temporary = self.folder.join("temporary");
        fs::write(&temporary, bytes)
            .and_then(|()| fs::rename(temporary, self.file(cache)))
            .map_err(|error| unavailable(&error))
    }
}

fn check(cache: &str) -> Result<(), Error> {
    larder_names::check(cache).map_err(|rule| Error::InvalidName(rule.into()))
}

fn lock(turn: &Mutex<()>) -> MutexGuard<'_, ()> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(error: &io::Error) -> Error {
    Error::Unavailable(error.to_string())
}
