//! How a schedule chooses who goes on: rare interleavings matter more than likely ones.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{IndexedRandom, SliceRandom};

/// About how many names an operation makes or removes.
const CHANGES: usize = 4;

/// About how many calls an operation makes.
pub(crate) const CALLS: usize = 40;

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
    /// Some stop in the midst of an operation, while others do whole ones.
    Pauses(Vec<Pause>),
}

/// An instance stops, and is not chosen for a while.
#[derive(Debug)]
pub(crate) struct Pause {
    instance: usize,
    /// Before a change of names: only these are counted.
    before_change: bool,
    /// Before so many calls.
    calls: usize,
    /// For so many steps.
    steps: usize,
}

impl Strategy {
    /// One for so many instances.
    pub(crate) fn random(random: &mut Xoshiro256PlusPlus, instances: usize) -> Strategy {
        match random.random_range(0..5) {
            0 => Strategy::Uniform,
            1 => {
                let mut falling: Vec<usize> = (0..instances).collect();
                falling.shuffle(random);
                let count = random.random_range(1..=4);
                let changes = (0..count).map(|_| random.random_range(1..=4 * CHANGES));
                Strategy::Priorities {
                    falling,
                    changes: changes.collect(),
                }
            }
            _ => {
                let count = random.random_range(1..=2);
                let pauses = (0..count).map(|_| Pause::random(random, instances));
                Strategy::Pauses(pauses.collect())
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
            Strategy::Pauses(pauses) => {
                for pause in pauses.iter_mut().filter(|pause| pause.instance == caller) {
                    let counts = is_change || !pause.before_change;
                    pause.calls = pause.calls.saturating_sub(usize::from(counts));
                }
            }
            Strategy::Uniform | Strategy::Priorities { .. } => {}
        }
    }

    /// One of those that live, of which there are some.
    pub(crate) fn choose(&mut self, random: &mut Xoshiro256PlusPlus, live: &[usize]) -> usize {
        let choice = match self {
            Strategy::Uniform => live.choose(random),
            Strategy::Priorities { falling, .. } => falling.iter().find(|at| live.contains(at)),
            Strategy::Pauses(pauses) => {
                let mut awake = live.to_vec();
                for pause in pauses.iter_mut().filter(|pause| pause.calls == 0) {
                    // Somebody has to go on.
                    if pause.steps > 0 && awake.iter().any(|at| *at != pause.instance) {
                        pause.steps -= 1;
                        awake.retain(|at| *at != pause.instance);
                    }
                }
                return *awake.choose(random).expect("one is left awake");
            }
        };
        *choice.expect("one of them lives")
    }
}

impl Pause {
    fn random(random: &mut Xoshiro256PlusPlus, instances: usize) -> Pause {
        let before_change = random.random();
        // Rather in the first operation than in the last.
        let most = random.random_range(1..=2) * if before_change { CHANGES } else { CALLS };
        Pause {
            instance: random.random_range(0..instances),
            before_change,
            calls: random.random_range(1..=most),
            steps: random.random_range(1..=6 * CALLS),
        }
    }
}
