//! Requests to a cache, and its answers: options, claims and metrics.

use std::time::Duration;

use crate::ErrorKind;
use crate::bindings::{cache, nanoseconds};

/// How a cache is kept. By default, it has no limits and no rules.
///
/// ```
/// use std::time::Duration;
///
/// use larder_host::Options;
///
/// let options = Options::default()
///     .capacity(10_000)
///     .default_ttl(Duration::from_secs(600))
///     .flush_every(100);
/// assert_eq!(options.capacity, Some(10_000));
/// assert_eq!(options.capacity_bytes, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Options {
    /// The most entries. Above it, the least recently used entries are evicted. Zero: the cache
    /// stores nothing, and every `get` misses.
    pub capacity: Option<u64>,
    /// The most bytes of keys and values, with the same evictions. An entry that is larger by
    /// itself is not stored.
    pub capacity_bytes: Option<u64>,
    /// The ttl of entries that are set without one.
    pub default_ttl: Option<Duration>,
    /// Flushes when this many keys have changed. One: every change is flushed before its call
    /// returns. Zero counts as one.
    pub flush_every: Option<u32>,
    /// Flushes in the first call after the oldest change has waited for this long. Without a call,
    /// nothing happens.
    pub flush_after: Option<Duration>,
}

impl Options {
    /// Sets [`capacity`](Self::capacity).
    pub fn capacity(mut self, entries: u64) -> Self {
        self.capacity = Some(entries);
        self
    }

    /// Sets [`capacity_bytes`](Self::capacity_bytes).
    pub fn capacity_bytes(mut self, bytes: u64) -> Self {
        self.capacity_bytes = Some(bytes);
        self
    }

    /// Sets [`default_ttl`](Self::default_ttl).
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = Some(ttl);
        self
    }

    /// Sets [`flush_every`](Self::flush_every).
    pub fn flush_every(mut self, keys: u32) -> Self {
        self.flush_every = Some(keys);
        self
    }

    /// Sets [`flush_after`](Self::flush_after).
    pub fn flush_after(mut self, wait: Duration) -> Self {
        self.flush_after = Some(wait);
        self
    }
}

/// The result of [`Cache::get_or_claim`](crate::Cache::get_or_claim).
// Exhaustive: a caller must handle each case, and a wildcard arm would have no right answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Found {
    /// The value.
    Hit(Vec<u8>),
    /// There is no value, and this caller has the claim: it must set the value before the lease
    /// ends.
    Claimed,
    /// The value has expired, and another caller has the claim. This is the expired value.
    Stale(Vec<u8>),
    /// There is no value, and another caller has the claim for this much more time.
    Wait(Duration),
}

/// Counts of a cache since it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// How many values were asked for and found.
    pub hits: u64,
    /// How many values were asked for and not found.
    pub misses: u64,
    /// The part of hits in both; zero if no value was asked for.
    pub hit_rate: f64,
    /// How many entries were evicted.
    pub evictions: u64,
    /// How many entries were found expired.
    pub expirations: u64,
    /// How many entries are in memory now.
    pub entries: u64,
    /// How many bytes their keys and values take.
    pub bytes: u64,
    /// How many keys have changes that the backend does not have yet.
    pub unflushed: u64,
    /// How many entries the backend had lost to damage when the cache was opened.
    pub lost: u64,
    /// The last error of the backend; none if it never failed, or has succeeded since. Or why
    /// everything in memory was lost, until a flush has reported it.
    pub backend_error: Option<ErrorKind>,
}

impl From<&Options> for cache::Options {
    fn from(options: &Options) -> Self {
        Self {
            capacity: options.capacity,
            capacity_bytes: options.capacity_bytes,
            default_ttl: options.default_ttl.map(nanoseconds),
            flush_every: options.flush_every,
            flush_after: options.flush_after.map(nanoseconds),
        }
    }
}

impl From<cache::Found> for Found {
    fn from(found: cache::Found) -> Self {
        match found {
            cache::Found::Hit(value) => Self::Hit(value),
            cache::Found::Claimed => Self::Claimed,
            cache::Found::Stale(value) => Self::Stale(value),
            cache::Found::Wait(left) => Self::Wait(Duration::from_nanos(left)),
        }
    }
}

impl From<cache::Metrics> for Metrics {
    fn from(metrics: cache::Metrics) -> Self {
        Self {
            hits: metrics.hits,
            misses: metrics.misses,
            hit_rate: metrics.hit_rate,
            evictions: metrics.evictions,
            expirations: metrics.expirations,
            entries: metrics.entries,
            bytes: metrics.bytes,
            unflushed: metrics.unflushed,
            lost: metrics.lost,
            backend_error: metrics.backend_error.map(ErrorKind::from),
        }
    }
}
