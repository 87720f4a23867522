//! What a file of the store looks like, in bytes: the one place that knows.
//!
//! ```text
//! magic, version        7 + 1 bytes
//! header                a frame: what the file is, and how much is in it
//! blocks                a frame each: about 32 KiB of records, in columns
//! index                 a frame: the header again, then every block's length, checksum and key hashes
//! offset of the index   8 bytes
//! magic, version        7 + 1 bytes
//! ```
//!
//! A frame is a length (`u32`), a checksum (`u64`, XXH3) and that many bytes of
//! postcard; all integers outside of postcard are little-endian. The checksum
//! of a block is seeded with the file's random id and the block's offset, so
//! that a block which belongs elsewhere never passes for one of this file.
//!
//! Whatever one damaged place hits, another place makes up for: without the
//! header the index has all; without the index the blocks are walked by their
//! frames, and the header's totals tell how many records are missing; a
//! damaged block is known by the hashes of its keys.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The version of the format that is written.
pub const VERSION: u8 = 1;

const MAGIC: [u8; 7] = *b"\x93LARDER";
const PREAMBLE: [u8; 8] = [0x93, b'L', b'A', b'R', b'D', b'E', b'R', VERSION];
const FRAME: usize = 4 + 8;

/// What a record takes in a block at the least: its kind and two lengths.
const RECORD: u64 = 1 + 4 + 4;

/// How many bytes of keys and values make a block full. Damage costs a block,
/// so a smaller one loses less; a larger one costs less overhead.
pub const BLOCK_BYTES: usize = 32 * 1024;

/// The beginning of a file that is sure to hold the whole header, of which no
/// field takes more than 11 bytes.
pub const HEAD_BYTES: usize = 128;

/// How many bytes at the end of a file lead to its index.
pub const TRAILER_BYTES: usize = 8 + PREAMBLE.len();

/// Marks the parts of a file in the seed of their checksums, so that one part
/// never passes for another.
const HEADER_SEED: u64 = 1;
const INDEX_SEED: u64 = 2;

const PUT: u8 = 0;
const PUT_WITH_TTL: u8 = 1;
const REMOVE: u8 = 2;

/// What a file stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The whole cache.
    Snapshot,
    /// What the last `covers` versions changed, its own included.
    Changes {
        /// How many versions, at least 1.
        covers: u64,
    },
}

/// What a file is and how much is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// A random number that tells this file from every other.
    pub id: u64,
    /// What the file stands for.
    pub kind: Kind,
    /// The wall clock when the file was written, in nanoseconds since 1970.
    pub saved_at: u64,
    /// How many records store an entry, those included that were lost before
    /// this file was written.
    pub puts: u64,
    /// How many records remove one.
    pub removes: u64,
    /// How many further entries were lost before, of which nothing is known.
    pub lost: u64,
}

/// One entry stored or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The key.
    pub key: &'a str,
    /// What is stored under it; none where the key is removed.
    pub put: Option<Put<'a>>,
}

/// What is stored under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put<'a> {
    /// The value.
    pub value: &'a [u8],
    /// Nanoseconds to live from the header's `saved_at`.
    pub ttl: Option<u64>,
}

/// The hashes of keys whose records were lost to damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostKeys {
    /// Of records that stored an entry.
    pub puts: Vec<u64>,
    /// Of records that removed one.
    pub removes: Vec<u64>,
}

impl LostKeys {
    fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removes.is_empty()
    }
}

/// The hash by which the index knows a key.
pub fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// The records of one block, column by column.
#[derive(Serialize, Deserialize)]
struct Columns<'a> {
    #[serde(with = "serde_bytes")]
    kinds: &'a [u8],
    #[serde(with = "serde_bytes")]
    key_lengths: &'a [u8],
    #[serde(with = "serde_bytes")]
    value_lengths: &'a [u8],
    #[serde(with = "serde_bytes")]
    ttls: &'a [u8],
    #[serde(borrow)]
    keys: &'a str,
    #[serde(with = "serde_bytes")]
    values: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct Index<'a> {
    header: Header,
    blocks: Vec<BlockEntry>,
    /// A `u64` for every record: block by block, first those of a block that
    /// store an entry, then those that remove one.
    #[serde(with = "serde_bytes")]
    hashes: &'a [u8],
}

/// A block, as the index knows it. One of no bytes stands for records that
/// were lost before the file was written.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct BlockEntry {
    length: u32,
    sum: u64,
    puts: u32,
    removes: u32,
}

/// Encodes a file and gives its bytes to `write`, piece by piece.
///
/// Each key must occur once. Fails only where `write` does, and with its error.
pub fn encode<'a, E>(
    header: Header,
    records: impl Iterator<Item = Record<'a>>,
    lost: &LostKeys,
    block_bytes: usize,
    mut write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut out = Vec::with_capacity(WRITE_BYTES + 2 * block_bytes);
    out.extend_from_slice(&PREAMBLE);
    push_frame(&mut out, &to_postcard(&header), HEADER_SEED);

    let mut written: u64 = 0;
    let mut index = IndexBuilder::default();
    let mut block = BlockBuilder::default();
    for record in records {
        if block.bytes() > 0 && block.bytes() + record.bytes() > block_bytes {
            block.finish(header.id, written, &mut out, &mut index);
            if out.len() >= WRITE_BYTES {
                write(&out)?;
                written += out.len() as u64;
                out.clear();
            }
        }
        block.push(record);
    }
    block.finish(header.id, written, &mut out, &mut index);
    index.push_lost(lost);

    let offset = written + out.len() as u64;
    let index = Index {
        header,
        blocks: index.blocks,
        hashes: &index.hashes,
    };
    push_frame(
        &mut out,
        &to_postcard(&index),
        INDEX_SEED.wrapping_add(offset),
    );
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&PREAMBLE);
    write(&out)
}

/// How much is gathered before it is written: a host call costs far less than
/// copying this much.
const WRITE_BYTES: usize = 256 * 1024;

impl Record<'_> {
    fn bytes(&self) -> usize {
        self.key.len() + self.put.map_or(0, |put| put.value.len()) + 17
    }
}

#[derive(Default)]
struct IndexBuilder {
    blocks: Vec<BlockEntry>,
    hashes: Vec<u8>,
}

impl IndexBuilder {
    fn push(&mut self, length: u32, sum: u64, puts: &[u64], removes: &[u64]) {
        self.blocks.push(BlockEntry {
            length,
            sum,
            puts: puts.len() as u32,
            removes: removes.len() as u32,
        });
        for hash in puts.iter().chain(removes) {
            self.hashes.extend_from_slice(&hash.to_le_bytes());
        }
    }

    fn push_lost(&mut self, lost: &LostKeys) {
        if !lost.is_empty() {
            self.push(0, 0, &lost.puts, &lost.removes);
        }
    }
}

#[derive(Default)]
struct BlockBuilder {
    kinds: Vec<u8>,
    key_lengths: Vec<u8>,
    value_lengths: Vec<u8>,
    ttls: Vec<u8>,
    keys: String,
    values: Vec<u8>,
    put_hashes: Vec<u64>,
    remove_hashes: Vec<u64>,
    encoded: Vec<u8>,
}

impl BlockBuilder {
    fn bytes(&self) -> usize {
        self.keys.len() + self.values.len() + self.kinds.len() * 17
    }

    fn push(&mut self, record: Record) {
        let hash = key_hash(record.key);
        let value = match record.put {
            Some(put) => {
                self.put_hashes.push(hash);
                if let Some(ttl) = put.ttl {
                    self.kinds.push(PUT_WITH_TTL);
                    self.ttls.extend_from_slice(&ttl.to_le_bytes());
                } else {
                    self.kinds.push(PUT);
                }
                put.value
            }
            None => {
                self.remove_hashes.push(hash);
                self.kinds.push(REMOVE);
                &[]
            }
        };
        // A string or list of this component's memory is shorter than 4 GiB.
        self.key_lengths
            .extend_from_slice(&(record.key.len() as u32).to_le_bytes());
        self.value_lengths
            .extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.keys.push_str(record.key);
        self.values.extend_from_slice(value);
    }

    fn finish(&mut self, id: u64, written: u64, out: &mut Vec<u8>, index: &mut IndexBuilder) {
        if self.kinds.is_empty() {
            return;
        }
        let columns = Columns {
            kinds: &self.kinds,
            key_lengths: &self.key_lengths,
            value_lengths: &self.value_lengths,
            ttls: &self.ttls,
            keys: &self.keys,
            values: &self.values,
        };
        self.encoded.clear();
        extend_with_postcard(&mut self.encoded, &columns);
        let seed = block_seed(id, written + out.len() as u64);
        let sum = push_frame(out, &self.encoded, seed);
        let length = self.encoded.len() as u32;
        index.push(length, sum, &self.put_hashes, &self.remove_hashes);
        for column in [
            &mut self.kinds,
            &mut self.key_lengths,
            &mut self.value_lengths,
            &mut self.ttls,
            &mut self.values,
        ] {
            column.clear();
        }
        self.keys.clear();
        self.put_hashes.clear();
        self.remove_hashes.clear();
    }
}

fn block_seed(id: u64, offset: u64) -> u64 {
    id.wrapping_add(offset)
}

fn push_frame(out: &mut Vec<u8>, bytes: &[u8], seed: u64) -> u64 {
    let sum = xxh3_64_with_seed(bytes, seed);
    out.extend_from_slice(&frame_head(bytes.len() as u32, sum));
    out.extend_from_slice(bytes);
    sum
}

fn to_postcard(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    extend_with_postcard(&mut bytes, value);
    bytes
}

fn extend_with_postcard(bytes: &mut Vec<u8>, value: &impl Serialize) {
    struct Append<'a>(&'a mut Vec<u8>);
    impl postcard::ser_flavors::Flavor for Append<'_> {
        type Output = ();
        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            self.0.push(byte);
            Ok(())
        }
        fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
        fn finalize(self) -> postcard::Result<()> {
            Ok(())
        }
    }
    let done = postcard::serialize_with_flavor(value, Append(bytes));
    // Appending cannot fail, and the types here all have a length of their own.
    debug_assert!(done.is_ok());
}

/// Why nothing of a file can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Neither the header nor the index is whole.
    Damaged,
    /// A newer format, of this version.
    Version(u8),
}

/// A file as far as it can be read.
pub struct Decoded<'a> {
    /// What the file is.
    pub header: Header,
    /// Every block that the index knows of, or else that can be read, in file
    /// order.
    pub blocks: Vec<Block<'a>>,
    /// The index was read, so that the keys of lost blocks are known by hash.
    pub indexed: bool,
    /// What is damaged, in file order.
    pub damage: Vec<Damage>,
}

/// A block as far as it can be read.
pub struct Block<'a> {
    columns: Option<Columns<'a>>,
    put_hashes: &'a [u8],
    remove_hashes: &'a [u8],
}

/// A damaged place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What is damaged.
    pub part: Part,
    /// Where it begins.
    pub offset: usize,
    /// How many bytes it takes.
    pub length: usize,
    /// How many records cannot be read because of it.
    pub records: u64,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Magic, version and header.
    Header,
    /// A block.
    Block,
    /// Index, its offset, magic and version.
    Index,
}

impl<'a> Block<'a> {
    /// The records, or none where the block is damaged.
    pub fn records(&self) -> Option<impl Iterator<Item = Record<'a>> + use<'a>> {
        self.columns.as_ref().map(Columns::records)
    }

    /// How many records can be read.
    pub fn record_count(&self) -> u64 {
        let columns = self.columns.as_ref();
        columns.map_or(0, |columns| columns.kinds.len() as u64)
    }

    /// The hashes of the keys that the block stores, where the index is known.
    pub fn put_hashes(&self) -> impl Iterator<Item = u64> + use<'a> {
        hashes(self.put_hashes)
    }

    /// The hashes of the keys that the block removes, where the index is known.
    pub fn remove_hashes(&self) -> impl Iterator<Item = u64> + use<'a> {
        hashes(self.remove_hashes)
    }
}

impl<'a> Decoded<'a> {
    /// How many records that store an entry are in no readable block.
    pub fn lost_puts(&self) -> u64 {
        let read: u64 = self
            .blocks
            .iter()
            .filter_map(|block| block.columns.as_ref())
            .map(Columns::puts)
            .sum();
        self.header.puts.saturating_sub(read)
    }

    /// Every byte of the file is as it was written. What was lost before that
    /// is no damage of this file: it takes no bytes.
    pub fn is_intact(&self) -> bool {
        let lost_before = |damage: &Damage| damage.part == Part::Block && damage.length == 0;
        self.damage.iter().all(lost_before)
    }

    /// How many records are in no readable block.
    pub fn lost_records(&self) -> u64 {
        let read = self.blocks.iter().map(Block::record_count).sum();
        (self.header.puts.saturating_add(self.header.removes)).saturating_sub(read)
    }
}

/// Reads the header from the beginning of a file, of which `HEAD_BYTES` suffice.
pub fn decode_head(head: &[u8]) -> Result<Header, Unreadable> {
    match head.strip_prefix(&MAGIC) {
        Some([VERSION, ..]) => {}
        Some([version, ..]) if *version > VERSION => return Err(Unreadable::Version(*version)),
        _ => return Err(Unreadable::Damaged),
    }
    let frame = head.get(PREAMBLE.len()..).and_then(split_frame);
    frame
        .filter(|frame| frame.holds(HEADER_SEED))
        .and_then(|frame| postcard::from_bytes(frame.bytes).ok())
        .ok_or(Unreadable::Damaged)
}

/// Where the index begins, from the last `TRAILER_BYTES` of a file; none where
/// they are not the end of one.
pub fn decode_trailer(trailer: &[u8]) -> Option<u64> {
    let (offset, preamble) = trailer.split_first_chunk()?;
    (preamble == PREAMBLE).then_some(u64::from_le_bytes(*offset))
}

/// Reads the header and every block's hashes from the end of a file, given
/// from where `decode_trailer` says that the index begins.
pub fn decode_tail(tail: &[u8], offset: u64) -> Option<(Header, Vec<Block<'_>>)> {
    let (_, index) = decode_index(tail, offset)?;
    Some((index.header, index.blocks(|_, _| None)))
}

/// Reads a file as far as that is possible. Linear in its size; allocates a
/// small part of it.
pub fn decode(file: &[u8]) -> Result<Decoded<'_>, Unreadable> {
    match decode_index(file, 0) {
        Some((_, index)) => Ok(follow(file, &index)),
        None => decode_head(file).map(|header| walk(file, header)),
    }
}

/// Finds the index from the end of a file, of which `tail` begins at
/// `tail_offset`. None where it is not whole, or not in the tail.
fn decode_index(tail: &[u8], tail_offset: u64) -> Option<(u64, Index<'_>)> {
    let (rest, trailer) = tail.split_at_checked(tail.len().checked_sub(TRAILER_BYTES)?)?;
    let offset = decode_trailer(trailer)?;
    let start = usize::try_from(offset.checked_sub(tail_offset)?).ok()?;
    let frame = split_frame(rest.get(start..)?)?;
    let seed = INDEX_SEED.wrapping_add(offset);
    if !frame.rest.is_empty() || !frame.holds(seed) {
        return None;
    }
    let index: Index = postcard::from_bytes(frame.bytes).ok()?;
    let sum = |count: fn(&BlockEntry) -> u32| -> u64 {
        index
            .blocks
            .iter()
            .map(|block| u64::from(count(block)))
            .sum()
    };
    let (puts, removes) = (sum(|block| block.puts), sum(|block| block.removes));
    let fits = index.end_of_blocks() == Some(offset)
        && puts == index.header.puts
        && removes == index.header.removes
        && (puts + removes).checked_mul(8)? == index.hashes.len() as u64;
    fits.then_some((offset, index))
}

/// Reads the blocks where the index says that they are.
fn follow<'a>(file: &'a [u8], index: &Index<'a>) -> Decoded<'a> {
    let header = index.header;
    let mut damage = Vec::new();
    let mut head = PREAMBLE.to_vec();
    push_frame(&mut head, &to_postcard(&header), HEADER_SEED);
    if !file.starts_with(&head) {
        damage.push(Damage::new(Part::Header, 0, head.len(), 0));
    }

    let mut offset = head.len();
    let blocks = index.blocks(|entry, records| {
        let length = entry.length as usize;
        let mut lost = |length, records| {
            damage.push(Damage::new(Part::Block, offset, length, records));
            None
        };
        if length == 0 {
            return lost(0, records);
        }
        let end = offset.saturating_add(FRAME).saturating_add(length);
        let bytes = file.get(offset.saturating_add(FRAME)..end);
        let whole = bytes.filter(|bytes| {
            xxh3_64_with_seed(bytes, block_seed(header.id, offset as u64)) == entry.sum
        });
        let columns = whole
            .and_then(Columns::decode)
            .filter(|columns| columns.kinds.len() as u64 == records);
        let columns = match columns {
            Some(columns) => {
                let frame = file.get(offset..offset.saturating_add(FRAME));
                if frame != Some(&frame_head(entry.length, entry.sum)) {
                    lost(FRAME, 0);
                }
                Some(columns)
            }
            None => lost(end.saturating_sub(offset), records),
        };
        offset = end;
        columns
    });
    Decoded {
        header,
        blocks,
        indexed: true,
        damage,
    }
}

/// Reads the blocks one after the other, for want of an index, as far as their
/// frames lead.
fn walk(file: &[u8], header: Header) -> Decoded<'_> {
    let mut decoded = Decoded {
        header,
        blocks: Vec::new(),
        indexed: false,
        damage: Vec::new(),
    };
    let mut offset = PREAMBLE.len() + FRAME + to_postcard(&header).len();
    let mut missing = decoded.lost_records();
    while missing > 0 {
        // No block is empty: zeros are no frames.
        let frame = file.get(offset..).and_then(split_frame);
        let Some(frame) = frame.filter(|frame| !frame.bytes.is_empty()) else {
            break;
        };
        if frame.holds(INDEX_SEED.wrapping_add(offset as u64)) {
            break;
        }
        let columns = Some(frame.bytes)
            .filter(|_| frame.holds(block_seed(header.id, offset as u64)))
            .and_then(Columns::decode);
        let length = FRAME + frame.bytes.len();
        match (columns, decoded.damage.last_mut()) {
            (Some(columns), _) => {
                missing = missing.saturating_sub(columns.kinds.len() as u64);
                decoded.blocks.push(Block {
                    columns: Some(columns),
                    put_hashes: &[],
                    remove_hashes: &[],
                });
            }
            (None, Some(last)) if last.offset + last.length == offset => last.length += length,
            (None, _) => {
                let damage = Damage::new(Part::Block, offset, length, 0);
                decoded.damage.push(damage);
            }
        }
        offset += length;
    }
    let rest = Damage::new(Part::Index, offset, file.len().saturating_sub(offset), 0);
    decoded.damage.push(rest);
    decoded
}

impl Damage {
    fn new(part: Part, offset: usize, length: usize, records: u64) -> Damage {
        Damage {
            part,
            offset,
            length,
            records,
        }
    }
}

impl BlockEntry {
    fn records(&self) -> u64 {
        u64::from(self.puts) + u64::from(self.removes)
    }
}

impl<'a> Index<'a> {
    /// Where the blocks end; none where they are not what a writer writes:
    /// each as long as its records take, but for one without bytes at the end.
    fn end_of_blocks(&self) -> Option<u64> {
        let mut end = (PREAMBLE.len() + FRAME + to_postcard(&self.header).len()) as u64;
        for (at, block) in self.blocks.iter().enumerate() {
            let is_last = at + 1 == self.blocks.len();
            let (records, length) = (block.records(), u64::from(block.length));
            if records == 0 || length < records.checked_mul(RECORD)? && !(length == 0 && is_last) {
                return None;
            }
            if length > 0 {
                end = end.checked_add(FRAME as u64 + length)?;
            }
        }
        Some(end)
    }

    /// Hands each block its hashes, and what `columns` reads of it, given the
    /// number of its records.
    fn blocks(
        &self,
        mut columns: impl FnMut(&BlockEntry, u64) -> Option<Columns<'a>>,
    ) -> Vec<Block<'a>> {
        let mut hashes = self.hashes;
        let mut take = |records: u32| {
            // The index was found to hold as many hashes as records.
            let (taken, rest) = hashes
                .split_at_checked(records as usize * 8)
                .unwrap_or((hashes, &[]));
            hashes = rest;
            taken
        };
        let block = |entry: &BlockEntry| Block {
            put_hashes: take(entry.puts),
            remove_hashes: take(entry.removes),
            columns: columns(entry, entry.records()),
        };
        self.blocks.iter().map(block).collect()
    }
}

impl<'a> Columns<'a> {
    /// None where the columns do not fit each other.
    fn decode(bytes: &'a [u8]) -> Option<Columns<'a>> {
        let (columns, rest): (Columns, _) = postcard::take_from_bytes(bytes).ok()?;
        let records = columns.kinds.len();
        let fits = rest.is_empty()
            && columns.key_lengths.len() == records.checked_mul(4)?
            && columns.value_lengths.len() == records.checked_mul(4)?
            && columns.kinds.iter().all(|kind| *kind <= REMOVE)
            && (columns.keys.is_ascii() || columns.records().count() == records);
        let sum = |lengths| lengths_of(lengths).try_fold(0usize, usize::checked_add);
        let with_ttl = columns.kinds.iter().filter(|kind| **kind == PUT_WITH_TTL);
        (fits
            && sum(columns.key_lengths)? == columns.keys.len()
            && sum(columns.value_lengths)? == columns.values.len()
            && with_ttl.count().checked_mul(8)? == columns.ttls.len())
        .then_some(columns)
    }

    fn puts(&self) -> u64 {
        self.kinds.iter().filter(|kind| **kind != REMOVE).count() as u64
    }

    /// Ends early where the columns do not fit each other.
    fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let (mut keys, mut values) = (self.keys, self.values);
        let mut ttls = self.ttls;
        let lengths = lengths_of(self.key_lengths).zip(lengths_of(self.value_lengths));
        self.kinds
            .iter()
            .zip(lengths)
            .map_while(move |(kind, (key_length, value_length))| {
                let (key, rest) = keys.split_at_checked(key_length)?;
                keys = rest;
                let (value, rest) = values.split_at_checked(value_length)?;
                values = rest;
                let ttl = match *kind {
                    PUT_WITH_TTL => {
                        let (ttl, rest) = ttls.split_first_chunk()?;
                        ttls = rest;
                        Some(u64::from_le_bytes(*ttl))
                    }
                    PUT => None,
                    REMOVE => return Some(Record { key, put: None }),
                    _ => return None,
                };
                let put = Some(Put { value, ttl });
                Some(Record { key, put })
            })
    }
}

fn lengths_of(column: &[u8]) -> impl Iterator<Item = usize> + use<'_> {
    column
        .as_chunks()
        .0
        .iter()
        .map(|length| u32::from_le_bytes(*length) as usize)
}

fn hashes(column: &[u8]) -> impl Iterator<Item = u64> + use<'_> {
    let (hashes, _) = column.as_chunks();
    hashes.iter().map(|hash| u64::from_le_bytes(*hash))
}

struct Frame<'a> {
    sum: u64,
    bytes: &'a [u8],
    rest: &'a [u8],
}

impl Frame<'_> {
    fn holds(&self, seed: u64) -> bool {
        xxh3_64_with_seed(self.bytes, seed) == self.sum
    }
}

fn split_frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (length, bytes) = bytes.split_first_chunk()?;
    let (sum, bytes) = bytes.split_first_chunk()?;
    let (bytes, rest) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some(Frame {
        sum: u64::from_le_bytes(*sum),
        bytes,
        rest,
    })
}

fn frame_head(length: u32, sum: u64) -> [u8; FRAME] {
    let mut head = [0; FRAME];
    let (length_bytes, sum_bytes) = head.split_at_mut(4);
    length_bytes.copy_from_slice(&length.to_le_bytes());
    sum_bytes.copy_from_slice(&sum.to_le_bytes());
    head
}
