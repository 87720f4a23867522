//! A disk between crashes, and what a cache on it may hold.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::{Entry, SimDisk, Values, Write, legacy};

/// What `LARDER_DURABILITY` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// What returned survives a power cut.
    Full,
    /// After a power cut, a cache may be an older version of itself.
    Atomic,
}

impl Durability {
    /// As the environment has it.
    pub fn name(self) -> &'static str {
        match self {
            Durability::Full => "full",
            Durability::Atomic => "atomic",
        }
    }
}

/// A disk, and what is promised about a cache on it.
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    /// What the cache holds: one of these.
    pub(crate) now: Vec<Values>,
    /// What it would hold after a power cut.
    pub(crate) after_cut: Vec<Values>,
}

impl World {
    /// A new disk.
    pub(crate) fn new(disk: SimDisk) -> World {
        World::with(disk, Values::new())
    }

    /// A disk with everything durable, and a cache on it that holds this.
    pub(crate) fn with(disk: SimDisk, values: Values) -> World {
        World {
            disk,
            now: vec![values.clone()],
            after_cut: vec![values],
        }
    }

    /// A world of its own that is like this one.
    pub(crate) fn fork(&self) -> World {
        World {
            disk: self.disk.fork(),
            now: self.now.clone(),
            after_cut: self.after_cut.clone(),
        }
    }

    /// Puts a cache there that is from before the store's own format.
    pub(crate) fn put_legacy(&mut self, cache: &str, entries: &[Entry]) {
        legacy::put(&self.disk, cache, entries);
        let saved = Write::Save(entries.to_vec()).on(&Values::new());
        *self = World::with(self.disk.clone(), saved);
    }

    /// An operation returned.
    pub(crate) fn returned(&mut self, write: &Write, durability: Durability) {
        self.now = self.now.iter().map(|values| write.on(values)).collect();
        match (durability, write) {
            // What was cleared never comes back.
            (Durability::Full, _) | (_, Write::Clear) => self.after_cut = self.now.clone(),
            (Durability::Atomic, _) => self.after_cut.extend_from_slice(&self.now),
        }
    }

    /// An operation was stopped: it was done, or it was not.
    pub(crate) fn stopped(&mut self, write: &Write) {
        let done: Vec<Values> = self.now.iter().map(|values| write.on(values)).collect();
        self.now.extend_from_slice(&done);
        self.after_cut.extend(done);
    }

    /// A hash of what a power cut may leave of the cache.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.after_cut.hash(&mut hasher);
        hasher.finish()
    }
}
