//! The disk backend of Larder: its exports, and nothing else.
//!
//! A cache is a folder of immutable, versioned files. `format` says what is in
//! one, `chain` which of them make up a cache, `merge` and `stream` what they say
//! together, `part` and `publish` how one comes to be, and `store` and `bulk` put
//! these together.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(any(target_family = "wasm", test))]
mod alloc;
mod answer;
mod bulk;
mod chain;
mod clock;
mod compact;
#[cfg(larder_coverage)]
#[path = "../tests/coverage/runtime.rs"]
mod coverage;
mod dir;
mod fold;
pub mod format;
mod inspect;
mod keys;
mod legacy;
mod memory;
pub mod merge;
#[cfg(unix)]
pub mod native;
mod part;
mod publish;
mod settings;
mod source;
mod store;
mod stream;
#[cfg(unix)]
mod wasi;

mod bindings {
    #![allow(missing_docs)] // Generated; the documentation is in the WIT.
    wit_bindgen::generate!({
        path: "wit",
        world: "disk",
        generate_all,
        // Exported in `answer`.
        skip: ["load", "[method]reader.next"],
    });
    // The names of the exports mean nothing to a native linker.
    #[cfg(target_arch = "wasm32")]
    use super::Disk;
    #[cfg(target_arch = "wasm32")]
    export!(Disk);
}

use answer::Loaded;
use bindings::exports::larder::cache::cache_bulk::{self, Guest as Bulk};
use bindings::exports::larder::cache::cache_inspect::{CacheStat, Guest as Inspect, Report};
use bindings::exports::larder::cache::cache_updates::{Change, Guest as Updates};
use bindings::exports::larder::cache::types::{Entry, Error};
#[cfg(not(unix))]
use bindings::wasi;
use dir::Dir;
use store::Cache;

/// The component.
pub struct Disk;

impl Disk {
    /// `cache-backend.load`
    pub fn load(cache: &str) -> Result<Loaded, Error> {
        Cache::new(&Dir::root()?, cache)?.load()
    }
}

impl bindings::exports::larder::cache::cache_backend::Guest for Disk {
    fn save(cache: String, entries: Vec<Entry>) -> Result<(), Error> {
        Cache::new(&Dir::root()?, &cache)?.save(&entries)
    }

    fn clear(cache: String) -> Result<(), Error> {
        Cache::new(&Dir::root()?, &cache)?.clear()
    }
}

impl Updates for Disk {
    fn apply(cache: String, changes: Vec<Change>) -> Result<(), Error> {
        Cache::new(&Dir::root()?, &cache)?.apply(&changes)
    }
}

impl Bulk for Disk {
    type Reader = bulk::Reader;
    type Writer = bulk::Writer;

    fn open_reader(cache: String) -> Result<cache_bulk::Reader, Error> {
        let reader = bulk::Reader::open(&Cache::new(&Dir::root()?, &cache)?)?;
        Ok(cache_bulk::Reader::new(reader))
    }

    fn open_writer(cache: String) -> Result<cache_bulk::Writer, Error> {
        let writer = bulk::Writer::open(&Cache::new(&Dir::root()?, &cache)?)?;
        Ok(cache_bulk::Writer::new(writer))
    }
}

impl Inspect for Disk {
    fn list_caches() -> Result<Vec<String>, Error> {
        inspect::list_caches(&Dir::root()?)
    }

    fn stat(cache: String) -> Result<CacheStat, Error> {
        inspect::stat(&Cache::new(&Dir::root()?, &cache)?)
    }

    fn verify(cache: String) -> Result<Report, Error> {
        inspect::verify(&Cache::new(&Dir::root()?, &cache)?)
    }
}
