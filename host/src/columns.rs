//! Entries in columns, as `cache-bulk` takes and gives them.

use std::mem;
use std::slice;

use crate::bindings::cache_bulk::{Batch, LiveBatch};
use crate::bindings::{nanoseconds, types};
use crate::instance::Clocks;
use crate::{Entry, LiveEntry};

/// How many bytes of entries are handed to a component at a time, unless a single one is larger.
pub(crate) const BATCH: usize = 256 * 1024;

/// What stands for no time to live, and for no deadline.
const NEVER: u64 = u64::MAX;

/// Entries on their way to a component.
#[derive(Default)]
pub(crate) struct Columns {
    keys: String,
    key_lengths: Vec<u32>,
    values: Vec<u8>,
    value_lengths: Vec<u32>,
    /// Empty as long as there is no ttl but [`NEVER`].
    ttls: Vec<u64>,
}

impl Columns {
    /// How many bytes an entry takes in columns.
    pub(crate) fn size_of(entry: &Entry) -> usize {
        2 * size_of::<u32>() + size_of::<u64>() + entry.key.len() + entry.value.len()
    }

    /// How many bytes the entries take.
    pub(crate) fn size(&self) -> usize {
        let lengths = (2 * size_of::<u32>() + size_of::<u64>()) * self.len();
        lengths + self.keys.len() + self.values.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.key_lengths.len()
    }

    /// Adds an entry, of less than 4 GiB.
    pub(crate) fn push(&mut self, entry: &Entry) {
        let ttl = ttl(entry);
        if ttl != NEVER && self.ttls.is_empty() {
            self.ttls.resize(self.len(), NEVER);
            self.ttls.push(ttl);
        } else if !self.ttls.is_empty() {
            self.ttls.push(ttl);
        }
        self.keys.push_str(&entry.key);
        self.key_lengths.push(entry.key.len() as u32);
        self.values.extend_from_slice(&entry.value);
        self.value_lengths.push(entry.value.len() as u32);
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.key_lengths.clear();
        self.values.clear();
        self.value_lengths.clear();
        self.ttls.clear();
    }

    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch {
            keys: &self.keys,
            key_lengths: &self.key_lengths,
            values: &self.values,
            value_lengths: &self.value_lengths,
            ttls: &self.ttls,
        }
    }

    /// The entries one by one, for an interface that knows no columns.
    pub(crate) fn list(&self) -> Vec<types::Entry<'_>> {
        let (mut keys, mut values) = (&*self.keys, &*self.values);
        let lengths = self.key_lengths.iter().zip(&self.value_lengths);
        let entry = |(i, (&key_length, &value_length)): (usize, (&u32, &u32))| {
            let (key, value);
            (key, keys) = keys.split_at(key_length as usize);
            (value, values) = values.split_at(value_length as usize);
            let ttl = self.ttls.get(i).copied().filter(|ttl| *ttl != NEVER);
            types::Entry { key, value, ttl }
        };
        lengths.enumerate().map(entry).collect()
    }
}

/// Hands one entry, of less than 4 GiB, as a batch of its own, and copies nothing.
pub(crate) fn alone<T>(entry: &Entry, give: impl FnOnce(Batch<'_>) -> T) -> T {
    let lengths = [entry.key.len() as u32, entry.value.len() as u32];
    let ttl = ttl(entry);
    give(Batch {
        keys: &entry.key,
        key_lengths: slice::from_ref(&lengths[0]),
        values: &entry.value,
        value_lengths: slice::from_ref(&lengths[1]),
        ttls: slice::from_ref(&ttl),
    })
}

fn ttl(entry: &Entry) -> u64 {
    entry.ttl.map_or(NEVER, nanoseconds)
}

/// Entries that came from a component, which are built as they are asked for.
pub(crate) struct LiveColumns {
    columns: LiveBatch,
    clocks: Clocks,
    /// The entry that is next, and where its key and its value begin.
    next: usize,
    key: usize,
    value: usize,
}

impl LiveColumns {
    /// Takes nothing but what the contract allows.
    pub(crate) fn new(columns: LiveBatch, clocks: Clocks) -> wasmtime::Result<Self> {
        let count = columns.key_lengths.len();
        let sum = |lengths: &[u32]| lengths.iter().map(|length| u64::from(*length)).sum::<u64>();
        let mut end = 0;
        let on_boundary = |length: &u32| {
            end += *length as usize;
            columns.keys.is_char_boundary(end)
        };
        if count == 0
            || columns.value_lengths.len() != count
            || !(columns.expires_at.is_empty() || columns.expires_at.len() == count)
            || columns.keys.len() as u64 != sum(&columns.key_lengths)
            || columns.values.len() as u64 != sum(&columns.value_lengths)
            || !columns.key_lengths.iter().all(on_boundary)
        {
            wasmtime::bail!("it gave a batch whose columns do not fit each other");
        }
        Ok(Self {
            columns,
            clocks,
            next: 0,
            key: 0,
            value: 0,
        })
    }

    /// How many bytes of the host's memory the entries take that are left.
    pub(crate) fn size(&self) -> usize {
        let bytes = self.columns.keys.len() - self.key + self.columns.values.len() - self.value;
        bytes + self.len() * size_of::<LiveEntry>()
    }
}

impl Iterator for LiveColumns {
    type Item = LiveEntry;

    fn next(&mut self) -> Option<LiveEntry> {
        let columns = &mut self.columns;
        let key_end = self.key + *columns.key_lengths.get(self.next)? as usize;
        let value_end = self.value + columns.value_lengths[self.next] as usize;
        let expires_at = columns.expires_at.get(self.next).copied();
        // One that has a batch for itself may be large.
        let (key, value) = match columns.key_lengths.len() {
            1 => (mem::take(&mut columns.keys), mem::take(&mut columns.values)),
            _ => (
                columns.keys[self.key..key_end].to_owned(),
                columns.values[self.value..value_end].to_vec(),
            ),
        };
        (self.next, self.key, self.value) = (self.next + 1, key_end, value_end);
        Some(LiveEntry {
            key,
            value,
            expires_at: expires_at
                .filter(|at| *at != NEVER)
                .and_then(|at| self.clocks.instant(at)),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.columns.key_lengths.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for LiveColumns {}
