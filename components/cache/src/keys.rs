//! A map from keys to items. Its hash has a random seed, so that nobody can choose keys that
//! collide.

use std::rc::Rc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The most keys that a map may hold without an entry in memory: claimed keys, and keys that a
/// flush will remove from the backend.
pub const MOST_KEYS: usize = 1 << 14;

/// The most bytes that such keys may take in one map.
pub const MOST_KEY_BYTES: u64 = 1 << 20;

/// A map by keys.
pub struct Keys<T> {
    table: HashTable<(Rc<str>, T)>,
    seed: u64,
    bytes: u64,
}

impl<T> Keys<T> {
    /// Makes an empty map; `seed` is a random number.
    pub fn new(seed: u64) -> Keys<T> {
        Keys {
            table: HashTable::new(),
            seed,
            bytes: 0,
        }
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The length of all keys together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The item of a key.
    pub fn get(&self, key: &str) -> Option<&T> {
        let found = self
            .table
            .find(self.hash(key), |(other, _)| &**other == key);
        found.map(|(_, item)| item)
    }

    /// Sets the item of a key, in place of an earlier one.
    pub fn insert(&mut self, key: Rc<str>, item: T) {
        let (hash, seed) = (self.hash(&key), self.seed);
        match self.table.find_mut(hash, |(other, _)| *other == key) {
            Some(found) => found.1 = item,
            None => {
                self.bytes += key.len() as u64;
                let hash_of = |(key, _): &(Rc<str>, T)| xxh3_64_with_seed(key.as_bytes(), seed);
                self.table.insert_unique(hash, (key, item), hash_of);
            }
        }
    }

    /// Removes a key, if it is there.
    pub fn remove(&mut self, key: &str) {
        let hash = self.hash(key);
        if let Ok(found) = self.table.find_entry(hash, |(other, _)| &**other == key) {
            found.remove();
            self.bytes -= key.len() as u64;
        }
    }

    /// Removes every key for whose item `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let bytes = &mut self.bytes;
        self.table.retain(|(key, item)| {
            let is_kept = keep(item);
            *bytes -= if is_kept { 0 } else { key.len() as u64 };
            is_kept
        });
    }

    /// Removes all keys and frees their memory.
    pub fn clear(&mut self) {
        self.table = HashTable::new();
        self.bytes = 0;
    }

    /// All keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<str>> {
        self.table.iter().map(|(key, _)| key)
    }

    fn hash(&self, key: &str) -> u64 {
        xxh3_64_with_seed(key.as_bytes(), self.seed)
    }
}
