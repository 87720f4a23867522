//! Something for each of some keys, which nobody can choose so that they collide.

use std::rc::Rc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A map by keys.
pub struct Keys<T> {
    table: HashTable<(Rc<str>, T)>,
    seed: u64,
    bytes: u64,
}

impl<T> Keys<T> {
    /// None; `seed` is a random number.
    pub fn new(seed: u64) -> Keys<T> {
        Keys {
            table: HashTable::new(),
            seed,
            bytes: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// What the keys take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What there is for a key.
    pub fn get(&self, key: &str) -> Option<&T> {
        let found = self
            .table
            .find(self.hash(key), |(other, _)| &**other == key);
        found.map(|(_, item)| item)
    }

    /// Puts something in place of what there was.
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

    /// Takes it away.
    pub fn remove(&mut self, key: &str) {
        let hash = self.hash(key);
        if let Ok(found) = self.table.find_entry(hash, |(other, _)| &**other == key) {
            found.remove();
            self.bytes -= key.len() as u64;
        }
    }

    /// Keeps those of which this is true.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let bytes = &mut self.bytes;
        self.table.retain(|(key, item)| {
            let is_kept = keep(item);
            *bytes -= if is_kept { 0 } else { key.len() as u64 };
            is_kept
        });
    }

    /// Takes all away, and the memory for them.
    pub fn clear(&mut self) {
        self.table = HashTable::new();
        self.bytes = 0;
    }

    /// The keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<str>> {
        self.table.iter().map(|(key, _)| key)
    }

    fn hash(&self, key: &str) -> u64 {
        xxh3_64_with_seed(key.as_bytes(), self.seed)
    }
}
