//! The entries in memory, in the order of their last use. This file knows no backend and no clock:
//! the caller passes the time.

use std::mem;
use std::rc::Rc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The deadline of an entry that never expires.
pub const NEVER: u64 = u64::MAX;

/// No slot.
const NONE: u32 = u32::MAX;

/// The most that a cache may hold.
#[derive(Clone, Copy)]
pub struct Limits {
    /// The number of entries.
    pub count: u64,
    /// The bytes of keys and values.
    pub bytes: u64,
}

/// Entries by key, linked in the order of their last use. Every operation takes constant time,
/// however many entries there are.
pub struct Entries {
    slots: Vec<Slot>,
    /// The slot of each key.
    index: HashTable<u32>,
    seed: u64,
    /// The slot of the most recently used entry.
    newest: u32,
    /// The slot of the least recently used entry.
    oldest: u32,
    /// The first free slot; each free slot names the next one as `older`.
    free: u32,
    /// The slot that `drop_some` visits next.
    next: u32,
    bytes: u64,
}

/// One entry.
pub struct Entry {
    /// The key.
    pub key: Rc<str>,
    /// The value.
    pub value: Vec<u8>,
    /// When it expires.
    pub deadline: u64,
}

struct Slot {
    /// None if the slot is free.
    entry: Option<Entry>,
    newer: u32,
    older: u32,
}

impl Entry {
    /// Whether the entry has not expired.
    pub fn is_live(&self, now: u64) -> bool {
        self.deadline > now
    }

    /// The length of key and value, in bytes.
    pub fn bytes(&self) -> u64 {
        (self.key.len() + self.value.len()) as u64
    }
}

impl Entries {
    /// Makes no entries; `seed` is a random number, so that nobody can choose keys that collide.
    pub fn new(seed: u64) -> Entries {
        Entries {
            slots: Vec::new(),
            index: HashTable::new(),
            seed,
            newest: NONE,
            oldest: NONE,
            free: NONE,
            next: 0,
            bytes: 0,
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// The length of all keys and values together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Finds an entry. That does not count as a use.
    pub fn peek(&self, key: &str) -> Option<&Entry> {
        self.entry(self.find(key)?)
    }

    /// Finds an entry and makes it the most recently used.
    pub fn get(&mut self, key: &str) -> Option<&Entry> {
        let at = self.find(key)?;
        if self.newest != at {
            self.unlink(at);
            self.link(at);
        }
        self.entry(at)
    }

    /// Stores an entry as the most recently used. Returns the entry that had the same key before.
    pub fn put(&mut self, entry: Entry) -> Option<Entry> {
        let replaced = self.remove(&entry.key);
        self.bytes += entry.bytes();
        let hash = self.hash(&entry.key);
        let slot = Slot {
            entry: Some(entry),
            newer: NONE,
            older: NONE,
        };
        let at = self.free;
        let at = match self.slots.get_mut(at as usize) {
            Some(free) => {
                self.free = mem::replace(free, slot).older;
                at
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        self.link(at);
        let (slots, seed) = (&self.slots, self.seed);
        self.index
            .insert_unique(hash, at, |at| hash_of(slots, *at, seed));
        replaced
    }

    /// Removes an entry.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let at = self.find(key)?;
        self.take(at)
    }

    /// Removes the least recently used entry, if the entries exceed these limits.
    pub fn evict(&mut self, limits: Limits) -> Option<Entry> {
        let is_within = self.len() as u64 <= limits.count && self.bytes <= limits.bytes;
        match is_within {
            true => None,
            false => self.take(self.oldest),
        }
    }

    /// Visits two slots, the next two on each call, and removes the entries for which `is_over` is
    /// true. Returns the number of removed entries.
    pub fn drop_some(&mut self, is_over: impl Fn(&Entry) -> bool) -> u64 {
        let mut dropped = 0;
        for _ in 0..2 {
            let at = match self.slots.get(self.next as usize) {
                Some(_) => self.next,
                None => 0,
            };
            self.next = at + 1;
            if self.entry(at).is_some_and(&is_over) {
                self.take(at);
                dropped += 1;
            }
        }
        dropped
    }

    /// Removes all entries and frees their memory.
    pub fn clear(&mut self) {
        *self = Entries::new(self.seed);
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter_map(|slot| slot.entry.as_ref())
    }

    /// The entries from a place on, each with the place after it. An entry keeps its place for as
    /// long as it is in memory.
    pub fn from(&self, place: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let start = usize::try_from(place).unwrap_or(usize::MAX);
        let slots = self.slots.get(start..).unwrap_or_default();
        let entries = slots.iter().enumerate();
        entries.filter_map(move |(at, slot)| {
            let next = place.saturating_add(at as u64 + 1);
            Some((next, slot.entry.as_ref()?))
        })
    }

    fn take(&mut self, at: u32) -> Option<Entry> {
        let hash = self.hash(&self.entry(at)?.key);
        self.unlink(at);
        if let Ok(found) = self.index.find_entry(hash, |other| *other == at) {
            found.remove();
        }
        let free = self.free;
        let slot = self.slots.get_mut(at as usize)?;
        slot.older = free;
        self.free = at;
        let entry = slot.entry.take()?;
        self.bytes -= entry.bytes();
        Some(entry)
    }

    fn entry(&self, at: u32) -> Option<&Entry> {
        self.slots.get(at as usize)?.entry.as_ref()
    }

    fn find(&self, key: &str) -> Option<u32> {
        let is_key = |at: &u32| self.entry(*at).is_some_and(|entry| &*entry.key == key);
        self.index.find(self.hash(key), is_key).copied()
    }

    fn hash(&self, key: &str) -> u64 {
        xxh3_64_with_seed(key.as_bytes(), self.seed)
    }

    /// Links an unlinked slot as the most recently used.
    fn link(&mut self, at: u32) {
        let older = mem::replace(&mut self.newest, at);
        if let Some(slot) = self.slots.get_mut(at as usize) {
            (slot.newer, slot.older) = (NONE, older);
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some(Slot { newer, older, .. }) = self.slots.get(at as usize) else {
            return;
        };
        let (newer, older) = (*newer, *older);
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }
}

fn hash_of(slots: &[Slot], at: u32, seed: u64) -> u64 {
    let entry = slots.get(at as usize).and_then(|slot| slot.entry.as_ref());
    let key = entry.map(|entry| entry.key.as_bytes());
    xxh3_64_with_seed(key.unwrap_or_default(), seed)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const UNLIMITED: Limits = Limits {
        count: u64::MAX,
        bytes: u64::MAX,
    };

    fn entry(key: &str, value: &[u8]) -> Entry {
        Entry {
            key: key.into(),
            value: value.into(),
            deadline: NEVER,
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u8, usize),
        Get(u8),
        Remove(u8),
        Evict(u64, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..12_u8, 0..5_usize).prop_map(|(key, size)| Step::Put(key, size)),
            (0..12_u8).prop_map(Step::Get),
            (0..12_u8).prop_map(Step::Remove),
            (0..12_u64, 0..40_u64).prop_map(|(count, bytes)| Step::Evict(count, bytes)),
        ]
    }

    proptest! {
        /// In the model, the most recently used entry comes first.
        #[test]
        fn entries_are_those_of_a_list_in_the_order_of_their_last_use(
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let mut entries = Entries::new(7);
            let mut model: VecDeque<(String, usize)> = VecDeque::new();
            let size = |model: &VecDeque<(String, usize)>| -> u64 {
                model.iter().map(|(key, size)| (key.len() + size) as u64).sum()
            };
            for step in steps {
                match step {
                    Step::Put(key, size) => {
                        let key = key.to_string();
                        model.retain(|(other, _)| *other != key);
                        entries.put(entry(&key, &vec![1; size]));
                        model.push_front((key, size));
                    }
                    Step::Get(key) => {
                        let key = key.to_string();
                        let at = model.iter().position(|(other, _)| *other == key);
                        let found = at.and_then(|at| model.remove(at));
                        prop_assert_eq!(
                            entries.get(&key).map(|entry| entry.value.len()),
                            found.as_ref().map(|(_, size)| *size)
                        );
                        if let Some(found) = found {
                            model.push_front(found);
                        }
                    }
                    Step::Remove(key) => {
                        let key = key.to_string();
                        let there = model.iter().any(|(other, _)| *other == key);
                        model.retain(|(other, _)| *other != key);
                        prop_assert_eq!(entries.remove(&key).is_some(), there);
                    }
                    Step::Evict(count, bytes) => {
                        let limits = Limits { count, bytes };
                        while let Some(evicted) = entries.evict(limits) {
                            let (key, _) = model.pop_back().unwrap();
                            prop_assert_eq!(&*evicted.key, key.as_str());
                        }
                        prop_assert!(model.len() as u64 <= count && size(&model) <= bytes);
                    }
                }
                prop_assert_eq!(entries.len(), model.len());
                prop_assert_eq!(entries.bytes(), size(&model));
                let mut keys: Vec<_> = entries.iter().map(|entry| entry.key.to_string()).collect();
                let mut expected: Vec<_> = model.iter().map(|(key, _)| key.clone()).collect();
                keys.sort();
                expected.sort();
                prop_assert_eq!(keys, expected);
            }
            prop_assert!(entries.evict(UNLIMITED).is_none());
        }
    }

    #[test]
    fn slots_are_used_again() {
        let mut entries = Entries::new(1);
        for n in 0..1000 {
            entries.put(entry(&n.to_string(), b"value"));
            entries.remove(&(n - 2).to_string());
        }
        assert_eq!((entries.len(), entries.slots.len()), (2, 3));
    }

    #[test]
    fn pages_give_those_once_that_stay() {
        let mut entries = Entries::new(1);
        for n in 0..10 {
            entries.put(entry(&n.to_string(), b""));
        }
        let mut seen = Vec::new();
        let mut place = 0;
        let first = |entries: &Entries, place| {
            let mut rest = entries.from(place);
            rest.next()
                .map(|(next, entry)| (next, entry.key.to_string()))
        };
        while let Some((next, key)) = first(&entries, place) {
            seen.push(key);
            place = next;
            // A removed entry and a used entry move no other entry.
            entries.remove("3");
            entries.get("0");
        }
        seen.sort();
        assert_eq!(seen, ["0", "1", "2", "4", "5", "6", "7", "8", "9"]);
        assert!(entries.from(u64::MAX).next().is_none());
    }
}
