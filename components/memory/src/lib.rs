//! A backend in memory: what it keeps is gone with the instance. The smallest example of how to write one.
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod bindings {
    #![allow(missing_docs)] // Generated; the documentation is in the WIT.
    wit_bindgen::generate!({
        path: "../../wit",
        world: "memory",
        generate_all,
        merge_structurally_equal_types: true,
    });
    // The names of the exports mean nothing to a native linker.
    #[cfg(target_arch = "wasm32")]
    use super::Memory;
    #[cfg(target_arch = "wasm32")]
    export!(Memory);
}

use std::cell::RefCell;
use std::collections::HashMap;

use bindings::exports::larder::cache::cache_backend::{self, Contents, Entry, Error};
use bindings::exports::larder::cache::cache_updates::{self, Change};
use bindings::exports::larder::cache::types::LiveEntry;
use bindings::wasi::clocks::monotonic_clock::now;

// Every backend refuses the same names.
#[path = "../../../src/name.rs"]
mod name;

struct Memory;

/// What one cache holds.
#[derive(Default)]
struct Cache {
    /// By its key, each value and when it expires.
    entries: HashMap<String, (Vec<u8>, Option<u64>)>,
    /// What keys and values take, in bytes.
    size: usize,
}

thread_local! {
    static CACHES: RefCell<HashMap<String, Cache>> = RefCell::default();
}

/// The most bytes of keys and values in one cache. An instance has 4 GiB at most, and to save a cache anew it needs the
/// old one and the new one, which came from the caller.
const LARGEST: usize = 1 << 30;

impl cache_backend::Guest for Memory {
    fn load(cache: String) -> Result<Contents, Error> {
        check(&cache)?;
        let now = now();
        let entries = CACHES.with_borrow_mut(|caches| {
            let Some(cache) = caches.get_mut(&cache) else {
                return Vec::new();
            };
            cache.drop_expired(now);
            let entries = cache.entries.iter();
            let entries = entries.map(|(key, (value, expires_at))| LiveEntry {
                key: key.clone(),
                value: value.clone(),
                expires_at: *expires_at,
            });
            entries.collect()
        });
        Ok(Contents { entries, lost: 0 })
    }

    fn save(cache: String, entries: Vec<Entry>) -> Result<(), Error> {
        check(&cache)?;
        let mut saved = Cache::default();
        saved.check_room_for(&entries)?;
        let now = now();
        for entry in entries {
            saved.put(entry, now);
        }
        CACHES.with_borrow_mut(|caches| caches.insert(cache, saved));
        Ok(())
    }

    fn clear(cache: String) -> Result<(), Error> {
        check(&cache)?;
        CACHES.with_borrow_mut(|caches| caches.remove(&cache));
        Ok(())
    }
}

impl cache_updates::Guest for Memory {
    fn apply(cache: String, changes: Vec<Change>) -> Result<(), Error> {
        check(&cache)?;
        let now = now();
        CACHES.with_borrow_mut(|caches| {
            let cache = caches.entry(cache).or_default();
            let puts = || {
                changes.iter().filter_map(|change| match change {
                    Change::Put(entry) => Some(entry),
                    Change::Remove(_) => None,
                })
            };
            if cache.check_room_for(puts()).is_err() {
                cache.drop_expired(now);
                cache.check_room_for(puts())?;
            }
            for change in changes {
                match change {
                    Change::Put(entry) => cache.put(entry, now),
                    Change::Remove(key) => cache.remove(&key),
                }
            }
            Ok(())
        })
    }
}

impl Cache {
    /// Puts an entry in place of what its key held; one that lives for no time at all only removes that.
    fn put(&mut self, entry: Entry, now: u64) {
        self.remove(&entry.key);
        if entry.ttl != Some(0) {
            let expires_at = entry.ttl.map(|ttl| now.saturating_add(ttl));
            self.size += size(&entry.key, &entry.value);
            self.entries.insert(entry.key, (entry.value, expires_at));
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some((value, _)) = self.entries.remove(key) {
            self.size -= size(key, &value);
        }
    }

    fn drop_expired(&mut self, now: u64) {
        let live = |expires_at: &Option<u64>| expires_at.is_none_or(|at| at > now);
        self.entries.retain(|_, (_, expires_at)| live(expires_at));
        let sizes = self
            .entries
            .iter()
            .map(|(key, (value, _))| size(key, value));
        self.size = sizes.sum();
    }

    /// Refuses more than a cache may hold, before anything is changed.
    fn check_room_for<'a>(&self, added: impl IntoIterator<Item = &'a Entry>) -> Result<(), Error> {
        let added = added
            .into_iter()
            .map(|entry| size(&entry.key, &entry.value));
        let size = added.fold(self.size, usize::saturating_add);
        match size <= LARGEST {
            true => Ok(()),
            false => Err(Error::TooLarge(size as u64)),
        }
    }
}

fn size(key: &str, value: &[u8]) -> usize {
    key.len() + value.len()
}

fn check(cache: &str) -> Result<(), Error> {
    name::check(cache).map_err(|rule| Error::InvalidName(rule.into()))
}
