//! The disk backend of Larder: its exports.
//!
//! A cache is a folder of immutable, versioned files. The rooms of this crate import only from
//! rooms further down:
//!
//! - `store`, `lookup`, `bulk`, `inspect` and `recovery`: the operations;
//! - `changes`: entries and changes as records;
//! - `records`: finds the records that count, across blocks and files;
//! - `folder`: the files of one cache, how a file is published, and which of them make up the
//!   cache;
//! - `format`: the bytes of one file;
//! - `abi`: the border between the component and its host: bindings, lowered values, memory.

mod abi;
mod bulk;
mod changes;
mod clock;
#[cfg(larder_coverage)]
#[path = "../tests/coverage/runtime.rs"]
mod coverage;
mod folder;
pub mod format;
mod inspect;
mod lookup;
#[cfg(unix)]
pub mod native;
pub mod records;
mod recovery;
mod store;

use abi::Error;
use abi::bindings::exports::larder::cache::cache_atomics::{Condition, Guest as CacheAtomics};
use abi::bindings::exports::larder::cache::cache_backend::Guest as CacheBackend;
use abi::bindings::exports::larder::cache::cache_bulk::{Guest as CacheBulk, Reader, Writer};
use abi::bindings::exports::larder::cache::cache_inspect::{
    CacheStat, Guest as CacheInspect, Report,
};
use abi::bindings::exports::larder::cache::cache_lookup::{Found, Guest as CacheLookup, Page};
use abi::bindings::exports::larder::cache::cache_recovery::{Guest as CacheRecovery, Version};
use abi::bindings::exports::larder::cache::cache_updates::{Change, Guest as CacheUpdates};
use abi::bindings::exports::larder::cache::types::Entry;
use folder::Dir;
use store::Cache;

/// The component.
pub struct Disk;

// A native linker has no use for the names of the exports.
#[cfg(target_family = "wasm")]
abi::bindings::export!(Disk with_types_in abi::bindings);

impl CacheBackend for Disk {
    fn save(cache: String, entries: Vec<Entry>) -> Result<(), Error> {
        Cache::new(&Dir::root()?, &cache)?.save(&entries)
    }

    fn clear(cache: String) -> Result<(), Error> {
        Cache::new(&Dir::root()?, &cache)?.clear()
    }
}

impl CacheUpdates for Disk {
    fn apply(cache: String, changes: Vec<Change>) -> Result<(), Error> {
        Cache::new(&Dir::root()?, &cache)?.apply(&[], &changes)?;
        Ok(())
    }
}

impl CacheLookup for Disk {
    fn get_many(cache: String, keys: Vec<String>) -> Result<Vec<Option<Found>>, Error> {
        lookup::get_many(&Cache::new(&Dir::root()?, &cache)?, &keys)
    }

    fn scan(cache: String, after: Option<String>, limit: u32) -> Result<Page, Error> {
        lookup::scan(&Cache::new(&Dir::root()?, &cache)?, after.as_deref(), limit)
    }
}

impl CacheAtomics for Disk {
    fn apply_if(
        cache: String,
        conditions: Vec<Condition>,
        changes: Vec<Change>,
    ) -> Result<Vec<u32>, Error> {
        Cache::new(&Dir::root()?, &cache)?.apply(&conditions, &changes)
    }
}

impl CacheBulk for Disk {
    type Reader = bulk::Reader;
    type Writer = bulk::Writer;

    fn open_reader(cache: String) -> Result<Reader, Error> {
        let reader = bulk::Reader::open(&Cache::new(&Dir::root()?, &cache)?)?;
        Ok(Reader::new(reader))
    }

    fn open_writer(cache: String) -> Result<Writer, Error> {
        let writer = bulk::Writer::open(&Cache::new(&Dir::root()?, &cache)?)?;
        Ok(Writer::new(writer))
    }
}

impl CacheInspect for Disk {
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

impl CacheRecovery for Disk {
    fn versions(cache: String) -> Result<Vec<Version>, Error> {
        recovery::versions(&Cache::new(&Dir::root()?, &cache)?)
    }

    fn recover(cache: String, number: u64) -> Result<(), Error> {
        recovery::recover(&Cache::new(&Dir::root()?, &cache)?, number)
    }
}

/// The two exports whose results [`abi::lower`] lowers.
#[cfg(target_family = "wasm")]
mod lowered {
    use crate::abi::Error;
    use crate::abi::bindings::exports::larder::cache::cache_bulk::ReaderBorrow;
    use crate::abi::lower::{Contents, ReturnArea};
    use crate::bulk::Reader;
    use crate::folder::Dir;
    use crate::store::Cache;

    #[unsafe(export_name = "larder:cache/cache-backend@0.1.0#load")]
    extern "C" fn load(name: *mut u8, bytes: usize) -> *mut ReturnArea {
        wit_bindgen::rt::run_ctors_once();
        // SAFETY: the host has checked that these bytes are UTF-8. It has put them into an
        // allocation of exactly this size, which now belongs to the component.
        let cache = unsafe { String::from_raw_parts(name, bytes, bytes) };
        Box::into_raw(Box::new(ReturnArea::contents(contents(&cache))))
    }

    fn contents(cache: &str) -> Result<Contents, Error> {
        Cache::new(&Dir::root()?, cache)?.load()
    }

    #[unsafe(export_name = "larder:cache/cache-bulk@0.1.0#[method]reader.next")]
    extern "C" fn next(reader: *const u8) -> *mut ReturnArea {
        wit_bindgen::rt::run_ctors_once();
        // SAFETY: the host passes the pointer that the component made the resource from, and keeps
        // the resource until the call returns.
        let reader = unsafe { ReaderBorrow::lift(reader) };
        Box::into_raw(Box::new(ReturnArea::batch(reader.get::<Reader>().next())))
    }

    #[unsafe(export_name = "cabi_post_larder:cache/cache-backend@0.1.0#load")]
    extern "C" fn free_load(area: *mut ReturnArea) {
        // SAFETY: the host calls this once for each result, after it has read the result.
        drop(unsafe { Box::from_raw(area) });
    }

    #[unsafe(export_name = "cabi_post_larder:cache/cache-bulk@0.1.0#[method]reader.next")]
    extern "C" fn free_next(area: *mut ReturnArea) {
        free_load(area);
    }
}
