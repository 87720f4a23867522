//! Records: a record stores an entry or removes one.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A record: stores an entry or removes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The key.
    pub key: &'a str,
    /// The value and its ttl; none if the record removes the key.
    pub put: Option<Put<'a>>,
}

/// The value and the ttl under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put<'a> {
    /// The value.
    pub value: &'a [u8],
    /// Nanoseconds to live from the header's `saved_at`.
    pub ttl: Option<u64>,
}

/// The hashes of keys whose records were lost to damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostKeys {
    /// Of records that stored an entry.
    pub puts: Vec<u64>,
    /// Of records that removed an entry.
    pub removes: Vec<u64>,
}

/// The hash of a key in an index.
pub fn key_hash(key: impl AsRef<[u8]>) -> u64 {
    // Seed 0 is plain XXH3. The plain function would make the component larger.
    xxh3_64_with_seed(key.as_ref(), 0)
}

/// A record counts in the size of a block with its key, its value and this many bytes.
pub(super) const RECORD_OVERHEAD: usize = 17;

impl Record<'_> {
    /// How many bytes of a block the record takes.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.put.map_or(0, |put| put.value.len()) + RECORD_OVERHEAD
    }
}
