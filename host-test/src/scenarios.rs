//! The caches that an attack begins with, and the operations that it attacks.

use crate::world::{CACHE, Durability, World};
use crate::{Change, Entry, SimDisk, Subject, UNCOMPACTED, Write, entry, put, remove};

/// The events of a cache before the attack.
pub(crate) struct Past {
    /// The entries of a file from before the store's own format.
    legacy: Option<Vec<Entry>>,
    writes: Vec<Write>,
}

impl Past {
    /// The world after this past, on a disk with this seed.
    pub(crate) fn arrive(&self, subject: &Subject, durability: Durability, seed: u64) -> World {
        let mut world = World::new(SimDisk::new(seed));
        if let Some(legacy) = &self.legacy {
            world.put_legacy(CACHE, legacy);
        }
        for write in &self.writes {
            let mut instance = subject.on_simulated(&world.disk).open();
            match instance.write(CACHE, write) {
                Ok(Ok(())) => world.returned(write, durability),
                outcome => panic!("{}a write gave {outcome:?}", world.disk.run()),
            }
        }
        world
    }
}

/// The pasts after which operations work in different ways.
pub(crate) fn pasts(durability: Durability) -> Vec<Past> {
    let of = |writes| Past {
        legacy: None,
        writes,
    };
    let saved = || Write::Save(few("saved"));
    let mut pasts = vec![
        of(vec![]),
        of(vec![saved()]),
        of(vec![Write::Save(many("saved"))]),
        of(vec![saved(), Write::Clear]),
        // The next change compacts these.
        of([vec![saved()], changes(UNCOMPACTED)].concat()),
        // With another change of this size, the changes outgrow the snapshot.
        of(vec![saved(), Write::Apply(put_many("changed"))]),
        Past {
            legacy: Some(few("legacy")),
            writes: vec![],
        },
    ];
    if durability == Durability::Atomic {
        // The next save removes superseded versions.
        let saves = (0..9).map(|n| Write::Save(few(&format!("save {n}"))));
        pasts.push(of(saves.collect()));
    }
    pasts
}

/// The operations that are attacked first.
pub(crate) fn writes() -> Vec<Write> {
    let mut writes = second_writes();
    writes.extend([
        Write::SaveInBatches(many("crashed").chunks(7).map(<[Entry]>::to_vec).collect()),
        Write::Apply(put_many("crashed")),
        // A key twice: the file is written again without the first record.
        Write::SaveInBatches(vec![few("crashed"), vec![entry("kept 0", "last", None)]]),
    ]);
    writes
}

/// The operations that are attacked after a first one was stopped.
pub(crate) fn second_writes() -> Vec<Write> {
    vec![
        Write::Save(few("again")),
        Write::Apply(vec![put("again", "changed", None), remove("kept 0")]),
        Write::Clear,
    ]
}

fn changes(count: usize) -> Vec<Write> {
    let change = |n| Write::Apply(vec![put(format!("change {n}"), "changed", None)]);
    (0..count).map(change).collect()
}

fn few(stamp: &str) -> Vec<Entry> {
    (0..3)
        .map(|n| entry(format!("kept {n}"), stamp, None))
        .collect()
}

/// Several blocks of the format and of the disk. Twice this size outgrows a snapshot.
fn many(stamp: &str) -> Vec<Entry> {
    let value: String = stamp.chars().cycle().take(1800).collect();
    (0..20)
        .map(|n| entry(format!("kept {n}"), value.clone(), None))
        .collect()
}

fn put_many(stamp: &str) -> Vec<Change> {
    many(stamp).into_iter().map(Change::Put).collect()
}
