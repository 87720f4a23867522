//! Stops the disk backend at every call.
//!
//! An operation is stopped before each of its calls to the host, and after the last. Then fresh
//! instances open the disk that the process leaves, and every disk that a power cut may leave. They
//! have to find the promised entries, and everything has to work from there.

use std::collections::HashSet;
use std::fmt;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};

use crate::scenarios::{Past, pasts, second_writes, writes};
use crate::world::{CACHE, Durability, GRACE, MOST_SUPERSEDED, World, check_leftovers, give_up};
use crate::write::shown;
use crate::{Effort, Instance, Killed, SimDisk, Subject, Values, When, Write, entry, put};

/// Counts the tries of an attack.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    operations: u64,
    points: u64,
    exhaustive: u64,
    images: u64,
    distinct: u64,
}

impl Tally {
    /// How many disks after a power cut were tried.
    pub fn images(&self) -> u64 {
        self.images
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            operations,
            points,
            exhaustive,
            images,
            distinct,
        } = self;
        write!(
            f,
            "{operations} operations stopped at {points} points: {images} disks after a power cut, \
             {distinct} of them different; at {exhaustive} points, all possible ones"
        )
    }
}

/// Stops every kind of operation on every kind of cache at every call.
///
/// # Panics
///
/// If a promise is broken, with the run of the disk.
pub fn every_crash_point(subject: &Subject, durability: Durability, effort: &Effort) -> Tally {
    let mut attack = Attack::new(subject, durability, effort);
    for past in pasts(durability) {
        let world = attack.arrive(&past);
        for write in writes() {
            attack.crash(&world, &write);
        }
    }
    attack.tally
}

/// Stops operations that follow a stopped operation, with or without a power cut in between.
///
/// # Panics
///
/// If a promise is broken, with the run of the disk.
pub fn crashes_after_crashes(subject: &Subject, durability: Durability, effort: &Effort) -> Tally {
    let mut attack = Attack::new(subject, durability, effort);
    for past in pasts(durability) {
        let world = attack.arrive(&past);
        for write in writes() {
            let stops = attack.stops(&world, &write);
            for _ in 0..effort.of(1, 20) {
                let stopped = &stops[attack.random.random_range(..stops.len())];
                attack.go_on_from(stopped);
            }
        }
    }
    attack.tally
}

struct Attack<'a> {
    subject: Subject,
    durability: Durability,
    effort: &'a Effort,
    random: Xoshiro256PlusPlus,
    /// The fingerprints of the disks that were tried, each with the fingerprint of the contents
    /// that it may have.
    tried: HashSet<(u64, u64)>,
    tally: Tally,
}

impl Attack<'_> {
    fn new<'a>(subject: &Subject, durability: Durability, effort: &'a Effort) -> Attack<'a> {
        Attack {
            subject: subject.clone().env("LARDER_DURABILITY", durability.name()),
            durability,
            effort,
            random: Xoshiro256PlusPlus::seed_from_u64(effort.seed),
            tried: HashSet::new(),
            tally: Tally::default(),
        }
    }

    /// The world after a past.
    fn arrive(&mut self, past: &Past) -> World {
        past.arrive(&self.subject, self.durability, self.random.next_u64())
    }

    /// Stops an operation before each of its calls, lets it return at last, and gives the world
    /// after each of these.
    fn stops(&mut self, world: &World, write: &Write) -> Vec<World> {
        self.tally.operations += 1;
        let mut stops = Vec::new();
        for call in 1.. {
            let mut world = world.fork();
            let mut instance = self.open(&world.disk);
            instance.faults().kill(When::any().nth(call));
            match instance.write(CACHE, write) {
                Err(Killed) => {
                    world.stopped(write);
                    stops.push(world);
                }
                Ok(Ok(())) => {
                    world.returned(write, self.durability);
                    stops.push(world);
                    break;
                }
                Ok(Err(error)) => self.fail(&world.disk, &format!("a write failed: {error:?}")),
            }
        }
        stops
    }

    /// Stops an operation at every point, and cuts the power at each.
    fn crash(&mut self, world: &World, write: &Write) {
        for stopped in self.stops(world, write) {
            self.tally.points += 1;
            self.check(stopped.disk.fork(), &stopped.now);
            self.cut_power(&stopped);
        }
    }

    /// Crashes a second operation, after a power cut or without one.
    fn go_on_from(&mut self, stopped: &World) {
        let mut second = second_writes();
        let write = second.swap_remove(self.random.random_range(..second.len()));
        if self.random.random() {
            let cut = self.any_cut(stopped);
            self.crash(&cut, &write);
        } else {
            self.crash(stopped, &write);
        }
    }

    /// Tries the disks that a power cut may leave.
    fn cut_power(&mut self, world: &World) {
        // With `atomic`, almost every point allows more disks than can be tried.
        let at_most = match self.durability {
            Durability::Full => self.effort.of(40, 1000),
            Durability::Atomic => self.effort.of(4, 40),
        };
        let cuts = world.disk.power_cuts(at_most, self.random.next_u64());
        self.tally.exhaustive += u64::from(cuts.is_exhaustive());
        let expected = world.fingerprint();
        for image in cuts {
            self.tally.images += 1;
            if self.tried.insert((image.fingerprint(), expected)) {
                self.tally.distinct += 1;
                self.check(image, &world.after_cut);
            }
        }
    }

    /// The world after some power cut, with the contents that a load finds there.
    fn any_cut(&mut self, world: &World) -> World {
        let cuts = world.disk.power_cuts(1, self.random.next_u64());
        let image = cuts.last().expect("a cut leaves something");
        let found = self.load_one_of(&mut self.open(&image), &image, &world.after_cut);
        World::with(image, found)
    }

    fn open(&self, disk: &SimDisk) -> Instance {
        self.subject.on_simulated(disk).open()
    }

    /// A fresh instance finds one of the allowed contents, and everything works from there.
    fn check(&self, disk: SimDisk, allowed: &[Values]) {
        let mut values = self.load_one_of(&mut self.open(&disk), &disk, allowed);
        let mut instance = self.open(&disk);
        let next = Write::Apply(vec![put("next", "after the crash", None)]);
        self.write(&mut instance, &disk, &next, &mut values);
        disk.clock().advance(GRACE);
        let last = Write::Save(vec![entry("last", "after the crash", None)]);
        self.write(&mut instance, &disk, &last, &mut values);
        // With `atomic`, only some saves remove leftovers. To save time, some disks are checked.
        if self.durability == Durability::Atomic {
            if !disk.fingerprint().is_multiple_of(16) {
                return;
            }
            for _ in 0..=MOST_SUPERSEDED {
                self.write(&mut instance, &disk, &last, &mut values);
            }
        }
        if let Err(broken) = check_leftovers(&disk, self.durability) {
            self.fail(&disk, &broken);
        }
    }

    /// A load gives one of the allowed contents.
    fn load_one_of(&self, instance: &mut Instance, disk: &SimDisk, allowed: &[Values]) -> Values {
        let contents = match instance.load(CACHE) {
            Ok(contents) => contents,
            Err(error) => self.fail(disk, &format!("the load failed: {error:?}")),
        };
        if contents.lost != 0 {
            self.fail(disk, &format!("{} entries are lost", contents.lost));
        }
        let entries = contents.entries.into_iter();
        let values: Values = entries.map(|entry| (entry.key, entry.value)).collect();
        if !allowed.contains(&values) {
            let found = shown(&values);
            let allowed: Vec<String> = allowed.iter().map(shown).collect();
            let allowed = allowed.join("\n  ");
            self.fail(
                disk,
                &format!("the load gave\n  {found}\nand not one of\n  {allowed}"),
            );
        }
        values
    }

    /// A write returns, and a load gives it.
    fn write(&self, instance: &mut Instance, disk: &SimDisk, write: &Write, values: &mut Values) {
        match instance.write(CACHE, write) {
            Ok(Ok(())) => *values = write.on(values),
            outcome => self.fail(disk, &format!("a write gave {outcome:?}")),
        }
        self.load_one_of(instance, disk, std::slice::from_ref(values));
    }

    fn fail(&self, disk: &SimDisk, broken: &str) -> ! {
        give_up(disk, self.durability, self.effort, broken)
    }
}
