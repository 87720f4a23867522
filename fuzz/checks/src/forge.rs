//! Makes files that no writer makes, with checksums that fit.

use larder_disk::format::{GAP, Header, Kind};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The newest version of the format.
pub const VERSION: u8 = 3;

/// The first and the last bytes of a file of this version.
pub fn preamble(version: u8) -> [u8; 8] {
    let [a, b, c, d, e, f, g] = *b"\x93LARDER";
    [a, b, c, d, e, f, g, version]
}

/// The most hashes that an index gets in which more are claimed.
const MOST_HASHES: u64 = 1 << 16;

/// The seed of the checksum of a header.
pub fn header_seed(version: u8) -> u64 {
    2 * u64::from(version) - 1
}

/// How many zeros are before an index.
pub fn gap(version: u8) -> usize {
    if version < 3 { 0 } else { GAP as usize }
}

/// The index of a segment.
#[derive(Default, Serialize, Deserialize)]
pub struct Index {
    /// The blocks, in the order of the file.
    pub blocks: Vec<Block>,
    /// The hash of each record's key.
    pub hashes: Vec<u8>,
}

/// A block in an index.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Block {
    /// The length in bytes, without the frame.
    pub length: u32,
    /// The checksum of these bytes.
    pub sum: u64,
    /// The number of puts.
    pub puts: u32,
    /// The number of removes.
    pub removes: u32,
}

/// A segment in a directory.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Segment {
    /// The length of its blocks, in bytes.
    pub blocks: u64,
    /// The length of its index, in bytes.
    pub index: u64,
    /// The number of puts.
    pub puts: u64,
    /// The number of removes.
    pub removes: u64,
}

/// The directory of a file.
#[derive(Serialize, Deserialize)]
pub struct Directory {
    /// A copy of the header.
    pub header: Header,
    /// The segments, in the order of the file.
    pub segments: Vec<Segment>,
}

/// A header of version 1.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct OldHeader {
    /// The id of the file.
    pub id: u64,
    kind: Kind,
    saved_at: u64,
    puts: u64,
    removes: u64,
    lost: u64,
}

impl From<Header> for OldHeader {
    fn from(header: Header) -> OldHeader {
        OldHeader {
            id: header.id,
            kind: header.kind,
            saved_at: header.saved_at,
            puts: header.puts,
            removes: header.removes,
            lost: header.lost,
        }
    }
}

/// The index of version 1, which is for the whole file.
#[derive(Serialize, Deserialize)]
pub struct OldIndex {
    /// A copy of the header.
    pub header: OldHeader,
    /// The blocks, in the order of the file.
    pub blocks: Vec<Block>,
    /// The hash of each record's key.
    pub hashes: Vec<u8>,
}

/// The beginning of a file of version 2 or newer.
pub fn head(version: u8, header: &Header) -> Vec<u8> {
    head_of(version, header)
}

/// The beginning of a file of version 1.
pub fn old_head(header: &OldHeader) -> Vec<u8> {
    head_of(1, header)
}

fn head_of(version: u8, header: &impl Serialize) -> Vec<u8> {
    let mut file = preamble(version).to_vec();
    push_frame(&mut file, &to_postcard(header), header_seed(version));
    file
}

/// The numbers of puts and of removes in these blocks.
fn totals(blocks: &[Block]) -> (u64, u64) {
    let total = |count: fn(&Block) -> u32| blocks.iter().map(|block| u64::from(count(block))).sum();
    (total(|block| block.puts), total(|block| block.removes))
}

fn fill(hashes: &mut Vec<u8>, blocks: &[Block]) {
    let (puts, removes) = totals(blocks);
    if puts + removes <= MOST_HASHES.max(blocks.len() as u64) {
        hashes.resize((puts + removes) as usize * 8, 0);
    }
}

/// Ends a segment with this index. The number of hashes is made to fit the blocks.
pub fn push_index(
    version: u8,
    file: &mut Vec<u8>,
    id: u64,
    start: usize,
    mut index: Index,
) -> Segment {
    fill(&mut index.hashes, &index.blocks);
    let blocks = (file.len() - start) as u64;
    file.resize(file.len() + gap(version), 0);
    let offset = file.len();
    push_frame(
        file,
        &to_postcard(&index),
        (!id).wrapping_add(offset as u64),
    );
    let (puts, removes) = totals(&index.blocks);
    Segment {
        blocks,
        index: (file.len() - offset) as u64,
        puts,
        removes,
    }
}

/// Ends a file without a table with this directory. The totals are made to fit the segments.
pub fn push_directory(version: u8, file: &mut Vec<u8>, mut directory: Directory) {
    let total = |count: fn(&Segment) -> u64| {
        let counts = directory.segments.iter().map(count);
        counts.fold(0, u64::wrapping_add)
    };
    directory.header.puts = total(|segment| segment.puts);
    directory.header.removes = total(|segment| segment.removes);
    if directory.segments.is_empty() {
        file.resize(file.len() + gap(version), 0);
    }
    let mut bytes = to_postcard(&directory);
    if version >= 3 {
        // The table has no pages.
        bytes.push(0);
    }
    push_end(version, file, &bytes);
}

/// Ends a file of version 1 with this index. Totals and number of hashes are made to fit the
/// blocks.
pub fn push_old_index(file: &mut Vec<u8>, mut index: OldIndex) {
    (index.header.puts, index.header.removes) = totals(&index.blocks);
    fill(&mut index.hashes, &index.blocks);
    push_end(1, file, &to_postcard(&index));
}

/// Ends a file with a frame and a trailer, which has the frame's offset.
pub fn push_end(version: u8, file: &mut Vec<u8>, bytes: &[u8]) {
    let offset = file.len() as u64;
    push_frame(file, bytes, (2 * u64::from(version)).wrapping_add(offset));
    file.extend_from_slice(&offset.to_le_bytes());
    file.extend_from_slice(&preamble(version));
}

/// Adds a frame, and gives its checksum.
pub fn push_frame(file: &mut Vec<u8>, bytes: &[u8], seed: u64) -> u64 {
    let sum = xxh3_64_with_seed(bytes, seed);
    file.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    file.extend_from_slice(&sum.to_le_bytes());
    file.extend_from_slice(bytes);
    sum
}

fn to_postcard(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("the value can be encoded")
}
