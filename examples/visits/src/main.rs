//! Counts how often it was run: the smallest application of the cache layer.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "cache-user",
        generate_all,
    });
}

use bindings::larder::cache::cache::{Cache, Error, Options};

fn main() -> Result<(), Error> {
    let options = Options {
        capacity: None,
        capacity_bytes: None,
        default_ttl: None,
        flush_every: Some(1),
        flush_after: None,
    };
    let cache = Cache::open("visits", options)?;

    let before = cache.get("count").unwrap_or_default();
    let before: u64 = String::from_utf8_lossy(&before).parse().unwrap_or(0);
    let count = before.saturating_add(1);
    cache.set("count", count.to_string().as_bytes(), None);
    println!("This is visit number {count}.");

    // The cache continues without its storage, so only this tells whether the count was stored.
    match cache.metrics().backend_error {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
