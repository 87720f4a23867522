//! Sets of keys.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A set of keys that are kept elsewhere. Its hash is seeded, so that no one
/// can choose keys that collide.
pub struct KeySet<'a> {
    keys: HashTable<&'a str>,
    seed: u64,
}

impl<'a> KeySet<'a> {
    /// An empty set with room for this many keys; `seed` is a random number.
    pub fn new(capacity: usize, seed: u64) -> KeySet<'a> {
        KeySet {
            keys: HashTable::with_capacity(capacity),
            seed,
        }
    }

    /// False where the key is in the set already.
    pub fn insert(&mut self, key: &'a str) -> bool {
        let seed = self.seed;
        let hash = |key: &&str| xxh3_64_with_seed(key.as_bytes(), seed);
        match self.keys.entry(hash(&key), |other| *other == key, hash) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(key);
                true
            }
        }
    }

    /// Whether the key is in the set.
    pub fn contains(&self, key: &str) -> bool {
        let hash = xxh3_64_with_seed(key.as_bytes(), self.seed);
        self.keys.find(hash, |other| *other == key).is_some()
    }

    /// The keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        self.keys.iter().copied()
    }
}

/// Tells of each of these keys whether it is its last occurrence.
pub fn last_occurrences<'a>(
    keys: impl DoubleEndedIterator<Item = &'a str> + ExactSizeIterator,
    seed: u64,
) -> Vec<bool> {
    let mut seen = KeySet::new(keys.len(), seed);
    let mut last: Vec<bool> = keys.rev().map(|key| seen.insert(key)).collect();
    last.reverse();
    last
}
