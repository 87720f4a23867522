//! How a schedule chooses who goes on: rare interleavings matter more than likely ones.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{IndexedRandom, IteratorRandom, SliceRandom};

/// How the next instance is chosen.
///
/// All that instances have in common are the names of files, so that it matters most who goes on before the calls
/// that make or remove one.
#[derive(Debug)]
pub(crate) enum Strategy {
    /// Each is as likely as the others.
    Uniform,
    /// The most important one runs, until it becomes the least important before one of these changes of names:
    /// the probabilistic concurrency testing of Burckhardt and others.
    Priorities {
        falling: Vec<usize>,
        changes: Vec<usize>,
    },
    /// One is stopped before one of its calls, or one that changes names, while the others do whole operations.
    Pause {
        instance: usize,
        before_change: bool,
        calls: usize,
        steps: usize,
    },
}

impl Strategy {
    /// One for so many instances that make about so many calls together.
    pub(crate) fn random(
        random: &mut Xoshiro256PlusPlus,
        instances: usize,
        calls: usize,
    ) -> Strategy {
        match random.random_range(0..4) {
            0 => Strategy::Uniform,
            1 => {
                let mut falling: Vec<usize> = (0..instances).collect();
                falling.shuffle(random);
                let changes =
                    (0..random.random_range(1..=4)).map(|_| random.random_range(1..=calls / 4));
                Strategy::Priorities {
                    falling,
                    changes: changes.collect(),
                }
            }
            kind => {
                let before_change = kind == 2;
                let most = calls / instances / if before_change { 4 } else { 1 };
                Strategy::Pause {
                    instance: random.random_range(0..instances),
                    before_change,
                    calls: random.random_range(1..=most),
                    steps: random.random_range(1..=2 * calls),
                }
            }
        }
    }

    /// Takes note that an instance is about to make a call, which changes names or not.
    pub(crate) fn before(&mut self, caller: usize, is_change: bool) {
        match self {
            Strategy::Priorities { falling, changes } if is_change => {
                changes.iter_mut().for_each(|calls| *calls -= 1);
                if changes.contains(&0) {
                    changes.retain(|calls| *calls > 0);
                    falling.retain(|instance| *instance != caller);
                    falling.push(caller);
                }
            }
            Strategy::Pause {
                instance,
                before_change,
                calls,
                ..
            } if caller == *instance && (is_change || !*before_change) => {
                *calls = calls.saturating_sub(1);
            }
            _ => {}
        }
    }

    /// One of those that live, of which there are some.
    pub(crate) fn choose(&mut self, random: &mut Xoshiro256PlusPlus, live: &[usize]) -> usize {
        match self {
            Strategy::Priorities { falling, .. } => {
                let most_important = falling.iter().find(|instance| live.contains(instance));
                *most_important.expect("one that lives has a priority")
            }
            Strategy::Pause {
                instance,
                calls: 0,
                steps,
                ..
            } if *steps > 0 => {
                *steps -= 1;
                let others = live.iter().filter(|other| *other != instance);
                *others.choose(random).unwrap_or(instance)
            }
            Strategy::Uniform | Strategy::Pause { .. } => {
                *live.choose(random).expect("one of them lives")
            }
        }
    }
}
