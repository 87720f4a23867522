//! Batches: entries in columns, as the caller passes them.

use std::mem;

use super::record::RECORD_OVERHEAD;

/// Entries in columns that fit each other.
#[derive(Clone, Copy, Default)]
pub struct Batch<'a> {
    /// All keys.
    pub(super) keys: &'a str,
    key_lengths: &'a [u32],
    /// All values.
    pub(super) values: &'a [u8],
    value_lengths: &'a [u32],
    /// One for each entry, or none at all.
    ttls: &'a [u64],
}

/// The time to live that means "no time to live".
pub const UNLIMITED: u64 = u64::MAX;

impl<'a> Batch<'a> {
    /// Checks that the columns fit each other. The error names the rule that they break.
    pub fn new(
        keys: &'a str,
        key_lengths: &'a [u32],
        values: &'a [u8],
        value_lengths: &'a [u32],
        ttls: &'a [u64],
    ) -> Result<Batch<'a>, &'static str> {
        let sum =
            |lengths: &[u32]| -> u64 { lengths.iter().map(|length| u64::from(*length)).sum() };
        let batch = Batch {
            keys,
            key_lengths,
            values,
            value_lengths,
            ttls,
        };
        if key_lengths.len() != value_lengths.len() {
            Err("a batch must have as many value lengths as key lengths")
        } else if !ttls.is_empty() && ttls.len() != key_lengths.len() {
            Err("a batch must have as many ttls as keys, or no ttls")
        } else if sum(key_lengths) != keys.len() as u64 {
            Err("the key lengths of a batch must add up to the length of its keys")
        } else if sum(value_lengths) != values.len() as u64 {
            Err("the value lengths of a batch must add up to the length of its values")
        } else if !keys.is_ascii() && batch.entries().count() != key_lengths.len() {
            Err("no key of a batch may end within a character")
        } else {
            Ok(batch)
        }
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.key_lengths.is_empty()
    }

    /// Whether no entry has a time to live.
    pub(super) fn are_unlimited(&self) -> bool {
        self.ttls.is_empty()
    }

    /// How many bytes each key and each value takes.
    pub(super) fn lengths(&self) -> (&'a [u32], &'a [u32]) {
        (self.key_lengths, self.value_lengths)
    }

    /// How many bytes the largest entry takes.
    pub fn largest(&self) -> u64 {
        let lengths = self.key_lengths.iter().zip(self.value_lengths);
        let bytes = lengths.map(|(key, value)| u64::from(*key) + u64::from(*value));
        bytes.max().unwrap_or(0)
    }

    /// How many bytes of a block the entries take.
    pub(super) fn bytes(&self) -> usize {
        self.keys.len() + self.values.len() + self.key_lengths.len() * RECORD_OVERHEAD
    }

    /// The key, the length of the value and the time to live of each entry.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, u32, Option<u64>)> {
        let (mut keys, mut ttls) = (self.keys, self.ttls.iter());
        let lengths = self.key_lengths.iter().zip(self.value_lengths);
        lengths.map_while(move |(key, value)| {
            let (key, rest) = keys.split_at_checked(*key as usize)?;
            keys = rest;
            let ttl = ttls.next().copied().filter(|ttl| *ttl != UNLIMITED);
            Some((key, *value, ttl))
        })
    }

    /// Removes the first entries, as many as fit into `room` bytes of a block, and returns them.
    /// Returns one entry that does not fit if `at_least_one` is set.
    pub(super) fn take(&mut self, room: usize, at_least_one: bool) -> Option<Batch<'a>> {
        if self.bytes() <= room {
            return Some(mem::take(self)).filter(|all| !all.is_empty());
        }
        let (mut count, mut keys, mut values) = (0, 0, 0);
        for (key, value) in self.key_lengths.iter().zip(self.value_lengths) {
            let (more_keys, more_values) = (keys + *key as usize, values + *value as usize);
            let fits = more_keys + more_values + (count + 1) * RECORD_OVERHEAD <= room;
            let has_to = at_least_one && count == 0;
            if !fits && !has_to {
                break;
            }
            (count, keys, values) = (count + 1, more_keys, more_values);
        }
        let (taken_keys, keys) = self.keys.split_at_checked(keys)?;
        let (taken_key_lengths, key_lengths) = self.key_lengths.split_at_checked(count)?;
        let (taken_values, values) = self.values.split_at_checked(values)?;
        let (taken_value_lengths, value_lengths) = self.value_lengths.split_at_checked(count)?;
        let (taken_ttls, ttls) = self.ttls.split_at(count.min(self.ttls.len()));
        *self = Batch {
            keys,
            key_lengths,
            values,
            value_lengths,
            ttls,
        };
        (count > 0).then_some(Batch {
            keys: taken_keys,
            key_lengths: taken_key_lengths,
            values: taken_values,
            value_lengths: taken_value_lengths,
            ttls: taken_ttls,
        })
    }
}
