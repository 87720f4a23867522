//! The entries in memory, from the most to the least recently used. Knows no backend and no clock: whoever calls says
//! what time it is.

use std::mem;
use std::rc::Rc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The deadline of an entry that lives for as long as the cache does.
pub const NEVER: u64 = u64::MAX;

/// No slot.
const NONE: u32 = u32::MAX;

/// How much there may be.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Entries.
    pub count: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// Entries by their keys, in a list by their last use. Every step takes the same time, however many there are.
pub struct Entries {
    slots: Vec<Slot>,
    /// Slots by the hashes of their keys.
    index: HashTable<u32>,
    seed: u64,
    /// The most recently used.
    newest: u32,
    /// The least recently used.
    oldest: u32,
    /// The first of those that hold nothing; the others follow by `older`.
    free: u32,
    /// The slot that `drop_some` looks at next.
    next: u32,
    bytes: u64,
}

/// One entry.
pub struct Entry {
    /// Its key.
    pub key: Rc<str>,
    /// Its value.
    pub value: Vec<u8>,
    /// When it expires.
    pub deadline: u64,
}

struct Slot {
    /// None where the slot is free.
    entry: Option<Entry>,
    newer: u32,
    older: u32,
}

impl Entry {
    /// Whether it has not expired.
    pub fn is_live(&self, now: u64) -> bool {
        self.deadline > now
    }

    /// What its key and its value take.
    pub fn bytes(&self) -> u64 {
        (self.key.len() + self.value.len()) as u64
    }
}

impl Entries {
    /// None at all; `seed` is a random number, so that nobody can choose keys that collide.
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

    /// How many there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// What their keys and values take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One of them, without using it.
    pub fn peek(&self, key: &str) -> Option<&Entry> {
        self.entry(self.find(key)?)
    }

    /// One of them, which becomes the most recently used.
    pub fn get(&mut self, key: &str) -> Option<&Entry> {
        let at = self.find(key)?;
        if self.newest != at {
            self.unlink(at);
            self.link(at);
        }
        self.entry(at)
    }

    /// Puts an entry in place of what its key held, as the most recently used. Gives what that was.
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

    /// Takes one away.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let at = self.find(key)?;
        self.take(at)
    }

    /// Takes the least recently used away, if there is more than these limits allow.
    pub fn evict(&mut self, limits: Limits) -> Option<Entry> {
        let is_within = self.len() as u64 <= limits.count && self.bytes <= limits.bytes;
        match is_within {
            true => None,
            false => self.take(self.oldest),
        }
    }

    /// Looks at two of them, at others each time, and takes those away of which this is true; says how many.
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

    /// Takes all away, and the memory for them.
    pub fn clear(&mut self) {
        *self = Entries::new(self.seed);
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter_map(|slot| slot.entry.as_ref())
    }

    /// Those from a place on, each with the place that comes after it. Who is there all the while keeps its place.
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

    /// Makes a slot that is in no list the most recently used.
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
        /// The newest comes first in the model, which looks at all of them every time.
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
            // What comes and goes, and is used, moves nobody.
            entries.remove("3");
            entries.get("0");
        }
        seen.sort();
        assert_eq!(seen, ["0", "1", "2", "4", "5", "6", "7", "8", "9"]);
        assert!(entries.from(u64::MAX).next().is_none());
    }
}
