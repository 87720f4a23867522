//! Sets of keys and of key hashes. Nobody can choose keys that collide in a set.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::abi::memory::{TooLarge, reserve};

/// A set of keys. It owns their bytes.
pub struct KeySet {
    /// The bytes of all keys, one key after the other.
    bytes: Vec<u8>,
    keys: HashTable<Key>,
    seed: u64,
}

/// The range of a key in the bytes, and its number.
struct Key {
    start: u32,
    end: u32,
    number: u32,
}

impl KeySet {
    /// An empty set. `seed` is a random number.
    pub fn new(seed: u64) -> KeySet {
        KeySet {
            bytes: Vec::new(),
            keys: HashTable::new(),
            seed,
        }
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds a key, unless it is in the set. Returns the number of the key and whether it is new.
    /// Keys are numbered from 0 in the order of their insertion.
    pub fn insert(&mut self, key: &str) -> Result<(usize, bool), TooLarge> {
        if let Some(number) = self.find(key) {
            return Ok((number, false));
        }
        let (bytes, seed) = (&mut self.bytes, self.seed);
        let needed = (bytes.len() + key.len()) as u64;
        let room = (bytes.capacity(), self.keys.capacity());
        bytes.try_reserve(key.len()).map_err(|_| TooLarge(needed))?;
        let (start, number) = (bytes.len(), self.keys.len());
        bytes.extend_from_slice(key.as_bytes());
        let new = Key {
            start: start as u32,
            end: bytes.len() as u32,
            number: number as u32,
        };
        let hash = |key: &Key| xxh3_64_with_seed(key.slice(bytes), seed);
        let reserved = self.keys.try_reserve(1, hash);
        reserved.map_err(|_| TooLarge(needed))?;
        if room != (bytes.capacity(), self.keys.capacity()) {
            // The set must not take memory that others need meanwhile.
            reserve(0, 0)?;
        }
        self.keys.insert_unique(hash(&new), new, hash);
        Ok((number, true))
    }

    /// Whether the key is in the set.
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: &str) -> Option<usize> {
        let hash = xxh3_64_with_seed(key.as_bytes(), self.seed);
        let is_key = |other: &Key| other.slice(&self.bytes) == key.as_bytes();
        let found = self.keys.find(hash, is_key);
        found.map(|key| key.number as usize)
    }

    /// The bytes of the keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|key| key.slice(&self.bytes))
    }
}

impl Key {
    fn slice<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let bytes = bytes.get(self.start as usize..self.end as usize);
        bytes.unwrap_or_default()
    }
}

/// A set of hashes that anybody may have chosen.
pub struct HashSet {
    hashes: HashTable<u64>,
    factor: u64,
}

impl HashSet {
    /// An empty set. `seed` is a random number.
    pub fn new(seed: u64) -> HashSet {
        HashSet {
            hashes: HashTable::new(),
            factor: seed | 1,
        }
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Adds a hash. Returns false if it is in the set already.
    pub fn insert(&mut self, hash: u64) -> Result<bool, TooLarge> {
        let factor = self.factor;
        let spread = |hash: &u64| spread(*hash, factor);
        let needed = self.hashes.len() as u64 * 16;
        let room = self.hashes.capacity();
        let reserved = self.hashes.try_reserve(1, spread);
        reserved.map_err(|_| TooLarge(needed))?;
        if room != self.hashes.capacity() {
            reserve(0, 0)?;
        }
        Ok(
            match self
                .hashes
                .entry(spread(&hash), |other| *other == hash, spread)
            {
                Entry::Occupied(_) => false,
                Entry::Vacant(vacant) => {
                    vacant.insert(hash);
                    true
                }
            },
        )
    }

    /// Whether the hash is in the set.
    pub fn contains(&self, hash: u64) -> bool {
        let spread = spread(hash, self.factor);
        self.hashes.find(spread, |other| *other == hash).is_some()
    }
}

/// Spreads hashes that others chose, through multiplication by a random odd number. The upper half
/// of the product is the better half, and a table takes the lower half.
fn spread(hash: u64, factor: u64) -> u64 {
    hash.wrapping_mul(factor).rotate_left(32)
}

/// Returns for each key whether it is the last occurrence of that key. `seed` is a random number.
pub fn last_occurrences<'a>(keys: &[&'a str], seed: u64) -> Vec<bool> {
    let mut seen: HashTable<&'a str> = HashTable::with_capacity(keys.len());
    let hash = |key: &&str| xxh3_64_with_seed(key.as_bytes(), seed);
    let is_last = |key: &&'a str| match seen.entry(hash(key), |other| other == key, hash) {
        Entry::Occupied(_) => false,
        Entry::Vacant(vacant) => {
            vacant.insert(*key);
            true
        }
    };
    let mut last: Vec<bool> = keys.iter().rev().map(is_last).collect();
    last.reverse();
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_the_number_of_its_first_insertion() {
        let mut keys = KeySet::new(7);
        assert!(keys.is_empty());
        for round in 0..2 {
            for n in 0..1000 {
                let key = format!("{n}");
                assert_eq!(keys.contains(&key), round > 0);
                assert_eq!(keys.insert(&key).unwrap(), (n, round == 0));
            }
        }
        assert_eq!(keys.insert("").unwrap(), (1000, true));
        assert_eq!(keys.insert("").unwrap(), (1000, false));
        assert!(!keys.contains("1000"));
        assert_eq!(keys.iter().count(), 1001);
    }

    #[test]
    fn every_hash_is_in_a_set_once_whatever_it_is() {
        for seed in [0, 1, u64::MAX] {
            let mut hashes = HashSet::new(seed);
            let chosen = [0, 1, 1 << 32, 1 << 63, u64::MAX];
            let all = chosen.into_iter().chain((2..1000).map(|n| n << 40));
            for hash in all.clone() {
                assert!(!hashes.contains(hash));
                assert!(hashes.insert(hash).unwrap());
                assert!(!hashes.insert(hash).unwrap());
            }
            assert!(all.clone().all(|hash| hashes.contains(hash)));
        }
    }

    #[test]
    fn of_keys_that_come_again_the_last_occurrence_is_told() {
        let last = last_occurrences(&["a", "b", "a", "", "b", "c", "a"], 3);
        assert_eq!(last, [false, false, false, true, true, true, true]);
        assert_eq!(last_occurrences(&[], 3), [false; 0]);
    }
}
