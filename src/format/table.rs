//! The table of a large file. It leads from the hash of a key to the block that holds the key.
//!
//! A table is a row of pages. The hash of a key gives its page by arithmetic. If that page is full,
//! the key may be in the next one, and so on. An entry has half of the hash, and the offset of the
//! block. Offset 0 stands for a record that was lost before the file was written.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::abi::Error;
use crate::abi::memory::{buffer, reserve};

use super::source::{Sink, Source};

/// How many bytes a page takes.
pub(super) const PAGE: u64 = 4096;
/// The checksum of a page, and the number of its entries.
const HEAD: usize = 8 + 2;
/// Half of a hash, and an offset.
const ENTRY: usize = 4 + 5;
/// How many entries make a page full.
const FULL: usize = (PAGE as usize - HEAD) / ENTRY;
/// How many entries a page has on average. Then about one page in five thousand is full.
const MEAN: u64 = 384;

/// How many entries are sorted at once.
const SORTED: u64 = 1024 * 1024;

/// How many bytes of pages are gathered before they are written.
const WRITE: usize = 64 * PAGE as usize;

/// The highest offset that an entry can have.
pub(super) const HIGHEST: u64 = (1 << 40) - 1;

/// How many pages hashes may lead to. Further pages have only what did not fit into the last one.
fn homes(records: u64) -> u64 {
    records.div_ceil(MEAN).max(1)
}

fn home(hash: u64, homes: u64) -> u64 {
    ((u128::from(hash) * u128::from(homes)) >> 64) as u64
}

fn seed(id: u64, offset: u64) -> u64 {
    id.rotate_left(32).wrapping_add(offset)
}

/// Visits the hash of every record, with the offset of its block.
pub(super) type Visit<'a> = &'a mut dyn FnMut(u64, u64) -> Result<(), Error>;

/// Writes the table of a file of so many records at `offset`. `visit_all` visits all records, in
/// any order. Returns how many pages the table has.
pub(super) fn write(
    id: u64,
    offset: u64,
    records: u64,
    visit_all: &mut dyn FnMut(Visit) -> Result<(), Error>,
    sink: &mut dyn Sink<Error>,
) -> Result<u64, Error> {
    let mut writing = Writing {
        id,
        homes: homes(records),
        written: offset,
        pages: 0,
        count: 0,
        out: buffer(WRITE as u64)?,
    };
    writing.begin_page();
    // Hashes are spread evenly, so each share of them has about as many records. The shares are
    // sorted one after the other.
    let shares = records / SORTED + 1;
    let mut sorted: Vec<(u64, u64)> = Vec::new();
    for share in 0..shares {
        sorted.clear();
        visit_all(&mut |hash, block| {
            if home(hash, shares) == share {
                if sorted.len() == sorted.capacity() {
                    grow(&mut sorted)?;
                }
                sorted.push((hash, block));
            }
            Ok(())
        })?;
        sorted.sort_unstable();
        for (hash, block) in &sorted {
            writing.push(*hash, *block, sink)?;
        }
    }
    writing.finish(offset, sink)
}

/// Makes room for a sixteenth more than an average share.
fn grow(sorted: &mut Vec<(u64, u64)>) -> Result<(), Error> {
    let most = SORTED as usize + SORTED as usize / 16;
    let more = sorted
        .len()
        .max(1024)
        .min(most.saturating_sub(sorted.len()).max(1024));
    let failed = Error::TooLarge((sorted.len() + more) as u64 * 16);
    sorted.try_reserve_exact(more).map_err(|_| failed)?;
    // The table must not take memory that others need meanwhile.
    Ok(reserve(0, 0)?)
}

/// A table that is being written. Entries come in the order of their hashes.
struct Writing {
    id: u64,
    homes: u64,
    /// Up to which offset pages are written.
    written: u64,
    /// How many pages are complete.
    pages: u64,
    /// How many entries the last page has.
    count: usize,
    out: Vec<u8>,
}

impl Writing {
    fn begin_page(&mut self) {
        self.out.extend_from_slice(&[0; HEAD]);
        self.count = 0;
    }

    fn push(&mut self, hash: u64, block: u64, sink: &mut dyn Sink<Error>) -> Result<(), Error> {
        while self.pages < home(hash, self.homes) || self.count == FULL {
            self.end_page(sink)?;
            self.begin_page();
        }
        self.out.extend_from_slice(&(hash as u32).to_le_bytes());
        let [a, b, c, d, e, ..] = block.to_le_bytes();
        self.out.extend_from_slice(&[a, b, c, d, e]);
        self.count += 1;
        Ok(())
    }

    fn end_page(&mut self, sink: &mut dyn Sink<Error>) -> Result<(), Error> {
        let start = self.out.len() - HEAD - ENTRY * self.count;
        self.out.resize(start + PAGE as usize, 0);
        let offset = self.written + start as u64;
        if let Some((sum, rest)) = self
            .out
            .get_mut(start..)
            .and_then(|page| page.split_first_chunk_mut())
        {
            if let Some((count, _)) = rest.split_first_chunk_mut() {
                *count = (self.count as u16).to_le_bytes();
            }
            *sum = xxh3_64_with_seed(rest, seed(self.id, offset)).to_le_bytes();
        }
        self.pages += 1;
        if self.out.len() >= WRITE {
            self.flush(sink)?;
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn Sink<Error>) -> Result<(), Error> {
        sink.write(self.written, &self.out)?;
        self.written += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }

    fn finish(mut self, offset: u64, sink: &mut dyn Sink<Error>) -> Result<u64, Error> {
        self.end_page(sink)?;
        while self.pages < self.homes {
            self.begin_page();
            self.end_page(sink)?;
        }
        self.flush(sink)?;
        debug_assert_eq!(self.written, offset + self.pages * PAGE);
        Ok(self.pages)
    }
}

/// Where a table is, and what it is of.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) id: u64,
    pub(super) offset: u64,
    /// How many pages there are; 0 if the file has no table.
    pub(super) pages: u64,
    pub(super) records: u64,
}

/// The entries of an intact page.
struct Page {
    entries: Vec<u8>,
}

impl Table {
    fn page<S: Source>(&self, source: &S, number: u64) -> Result<Option<Page>, S::Error> {
        let start = self.offset + number * PAGE;
        let mut bytes = source.read(start, start + PAGE)?;
        let Some((sum, rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let is_whole = bytes.len() as u64 == PAGE
            && xxh3_64_with_seed(rest, seed(self.id, start)) == u64::from_le_bytes(*sum);
        let count = rest
            .first_chunk()
            .map_or(0, |count| usize::from(u16::from_le_bytes(*count)));
        if !is_whole || count > FULL {
            return Ok(None);
        }
        bytes.truncate(HEAD + ENTRY * count);
        bytes.drain(..HEAD);
        Ok(Some(Page { entries: bytes }))
    }

    /// The offsets of the blocks that may hold a key with this hash. Returns none if a page that is
    /// needed is damaged.
    pub(super) fn find<S: Source>(
        &self,
        source: &S,
        hash: u64,
    ) -> Result<Option<Vec<u64>>, S::Error> {
        let mut blocks = Vec::new();
        for number in home(hash, homes(self.records))..self.pages {
            let Some(page) = self.page(source, number)? else {
                return Ok(None);
            };
            let (entries, _) = page.entries.as_chunks::<ENTRY>();
            for [a, b, c, d, offset @ ..] in entries {
                if u32::from_le_bytes([*a, *b, *c, *d]) == hash as u32 {
                    let [a, b, c, d, e] = *offset;
                    blocks.push(u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]));
                }
            }
            if entries.len() < FULL {
                break;
            }
        }
        Ok(Some(blocks))
    }

    /// The offsets of damaged pages.
    pub(super) fn damaged<S: Source>(&self, source: &S) -> Result<Vec<u64>, S::Error> {
        let mut damaged = Vec::new();
        for number in 0..self.pages {
            if self.page(source, number)?.is_none() {
                damaged.push(self.offset + number * PAGE);
            }
        }
        Ok(damaged)
    }
}
