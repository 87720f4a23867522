//! Entries and changes as records, and as a file in memory.

use std::rc::Rc;

use crate::abi::Error;
use crate::abi::bindings::exports::larder::cache::cache_updates::Change;
use crate::abi::bindings::exports::larder::cache::types::Entry;
use crate::abi::memory::{buffer, reserve};
use crate::abi::wasi::random::random::get_random_u64;
use crate::clock::wall_now;
use crate::format::{self, BLOCKS, Encoder, Kind, LostKeys, Put, Record, Sink};

/// How much memory a file of some records takes.
#[derive(Default)]
pub struct Size {
    records: u64,
    /// The bytes of all keys and values, and those of the largest record.
    bytes: u64,
    largest: u64,
}

impl Size {
    /// The size of these records.
    pub fn of<'a>(records: impl Iterator<Item = Record<'a>>) -> Size {
        records.fold(Size::default(), |size, record| {
            let value = record.put.map_or(0, |put| put.value.len());
            let bytes = (record.key.len() + value) as u64;
            Size {
                records: size.records + 1,
                bytes: size.bytes + bytes,
                largest: size.largest.max(bytes),
            }
        })
    }
}

/// A file of these records in memory, with its id. `size` is the size of these records, or more.
pub fn encoded<'a>(
    kind: Kind,
    records: &mut dyn Iterator<Item = Record<'a>>,
    size: Size,
) -> Result<(u64, Rc<Vec<u8>>), Error> {
    let mut file = buffer(format::encoded_size(size.records, size.bytes))?;
    // The largest record is copied once more, into a buffer that grows.
    reserve(0, size.largest.saturating_mul(2))?;
    let mut encoder = Encoder::new(get_random_u64(), kind, BLOCKS);
    let (id, sink): (u64, &mut dyn Sink<Error>) = (encoder.id(), &mut file);
    for record in records {
        encoder.push(record, sink)?;
    }
    encoder.finish(wall_now(), &LostKeys::default(), 0, sink)?;
    Ok((id, Rc::new(file)))
}

/// The record of an entry. An entry with a time to live of zero becomes a removal.
pub fn put<'a>(key: &'a str, value: &'a [u8], ttl: Option<u64>) -> Record<'a> {
    let put = (ttl != Some(0)).then_some(Put { value, ttl });
    Record { key, put }
}

/// The record of an entry.
pub fn put_record(entry: &Entry) -> Record<'_> {
    put(&entry.key, &entry.value, entry.ttl)
}

/// The record of a change.
pub fn change_record(change: &Change) -> Record<'_> {
    match change {
        Change::Put(entry) => put_record(entry),
        Change::Remove(key) => Record { key, put: None },
    }
}
