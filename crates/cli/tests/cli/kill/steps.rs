//! The steps of a writer, made on a cache, and on values that model the cache.

use larder_host::{Backend, Change, Entry};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::contents::{CACHE, Values};

/// How many steps a writer makes if nobody kills it.
pub const STEPS: usize = 40;

/// The entries of the cache before the first step.
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
    /// The nth step of a writer that has the cache for itself. Most steps are small changes, so
    /// that some are compacted; a few save several blocks.
    pub fn alone(seed: u64, n: usize) -> Step {
        let seed_of_step = seed.wrapping_mul(1_000_003) + n as u64;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed_of_step);
        let entry = |random: &mut Xoshiro256PlusPlus| {
            let key = format!("key {}", random.random_range(0..30));
            let value = format!("{seed} {n};").repeat(random.random_range(0..1000));
            Entry::new(key, value)
        };
        match random.random_range(0..20) {
            0 => Step::Clear,
            1..=3 => {
                let entries = 0..random.random_range(0..60);
                Step::Save(entries.map(|_| entry(&mut random)).collect())
            }
            _ => {
                let change = |_| match random.random_range(0..4) {
                    0 => Change::Remove(format!("key {}", random.random_range(0..30))),
                    _ => Change::Put(entry(&mut random)),
                };
                Step::Apply((0..3).map(change).collect())
            }
        }
    }

    /// The nth step of one of several writers: it puts a key of its own, and removes an older one.
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

    /// Makes the step on values instead of a cache.
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
                other => unreachable!("the steps make no {other:?}"),
            }),
        }
    }
}

/// These values after so many of these steps.
pub fn after(mut values: Values, steps: usize, step: impl Fn(usize) -> Step) -> Values {
    (0..steps).for_each(|n| step(n).make_of(&mut values));
    values
}
