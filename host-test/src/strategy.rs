//! How a schedule chooses the next instance, so that rare interleavings happen often.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{IndexedRandom, SliceRandom};

/// About how many names an operation makes and removes.
const CHANGES: usize = 4;

/// About how many calls an operation makes.
pub(crate) const CALLS: usize = 40;

/// How the next instance is chosen.
///
/// Instances have only the names of files in common. So the order of the calls that make or remove
/// a name matters most.
#[derive(Debug)]
pub(crate) enum Strategy {
    /// Each live instance is equally likely.
    Uniform,
    /// The most important instance runs. Before each of these changes of names, counted over all
    /// instances, the instance that makes the change becomes the least important. This is the
    /// probabilistic concurrency testing of Burckhardt and others.
    Priorities {
        falling: Vec<usize>,
        changes: Vec<usize>,
    },
    /// Some instances pause in an operation while others run whole operations.
    Pauses(Vec<Pause>),
}

/// A pause of an instance, which is not chosen for a while.
#[derive(Debug)]
pub(crate) struct Pause {
    instance: usize,
    /// Whether `calls` counts only calls that change names.
    before_change: bool,
    /// The calls until the pause begins.
    calls: usize,
    /// The length of the pause in steps.
    steps: usize,
}

impl Strategy {
    /// Draws a strategy for this many instances.
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

    /// Takes note that an instance is about to make a call. `is_change`: the call changes names.
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

    /// Chooses one of the live instances. There has to be at least one.
    pub(crate) fn choose(&mut self, random: &mut Xoshiro256PlusPlus, live: &[usize]) -> usize {
        let choice = match self {
            Strategy::Uniform => live.choose(random),
            Strategy::Priorities { falling, .. } => falling.iter().find(|at| live.contains(at)),
            Strategy::Pauses(pauses) => {
                let mut awake = live.to_vec();
                for pause in pauses.iter_mut().filter(|pause| pause.calls == 0) {
                    // One instance has to go on.
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
        // More often in the first operation than in later ones.
        let most = random.random_range(1..=2) * if before_change { CHANGES } else { CALLS };
        Pause {
            instance: random.random_range(0..instances),
            before_change,
            calls: random.random_range(1..=most),
            steps: random.random_range(1..=6 * CALLS),
        }
    }
}
