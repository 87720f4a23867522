//! The trait of all contestants, and helpers for them.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Result;
use crate::data::Data;

/// A store that persists entries into a folder, and loads them.
pub trait Contestant {
    fn name(&self) -> &'static str;

    /// Its settings, the measured work, and the durability of that work.
    fn settings(&self) -> &'static str;

    /// Prepares everything that a caller would have already. This takes no measured time.
    fn prepare(&mut self, _data: &Data) -> Result<()> {
        Ok(())
    }

    /// Opens the store in this new and empty folder, writes the entries, makes them durable, and
    /// closes the store. Returns the time of all that.
    fn persist(&mut self, data: &Data, folder: &Path) -> Result<Duration>;

    /// Opens the store that `persist` left in this folder, reads every entry into memory, and
    /// closes the store. Returns the time of these three steps. Then verifies the entries.
    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration>;
}

/// Measures the time of a call.
pub fn timed<T>(run: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let start = Instant::now();
    let result = run()?;
    Ok((result, start.elapsed()))
}

/// An entry that a peer loaded: key, value, and deadline.
pub type Owned = (String, Vec<u8>, Option<u64>);

/// Fails unless these are the entries of the data.
pub fn verify(data: &Data, loaded: &[Owned]) -> Result<()> {
    let loaded = loaded.iter();
    data.verify(
        loaded.map(|(key, value, expires)| (key.as_bytes(), value.as_slice(), expires.is_some())),
    )
}

/// The deadline of an entry that is stored now, in nanoseconds of the wall clock. Peers that know
/// no ttl store it with the value, as a cache above them would.
pub fn deadline(now: u64, ttl: Option<Duration>) -> Option<u64> {
    ttl.map(|ttl| now + ttl.as_nanos() as u64)
}

/// The wall clock in nanoseconds.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// The first entries of the data, for contestants that would take minutes for all of it.
#[derive(Default)]
pub struct Sample(Option<Data>);

impl Sample {
    pub fn of(data: &Data, most: usize) -> Self {
        Self(data.sample(most))
    }

    /// The data for the contestant, and the factor by which its times are multiplied.
    pub fn share<'a>(&'a self, data: &'a Data) -> (&'a Data, f64) {
        match &self.0 {
            Some(sample) => (
                sample,
                data.entries.len() as f64 / sample.entries.len() as f64,
            ),
            None => (data, 1.0),
        }
    }
}
