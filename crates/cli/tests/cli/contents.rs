//! The contents of the one cache that a test writes, kills and fills a disk with.

use std::collections::BTreeMap;

use larder_host::Backend;

/// The one cache of each store.
pub const CACHE: &str = "sessions";

/// The value of each key.
pub type Values = BTreeMap<String, Vec<u8>>;

/// Loads the cache, which has to be whole.
pub fn load(backend: &Backend) -> Values {
    let contents = backend.load(CACHE).expect("the cache is not corrupt");
    assert_eq!(contents.lost, 0, "nothing is damaged");
    let entries = contents.entries.into_iter();
    entries.map(|entry| (entry.key, entry.value)).collect()
}
