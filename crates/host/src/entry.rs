//! What goes into a cache and what comes out of it.

use std::time::{Duration, Instant};

/// One thing to keep.
///
/// The key may be any string and the value any bytes, the empty ones included. Where one call names
/// a key twice, the last one counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What the entry is found by.
    pub key: String,
    /// The bytes to keep, given back exactly as they are.
    pub value: Vec<u8>,
    /// How long the entry lives, from the call that stores it; none for as long as the cache does.
    ///
    /// An entry that lives for no time at all is not stored, and replaces what its key held. More
    /// than the contract can express, which is 2^64 nanoseconds or 584 years, counts as that.
    pub ttl: Option<Duration>,
}

impl Entry {
    /// An entry that lives for as long as the cache does.
    pub fn new(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            ttl: None,
        }
    }

    /// Makes the entry expire, this long after the call that stores it.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How many bytes it takes, at least, to hand the entry to a component.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.key.len() + self.value.len()
    }
}

/// One change to a cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Stores an entry in place of what its key held. With a ttl of zero it removes the key.
    Put(Entry),
    /// Removes the entry with this key; nothing where there is none.
    Remove(String),
}

impl Change {
    /// As with [`Entry::size`].
    pub(crate) fn size(&self) -> usize {
        match self {
            Change::Put(entry) => entry.size(),
            Change::Remove(key) => size_of::<Self>() + key.len(),
        }
    }
}

/// What a load gives back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The live entries, in no order that may be relied upon. No two of them share a key.
    pub entries: Vec<LiveEntry>,
    /// How many further entries damage to the storage took away, expired ones included: 0 for a
    /// cache that is whole. Exact, unless damage hit the records of what was stored as well: then
    /// it is an estimate, and at least 1.
    pub lost: u64,
}

/// One thing that was kept and had not expired when it was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LiveEntry {
    /// What the entry is found by.
    pub key: String,
    /// The bytes as they were stored.
    pub value: Vec<u8>,
    /// When the entry expires; none where it does not, or not within what an [`Instant`] can
    /// express.
    pub expires_at: Option<Instant>,
}
