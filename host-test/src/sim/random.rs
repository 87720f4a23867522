//! The random numbers of all instances on a simulated disk, which come from a seed.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng, TryRng};

/// A generator of random numbers. Clones draw from the same sequence.
#[derive(Clone)]
pub(crate) struct Random(Arc<Mutex<Xoshiro256PlusPlus>>);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random::from(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A generator of its own that will give the same numbers.
    pub(super) fn fork(&self) -> Random {
        Random::from(self.generator().clone())
    }

    fn from(generator: Xoshiro256PlusPlus) -> Random {
        Random(Arc::new(Mutex::new(generator)))
    }

    fn generator(&self) -> MutexGuard<'_, Xoshiro256PlusPlus> {
        self.0.lock().expect("drawing a number does not panic")
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.generator().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.generator().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.generator().fill_bytes(bytes);
        Ok(())
    }
}
