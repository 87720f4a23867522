//! An adapter that adds `cache-updates` to a backend that can only load, save and clear.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "simple-updates",
        generate_all,
        merge_structurally_equal_types: true,
    });
}
bindings::export!(SimpleUpdates with_types_in bindings);

use std::collections::BTreeMap;

use bindings::exports::larder::cache::cache_updates::{self, Change};
use bindings::exports::larder::cache::{cache_backend, types};
use bindings::larder::cache::cache_backend as backend;
use bindings::wasi::clocks::monotonic_clock::now;
use types::{Contents, Entry, Error};

struct SimpleUpdates;

impl cache_updates::Guest for SimpleUpdates {
    fn apply(cache: String, changes: Vec<Change>) -> Result<(), Error> {
        let contents = backend::load(&cache)?;
        if changes.is_empty() {
            return Ok(());
        }
        let now = now();
        let live = contents.entries.into_iter().map(|entry| Entry {
            ttl: entry.expires_at.map(|at| at.saturating_sub(now)),
            key: entry.key,
            value: entry.value,
        });
        let mut entries: BTreeMap<_, _> = live.map(|entry| (entry.key.clone(), entry)).collect();
        for change in changes {
            match change {
                Change::Put(entry) => drop(entries.insert(entry.key.clone(), entry)),
                Change::Remove(key) => drop(entries.remove(&key)),
            }
        }
        let entries: Vec<_> = entries.into_values().collect();
        backend::save(&cache, &entries)
    }
}

impl cache_backend::Guest for SimpleUpdates {
    fn load(cache: String) -> Result<Contents, Error> {
        backend::load(&cache)
    }

    fn save(cache: String, entries: Vec<Entry>) -> Result<(), Error> {
        backend::save(&cache, &entries)
    }

    fn clear(cache: String) -> Result<(), Error> {
        backend::clear(&cache)
    }
}
