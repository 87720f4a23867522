//! Frames: a length, a checksum, and as many bytes of postcard as the length says.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(super) const FRAME: usize = 4 + 8;

/// The checksums of different parts of a file have different seeds, and each version of the format
/// has seeds of its own. So no part passes for another part.
pub(super) fn header_seed(version: u8) -> u64 {
    2 * u64::from(version) - 1
}

pub(super) fn directory_seed(version: u8, offset: u64) -> u64 {
    (2 * u64::from(version)).wrapping_add(offset)
}

pub(super) fn block_seed(id: u64, offset: u64) -> u64 {
    id.wrapping_add(offset)
}

pub(super) fn index_seed(id: u64, offset: u64) -> u64 {
    (!id).wrapping_add(offset)
}

pub(super) struct Frame<'a> {
    pub(super) sum: u64,
    pub(super) bytes: &'a [u8],
}

impl Frame<'_> {
    pub(super) fn holds(&self, seed: u64) -> bool {
        xxh3_64_with_seed(self.bytes, seed) == self.sum
    }
}

/// The frame at the beginning of these bytes.
pub(super) fn split_frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (length, bytes) = bytes.split_first_chunk()?;
    let (sum, bytes) = bytes.split_first_chunk()?;
    let (bytes, _) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some(Frame {
        sum: u64::from_le_bytes(*sum),
        bytes,
    })
}

/// Appends space for the head of a frame and returns its offset. The bytes of the frame follow.
pub(super) fn begin_frame(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME]);
    start
}

/// Fills in the head of the frame at `start`. Returns the length and the checksum of the frame.
pub(super) fn end_frame(out: &mut [u8], start: usize, seed: u64) -> (u32, u64) {
    let frame = out.get_mut(start..);
    let Some((head, bytes)) = frame.and_then(|frame| frame.split_first_chunk_mut()) else {
        return (0, 0);
    };
    let (length, sum) = (bytes.len() as u32, xxh3_64_with_seed(bytes, seed));
    *head = frame_head(length, sum);
    (length, sum)
}

pub(super) fn frame_head(length: u32, sum: u64) -> [u8; FRAME] {
    let mut head = [0; FRAME];
    let (length_bytes, sum_bytes) = head.split_at_mut(4);
    length_bytes.copy_from_slice(&length.to_le_bytes());
    sum_bytes.copy_from_slice(&sum.to_le_bytes());
    head
}

/// Decodes a value. Returns none if bytes are left over.
pub(super) fn from_postcard<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        Ok(_) | Err(_) => None,
    }
}

pub(super) fn extend_with_postcard(bytes: &mut Vec<u8>, value: &impl Serialize) {
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
    // Appending cannot fail, and all types here know their length.
    debug_assert!(done.is_ok());
}

/// The length at the beginning of a frame.
pub(super) fn frame_length(head: &[u8]) -> Option<u32> {
    head.first_chunk().map(|length| u32::from_le_bytes(*length))
}
