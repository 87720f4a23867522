//! What a cache is asked for and what it tells: the types of the contract's `cache` interface.

use std::time::Duration;

use crate::bindings::{cache, given, nanoseconds};
use crate::{Change, Entry, ErrorKind};

/// How a cache is kept. Whatever is none has no limit, or no such rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// How many entries there are at most; the least recently used ones make room. Zero: nothing is
    /// stored, and every `get` misses.
    pub capacity: Option<u64>,
    /// How many bytes their keys and values take at most, in the same way. An entry that takes more
    /// by itself is not stored.
    pub capacity_bytes: Option<u64>,
    /// The time to live of an entry that is set without one.
    pub default_ttl: Option<Duration>,
    /// Hands changes to the backend when this many keys have changed. One makes every change last
    /// before its call returns; zero counts as one.
    pub flush_every: Option<u32>,
    /// Hands them over in the first call after the oldest has waited for this long; without a call,
    /// nothing happens.
    pub flush_after: Option<Duration>,
}

/// What [`Cache::get_or_claim`](crate::Cache::get_or_claim) found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Found {
    /// The value.
    Hit(Vec<u8>),
    /// No value, and nobody makes one: the caller is to set it within the time that it asked for.
    Claimed,
    /// No value that lives, but another caller makes one. The one that has expired meanwhile.
    Stale(Vec<u8>),
    /// No value, but another caller makes one, and has this much time left.
    Wait(Duration),
}

/// What became of a cache since it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Values that were asked for and found.
    pub hits: u64,
    /// Values that were asked for and not found.
    pub misses: u64,
    /// `hits` out of both; zero where nothing was asked for.
    pub hit_rate: f64,
    /// Entries that made room for others.
    pub evictions: u64,
    /// Entries that were found expired.
    pub expirations: u64,
    /// Entries in memory now.
    pub entries: u64,
    /// What their keys and values take, in bytes.
    pub bytes: u64,
    /// Keys whose changes the backend does not have yet.
    pub unflushed: u64,
    /// Entries that the backend had lost to damage when the cache was opened.
    pub lost: u64,
    /// Why the backend failed the last time; none if it never did, or did what it was asked to since.
    /// Or why all that was in memory was lost, until a flush has told of it.
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

impl From<given::cache::Options> for Options {
    fn from(options: given::cache::Options) -> Self {
        Self {
            capacity: options.capacity,
            capacity_bytes: options.capacity_bytes,
            default_ttl: options.default_ttl.map(Duration::from_nanos),
            flush_every: options.flush_every,
            flush_after: options.flush_after.map(Duration::from_nanos),
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

impl From<Found> for given::cache::Found {
    fn from(found: Found) -> Self {
        match found {
            Found::Hit(value) => Self::Hit(value),
            Found::Claimed => Self::Claimed,
            Found::Stale(value) => Self::Stale(value),
            Found::Wait(left) => Self::Wait(nanoseconds(left)),
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

impl From<Metrics> for given::cache::Metrics {
    fn from(metrics: Metrics) -> Self {
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
            backend_error: metrics.backend_error.map(given::types::Error::from),
        }
    }
}

impl From<given::types::Entry> for Entry {
    fn from(entry: given::types::Entry) -> Self {
        Self {
            key: entry.key,
            value: entry.value,
            ttl: entry.ttl.map(Duration::from_nanos),
        }
    }
}

impl From<given::cache_updates::Change> for Change {
    fn from(change: given::cache_updates::Change) -> Self {
        match change {
            given::cache_updates::Change::Put(entry) => Self::Put(entry.into()),
            given::cache_updates::Change::Remove(key) => Self::Remove(key),
        }
    }
}
