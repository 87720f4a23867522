//! Files that no writer writes, with checksums that hold.

use larder_disk::format::Header;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a file begins and ends with.
pub const PREAMBLE: &[u8; 8] = b"\x93LARDER\x01";
/// Of the checksum of a header.
pub const HEADER_SEED: u64 = 1;
const INDEX_SEED: u64 = 2;

/// More hashes than this are not made up for an index that claims to have them.
const MOST_HASHES: u64 = 1 << 16;

/// An index, as it is in a file.
#[derive(Serialize, Deserialize)]
pub struct Index {
    /// The header again.
    pub header: Header,
    /// The blocks in the order of the file.
    pub blocks: Vec<Block>,
    /// Of every record the hash of its key.
    pub hashes: Vec<u8>,
}

/// A block, as an index knows it.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Block {
    /// How many bytes it has, without its frame.
    pub length: u32,
    /// Their checksum.
    pub sum: u64,
    /// How many records store an entry.
    pub puts: u32,
    /// How many records remove one.
    pub removes: u32,
}

/// The beginning of a file.
pub fn head(header: &Header) -> Vec<u8> {
    let mut file = PREAMBLE.to_vec();
    push_frame(&mut file, &to_postcard(header), HEADER_SEED);
    file
}

/// Ends a file with this index, whose totals and number of hashes are made to fit its blocks.
pub fn push_index(file: &mut Vec<u8>, mut index: Index) {
    let total = |count: fn(&Block) -> u32| {
        let counts = index.blocks.iter().map(count);
        counts.map(u64::from).sum()
    };
    index.header.puts = total(|block| block.puts);
    index.header.removes = total(|block| block.removes);
    let records = index.header.puts + index.header.removes;
    if records <= MOST_HASHES.max(index.blocks.len() as u64) {
        index.hashes.resize(records as usize * 8, 0);
    }
    let offset = file.len() as u64;
    push_frame(file, &to_postcard(&index), INDEX_SEED.wrapping_add(offset));
    file.extend_from_slice(&offset.to_le_bytes());
    file.extend_from_slice(PREAMBLE);
}

/// Adds a frame; gives its checksum.
pub fn push_frame(file: &mut Vec<u8>, bytes: &[u8], seed: u64) -> u64 {
    let sum = xxh3_64_with_seed(bytes, seed);
    file.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    file.extend_from_slice(&sum.to_le_bytes());
    file.extend_from_slice(bytes);
    sum
}

fn to_postcard(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("it has nothing of unknown length")
}
