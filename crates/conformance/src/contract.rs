//! The types of the contract, and functions that make and read them.

use std::collections::BTreeMap;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "full-backend",
        additional_derives: [PartialEq, Clone],
    });
}

pub(crate) use bindings::exports::larder::cache::{
    cache_atomics, cache_backend, cache_bulk, cache_inspect, cache_lookup, cache_recovery,
    cache_updates,
};
pub use bindings::exports::larder::cache::{
    cache_atomics::Condition,
    cache_bulk::{Batch, LiveBatch},
    cache_inspect::{CacheStat, Damage, Part, Report},
    cache_lookup::{Found, Page},
    cache_updates::Change,
    types::{Contents, Entry, Error, LiveEntry},
};

/// Makes an entry to save; the ttl is in nanoseconds.
pub fn entry(key: impl Into<String>, value: impl Into<Vec<u8>>, ttl: Option<u64>) -> Entry {
    Entry {
        key: key.into(),
        value: value.into(),
        ttl,
    }
}

/// Makes a change that puts an entry.
pub fn put(key: impl Into<String>, value: impl Into<Vec<u8>>, ttl: Option<u64>) -> Change {
    Change::Put(entry(key, value, ttl))
}

/// Makes a change that removes an entry.
pub fn remove(key: impl Into<String>) -> Change {
    Change::Remove(key.into())
}

/// Makes a condition: the key has this value, or none.
pub fn condition(key: impl Into<String>, value: Option<&[u8]>) -> Condition {
    Condition {
        key: key.into(),
        value: value.map(<[u8]>::to_vec),
    }
}

/// Makes a batch: entries in columns.
pub fn batch<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Batch {
    let mut batch = Batch {
        keys: String::new(),
        key_lengths: Vec::new(),
        values: Vec::new(),
        value_lengths: Vec::new(),
        ttls: Vec::new(),
    };
    for entry in entries {
        batch.keys.push_str(&entry.key);
        batch.key_lengths.push(length(entry.key.len()));
        batch.values.extend_from_slice(&entry.value);
        batch.value_lengths.push(length(entry.value.len()));
        batch.ttls.push(entry.ttl.unwrap_or(UNLIMITED));
    }
    if batch.ttls.iter().all(|ttl| *ttl == UNLIMITED) {
        batch.ttls.clear();
    }
    batch
}

/// Stands for no ttl and for no deadline in columns.
const UNLIMITED: u64 = u64::MAX;

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an entry is shorter than 4 GiB")
}

/// Gives the entries of a batch, one by one.
///
/// # Panics
///
/// If the columns do not fit each other, or if the batch has no entry.
pub fn entries(batch: LiveBatch) -> Vec<LiveEntry> {
    let LiveBatch {
        keys,
        key_lengths,
        values,
        value_lengths,
        expires_at,
    } = batch;
    assert!(!key_lengths.is_empty(), "a batch has no entry");
    assert_eq!(key_lengths.len(), value_lengths.len());
    assert!(expires_at.is_empty() || expires_at.len() == key_lengths.len());
    let (mut keys, mut values) = (keys.as_str(), values.as_slice());
    let mut deadlines = expires_at.into_iter();
    let lengths = key_lengths.into_iter().zip(value_lengths);
    let entries = lengths.map(|(key_length, value_length)| {
        let (key, value);
        (key, keys) = keys.split_at(key_length as usize);
        (value, values) = values.split_at(value_length as usize);
        LiveEntry {
            key: key.to_owned(),
            value: value.to_vec(),
            expires_at: deadlines.next().filter(|deadline| *deadline != UNLIMITED),
        }
    });
    let entries = entries.collect();
    assert!(
        keys.is_empty() && values.is_empty(),
        "bytes are left over after the last entry"
    );
    entries
}

/// Sorts entries by their keys: a load gives them in any order.
pub fn sorted(mut entries: Vec<LiveEntry>) -> Vec<LiveEntry> {
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    entries
}

/// Gives the values of a load by their keys.
///
/// # Panics
///
/// If a key comes twice, or if entries were lost.
pub fn values(contents: Contents) -> BTreeMap<String, Vec<u8>> {
    assert_eq!(contents.lost, 0, "the load reports lost entries");
    let count = contents.entries.len();
    let entries = contents.entries.into_iter();
    let values: BTreeMap<_, _> = entries.map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(values.len(), count, "a key comes twice");
    values
}
