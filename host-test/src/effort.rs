//! How much an attack tries, and the command that repeats it.

use std::env;
use std::thread;

/// The environment variable with the seed of an attack.
const SEED: &str = "LARDER_SEED";

/// How much an attack tries. All random choices follow from the seed.
#[derive(Clone, Debug)]
pub struct Effort {
    /// The seed.
    pub seed: u64,
    /// Whether the attack may take minutes and try more.
    pub nightly: bool,
}

impl Effort {
    /// An attack that every run of the tests can afford.
    pub fn ordinary() -> Effort {
        Effort {
            seed: seed(),
            nightly: false,
        }
    }

    /// An attack that tries ten times as much, or more.
    pub fn nightly() -> Effort {
        Effort {
            nightly: true,
            ..Effort::ordinary()
        }
    }

    /// Gives the first value in an ordinary run, the second in a nightly run.
    pub fn of<T>(&self, ordinary: T, nightly: T) -> T {
        match self.nightly {
            true => nightly,
            false => ordinary,
        }
    }

    /// The command that repeats the attack of the test that calls this.
    pub fn replay(&self) -> String {
        let program = env::current_exe().unwrap_or_default();
        let program = program.file_stem().unwrap_or_default().to_string_lossy();
        // Cargo adds a hash to the name.
        let target = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
        let thread = thread::current();
        let test = thread.name().unwrap_or_default();
        let seed = self.seed;
        format!(
            "{SEED}={seed} cargo test --test {target} -- --exact {test} --include-ignored --nocapture"
        )
    }
}

/// The seed in the environment, or 0.
///
/// # Panics
///
/// If the variable is not a number.
fn seed() -> u64 {
    match env::var(SEED) {
        Ok(seed) => seed.parse().expect("the seed is a number"),
        Err(_) => 0,
    }
}
