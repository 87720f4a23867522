//! The contract as wasmtime sees it, and conversions between its types and the types of this crate.

use std::time::{Duration, SystemTime};

use crate::{CacheStat, Change, Damage, Entry, ErrorKind, Part, Report, Version};

mod generated {
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "
            package larder:host;

            /// The host calls a backend and the cache layer, and gives a backend to the layer.
            world host {
                include larder:cache/full-backend@0.1.0;
                export larder:cache/cache@0.1.0;

                import larder:cache/cache-backend@0.1.0;
                import larder:cache/cache-updates@0.1.0;
            }
        ",
        world: "larder:host/host",
        imports: { default: trappable },
        exports: {
            "larder:cache/cache-backend": async,
            "larder:cache/cache-updates": async,
            "larder:cache/cache-lookup": async,
            "larder:cache/cache-atomics": async,
            "larder:cache/cache-bulk": async,
            "larder:cache/cache-inspect": async,
            "larder:cache/cache-recovery": async,
        },
        // Keys and values are borrowed: the only copy is that into the component's memory.
        ownership: Borrowing { duplicate_if_necessary: true },
        with: {
            "wasi": wasmtime_wasi::p2::bindings::sync,
        },
    });
}

pub(crate) use generated::exports::larder::cache::{
    cache, cache_atomics, cache_backend, cache_bulk, cache_inspect, cache_lookup, cache_recovery,
    cache_updates, types,
};
/// The interfaces that the host provides for components.
pub(crate) use generated::larder::cache as given;
pub(crate) use types::Error;

pub(crate) const CACHE_BACKEND: &str = "larder:cache/cache-backend@0.1.0";
pub(crate) const CACHE_UPDATES: &str = "larder:cache/cache-updates@0.1.0";
pub(crate) const CACHE_LOOKUP: &str = "larder:cache/cache-lookup@0.1.0";
pub(crate) const CACHE_ATOMICS: &str = "larder:cache/cache-atomics@0.1.0";
pub(crate) const CACHE_BULK: &str = "larder:cache/cache-bulk@0.1.0";
pub(crate) const CACHE: &str = "larder:cache/cache@0.1.0";
pub(crate) const CACHE_INSPECT: &str = "larder:cache/cache-inspect@0.1.0";
pub(crate) const CACHE_RECOVERY: &str = "larder:cache/cache-recovery@0.1.0";

impl<'a> From<&'a Entry> for types::Entry<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            key: &entry.key,
            value: &entry.value,
            ttl: entry.ttl.map(nanoseconds),
        }
    }
}

/// A ttl in nanoseconds. It is less than 2^64 - 1, which stands for none in columns.
pub(crate) fn nanoseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos()).map_or(u64::MAX - 1, |ttl| ttl.min(u64::MAX - 1))
}

impl<'a> From<&'a Change> for cache_updates::Change<'a> {
    fn from(change: &'a Change) -> Self {
        match change {
            Change::Put(entry) => Self::Put(entry.into()),
            Change::Remove(key) => Self::Remove(key),
        }
    }
}

impl From<types::Error> for ErrorKind {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::AccessDenied => Self::AccessDenied,
            types::Error::InvalidName(why) => Self::InvalidName(why),
            types::Error::InvalidArgument(why) => Self::InvalidArgument(why),
            types::Error::Corrupt(what) => Self::Corrupt(what),
            types::Error::UnsupportedVersion(version) => Self::UnsupportedVersion(version),
            types::Error::TooLarge(bytes) => Self::TooLarge(bytes),
            types::Error::NoSpace => Self::NoSpace,
            types::Error::Unavailable(why) => Self::Unavailable(why),
            types::Error::Other(what) => Self::Other(what),
        }
    }
}

impl From<ErrorKind> for given::types::Error {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::AccessDenied => Self::AccessDenied,
            ErrorKind::InvalidName(why) => Self::InvalidName(why),
            ErrorKind::InvalidArgument(why) => Self::InvalidArgument(why),
            ErrorKind::Corrupt(what) => Self::Corrupt(what),
            ErrorKind::UnsupportedVersion(version) => Self::UnsupportedVersion(version),
            ErrorKind::TooLarge(bytes) => Self::TooLarge(bytes),
            ErrorKind::NoSpace => Self::NoSpace,
            ErrorKind::Unavailable(why) => Self::Unavailable(why),
            ErrorKind::Other(what) => Self::Other(what),
            // The contract has no errors for what happens to a component in a host.
            ErrorKind::BadComponent(_)
            | ErrorKind::MissingInterface(_)
            | ErrorKind::Trapped(_)
            | ErrorKind::TimedOut(_)
            | ErrorKind::OutOfMemory(_)
            | ErrorKind::Folder(_) => Self::Unavailable(kind.to_string()),
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

impl From<cache_inspect::CacheStat> for CacheStat {
    fn from(stat: cache_inspect::CacheStat) -> Self {
        Self {
            entries: stat.entries,
            bytes: stat.bytes,
            files: stat.files,
            version: stat.version,
            saved_at: stat.saved_at.and_then(time),
        }
    }
}

/// None for a year that the host cannot express.
fn time(at: cache_inspect::Datetime) -> Option<SystemTime> {
    // `Duration::new` would panic: a component may give 2^32 nanoseconds.
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(at.seconds))?
        .checked_add(Duration::from_nanos(at.nanoseconds.into()))
}

impl From<cache_recovery::Version> for Version {
    fn from(version: cache_recovery::Version) -> Self {
        Self {
            number: version.number,
            saved_at: time(version.saved_at),
            newer_changes: version.newer_changes,
        }
    }
}

impl From<cache_inspect::Report> for Report {
    fn from(report: cache_inspect::Report) -> Self {
        Self {
            files: report.files,
            blocks: report.blocks,
            bytes: report.bytes,
            damage: report.damage.into_iter().map(Damage::from).collect(),
        }
    }
}

impl From<cache_inspect::Damage> for Damage {
    fn from(damage: cache_inspect::Damage) -> Self {
        Self {
            file: damage.file,
            part: match damage.part {
                cache_inspect::Part::File => Part::File,
                cache_inspect::Part::Header => Part::Header,
                cache_inspect::Part::Block => Part::Block,
                cache_inspect::Part::Index => Part::Index,
            },
            offset: damage.offset,
            length: damage.length,
            entries: damage.entries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved_at(seconds: u64, nanoseconds: u32) -> Option<SystemTime> {
        let saved_at = Some(cache_inspect::Datetime {
            seconds,
            nanoseconds,
        });
        let stat = cache_inspect::CacheStat {
            entries: 0,
            bytes: 0,
            files: 0,
            version: 0,
            saved_at,
        };
        CacheStat::from(stat).saved_at
    }

    #[test]
    fn no_time_that_a_component_claims_is_a_panic() {
        let moment = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5);
        assert_eq!(saved_at(1_700_000_000, 5), Some(moment));
        let more = moment + Duration::from_secs(4);
        assert_eq!(saved_at(1_700_000_000, 4_000_000_005), Some(more));
        assert_eq!(saved_at(u64::MAX, u32::MAX), None);
    }

    #[test]
    fn a_ttl_beyond_the_contract_is_the_longest_one() {
        let ages = Entry::new("", "").ttl(Duration::MAX);
        assert_eq!(types::Entry::from(&ages).ttl, Some(u64::MAX - 1));
        let brief = Entry::new("", "").ttl(Duration::from_nanos(7));
        assert_eq!(types::Entry::from(&brief).ttl, Some(7));
    }
}
