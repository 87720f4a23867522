//! The index of a segment, and the directory of a file: they tell where the records are.

use std::iter;

use serde::{Deserialize, Serialize};

use super::frame::{FRAME, from_postcard};
use super::header::{Header, HeaderV1, gap};
use super::record::LostKeys;
use super::table::PAGE;

/// How many bytes of a block a record takes at least: its kind and two lengths.
const LEAST_RECORD: u64 = 1 + 4 + 4;

/// A segment, as the directory describes it.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Segment {
    /// How many bytes its blocks take, with their frames.
    pub(super) blocks: u64,
    /// How many bytes its index takes.
    pub(super) index: u64,
    pub(super) puts: u64,
    pub(super) removes: u64,
}

impl Segment {
    /// How many bytes it takes in a file of this version.
    pub(super) fn bytes(&self, version: u8) -> u64 {
        match self.index {
            // A scan found no index.
            0 => self.blocks,
            index => self.blocks + gap(version) + index,
        }
    }
}

/// The header of a file, and its segments.
#[derive(Serialize, Deserialize)]
pub(super) struct Directory {
    pub(super) header: Header,
    pub(super) segments: Vec<Segment>,
}

/// The directory of a file that may have a table.
#[derive(Serialize, Deserialize)]
pub(super) struct DirectoryWithTable {
    pub(super) directory: Directory,
    /// How many pages the table has; 0 if there is none.
    pub(super) pages: u64,
}

impl Directory {
    /// Returns none if no writer writes such a directory. The segments and the pages of the table
    /// must fill the file from the end of the header to `end`. The segments must hold as many
    /// records as the header says.
    pub(super) fn decode(
        bytes: &[u8],
        version: u8,
        end_of: impl FnOnce(&Header) -> u64,
        end: u64,
    ) -> Option<DirectoryWithTable> {
        let (_, rest) = postcard::take_from_bytes::<Header>(bytes).ok()?;
        let (segments, _) = postcard::take_from_bytes::<u64>(rest).ok()?;
        // A segment has at least two frames.
        if segments > end / (2 * FRAME as u64) {
            return None;
        }
        let DirectoryWithTable { directory, pages } = match version {
            1 | 2 => DirectoryWithTable {
                directory: from_postcard(bytes)?,
                pages: 0,
            },
            _ => from_postcard(bytes)?,
        };
        let (mut at, mut puts, mut removes) = (end_of(&directory.header), 0u64, 0u64);
        for segment in &directory.segments {
            at = at.checked_add(segment.blocks)?.checked_add(gap(version))?;
            at = at.checked_add(segment.index)?;
            puts = puts.checked_add(segment.puts)?;
            removes = removes.checked_add(segment.removes)?;
        }
        if directory.segments.is_empty() {
            at = at.checked_add(gap(version))?;
        }
        at = at.checked_add(pages.checked_mul(PAGE)?)?;
        let header = &directory.header;
        let fits = at == end && puts == header.puts && removes == header.removes;
        fits.then_some(DirectoryWithTable { directory, pages })
    }
}

/// A block, as the index describes it. A block without bytes stands for records that were lost
/// before the file was written.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct BlockEntry {
    pub(super) length: u32,
    pub(super) sum: u64,
    pub(super) puts: u32,
    pub(super) removes: u32,
}

impl BlockEntry {
    pub(super) fn records(&self) -> u64 {
        u64::from(self.puts) + u64::from(self.removes)
    }

    /// How many bytes the block takes, with its frame.
    pub(super) fn frame(&self) -> u64 {
        match self.length {
            0 => 0,
            length => FRAME as u64 + u64::from(length),
        }
    }
}

/// The index of a segment.
#[derive(Default, Serialize, Deserialize)]
pub struct Index {
    pub(super) blocks: Vec<BlockEntry>,
    /// One `u64` for each record, block by block: first the puts of the block, then its removes.
    #[serde(with = "serde_bytes")]
    pub(super) hashes: Vec<u8>,
}

#[derive(Deserialize)]
struct IndexV1 {
    header: HeaderV1,
    blocks: Vec<BlockEntry>,
    #[serde(with = "serde_bytes")]
    hashes: Vec<u8>,
}

impl Index {
    /// Returns none if no writer writes such an index.
    pub(super) fn decode(bytes: &[u8]) -> Option<Index> {
        let index: Index = from_postcard(bytes)?;
        index.fits().then_some(index)
    }

    /// The index of a file of version 1, with the file's header.
    pub(super) fn decode_v1(bytes: &[u8]) -> Option<(Header, Index)> {
        let index: IndexV1 = from_postcard(bytes)?;
        let header = index.header.upgraded();
        let index = Index {
            blocks: index.blocks,
            hashes: index.hashes,
        };
        let (puts, removes) = index.records();
        (index.fits() && (puts, removes) == (header.puts, header.removes))
            .then_some((header, index))
    }

    /// Adds a block for records that were lost before, if there are any.
    pub(super) fn push_lost(&mut self, lost: &LostKeys) {
        if lost.puts.is_empty() && lost.removes.is_empty() {
            return;
        }
        self.blocks.push(BlockEntry {
            length: 0,
            sum: 0,
            puts: lost.puts.len() as u32,
            removes: lost.removes.len() as u32,
        });
        for hash in lost.puts.iter().chain(&lost.removes) {
            self.hashes.extend_from_slice(&hash.to_le_bytes());
        }
    }

    /// How many records store an entry, and how many remove one.
    pub(super) fn records(&self) -> (u64, u64) {
        self.blocks.iter().fold((0, 0), |(puts, removes), block| {
            (
                puts + u64::from(block.puts),
                removes + u64::from(block.removes),
            )
        })
    }

    /// The hashes of all keys.
    pub fn hashes(&self) -> impl Iterator<Item = u64> {
        let (hashes, _) = self.hashes.as_chunks();
        hashes.iter().map(|hash| u64::from_le_bytes(*hash))
    }

    /// The hashes of all keys. Each comes with whether its record stores an entry.
    pub fn puts_and_removes(&self) -> impl Iterator<Item = (u64, bool)> {
        let stores = |block: &BlockEntry| {
            let puts = iter::repeat_n(true, block.puts as usize);
            puts.chain(iter::repeat_n(false, block.removes as usize))
        };
        self.hashes().zip(self.blocks.iter().flat_map(stores))
    }

    /// How many bytes the blocks take, with their frames.
    pub(super) fn block_bytes(&self) -> u64 {
        self.blocks.iter().map(BlockEntry::frame).sum()
    }

    /// Each block must be long enough for its records, except a last block without bytes. There
    /// must be a hash for every record.
    fn fits(&self) -> bool {
        let last = self.blocks.len().saturating_sub(1);
        let block_fits = |(at, block): (usize, &BlockEntry)| {
            let records = block.records();
            let is_long_enough = u64::from(block.length) >= records.saturating_mul(LEAST_RECORD);
            records > 0 && (is_long_enough || block.length == 0 && at == last)
        };
        let (puts, removes) = self.records();
        (puts + removes).checked_mul(8) == Some(self.hashes.len() as u64)
            && self.blocks.iter().enumerate().all(block_fits)
    }

    /// The hashes of the keys of a block. `first` records are in the blocks before it.
    pub(super) fn hashes_of(&self, block: &BlockEntry, first: u64) -> impl Iterator<Item = u64> {
        let (hashes, _) = self.hashes.as_chunks();
        let (first, count) = (first as usize, block.records() as usize);
        let hashes = hashes.get(first..first.saturating_add(count));
        let hashes = hashes.unwrap_or_default().iter();
        hashes.map(|hash| u64::from_le_bytes(*hash))
    }

    /// The offset of the block of each record, with the hash of its key. The segment begins at
    /// `start`. The offset of records that were lost before is 0.
    pub(super) fn places(&self, start: u64) -> impl Iterator<Item = (u64, u64)> {
        let offsets = self.blocks.iter().scan(start, |end, block| {
            let offset = *end;
            *end += block.frame();
            let offset = if block.length == 0 { 0 } else { offset };
            Some(iter::repeat_n(offset, block.records() as usize))
        });
        offsets.flatten().zip(self.hashes())
    }

    /// The keys of a block that is lost.
    pub(super) fn lost_keys(&self, block: &BlockEntry, first: u64) -> LostKeys {
        let mut hashes = self.hashes_of(block, first);
        let mut take = |records: u32| hashes.by_ref().take(records as usize).collect();
        let (puts, removes) = (take(block.puts), take(block.removes));
        LostKeys { puts, removes }
    }
}
