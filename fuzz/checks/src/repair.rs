//! Repairs the checksums of damaged files, so that the damage passes them.

use larder_disk::format::Header;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::forge::{
    Block, Directory, Index, OldHeader, OldIndex, VERSION, gap, head, header_seed, old_head,
    preamble, push_directory, push_frame, push_index, push_old_index,
};

/// The bytes of a frame before its contents: their length and their checksum.
const FRAME: usize = 12;

/// Repairs checksums, totals and offsets so that they fit the contents.
pub fn repaired(file: &[u8]) -> Vec<u8> {
    let version = file.get(7).copied();
    let version = version.filter(|version| [1, 2].contains(version));
    let version = version.unwrap_or(VERSION);
    let mut file = file.to_vec();
    if let Some(begun) = file.first_chunk_mut() {
        *begun = preamble(version);
    }
    let header = sum_frame(&mut file, preamble(version).len(), header_seed(version));
    if version == 1 {
        let header = header.and_then(|bytes| postcard::from_bytes::<OldHeader>(bytes).ok());
        repaired_old(file, header)
    } else {
        let header = header.and_then(|bytes| postcard::from_bytes::<Header>(bytes).ok());
        repaired_new(version, file, header)
    }
}

/// A table is left out.
fn repaired_new(version: u8, mut file: Vec<u8>, header: Option<Header>) -> Vec<u8> {
    if let Some((_, Directory { header, segments })) = end(&file) {
        let mut repaired = head(version, &header);
        let (mut offset, mut kept) = (repaired.len(), Vec::new());
        for segment in segments {
            let start = repaired.len();
            let blocks = usize::try_from(segment.blocks).unwrap_or(usize::MAX);
            let blocks = blocks.saturating_add(gap(version));
            let index_start = offset.saturating_add(blocks).saturating_add(FRAME);
            let index = file
                .get(index_start..)
                .and_then(|bytes| postcard::from_bytes(bytes).ok());
            let mut index: Index = index.unwrap_or_default();
            copy_blocks(&file, offset, header.id, &mut repaired, &mut index.blocks);
            kept.push(push_index(version, &mut repaired, header.id, start, index));
            let index = usize::try_from(segment.index).unwrap_or(usize::MAX);
            offset = offset.saturating_add(blocks).saturating_add(index);
        }
        let segments = kept;
        push_directory(version, &mut repaired, Directory { header, segments });
        return repaired;
    }
    if let Some(header) = header {
        sum_segments(version, &mut file, &header);
    }
    file
}

fn repaired_old(mut file: Vec<u8>, header: Option<OldHeader>) -> Vec<u8> {
    if let Some((_, mut index)) = end::<OldIndex>(&file) {
        let mut repaired = old_head(&index.header);
        let (offset, id) = (repaired.len(), index.header.id);
        copy_blocks(&file, offset, id, &mut repaired, &mut index.blocks);
        push_old_index(&mut repaired, index);
        return repaired;
    }
    if let Some(header) = header {
        let mut offset = old_head(&header).len();
        while let Some(bytes) = sum_frame(&mut file, offset, header.id.wrapping_add(offset as u64))
        {
            offset += FRAME + bytes.len();
        }
    }
    file
}

/// Repairs the checksum of the frame at `offset`, and gives the contents of the frame.
fn sum_frame(file: &mut [u8], offset: usize, seed: u64) -> Option<&[u8]> {
    let (head, rest) = file.get_mut(offset..)?.split_at_mut_checked(FRAME)?;
    let (length, sum) = head.split_first_chunk_mut()?;
    let bytes = rest.get(..u32::from_le_bytes(*length) as usize)?;
    sum.copy_from_slice(&xxh3_64_with_seed(bytes, seed).to_le_bytes());
    Some(bytes)
}

/// Reads the part that the trailer of a file leads to. Gives its offset too.
fn end<T: DeserializeOwned>(file: &[u8]) -> Option<(usize, T)> {
    let (rest, trailer) = file.split_at_checked(file.len().checked_sub(8 + 8)?)?;
    let offset = usize::try_from(u64::from_le_bytes(*trailer.first_chunk()?)).ok()?;
    let bytes = rest.get(offset.checked_add(FRAME)?..)?;
    // The directory of version 3 has a number of pages besides.
    let (part, _) = postcard::take_from_bytes(bytes).ok()?;
    Some((offset, part))
}

/// Copies the blocks of an index, up to the first that is not in the file, and repairs checksums.
fn copy_blocks(
    file: &[u8],
    mut offset: usize,
    id: u64,
    repaired: &mut Vec<u8>,
    blocks: &mut Vec<Block>,
) {
    let mut kept = 0;
    for block in &mut *blocks {
        if block.length > 0 {
            let start = offset.saturating_add(FRAME);
            let end = start.saturating_add(block.length as usize);
            let Some(bytes) = file.get(start..end) else {
                break;
            };
            let seed = id.wrapping_add(repaired.len() as u64);
            block.sum = push_frame(repaired, bytes, seed);
            offset = end;
        }
        kept += 1;
    }
    blocks.truncate(kept);
}

/// Repairs the checksums of the blocks and indexes, going from frame to frame.
fn sum_segments(version: u8, file: &mut [u8], header: &Header) {
    let mut offset = head(version, header).len();
    let mut start = offset;
    while let Some(bytes) = sum_frame(file, offset, header.id.wrapping_add(offset as u64)) {
        let next = offset + FRAME + bytes.len();
        let ends_segment = postcard::from_bytes::<Index>(bytes).is_ok_and(|index| {
            let lengths = index.blocks.iter().filter(|block| block.length > 0);
            let lengths: usize = lengths.map(|block| FRAME + block.length as usize).sum();
            lengths + gap(version) == offset - start
        });
        if ends_segment {
            sum_frame(file, offset, (!header.id).wrapping_add(offset as u64));
            start = next;
        }
        offset = next;
        if gap(version) > 0 && file.get(offset..offset + 4) == Some(&[0; 4]) {
            offset += gap(version);
        }
    }
}
