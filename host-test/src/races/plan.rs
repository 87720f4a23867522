//! The operations of the instances in a race, and the incidents that happen to them.

use std::collections::BTreeMap;
use std::fmt;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;

use crate::schedule::Incident;
use crate::strategy::CALLS;
use crate::world::GRACE;
use crate::{Change, Entry, Write, entry, put, remove};

/// The keys of all entries: few, so that writes change the same entries.
pub(super) const KEYS: [&str; 3] = ["a", "b", "c"];

/// One operation of an instance.
pub(super) enum Action {
    Write(Write),
    /// A writer that gets all of these batches and is dropped.
    Drop(Vec<Vec<Entry>>),
    Load,
    LoadInBatches,
    /// Looks up all keys.
    LookUp,
    /// Looks up all keys, and makes changes if they have the same values still.
    WriteIf(Vec<Change>),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Write(write) => write!(f, "{write}"),
            Action::Drop(_) => f.write_str("writer to be dropped"),
            Action::Load => f.write_str("load"),
            Action::LoadInBatches => f.write_str("load in batches"),
            Action::LookUp => f.write_str("look-up"),
            Action::WriteIf(changes) => {
                write!(f, "if unchanged: {}", Write::Apply(changes.clone()))
            }
        }
    }
}

/// A program for each instance, and the incidents by the step at which they happen.
pub(super) struct Plan {
    pub(super) programs: Vec<Vec<Action>>,
    pub(super) incidents: BTreeMap<usize, Incident>,
}

impl Plan {
    /// Two to four instances, and any incidents.
    pub(super) fn first(random: &mut Xoshiro256PlusPlus) -> Plan {
        let instances = random.random_range(2..=4);
        let mut plan = Plan::new(random, "", instances, 4);
        for (incident, likelihood) in [
            (Incident::Wait(GRACE), 0.2),
            (Incident::Kill, 0.3),
            (Incident::Kill, 0.1),
            (Incident::PowerCut, 0.3),
        ] {
            if random.random_bool(likelihood) {
                let step = random.random_range(1..=plan.calls());
                plan.incidents.insert(step, incident);
            }
        }
        plan
    }

    /// One or two instances without incidents.
    pub(super) fn after_power_cut(random: &mut Xoshiro256PlusPlus) -> Plan {
        let instances = random.random_range(1..=2);
        Plan::new(random, "later ", instances, 2)
    }

    fn new(random: &mut Xoshiro256PlusPlus, stamp: &str, instances: usize, longest: usize) -> Plan {
        // Races without some kinds of operations find states that all kinds together rarely reach.
        let weights = [(); KINDS].map(|()| *[0, 0, 1, 4].choose(random).expect("there are some"));
        let programs = (0..instances).map(|instance| {
            let length = random.random_range(1..=longest);
            let stamp = |n| format!("{stamp}{instance}.{n};");
            (0..length)
                .map(|n| action(random, &weights, &stamp(n)))
                .collect()
        });
        Plan {
            programs: programs.collect(),
            incidents: BTreeMap::new(),
        }
    }

    pub(super) fn has_power_cut(&self) -> bool {
        self.incidents
            .values()
            .any(|incident| *incident == Incident::PowerCut)
    }

    /// About how many calls all instances make.
    fn calls(&self) -> usize {
        CALLS * self.programs.iter().map(Vec::len).sum::<usize>()
    }
}

/// How many kinds of actions there are.
const KINDS: usize = 9;

fn action(random: &mut Xoshiro256PlusPlus, weights: &[u32; KINDS], stamp: &str) -> Action {
    let kinds: Vec<usize> = (0..weights.len()).collect();
    match kinds.choose_weighted(random, |kind| weights[*kind]) {
        Ok(0) => Action::Write(Write::Save(save(random, stamp))),
        Ok(1) => Action::Write(Write::Clear),
        Ok(2) => Action::Load,
        Ok(3) => Action::LoadInBatches,
        Ok(4) => Action::Write(Write::SaveInBatches(batches(random, stamp))),
        Ok(5) => Action::Drop(batches(random, stamp)),
        Ok(6) => Action::LookUp,
        Ok(7) => Action::WriteIf(changes(random, stamp)),
        // Also if all weights are zero.
        Ok(_) | Err(_) => Action::Write(Write::Apply(changes(random, stamp))),
    }
}

fn save(random: &mut Xoshiro256PlusPlus, stamp: &str) -> Vec<Entry> {
    let count = random.random_range(0..=KEYS.len());
    let keys: Vec<&str> = KEYS.sample(random, count).copied().collect();
    keys.into_iter()
        .map(|key| entry(key, value(random, stamp), None))
        .collect()
}

/// A key may be in several batches, with a different value in each.
fn batches(random: &mut Xoshiro256PlusPlus, stamp: &str) -> Vec<Vec<Entry>> {
    let count = random.random_range(0..=2);
    (0..count)
        .map(|n| save(random, &format!("{stamp}{n};")))
        .collect()
}

fn changes(random: &mut Xoshiro256PlusPlus, stamp: &str) -> Vec<Change> {
    let count = random.random_range(1..=2);
    let keys: Vec<&str> = KEYS.sample(random, count).copied().collect();
    let change = |key| match random.random_bool(0.25) {
        true => remove(key),
        false => put(key, value(random, stamp), None),
    };
    keys.into_iter().map(change).collect()
}

/// A value that no other write has; sometimes so large that changes outgrow the snapshot.
fn value(random: &mut Xoshiro256PlusPlus, stamp: &str) -> Vec<u8> {
    match random.random_bool(0.06) {
        true => stamp.repeat(8_000).into_bytes(),
        false => stamp.into(),
    }
}
