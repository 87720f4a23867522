//! Writes a file, from its beginning to its end.

use std::mem;
use std::ops::RangeInclusive;

use crate::abi::Error;

use super::batch::Batch;
use super::columns::{Columns, PUT, PUT_WITH_TTL, REMOVE};
use super::frame::{
    begin_frame, block_seed, directory_seed, end_frame, extend_with_postcard, index_seed,
};
use super::header::{Header, Kind, VERSION, gap, preamble};
use super::index::{BlockEntry, Directory, DirectoryWithTable, Index, Segment};
use super::record::{LostKeys, RECORD_OVERHEAD, Record, key_hash};
use super::segments;
use super::source::{Sink, Source};
use super::table::{self, HIGHEST, PAGE};

/// How many bytes of records make a block full: few in a small file, and more in a large one.
/// Damage costs a block, so a small block loses less; a large block costs less overhead. One call
/// of the host reads the largest block.
pub const BLOCKS: RangeInclusive<usize> = 32 * 1024..=62 * 1024;

/// A block is at most this fraction of the file written so far, unless it is one of the smallest
/// blocks.
const FILE_PER_BLOCK: u64 = 32;

/// How many of the smallest blocks make a segment full.
const SEGMENT: u64 = 32;

/// How many bytes are gathered before they are written. A call of the host costs far less than
/// copying this much.
const WRITE: usize = 256 * 1024;

/// A file that is being written. Each key must occur once. Only the sink can fail, and all calls
/// must pass the same sink.
pub struct Encoder {
    header: Header,
    blocks: RangeInclusive<usize>,
    block: Block,
    index: Index,
    directory: Vec<Segment>,
    /// Where the current segment begins, in bytes.
    segment: u64,
    /// How many bytes are written.
    written: u64,
    /// The bytes that are written next.
    out: Vec<u8>,
}

impl Encoder {
    /// Begins a file with a random id. `blocks` is the range of block sizes: `BLOCKS`, except in
    /// tests.
    pub fn new(id: u64, kind: Kind, blocks: RangeInclusive<usize>) -> Encoder {
        let header = Header {
            id,
            kind,
            saved_at: 0,
            puts: 0,
            removes: 0,
            lost: 0,
            key_bytes: 0,
        };
        let out = header.to_bytes(VERSION);
        Encoder {
            header,
            blocks,
            block: Block::default(),
            index: Index::default(),
            directory: Vec::new(),
            segment: out.len() as u64,
            written: 0,
            out,
        }
    }

    /// The random number that tells this file from every other file.
    pub fn id(&self) -> u64 {
        self.header.id
    }

    /// Adds a record.
    pub fn push<E>(&mut self, record: Record, sink: &mut dyn Sink<E>) -> Result<(), E> {
        if !self.block.is_empty() && self.block.bytes() + record.bytes() > self.full() {
            self.end_block(sink)?;
        }
        let (value, ttl) = match record.put {
            Some(put) => (put.value, Some(put.ttl)),
            None => (&[][..], None),
        };
        let is_alone = self.block.is_empty();
        self.block.describe(record.key, value.len() as u32, ttl);
        if is_alone && record.bytes() >= self.full() {
            // A record that fills a block is encoded without gathering it.
            self.encode_block(record.key, value);
            return self.write(sink);
        }
        self.block.keys.push_str(record.key);
        self.block.values.extend_from_slice(value);
        Ok(())
    }

    /// Adds entries. An entry with a time to live of zero becomes a removal.
    pub fn append<E>(&mut self, mut batch: Batch, sink: &mut dyn Sink<E>) -> Result<(), E> {
        while !batch.is_empty() {
            let full = self.full();
            let room = full.saturating_sub(self.block.bytes());
            let Some(taken) = batch.take(room, self.block.is_empty()) else {
                self.end_block(sink)?;
                continue;
            };
            let is_alone = self.block.is_empty();
            if taken.are_unlimited() {
                self.block.describe_all(&taken);
            } else {
                for (key, value, ttl) in taken.entries() {
                    let put = (ttl != Some(0)).then_some(ttl);
                    self.block.describe(key, value, put);
                }
            }
            if is_alone && taken.bytes() >= full / 2 {
                // A batch that fills a block is encoded without gathering it.
                self.encode_block(taken.keys, taken.values);
                self.write(sink)?;
            } else {
                self.block.keys.push_str(taken.keys);
                self.block.values.extend_from_slice(taken.values);
            }
        }
        Ok(())
    }

    /// Ends the file and returns its size in bytes. Times to live count from `saved_at`, in
    /// nanoseconds since 1970. `lost` and further `unknown` entries of the cache were lost before.
    pub fn finish<E>(
        mut self,
        saved_at: u64,
        lost: &LostKeys,
        unknown: u64,
        sink: &mut dyn Sink<E>,
    ) -> Result<u64, E> {
        self.end_records(saved_at, lost, unknown, sink)?;
        self.end(0, sink)
    }

    /// Ends the file, as [`finish`](Self::finish) does, with a table. `written` gives the bytes
    /// back that the sink took.
    pub fn finish_with_table<S: Source<Error = Error>>(
        mut self,
        saved_at: u64,
        lost: &LostKeys,
        unknown: u64,
        sink: &mut dyn Sink<Error>,
        written: &dyn Fn(u64) -> S,
    ) -> Result<u64, Error> {
        self.end_records(saved_at, lost, unknown, sink)?;
        let offset = self.offset();
        if offset > HIGHEST {
            return self.end(0, sink);
        }
        sink.write(self.written, &self.out)?;
        self.written = offset;
        self.out.clear();
        let source = written(offset);
        let start = self.header.to_bytes(VERSION).len() as u64;
        let mut visit_all = |visit: table::Visit| {
            let mut at = start;
            for segment in &self.directory {
                let index = segments::index(&source, self.header.id, VERSION, at, segment)?;
                let index = index.ok_or_else(|| {
                    let reason = "the file that was just written cannot be read";
                    Error::Unavailable(reason.into())
                })?;
                for (block, hash) in index.places(at) {
                    visit(hash, block)?;
                }
                at += segment.bytes(VERSION);
            }
            Ok(())
        };
        let records = self.header.puts + self.header.removes;
        let pages = table::write(self.header.id, offset, records, &mut visit_all, sink)?;
        self.written = offset + pages * PAGE;
        self.end(pages, sink)
    }

    fn end_records<E>(
        &mut self,
        saved_at: u64,
        lost: &LostKeys,
        unknown: u64,
        sink: &mut dyn Sink<E>,
    ) -> Result<(), E> {
        self.end_block(sink)?;
        self.index.push_lost(lost);
        self.end_segment();
        self.header.saved_at = saved_at;
        self.header.puts += lost.puts.len() as u64;
        self.header.removes += lost.removes.len() as u64;
        self.header.lost = unknown;
        Ok(())
    }

    /// Writes the directory and the header. `pages` is the number of pages of the table.
    fn end<E>(mut self, pages: u64, sink: &mut dyn Sink<E>) -> Result<u64, E> {
        if self.directory.is_empty() {
            self.skip_gap();
        }
        let offset = self.offset();
        let start = begin_frame(&mut self.out);
        let directory = Directory {
            header: self.header,
            segments: mem::take(&mut self.directory),
        };
        extend_with_postcard(&mut self.out, &DirectoryWithTable { directory, pages });
        end_frame(&mut self.out, start, directory_seed(VERSION, offset));
        self.out.extend_from_slice(&offset.to_le_bytes());
        self.out.extend_from_slice(&preamble(VERSION));

        let head = self.header.to_bytes(VERSION);
        match self.out.get_mut(..head.len()) {
            Some(begun) if self.written == 0 => begun.copy_from_slice(&head),
            _ => sink.write(0, &head)?,
        }
        sink.write(self.written, &self.out)?;
        Ok(self.offset())
    }

    /// The offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.written + self.out.len() as u64
    }

    /// How many bytes of records make the current block full.
    fn full(&self) -> usize {
        let (least, most) = (*self.blocks.start(), *self.blocks.end());
        let fraction = usize::try_from(self.offset() / FILE_PER_BLOCK).unwrap_or(most);
        fraction.clamp(least, most)
    }

    fn end_block<E>(&mut self, sink: &mut dyn Sink<E>) -> Result<(), E> {
        if self.block.is_empty() {
            return Ok(());
        }
        let (mut keys, mut values) = (
            mem::take(&mut self.block.keys),
            mem::take(&mut self.block.values),
        );
        self.encode_block(&keys, &values);
        keys.clear();
        values.clear();
        (self.block.keys, self.block.values) = (keys, values);
        self.write(sink)
    }

    /// Encodes the block that was described, with these keys and values.
    fn encode_block(&mut self, keys: &str, values: &[u8]) {
        let seed = block_seed(self.header.id, self.offset());
        let block = &mut self.block;
        if keys.len() + values.len() > WRITE {
            // A buffer that grows by itself doubles, and large records leave no memory for that. A
            // gap and an index may follow the block.
            let described = 32 * (block.kinds.len() + self.index.blocks.len());
            let room = keys.len() + values.len() + described + self.index.hashes.len();
            self.out.reserve_exact(room + gap(VERSION) as usize + 1024);
        }
        let columns = Columns {
            kinds: &block.kinds,
            key_lengths: &block.key_lengths,
            value_lengths: &block.value_lengths,
            ttls: &block.ttls,
            keys: keys.as_bytes(),
            values,
        };
        let start = begin_frame(&mut self.out);
        extend_with_postcard(&mut self.out, &columns);
        let (length, sum) = end_frame(&mut self.out, start, seed);
        let (puts, removes) = (block.put_hashes.len() / 8, block.remove_hashes.len() / 8);
        self.header.puts += puts as u64;
        self.header.removes += removes as u64;
        self.header.key_bytes += keys.len() as u64;
        self.index.blocks.push(BlockEntry {
            length,
            sum,
            puts: puts as u32,
            removes: removes as u32,
        });
        self.index.hashes.extend_from_slice(&block.put_hashes);
        self.index.hashes.extend_from_slice(&block.remove_hashes);
        block.clear();
        if self.offset() - self.segment >= SEGMENT * *self.blocks.start() as u64 {
            self.end_segment();
        }
    }

    fn end_segment(&mut self) {
        if self.index.blocks.is_empty() {
            return;
        }
        let blocks = self.offset() - self.segment;
        self.skip_gap();
        let offset = self.offset();
        let start = begin_frame(&mut self.out);
        extend_with_postcard(&mut self.out, &self.index);
        end_frame(&mut self.out, start, index_seed(self.header.id, offset));
        let (puts, removes) = self.index.records();
        self.directory.push(Segment {
            blocks,
            index: self.offset() - offset,
            puts,
            removes,
        });
        self.index.blocks.clear();
        self.index.hashes.clear();
        self.segment = self.offset();
    }

    fn skip_gap(&mut self) {
        let end = self.out.len() + gap(VERSION) as usize;
        self.out.resize(end, 0);
    }

    /// Writes the gathered bytes, if there are enough of them.
    fn write<E>(&mut self, sink: &mut dyn Sink<E>) -> Result<(), E> {
        if self.out.len() >= WRITE {
            sink.write(self.written, &self.out)?;
            self.written = self.offset();
            self.out.clear();
            // One large record must not take its memory for the rest of the file.
            self.out.shrink_to(2 * WRITE);
        }
        Ok(())
    }
}

/// How many bytes a file takes at most, with records whose keys and values take `bytes` bytes.
pub fn encoded_size(records: u64, bytes: u64) -> u64 {
    let blocks = bytes.saturating_add(records.saturating_mul(RECORD_OVERHEAD as u64 + 8));
    // Two blocks in a row are larger than one of the smallest. Each has a frame, the lengths of its
    // columns, and its description in the index. A segment has a gap besides.
    let most_blocks = blocks / (*BLOCKS.start() as u64 / 2) + 1;
    let most_segments = blocks / (SEGMENT * *BLOCKS.start() as u64) + 1;
    let overhead = most_blocks.saturating_mul(128);
    let gaps = most_segments.saturating_mul(gap(VERSION));
    blocks
        .saturating_add(overhead)
        .saturating_add(gaps)
        .saturating_add(1024)
}

/// A block that is being gathered.
#[derive(Default)]
struct Block {
    kinds: Vec<u8>,
    key_lengths: Vec<u8>,
    value_lengths: Vec<u8>,
    ttls: Vec<u8>,
    keys: String,
    values: Vec<u8>,
    put_hashes: Vec<u8>,
    remove_hashes: Vec<u8>,
}

impl Block {
    fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    fn bytes(&self) -> usize {
        self.keys.len() + self.values.len() + self.kinds.len() * RECORD_OVERHEAD
    }

    /// Adds a record, without its key and its value.
    fn describe(&mut self, key: &str, value_length: u32, put: Option<Option<u64>>) {
        let hash = key_hash(key).to_le_bytes();
        let kind = match put {
            Some(None) => PUT,
            Some(Some(ttl)) => {
                self.ttls.extend_from_slice(&ttl.to_le_bytes());
                PUT_WITH_TTL
            }
            None => REMOVE,
        };
        self.kinds.push(kind);
        // A string in the memory of the component is shorter than 4 GiB.
        let key_length = (key.len() as u32).to_le_bytes();
        self.key_lengths.extend_from_slice(&key_length);
        let value_length = value_length.to_le_bytes();
        self.value_lengths.extend_from_slice(&value_length);
        match put {
            Some(_) => self.put_hashes.extend_from_slice(&hash),
            None => self.remove_hashes.extend_from_slice(&hash),
        }
    }

    /// Adds entries that have no time to live. It works column by column, in a third of the time.
    fn describe_all(&mut self, batch: &Batch) {
        let (key_lengths, value_lengths) = batch.lengths();
        let count = self.kinds.len() + key_lengths.len();
        self.kinds.resize(count, PUT);
        extend(&mut self.key_lengths, key_lengths, |length| {
            length.to_le_bytes()
        });
        extend(&mut self.value_lengths, value_lengths, |length| {
            length.to_le_bytes()
        });
        let mut keys = batch.keys;
        extend(&mut self.put_hashes, key_lengths, |length| {
            let (key, rest) = keys.split_at_checked(*length as usize).unwrap_or_default();
            keys = rest;
            key_hash(key).to_le_bytes()
        });
    }

    /// Removes all records, but leaves keys and values as they are.
    fn clear(&mut self) {
        for column in [
            &mut self.kinds,
            &mut self.key_lengths,
            &mut self.value_lengths,
            &mut self.ttls,
            &mut self.put_hashes,
            &mut self.remove_hashes,
        ] {
            column.clear();
        }
    }
}

/// Appends the bytes of all items, in memory that is reserved at once.
fn extend<T, const N: usize>(
    bytes: &mut Vec<u8>,
    items: &[T],
    mut bytes_of: impl FnMut(&T) -> [u8; N],
) {
    let start = bytes.len();
    bytes.resize(start + N * items.len(), 0);
    let (room, _) = bytes.get_mut(start..).unwrap_or_default().as_chunks_mut();
    for (room, item) in room.iter_mut().zip(items) {
        *room = bytes_of(item);
    }
}
