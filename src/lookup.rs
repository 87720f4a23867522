//! The operations get-many and scan: single keys, without loading the cache.

use crate::abi::Error;
use crate::abi::bindings::exports::larder::cache::cache_lookup::{Found, Page};
use crate::abi::memory::{buffer, reserve};
use crate::clock::Deadlines;
use crate::folder::Published;
use crate::format::{Keys, Piece, Reader, key_hash};
use crate::records::{Stream, find};
use crate::store::Cache;

/// The most keys of a page.
const MOST_KEYS: usize = 100_000;

/// Returns the live values of these keys.
pub fn get_many(cache: &Cache, keys: &[String]) -> Result<Vec<Option<Found>>, Error> {
    let (files, cut_off) = cache.files()?;
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    find(files, cut_off, &keys)
}

/// Returns the live keys that follow a cursor. Keys are in the order of their hashes, which no
/// change to a cache affects. A cursor is the last hash of a page. Keys with one hash are in one
/// page.
pub fn scan(cache: &Cache, after: Option<&str>, limit: u32) -> Result<Page, Error> {
    let first = match after {
        None => Some(0),
        Some(cursor) => hash_of(cursor)?.checked_add(1),
    };
    if limit == 0 {
        return Err(Error::InvalidArgument(
            "the limit must be at least 1".into(),
        ));
    }
    let mut page = Page {
        keys: Vec::new(),
        next: None,
    };
    let Some(first) = first else {
        return Ok(page);
    };
    let (files, cut_off) = cache.files()?;
    let limit = (limit as usize).min(MOST_KEYS);
    let hashes = lowest_hashes(&files, first, limit)?;
    if hashes.len() >= limit {
        page.next = hashes.last().map(|last| format!("{last:016x}"));
    }
    let now = Deadlines::now();
    let mut stream = Stream::select(files, cut_off, hashes.clone().into());
    while let Some((header, block)) = stream.next()? {
        reserve(block.columns().len() as u64, 0)?;
        for record in block.columns().records() {
            if hashes.binary_search(&key_hash(record.key)).is_ok()
                && stream.is_newest(record.key)?
                && let Some(put) = record.put
                && now.of(put.ttl, header.saved_at).is_some()
            {
                let mut key = buffer(record.key.len() as u64)?;
                key.extend_from_slice(record.key.as_bytes());
                page.keys.push(String::from_utf8(key).unwrap_or_default());
            }
        }
    }
    page.keys
        .sort_by_cached_key(|key| (key_hash(key), key.clone()));
    Ok(page)
}

fn hash_of(cursor: &str) -> Result<u64, Error> {
    let is_cursor = cursor.len() == 16 && cursor.bytes().all(|digit| digit.is_ascii_hexdigit());
    let hash = is_cursor.then(|| u64::from_str_radix(cursor, 16).ok());
    hash.flatten()
        .ok_or_else(|| Error::InvalidArgument("no page gave this cursor".into()))
}

/// The lowest hashes of keys in these files, from `first` on, sorted. There are `limit` of them,
/// unless there are no more.
fn lowest_hashes(files: &[Published], first: u64, limit: usize) -> Result<Vec<u64>, Error> {
    let mut lowest = Lowest {
        hashes: Vec::new(),
        limit,
    };
    for file in files {
        let Ok(mut reader) = Reader::open(file.bytes.clone())? else {
            continue;
        };
        let mut is_whole = true;
        while let Some(keys) = reader.next_keys()? {
            match keys {
                Keys::Known(index) => lowest.add(index.hashes().filter(|hash| *hash >= first)),
                Keys::Unknown { .. } => is_whole = false,
            }
        }
        if is_whole {
            continue;
        }
        // An index is damaged, so the keys are in the blocks alone.
        let Ok(mut reader) = Reader::open(file.bytes.clone())? else {
            continue;
        };
        while let Some(piece) = reader.next()? {
            if let Piece::Block(block) = piece {
                let records = block.columns();
                let hashes = records.records().map(|record| key_hash(record.key));
                lowest.add(hashes.filter(|hash| *hash >= first));
            }
        }
    }
    Ok(lowest.finish())
}

/// Keeps the lowest of many hashes.
struct Lowest {
    hashes: Vec<u64>,
    limit: usize,
}

impl Lowest {
    fn add(&mut self, hashes: impl Iterator<Item = u64>) {
        for hash in hashes {
            self.hashes.push(hash);
            if self.hashes.len() > 4 * self.limit + 1024 {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.hashes.truncate(self.limit);
    }

    fn finish(mut self) -> Vec<u64> {
        self.cut();
        self.hashes
    }
}
