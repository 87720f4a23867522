//! An application that does nothing but use the cache layer, as often as it is told to.

mod bindings {
    #![allow(missing_docs)] // Generated, for the bench alone.
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package larder:bench;
            world guest {
                import larder:cache/cache@0.1.0;
                /// Opens the cache and sets so many entries of 100 bytes.
                export prepare: func(entries: u32) -> result<_, string>;
                /// Gets values, far from each other; says how many were found.
                export get: func(times: u32) -> u32;
                /// Sets values, each of another key until all have had their turn.
                export set: func(times: u32);
                /// Hands changes to the backend.
                export flush: func() -> result<_, string>;
            }
        ",
        world: "larder:bench/guest",
        generate_all,
    });
    // The names of the exports mean nothing to a native linker.
    #[cfg(target_arch = "wasm32")]
    use super::Component;
    #[cfg(target_arch = "wasm32")]
    export!(Component);
}

use std::cell::RefCell;

use bindings::larder::cache::cache::{Cache, Options};

struct Component;

/// A cache that is open, and the keys in it.
struct Open {
    cache: Cache,
    keys: Vec<String>,
    /// Which key is next.
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

/// From one key to the next: a prime.
const STRIDE: usize = 7919;

/// Does something with so many keys, and adds up what comes of it.
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
