//! An application whose caches a test controls. Handles stay open until they are closed or the
//! instance ends.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package larder:guest;

            world guest {
                import larder:cache/cache@0.1.0;

                export open: func(cache: string, capacity: option<u64>) -> result<_, string>;
                /// Closes all handles to a cache.
                export close: func(cache: string);
                export get: func(cache: string, key: string) -> option<list<u8>>;
                /// Asks for one key this many times, in one call. Returns how many values were
                /// found.
                export get-many: func(cache: string, key: string, times: u32) -> u32;
                export set: func(cache: string, key: string, value: list<u8>);
                /// Sets this many entries of this many bytes each, in one call.
                export set-many: func(cache: string, entries: u32, bytes: u32);
                /// Opens a cache, sets one entry of this many bytes, and flushes it, in one call.
                export keep: func(cache: string, bytes: u32) -> result<_, string>;
                export keys: func(cache: string) -> list<string>;
                export clear: func(cache: string) -> result<_, string>;
                export flush: func(cache: string) -> result<_, string>;
                /// How many entries there are, how many bytes they take, and the error of the
                /// backend.
                export metrics: func(cache: string) -> tuple<u64, u64, option<string>>;
                /// Uses a cache that only one tenant has, while other tenants do the same. Returns
                /// how many values it found, or which foreign key or value it saw.
                export work: func(cache: string, owner: string, rounds: u32) -> result<u32, string>;
                export crash: func();
            }
        ",
        world: "larder:guest/guest",
        generate_all,
    });
}
bindings::export!(Component with_types_in bindings);

use std::cell::RefCell;
use std::collections::BTreeMap;

use bindings::Guest;
use bindings::larder::cache::cache::{Cache, Options};
use bindings::larder::cache::types::Entry;

/// How many keys `work` uses.
const KEYS: u32 = 50;

const UNLIMITED: Options = Options {
    capacity: None,
    capacity_bytes: None,
    default_ttl: None,
    flush_every: None,
    flush_after: None,
};

struct Component;

thread_local! {
    static OPEN: RefCell<BTreeMap<String, Vec<Cache>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Uses an open cache. If the test has not opened it, the instance traps.
fn with<T>(cache: &str, act: impl FnOnce(&Cache) -> T) -> T {
    OPEN.with_borrow(|open| {
        let Some(cache) = open.get(cache).and_then(|handles| handles.first()) else {
            std::process::abort()
        };
        act(cache)
    })
}

fn keys(cache: &Cache) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = cache.keys(after, 7);
        keys.extend(page.keys);
        after = page.next;
        if after.is_none() {
            return keys;
        }
    }
}

impl Guest for Component {
    fn open(cache: String, capacity: Option<u64>) -> Result<(), String> {
        let options = Options {
            capacity,
            ..UNLIMITED
        };
        let opened = Cache::open(&cache, options).map_err(|error| format!("{error:?}"))?;
        OPEN.with_borrow_mut(|open| open.entry(cache).or_default().push(opened));
        Ok(())
    }

    fn close(cache: String) {
        OPEN.with_borrow_mut(|open| open.remove(&cache));
    }

    fn get(cache: String, key: String) -> Option<Vec<u8>> {
        with(&cache, |cache| cache.get(&key))
    }

    fn get_many(cache: String, key: String, times: u32) -> u32 {
        let keys = vec![key; times as usize];
        let values = with(&cache, |cache| cache.get_many(&keys));
        values.iter().flatten().count() as u32
    }

    fn set(cache: String, key: String, value: Vec<u8>) {
        with(&cache, |cache| cache.set(&key, &value, None));
    }

    fn set_many(cache: String, entries: u32, bytes: u32) {
        let entries = (0..entries).map(|n| Entry {
            key: n.to_string(),
            value: vec![0; bytes as usize],
            ttl: None,
        });
        let entries: Vec<_> = entries.collect();
        with(&cache, |cache| cache.set_many(&entries));
    }

    fn keep(cache: String, bytes: u32) -> Result<(), String> {
        Self::open(cache.clone(), None)?;
        Self::set_many(cache.clone(), 1, bytes);
        Self::flush(cache)
    }

    fn keys(cache: String) -> Vec<String> {
        with(&cache, keys)
    }

    fn clear(cache: String) -> Result<(), String> {
        with(&cache, Cache::clear).map_err(|error| format!("{error:?}"))
    }

    fn flush(cache: String) -> Result<(), String> {
        with(&cache, Cache::flush).map_err(|error| format!("{error:?}"))
    }

    fn metrics(cache: String) -> (u64, u64, Option<String>) {
        let metrics = with(&cache, Cache::metrics);
        let error = metrics.backend_error.map(|error| format!("{error:?}"));
        (metrics.entries, metrics.bytes, error)
    }

    fn work(cache: String, owner: String, rounds: u32) -> Result<u32, String> {
        let cache = Cache::open(&cache, UNLIMITED).map_err(|error| format!("{error:?}"))?;
        let mut hits = 0;
        for n in 0..rounds {
            let key = format!("{}", n % KEYS);
            let own = format!("{owner} {key}");
            match cache.get(&key) {
                Some(value) if value == own.as_bytes() => hits += 1,
                Some(value) => return Err(format!("{key} is {}", String::from_utf8_lossy(&value))),
                None => cache.set(&key, own.as_bytes(), None),
            }
            cache.set(&own, own.as_bytes(), None);
        }
        let strange = |key: &String| key.parse::<u32>().is_err() && !key.starts_with(&owner);
        match keys(&cache).into_iter().find(strange) {
            Some(key) => Err(format!("{key} is there")),
            None => Ok(hits),
        }
    }

    fn crash() {
        std::process::abort();
    }
}
