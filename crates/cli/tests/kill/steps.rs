//! What a writer does, step by step: to a cache, and to values that say what the cache then holds.

use std::collections::BTreeMap;

use fastrand::Rng;
use larder_host::{Backend, Change, Entry};

use crate::storage::CACHE;

/// What a cache holds.
pub type Values = BTreeMap<String, Vec<u8>>;

/// How many steps a writer makes if nobody kills it.
pub const STEPS: usize = 40;

/// What the cache holds before the first step.
pub fn begun_entries() -> [Entry; 2] {
    [Entry::new("key 1", "begun"), Entry::new("other", "begun")]
}

pub fn begun() -> Values {
    let entries = begun_entries().into_iter();
    entries.map(|entry| (entry.key, entry.value)).collect()
}

/// One change that a writer makes.
pub enum Step {
    Save(Vec<Entry>),
    Apply(Vec<Change>),
    Clear,
}

impl Step {
    /// What a writer that has the cache for itself does as its nth: often small changes, so that some are
    /// folded, and now and then all of several blocks.
    pub fn alone(seed: u64, n: usize) -> Step {
        let mut random = Rng::with_seed(seed.wrapping_mul(1_000_003) + n as u64);
        let entry = |random: &mut Rng| {
            let key = format!("key {}", random.u8(0..30));
            let value = format!("{seed} {n};").repeat(random.usize(0..1000));
            Entry::new(key, value)
        };
        match random.u8(0..20) {
            0 => Step::Clear,
            1..=3 => Step::Save((0..random.u8(0..60)).map(|_| entry(&mut random)).collect()),
            _ => {
                let change = |_| match random.u8(0..4) {
                    0 => Change::Remove(format!("key {}", random.u8(0..30))),
                    _ => Change::Put(entry(&mut random)),
                };
                Step::Apply((0..3).map(change).collect())
            }
        }
    }

    /// What one of several writers does as its nth: it puts a key of its own, and removes an older one.
    pub fn beside_others(writer: &str, n: usize) -> Step {
        let put = Change::Put(Entry::new(format!("{writer} {n}"), n.to_string()));
        let older = n.checked_sub(5).map(|older| format!("{writer} {older}"));
        let remove = older.map(Change::Remove);
        Step::Apply([put].into_iter().chain(remove).collect())
    }

    pub fn make(self, backend: &Backend) {
        match self {
            Step::Save(entries) => backend.save(CACHE, entries),
            Step::Apply(changes) => backend.apply(CACHE, changes),
            Step::Clear => backend.clear(CACHE),
        }
        .expect("nothing is in the way");
    }

    /// Does to values what it does to the cache.
    pub fn make_of(self, values: &mut Values) {
        let put = |values: &mut Values, entry: Entry| {
            values.insert(entry.key, entry.value);
        };
        match self {
            Step::Clear => values.clear(),
            Step::Save(entries) => {
                values.clear();
                entries.into_iter().for_each(|entry| put(values, entry));
            }
            Step::Apply(changes) => changes.into_iter().for_each(|change| match change {
                Change::Put(entry) => put(values, entry),
                Change::Remove(key) => {
                    values.remove(&key);
                }
            }),
        }
    }
}

/// What a cache that held this holds after so many of these steps.
pub fn after(mut values: Values, steps: usize, step: impl Fn(usize) -> Step) -> Values {
    (0..steps).for_each(|n| step(n).make_of(&mut values));
    values
}
