//! What takes part: something that keeps entries in a folder, and gives them back.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::data::Data;

/// What a contestant is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Larder, in one of its forms.
    Larder,
    /// Another store.
    Peer,
    /// Larder's code without WebAssembly.
    Native,
    /// What no store can do without.
    Limit,
}

/// Something that keeps entries in a folder, and gives them back.
pub trait Contestant {
    fn name(&self) -> &'static str;

    fn role(&self) -> Role;

    /// How it is set, what of it is measured, and how durable that is.
    fn settings(&self) -> &'static str;

    /// Gets ready, off the clock, what a caller would have at hand.
    fn prepare(&mut self, _data: &Data) -> Result<()> {
        Ok(())
    }

    /// Keeps the entries in this folder, which is new and empty: opens, writes, makes them last,
    /// closes. Tells how long that took.
    fn persist(&mut self, data: &Data, folder: &Path) -> Result<Duration>;

    /// Opens what `persist` left in this folder, brings every entry into memory and closes. Tells how
    /// long that took. Off the clock it is verified that the entries are those of the data.
    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration>;
}

/// Runs something against the clock.
pub fn timed<T>(run: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let start = Instant::now();
    let result = run()?;
    Ok((result, start.elapsed()))
}

/// An entry as a peer gives it back: key, value, and when it expires.
pub type Owned = (String, Vec<u8>, Option<u64>);

/// Fails unless these are the entries of the data.
pub fn verify(data: &Data, loaded: &[Owned]) -> Result<()> {
    let loaded = loaded.iter();
    data.verify(
        loaded.map(|(key, value, expires)| (key.as_bytes(), value.as_slice(), expires.is_some())),
    )
}

/// When an entry with this time to live expires that is kept now, in nanoseconds of the wall clock:
/// for peers without times to live, which keep the instant with the value, as a cache on top of them
/// would.
pub fn deadline(now: u64, ttl: Option<Duration>) -> Option<u64> {
    ttl.map(|ttl| now + ttl.as_nanos() as u64)
}

/// The wall clock in nanoseconds.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// The first of the entries, for those who would take minutes for all of them.
#[derive(Default)]
pub struct Sample(Option<Data>);

impl Sample {
    pub fn of(data: &Data, most: usize) -> Self {
        Self(data.sample(most))
    }

    /// What is kept, and by how much its times are multiplied.
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
