//! Columns: the records of one block.

use serde::{Deserialize, Serialize};

use super::frame::{FRAME, from_postcard};
use super::record::{Put, Record};

pub(super) const PUT: u8 = 0;
pub(super) const PUT_WITH_TTL: u8 = 1;
pub(super) const REMOVE: u8 = 2;

/// The records of a block, in columns.
#[derive(Default, Serialize, Deserialize)]
pub struct Columns<'a> {
    #[serde(with = "serde_bytes")]
    pub(super) kinds: &'a [u8],
    #[serde(with = "serde_bytes")]
    pub(super) key_lengths: &'a [u8],
    #[serde(with = "serde_bytes")]
    pub(super) value_lengths: &'a [u8],
    #[serde(with = "serde_bytes")]
    pub(super) ttls: &'a [u8],
    /// All keys. They are checked to be UTF-8 when they are decoded, and not again later.
    #[serde(with = "serde_bytes")]
    pub keys: &'a [u8],
    /// All values.
    #[serde(with = "serde_bytes")]
    pub values: &'a [u8],
}

impl<'a> Columns<'a> {
    /// Decodes a block. Returns none if the columns do not fit each other.
    pub fn decode(bytes: &'a [u8]) -> Option<Columns<'a>> {
        let columns = Columns::read(bytes)?;
        let records = columns.kinds.len();
        let fits = columns.key_lengths.len() == records.checked_mul(4)?
            && columns.value_lengths.len() == records.checked_mul(4)?
            && columns.kinds.iter().all(|kind| *kind <= REMOVE)
            && (columns.keys.is_ascii() || columns.records().count() == records);
        let sum = |column| -> u64 { lengths(column).map(u64::from).sum() };
        (fits
            && sum(columns.key_lengths) == columns.keys.len() as u64
            && sum(columns.value_lengths) == columns.values.len() as u64
            && columns.count(PUT_WITH_TTL).checked_mul(8)? == columns.ttls.len())
        .then_some(columns)
    }

    /// Reads a block that was checked before. `frame` holds the bytes of its frame.
    pub fn of_block(frame: &'a [u8]) -> Columns<'a> {
        Columns::read(frame.get(FRAME..).unwrap_or_default()).unwrap_or_default()
    }

    fn read(bytes: &'a [u8]) -> Option<Columns<'a>> {
        from_postcard(bytes)
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// How many records remove an entry.
    pub fn removes(&self) -> usize {
        self.count(REMOVE)
    }

    fn count(&self, kind: u8) -> usize {
        self.kinds.iter().filter(|other| **other == kind).count()
    }

    /// Whether all records store entries without a time to live.
    pub fn are_unlimited(&self) -> bool {
        self.kinds.iter().all(|kind| *kind == PUT)
    }

    /// How many bytes each key takes.
    pub fn key_lengths(&self) -> impl Iterator<Item = u32> + use<'a> {
        lengths(self.key_lengths)
    }

    /// How many bytes each value takes.
    pub fn value_lengths(&self) -> impl Iterator<Item = u32> + use<'a> {
        lengths(self.value_lengths)
    }

    /// The time to live of each record; none for removals and for entries without one.
    pub fn ttls(&self) -> impl Iterator<Item = Option<u64>> + use<'a> {
        let mut ttls = self.ttls;
        self.kinds.iter().map(move |kind| {
            let (ttl, rest) = match *kind {
                PUT_WITH_TTL => ttls.split_first_chunk()?,
                _ => return None,
            };
            ttls = rest;
            Some(u64::from_le_bytes(*ttl))
        })
    }

    /// The records. Ends early if the columns do not fit each other.
    pub fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let mut keys = str::from_utf8(self.keys).unwrap_or_default();
        let mut values = self.values;
        let lengths = lengths_of(self.key_lengths).zip(lengths_of(self.value_lengths));
        self.kinds.iter().zip(self.ttls()).zip(lengths).map_while(
            move |((kind, ttl), (key_length, value_length))| {
                let (key, rest) = keys.split_at_checked(key_length)?;
                keys = rest;
                let (value, rest) = values.split_at_checked(value_length)?;
                values = rest;
                let put = (*kind != REMOVE).then_some(Put { value, ttl });
                Some(Record { key, put })
            },
        )
    }
}

fn lengths(column: &[u8]) -> impl Iterator<Item = u32> + use<'_> {
    let (lengths, _) = column.as_chunks();
    lengths.iter().map(|length| u32::from_le_bytes(*length))
}

fn lengths_of(column: &[u8]) -> impl Iterator<Item = usize> + use<'_> {
    lengths(column).map(|length| length as usize)
}
