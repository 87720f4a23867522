//! How much an attack tries, and how to make it again.

use std::env;
use std::thread;

/// The variable that seeds an attack.
const SEED: &str = "LARDER_SEED";

/// How much an attack tries. Everything that it draws by lot follows from the seed.
#[derive(Clone, Debug)]
pub struct Effort {
    /// The seed.
    pub seed: u64,
    /// The run may take minutes, and tries so much more.
    pub nightly: bool,
}

impl Effort {
    /// What every run of the tests can afford.
    pub fn ordinary() -> Effort {
        Effort {
            seed: seed(),
            nightly: false,
        }
    }

    /// Ten times as much, or more.
    pub fn nightly() -> Effort {
        Effort {
            nightly: true,
            ..Effort::ordinary()
        }
    }

    /// The first in an ordinary run, the second in a nightly one.
    pub fn of<T>(&self, ordinary: T, nightly: T) -> T {
        match self.nightly {
            true => nightly,
            false => ordinary,
        }
    }

    /// The command that makes the same attack again, within the test that calls this.
    pub fn replay(&self) -> String {
        let program = env::current_exe().unwrap_or_default();
        let program = program.file_stem().unwrap_or_default().to_string_lossy();
        // Cargo puts a hash behind the name.
        let target = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
        let thread = thread::current();
        let test = thread.name().unwrap_or_default();
        let seed = self.seed;
        format!(
            "{SEED}={seed} cargo test --test {target} -- --exact {test} --include-ignored --nocapture"
        )
    }
}

/// The seed that the environment gives, or always the same.
///
/// # Panics
///
/// Where the environment gives something else.
fn seed() -> u64 {
    match env::var(SEED) {
        Ok(seed) => seed.parse().expect("the seed is a number"),
        Err(_) => 0,
    }
}
