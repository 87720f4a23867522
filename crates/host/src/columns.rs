//! Batches: entries in columns, as `cache-bulk` takes and gives them.

use std::{mem, slice};

use crate::bindings::cache_bulk::{Batch, LiveBatch};
use crate::bindings::{nanoseconds, types};
use crate::clocks::Clocks;
use crate::{Entry, LiveEntry};

/// The largest batch that a component gets, in bytes. A larger entry gets a batch of its own.
pub(crate) const BATCH: usize = 256 * 1024;

/// Stands for no ttl and for no deadline.
const NEVER: u64 = u64::MAX;

/// A batch for a component.
#[derive(Default)]
pub(crate) struct Columns {
    keys: String,
    key_lengths: Vec<u32>,
    values: Vec<u8>,
    value_lengths: Vec<u32>,
    /// Empty as long as every ttl is [`NEVER`].
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

    /// Adds an entry of less than 4 GiB.
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

    /// The entries one by one, for a component without `cache-bulk`.
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

/// Makes a batch of one entry of less than 4 GiB, without a copy.
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

/// A batch from a component. Each entry is built when the iterator reaches it.
pub(crate) struct LiveColumns {
    columns: LiveBatch,
    clocks: Clocks,
    /// The index of the next entry, and where its key and its value begin.
    next: usize,
    key: usize,
    value: usize,
}

impl LiveColumns {
    /// Checks that the columns fit each other, as the contract demands.
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

    /// How many bytes of the host's memory the remaining entries take.
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
        // A single entry may be large, so it is not copied.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn live(keys: &str, key_lengths: &[u32], values: &str, value_lengths: &[u32]) -> LiveBatch {
        LiveBatch {
            keys: keys.into(),
            key_lengths: key_lengths.into(),
            values: values.into(),
            value_lengths: value_lengths.into(),
            expires_at: Vec::new(),
        }
    }

    fn taken(batch: LiveBatch) -> Option<Vec<(String, Vec<u8>)>> {
        let columns = LiveColumns::new(batch, Clocks::now(0)).ok()?;
        let entries: Vec<_> = columns.map(|entry| (entry.key, entry.value)).collect();
        Some(entries)
    }

    #[test]
    fn columns_that_fit_each_other_are_entries() {
        let entry = |key: &str, value: &str| (key.to_owned(), value.as_bytes().to_owned());
        let two = taken(live("\u{e9}k", &[2, 1], "value", &[0, 5])).unwrap();
        assert_eq!(two, [entry("\u{e9}", ""), entry("k", "value")]);
        let one = taken(live("key", &[3], "value", &[5])).unwrap();
        assert_eq!(one, [entry("key", "value")]);
        assert_eq!(taken(live("", &[0], "", &[0])).unwrap(), [entry("", "")]);
    }

    #[test]
    fn columns_that_do_not_fit_each_other_are_refused() {
        for (keys, key_lengths, values, value_lengths) in [
            ("", [].as_slice(), "", [].as_slice()),
            ("k", &[1], "v", &[]),
            ("k", &[], "v", &[1]),
            ("k", &[1], "v", &[1, 0]),
            ("kk", &[1], "v", &[1]),
            ("k", &[2], "v", &[1]),
            ("k", &[1], "vv", &[1]),
            ("k", &[1], "v", &[2]),
            ("\u{e9}", &[1, 1], "v", &[1, 0]),
            ("k", &[u32::MAX, 2], "", &[0, 0]),
            ("", &[0, 0], "", &[u32::MAX, 1]),
        ] {
            let batch = live(keys, key_lengths, values, value_lengths);
            assert_eq!(taken(batch.clone()), None, "{batch:?}");
        }
        let mut batch = live("kl", &[1, 1], "", &[0, 0]);
        for deadlines in [1, 3] {
            batch.expires_at = vec![0; deadlines];
            assert_eq!(taken(batch.clone()), None, "{batch:?}");
        }
        batch.expires_at = vec![0; 2];
        assert_eq!(taken(batch).unwrap().len(), 2);
    }

    #[test]
    fn ttls_stand_beside_their_entries() {
        let second = Duration::from_secs(1);
        let mut columns = Columns::default();
        columns.push(&Entry::new("a", "1"));
        assert!(columns.batch().ttls.is_empty());
        columns.push(&Entry::new("b", "2").ttl(second));
        columns.push(&Entry::new("c", "3"));
        columns.push(&Entry::new("d", "4").ttl(Duration::MAX));
        let ttls = [NEVER, 1_000_000_000, NEVER, NEVER - 1];
        assert_eq!(columns.batch().ttls, ttls);
        let listed = columns.list();
        let ttls = ttls.map(|ttl| Some(ttl).filter(|ttl| *ttl != NEVER));
        assert!(listed.iter().map(|entry| entry.ttl).eq(ttls));
        columns.clear();
        columns.push(&Entry::new("e", "5"));
        assert!(columns.batch().ttls.is_empty());
    }
}
