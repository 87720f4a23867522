//! An application that only uses the cache layer, as often as the bench asks for.

mod bindings {
    #![allow(missing_docs)] // Generated.
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package larder:bench;
            world guest {
                import larder:cache/cache@0.1.0;
                /// Opens the cache and sets this number of entries of 100 bytes.
                export prepare: func(entries: u32) -> result<_, string>;
                /// Gets values that are far from each other. Returns how many were found.
                export get: func(times: u32) -> u32;
                /// Sets values. No key comes twice before all keys have come.
                export set: func(times: u32);
                /// Flushes the changes to the backend.
                export flush: func() -> result<_, string>;
            }
        ",
        world: "larder:bench/guest",
        generate_all,
    });
}
#[cfg(target_arch = "wasm32")] // A native linker rejects the names of these exports.
bindings::export!(Component with_types_in bindings);

use std::cell::RefCell;

use bindings::larder::cache::cache::{Cache, Options};

struct Component;

/// The open cache, and the keys in it.
struct Open {
    cache: Cache,
    keys: Vec<String>,
    /// The index of the next key.
    next: usize,
}

thread_local! {
    static OPEN: RefCell<Option<Open>> = const { RefCell::new(None) };
}

const VALUE: [u8; 100] = [7; 100];

impl bindings::Guest for Component {
    fn prepare(entries: u32) -> Result<(), String> {
        let options = Options {
            capacity: None,
            capacity_bytes: None,
            default_ttl: None,
            flush_every: None,
            flush_after: None,
        };
        let cache = Cache::open("bench", options).map_err(|error| error.to_string())?;
        let keys: Vec<_> = (0..entries).map(|n| format!("user:{n}")).collect();
        for key in &keys {
            cache.set(key, &VALUE, None);
        }
        OPEN.set(Some(Open {
            cache,
            keys,
            next: 0,
        }));
        Ok(())
    }

    fn get(times: u32) -> u32 {
        with_keys(times, |cache, key| cache.get(key).is_some().into())
    }

    fn set(times: u32) {
        with_keys(times, |cache, key| {
            cache.set(key, &VALUE, None);
            0
        });
    }

    fn flush() -> Result<(), String> {
        OPEN.with_borrow(|open| match open {
            Some(open) => open.cache.flush().map_err(|error| error.to_string()),
            None => Err("nothing is open".into()),
        })
    }
}

/// The distance from one key to the next. It is prime, so that all keys come.
const STRIDE: usize = 7919;

/// Calls a function with this number of keys. Returns the sum of its results.
fn with_keys(times: u32, mut each: impl FnMut(&Cache, &str) -> u32) -> u32 {
    OPEN.with_borrow_mut(|open| {
        let Some(Open { cache, keys, next }) = open else {
            return 0;
        };
        let mut sum = 0;
        for _ in 0..times {
            *next = (*next + STRIDE) % keys.len();
            sum += each(cache, &keys[*next]);
        }
        sum
    })
}
