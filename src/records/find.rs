//! Finds the live values of single keys.

use std::collections::BTreeMap;

use crate::abi::Error;
use crate::abi::bindings::exports::larder::cache::cache_lookup::Found;
use crate::abi::memory::{buffer, reserve};
use crate::clock::Deadlines;
use crate::folder::Published;
use crate::format::key_hash;

use super::stream::Stream;

/// Finds the live values of these keys in files of one cache, given from the newest to the oldest.
pub fn find(
    files: Vec<Published>,
    cut_off: u64,
    keys: &[&str],
) -> Result<Vec<Option<Found>>, Error> {
    reserve(keys.len() as u64, 0)?;
    let mut found: Vec<Option<Found>> = keys.iter().map(|_| None).collect();
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, key) in keys.iter().enumerate() {
        places.entry(key).or_default().push(place);
    }
    let mut wanted: Vec<u64> = places.keys().map(key_hash).collect();
    wanted.sort_unstable();
    let now = Deadlines::now();
    let mut stream = Stream::select(files, cut_off, wanted.into());
    let mut missing = places.len();
    while missing > 0
        && let Some((header, block)) = stream.next()?
    {
        for record in block.columns().records() {
            let Some(places) = places.get(record.key) else {
                continue;
            };
            if !stream.is_newest(record.key)? {
                continue;
            }
            missing -= 1;
            let live = record
                .put
                .and_then(|put| Some((put.value, now.of(put.ttl, header.saved_at)?)));
            for place in places {
                if let (Some((value, expires_at)), Some(found)) = (live, found.get_mut(*place)) {
                    let mut copy = buffer(value.len() as u64)?;
                    copy.extend_from_slice(value);
                    *found = Some(Found {
                        value: copy,
                        expires_at,
                    });
                }
            }
        }
    }
    Ok(found)
}
