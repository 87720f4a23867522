//! The disks that a power cut may leave of a simulated disk: all of them, or a sample.

use std::sync::Arc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::disk::SimDisk;
use super::undecided::{PowerCut, Undecided, undecided};

/// The disks that a power cut may leave.
pub struct PowerCuts {
    disk: SimDisk,
    undecided: Arc<[Undecided]>,
    /// How many there may be, if the number fits in 64 bits.
    allowed: Option<u64>,
    next: Next,
}

enum Next {
    /// All of them. The number of the next one.
    All(u64),
    /// A sample. How many more to give.
    Sample(u64, Xoshiro256PlusPlus),
}

impl SimDisk {
    /// The disks that a power cut may leave of this one.
    ///
    /// If the model allows at most `at_most` disks, these are all of them. Otherwise they are
    /// `at_most` of them, chosen by the seed.
    pub fn power_cuts(&self, at_most: u64, seed: u64) -> PowerCuts {
        PowerCuts::of(self.fork(), at_most, seed)
    }
}

impl PowerCuts {
    fn of(disk: SimDisk, at_most: u64, seed: u64) -> PowerCuts {
        let undecided = undecided(&disk.nodes());
        let allowed = undecided.iter().try_fold(1, |product: u64, undecided| {
            product.checked_mul(undecided.option_count() as u64)
        });
        let next = match allowed {
            Some(allowed) if allowed <= at_most => Next::All(0),
            _ => Next::Sample(at_most, Xoshiro256PlusPlus::seed_from_u64(seed)),
        };
        PowerCuts {
            disk,
            undecided: undecided.into(),
            allowed,
            next,
        }
    }

    /// How many disks the model allows, if that fits in 64 bits. Some of them may be equal.
    pub fn allowed(&self) -> Option<u64> {
        self.allowed
    }

    /// Whether these are all disks that the model allows, and not a sample.
    pub fn is_exhaustive(&self) -> bool {
        matches!(self.next, Next::All(_))
    }

    /// Chooses an option for everything that is undecided; none after the last disk.
    fn choose(&mut self) -> Option<Vec<usize>> {
        let counts = self.undecided.iter().map(Undecided::option_count);
        match &mut self.next {
            Next::All(number) => {
                let mut rest = *number;
                *number += 1;
                let choices = counts.map(|count| {
                    let choice = rest % count as u64;
                    rest /= count as u64;
                    choice as usize
                });
                let choices = choices.collect();
                (rest == 0).then_some(choices)
            }
            Next::Sample(0, _) => None,
            Next::Sample(left, random) => {
                *left -= 1;
                // Cuts differ in how many of the pending changes they keep: from none to all.
                let kept: f64 = random.random();
                let choices = counts.map(|count| match random.random_range(0..4) {
                    0 => random.random_range(0..count),
                    _ if random.random_bool(kept) => count - 1,
                    _ => 0,
                });
                Some(choices.collect())
            }
        }
    }
}

impl Iterator for PowerCuts {
    type Item = SimDisk;

    fn next(&mut self) -> Option<SimDisk> {
        let choices = self.choose()?;
        let mut nodes = self.disk.nodes().clone();
        for (undecided, choice) in self.undecided.iter().zip(&choices) {
            undecided.decide(&mut nodes, *choice);
        }
        nodes.settle();
        let image = self.disk.with_nodes(nodes, self.disk.random().fork());
        image.clock().reboot();
        let undecided = Arc::clone(&self.undecided);
        image.run().cut(PowerCut::new(undecided, choices));
        Some(image)
    }
}
