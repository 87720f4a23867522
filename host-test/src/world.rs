//! A simulated disk under attack, and the contents that a cache on it may have by the promises.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::{Effort, Entry, SimDisk, Values, Write, legacy};

/// The cache that is attacked.
pub(crate) const CACHE: &str = "sessions";

/// The age from which a temporary counts as stale.
pub(crate) const GRACE: Duration = Duration::from_secs(601);

/// With `atomic`, up to this many superseded versions stay.
pub(crate) const MOST_SUPERSEDED: usize = 8;

/// The values of `LARDER_DURABILITY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A change that returned survives a power cut.
    Full,
    /// After a power cut, a cache may be an older version of itself.
    Atomic,
}

impl Durability {
    /// The value of the environment variable.
    pub fn name(self) -> &'static str {
        match self {
            Durability::Full => "full",
            Durability::Atomic => "atomic",
        }
    }

    /// The most files of versions that a cache may have.
    pub(crate) fn most_versions(self) -> usize {
        match self {
            Durability::Full => 1,
            Durability::Atomic => MOST_SUPERSEDED + 1,
        }
    }
}

/// A disk, and the contents that a cache on it may have.
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    /// The cache has one of these contents now.
    pub(crate) now: Vec<Values>,
    /// The cache has one of these contents after a power cut.
    pub(crate) after_cut: Vec<Values>,
}

impl World {
    /// A new disk without caches.
    pub(crate) fn new(disk: SimDisk) -> World {
        World::with(disk, Values::new())
    }

    /// A disk with a cache that has these contents, all of them durable.
    pub(crate) fn with(disk: SimDisk, values: Values) -> World {
        World {
            disk,
            now: vec![values.clone()],
            after_cut: vec![values],
        }
    }

    /// An independent copy.
    pub(crate) fn fork(&self) -> World {
        World {
            disk: self.disk.fork(),
            now: self.now.clone(),
            after_cut: self.after_cut.clone(),
        }
    }

    /// Adds a cache in the format of the time before the store's own format.
    pub(crate) fn put_legacy(&mut self, cache: &str, entries: &[Entry]) {
        legacy::put(&self.disk, cache, entries);
        let saved = Write::Save(entries.to_vec()).on(&Values::new());
        *self = World::with(self.disk.clone(), saved);
    }

    /// Takes note that an operation returned.
    pub(crate) fn returned(&mut self, write: &Write, durability: Durability) {
        self.now = self.now.iter().map(|values| write.on(values)).collect();
        match (durability, write) {
            // Cleared entries never come back.
            (Durability::Full, _) | (_, Write::Clear) => self.after_cut = self.now.clone(),
            (Durability::Atomic, _) => self.after_cut.extend_from_slice(&self.now),
        }
    }

    /// Takes note that an operation was stopped: it may have been done or not.
    pub(crate) fn stopped(&mut self, write: &Write) {
        let done: Vec<Values> = self.now.iter().map(|values| write.on(values)).collect();
        self.now.extend_from_slice(&done);
        self.after_cut.extend(done);
    }

    /// A hash of the contents that the cache may have after a power cut.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.after_cut.hash(&mut hasher);
        hasher.finish()
    }
}

/// The paths on a disk that end like this.
fn files(disk: &SimDisk, ending: &str) -> Vec<String> {
    let paths = disk.tree().into_keys();
    let paths = paths.map(|path| path.to_string_lossy().into_owned());
    paths.filter(|path| path.ends_with(ending)).collect()
}

/// The temporaries on a disk, and the parts that become temporaries.
pub(crate) fn temporaries(disk: &SimDisk) -> Vec<String> {
    [files(disk, ".tmp"), files(disk, ".part")].concat()
}

/// Checks that a disk has only the files that its one cache needs.
pub(crate) fn check_leftovers(disk: &SimDisk, durability: Durability) -> Result<(), String> {
    let needed = temporaries(disk).is_empty()
        && files(disk, ".larder").len() <= durability.most_versions()
        && files(disk, ".postcard").is_empty();
    match needed {
        true => Ok(()),
        false => Err(format!("files are left over: {:?}", files(disk, ""))),
    }
}

/// Panics because of a broken promise, with the run of the disk and the command that repeats it.
pub(crate) fn give_up(disk: &SimDisk, durability: Durability, effort: &Effort, broken: &str) -> ! {
    panic!(
        "{}{}: {broken}\nto repeat it:\n  {}\n",
        disk.run(),
        durability.name(),
        effort.replay()
    )
}
