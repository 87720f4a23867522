//! Entries, changes, and the result of a load.

use std::time::{Duration, Instant};

/// An entry to store: a key, a value, and perhaps a time to live.
///
/// The key may be any string and the value any bytes; both may be empty. If a call has a key twice,
/// the last entry counts.
///
/// ```
/// use std::time::Duration;
///
/// use larder_host::Entry;
///
/// let entry = Entry::new("user:1", "alice").ttl(Duration::from_secs(600));
/// assert_eq!(entry.value, b"alice");
/// ```
// Exhaustive: programs build it and take it apart, and the contract fixes its fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The string by which the entry is found.
    pub key: String,
    /// The bytes to store. They come back exactly.
    pub value: Vec<u8>,
    /// How long the entry lives, from the call that stores it. None: it never expires.
    ///
    /// An entry with a ttl of zero is not stored, and removes the earlier entry of its key. The
    /// contract allows up to 2^64 nanoseconds (584 years); a longer ttl counts as that.
    pub ttl: Option<Duration>,
}

impl Entry {
    /// An entry that never expires.
    pub fn new(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            ttl: None,
        }
    }

    /// Sets the time to live, which counts from the call that stores the entry.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The least number of bytes that it takes to hand the entry to a component.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.key.len() + self.value.len()
    }
}

/// A change to one entry of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// Stores the entry, and replaces the earlier entry of its key. With a ttl of zero, it removes
    /// the key.
    Put(Entry),
    /// Removes the entry with this key. Without such an entry, it does nothing.
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

/// The contents of a cache, as [`Backend::load`](crate::Backend::load) gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// The live entries, in no particular order. No two of them have the same key.
    pub entries: Vec<LiveEntry>,
    /// How many more entries damage to the storage took, including expired ones. 0: the cache is
    /// intact. The number is exact, unless the damage also hit the records that count the entries.
    /// Then it is an estimate, and at least 1.
    pub lost: u64,
}

/// An entry that was stored, and had not expired when it was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LiveEntry {
    /// The string by which the entry is found.
    pub key: String,
    /// The bytes that were stored.
    pub value: Vec<u8>,
    /// When the entry expires. None: never, or too late for an [`Instant`].
    pub expires_at: Option<Instant>,
}
