//! Checksums that hold over damaged files, so that the damage gets past them.

use larder_disk::format::{Header, TRAILER_BYTES, decode_trailer};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::forge::{HEADER_SEED, Index, PREAMBLE, head, push_index};

/// The length and the checksum before each part.
const FRAME: usize = 12;

/// A file with checksums, totals and offsets that fit what is in it.
pub fn repaired(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    if let Some(preamble) = file.first_chunk_mut() {
        *preamble = *PREAMBLE;
    }
    let header = sum_frame(&mut file, PREAMBLE.len(), HEADER_SEED);
    let header = header.and_then(|bytes| postcard::from_bytes::<Header>(bytes).ok());
    match (index(&file), header) {
        (Some((offset, mut index)), _) => {
            sum_blocks(&mut file, &mut index);
            file.truncate(offset);
            push_index(&mut file, index);
        }
        (None, Some(header)) => sum_frames(&mut file, &header),
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

/// Sums the blocks that an index leads to.
fn sum_blocks(file: &mut [u8], index: &mut Index) {
    let mut offset = head(&index.header).len();
    for block in index.blocks.iter_mut().filter(|block| block.length > 0) {
        let seed = index.header.id.wrapping_add(offset as u64);
        let Some(length) = file.get_mut(offset..offset.saturating_add(4)) else {
            break;
        };
        length.copy_from_slice(&block.length.to_le_bytes());
        if let Some(bytes) = sum_frame(file, offset, seed) {
            block.sum = xxh3_64_with_seed(bytes, seed);
        }
        offset += FRAME + block.length as usize;
    }
}

/// Sums the blocks that their frames lead to.
fn sum_frames(file: &mut [u8], header: &Header) {
    let mut offset = head(header).len();
    let seed = |offset| header.id.wrapping_add(offset as u64);
    while let Some(bytes) = sum_frame(file, offset, seed(offset)) {
        offset += FRAME + bytes.len();
    }
}
