//! The interface that the layer gives to components, as wasmtime sees it, and conversions.

use std::time::Duration;

use super::contract::{Found, Metrics, Options};
use crate::bindings::{given, nanoseconds};

mod generated {
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "
            package larder:host;

            world tenant {
                import larder:cache/cache@0.1.0;
            }
        ",
        world: "larder:host/tenant",
        imports: { default: trappable },
        with: {
            "larder:cache/types": crate::bindings::given::types,
            "larder:cache/cache.cache": crate::Cache,
        },
    });
}

pub(super) use generated::larder::cache::cache;

impl From<cache::Options> for Options {
    fn from(options: cache::Options) -> Self {
        Self {
            capacity: options.capacity,
            capacity_bytes: options.capacity_bytes,
            default_ttl: options.default_ttl.map(Duration::from_nanos),
            flush_every: options.flush_every,
            flush_after: options.flush_after.map(Duration::from_nanos),
        }
    }
}

impl From<Found> for cache::Found {
    fn from(found: Found) -> Self {
        match found {
            Found::Hit(value) => Self::Hit(value),
            Found::Claimed => Self::Claimed,
            Found::Stale(value) => Self::Stale(value),
            Found::Wait(left) => Self::Wait(nanoseconds(left)),
        }
    }
}

impl From<Metrics> for cache::Metrics {
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
