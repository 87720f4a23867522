//! The cache layer: the component that exports `larder:cache/cache` above a backend.
//!
//! `layer` is one cache above a backend. `entries` are its entries in memory, and `claims` are the
//! claims to its keys. `keys` is a map by keys. This file shares one layer among all handles to the
//! same name.

mod claims;
mod entries;
mod keys;
mod layer;

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "cache-layer",
        generate_all,
        merge_structurally_equal_types: true,
        additional_derives: [PartialEq],
    });
}
#[cfg(target_arch = "wasm32")] // A native linker rejects the names of these exports.
bindings::export!(Component with_types_in bindings);

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use bindings::exports::larder::cache::cache::{
    self, Found, Guest, GuestCache, Metrics, Options, Page,
};
use bindings::larder::cache::cache_backend;
use bindings::larder::cache::cache_updates::{self, Change};
use bindings::larder::cache::types::{Contents, Error};
use bindings::wasi::clocks::monotonic_clock;
use bindings::wasi::random::random::get_random_u64;
use layer::{Backend, Layer};

/// The component.
struct Component;

/// The backend that the component is composed with.
struct Imported;

/// A handle to a cache.
struct Handle(Rc<RefCell<Layer<Imported>>>);

thread_local! {
    /// The open caches by name.
    static OPEN: RefCell<BTreeMap<String, Weak<RefCell<Layer<Imported>>>>> = const {
        RefCell::new(BTreeMap::new())
    };
}

/// Reads the monotonic clock. A backend's deadlines are on the same clock.
fn now() -> u64 {
    monotonic_clock::now()
}

impl Backend for Imported {
    fn load(&self, cache: &str) -> Result<Contents, Error> {
        cache_backend::load(cache)
    }

    fn clear(&self, cache: &str) -> Result<(), Error> {
        cache_backend::clear(cache)
    }

    fn apply(&self, cache: &str, changes: &[Change]) -> Result<(), Error> {
        cache_updates::apply(cache, changes)
    }
}

impl Guest for Component {
    type Cache = Handle;
}

impl Handle {
    fn layer(&self) -> RefMut<'_, Layer<Imported>> {
        // A layer calls only the backend, so no other borrow is alive here.
        self.0.borrow_mut()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if Rc::strong_count(&self.0) == 1 {
            // No handle is left that could report an error.
            let _ = self.layer().flush(now());
        }
    }
}

impl GuestCache for Handle {
    fn open(name: String, options: Options) -> Result<cache::Cache, Error> {
        let open = OPEN.with_borrow(|open| open.get(&name).and_then(Weak::upgrade));
        let layer = match open {
            Some(layer) => {
                layer.borrow_mut().adopt(options, now());
                layer
            }
            None => {
                let layer = Layer::open(Imported, &name, options, get_random_u64(), now())?;
                let layer = Rc::new(RefCell::new(layer));
                OPEN.with_borrow_mut(|open| {
                    open.retain(|_, layer| layer.strong_count() > 0);
                    open.insert(name, Rc::downgrade(&layer));
                });
                layer
            }
        };
        Ok(cache::Cache::new(Handle(layer)))
    }

    fn get(&self, key: String) -> Option<Vec<u8>> {
        self.layer().get(&key, now()).map(<[u8]>::to_vec)
    }

    fn get_many(&self, keys: Vec<String>) -> Vec<Option<Vec<u8>>> {
        let (mut layer, now) = (self.layer(), now());
        let values = keys
            .iter()
            .map(|key| layer.get(key, now).map(<[u8]>::to_vec));
        values.collect()
    }

    fn get_or_claim(&self, key: String, lease: u64) -> Found {
        self.layer().get_or_claim(&key, lease, now())
    }

    fn set(&self, key: String, value: Vec<u8>, ttl: Option<u64>) {
        self.layer().set(key, value, ttl, now());
    }

    fn set_many(&self, entries: Vec<cache::Entry>) {
        let mut layer = self.layer();
        for entry in entries {
            // An entry may complete a group, whose flush takes time: the clock is read anew.
            layer.set(entry.key, entry.value, entry.ttl, now());
        }
    }

    fn delete(&self, key: String) -> bool {
        self.layer().delete(&key, now())
    }

    fn contains(&self, key: String) -> bool {
        self.layer().contains(&key, now())
    }

    fn keys(&self, after: Option<u64>, limit: u32) -> Page {
        self.layer().keys(after, limit, now())
    }

    fn clear(&self) -> Result<(), Error> {
        self.layer().clear(now())
    }

    fn flush(&self) -> Result<(), Error> {
        self.layer().flush(now())
    }

    fn metrics(&self) -> Metrics {
        self.layer().metrics()
    }
}
