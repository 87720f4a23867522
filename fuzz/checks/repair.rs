//! Checksums that hold over damaged files, so that the damage gets past them.

use larder_disk::format::{Header, TRAILER_BYTES, decode_trailer};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const PREAMBLE: &[u8; 8] = b"\x93LARDER\x01";
const FRAME: usize = 12;
const HEADER_SEED: u64 = 1;
const INDEX_SEED: u64 = 2;

/// More hashes than this are not made up for an index that claims to have them.
const MOST_HASHES: u64 = 1 << 16;

#[derive(Serialize, Deserialize)]
struct Index {
    header: Header,
    blocks: Vec<Block>,
    hashes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Block {
    length: u32,
    sum: u64,
    puts: u32,
    removes: u32,
}

/// The file with checksums, totals and offsets that fit what is in it.
pub fn repaired(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    if let Some(preamble) = file.first_chunk_mut() {
        *preamble = *PREAMBLE;
    }
    let header = sum_frame(&mut file, PREAMBLE.len(), HEADER_SEED);
    let header = header.and_then(|bytes| postcard::from_bytes::<Header>(bytes).ok());
    match (index(&file), header) {
        (Some((offset, index)), _) => follow(&mut file, offset, index),
        (None, Some(header)) => walk(&mut file, header),
        (None, None) => {}
    }
    file
}

/// Sets the checksum of the frame at `offset`; gives what is in it.
fn sum_frame(file: &mut [u8], offset: usize, seed: u64) -> Option<&[u8]> {
    let (head, rest) = file.get_mut(offset..)?.split_at_mut_checked(FRAME)?;
    let (length, sum) = head.split_first_chunk_mut()?;
    let bytes = rest.get(..u32::from_le_bytes(*length) as usize)?;
    sum.copy_from_slice(&xxh3_64_with_seed(bytes, seed).to_le_bytes());
    Some(bytes)
}

fn index(file: &[u8]) -> Option<(usize, Index)> {
    let (rest, trailer) = file.split_at_checked(file.len().checked_sub(TRAILER_BYTES)?)?;
    let offset = usize::try_from(decode_trailer(trailer)?).ok()?;
    let bytes = rest.get(offset.checked_add(FRAME)?..)?;
    Some((offset, postcard::from_bytes(bytes).ok()?))
}

fn follow(file: &mut Vec<u8>, index_offset: usize, mut index: Index) {
    let mut offset = start_of_blocks(&index.header);
    for block in &mut index.blocks {
        let seed = index.header.id.wrapping_add(offset as u64);
        let Some(head) = file.get_mut(offset..offset + 4) else {
            break;
        };
        if block.length > 0 {
            head.copy_from_slice(&block.length.to_le_bytes());
            if let Some(bytes) = sum_frame(file, offset, seed) {
                block.sum = xxh3_64_with_seed(bytes, seed);
            }
            offset += FRAME + block.length as usize;
        }
    }
    let total = |count: fn(&Block) -> u32| index.blocks.iter().map(|block| u64::from(count(block))).sum();
    index.header.puts = total(|block| block.puts);
    index.header.removes = total(|block| block.removes);
    let records = index.header.puts + index.header.removes;
    if records <= MOST_HASHES {
        index.hashes.resize(records as usize * 8, 0);
    }
    let bytes = postcard::to_allocvec(&index).expect("it has nothing of unknown length");
    file.truncate(index_offset);
    file.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    let seed = INDEX_SEED.wrapping_add(index_offset as u64);
    file.extend_from_slice(&xxh3_64_with_seed(&bytes, seed).to_le_bytes());
    file.extend_from_slice(&bytes);
    file.extend_from_slice(&(index_offset as u64).to_le_bytes());
    file.extend_from_slice(PREAMBLE);
}

fn walk(file: &mut [u8], header: Header) {
    let mut offset = start_of_blocks(&header);
    let seed = |offset| header.id.wrapping_add(offset as u64);
    while let Some(bytes) = sum_frame(file, offset, seed(offset)) {
        offset += FRAME + bytes.len();
    }
}

fn start_of_blocks(header: &Header) -> usize {
    let header = postcard::to_allocvec(header).expect("it has nothing of unknown length");
    PREAMBLE.len() + FRAME + header.len()
}
