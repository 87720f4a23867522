//! The header of a file, and the parts around it: magic, version and trailer.

use serde::{Deserialize, Serialize};

use super::frame::{
    begin_frame, end_frame, extend_with_postcard, from_postcard, header_seed, split_frame,
};

/// The version of the files that are written.
pub const VERSION: u8 = 3;
/// The oldest version that is read.
const OLDEST: u8 = 1;

pub(super) const MAGIC: [u8; 7] = *b"\x93LARDER";
const PREAMBLE: usize = MAGIC.len() + 1;

/// How many bytes at the beginning of a file are certain to hold the whole header. No field of it
/// takes more than 11 bytes.
pub const HEAD_BYTES: usize = 128;

/// How many bytes lie between the blocks of a segment and their index. A disk loses a sector of 4
/// KiB at once. The gap keeps the keys of the blocks, and the hashes of these keys in the index, in
/// different sectors. It also keeps header and directory in different sectors.
pub const GAP: u64 = 4096;

/// How many zeros lie before each index in a file of this version, or before the directory of a
/// file without segments.
pub(super) fn gap(version: u8) -> u64 {
    match version {
        1 | 2 => 0,
        _ => GAP,
    }
}

/// How many bytes at the end of a file lead to its directory.
pub(super) const TRAILER: usize = 8 + PREAMBLE;

/// What a file contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The whole cache.
    Snapshot,
    /// The changes of the last `covers` versions, including its own.
    Changes {
        /// How many versions, at least 1.
        covers: u64,
    },
}

/// The kind and the amount of a file's contents. A field that is known only at the end always takes
/// the same number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The random number that tells this file from every other file.
    pub id: u64,
    /// What the file contains.
    pub kind: Kind,
    /// The wall clock when the file was written, in nanoseconds since 1970.
    #[serde(with = "postcard::fixint::le")]
    pub saved_at: u64,
    /// How many records store an entry. Includes entries that were lost before this file was
    /// written.
    #[serde(with = "postcard::fixint::le")]
    pub puts: u64,
    /// How many records remove an entry.
    #[serde(with = "postcard::fixint::le")]
    pub removes: u64,
    /// How many further entries were lost before. Nothing is known of their keys.
    #[serde(with = "postcard::fixint::le")]
    pub lost: u64,
    /// How many bytes the keys take; 0 if that is not known.
    #[serde(with = "postcard::fixint::le")]
    pub key_bytes: u64,
}

/// The header of a file of version 1.
#[derive(Serialize, Deserialize)]
pub(super) struct HeaderV1 {
    id: u64,
    kind: Kind,
    saved_at: u64,
    puts: u64,
    removes: u64,
    lost: u64,
}

impl Header {
    /// The magic, the version and the header frame of a file.
    pub(super) fn to_bytes(self, version: u8) -> Vec<u8> {
        let mut bytes = preamble(version).to_vec();
        let start = begin_frame(&mut bytes);
        match version {
            1 => extend_with_postcard(
                &mut bytes,
                &HeaderV1 {
                    id: self.id,
                    kind: self.kind,
                    saved_at: self.saved_at,
                    puts: self.puts,
                    removes: self.removes,
                    lost: self.lost,
                },
            ),
            _ => extend_with_postcard(&mut bytes, &self),
        }
        end_frame(&mut bytes, start, header_seed(version));
        bytes
    }

    fn from_postcard(bytes: &[u8], version: u8) -> Option<Header> {
        match version {
            1 => from_postcard(bytes).map(HeaderV1::upgraded),
            _ => from_postcard(bytes),
        }
    }
}

impl HeaderV1 {
    pub(super) fn upgraded(self) -> Header {
        Header {
            id: self.id,
            kind: self.kind,
            saved_at: self.saved_at,
            puts: self.puts,
            removes: self.removes,
            lost: self.lost,
            key_bytes: 0,
        }
    }
}

/// Why nothing of a file can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Neither the header nor the directory is intact.
    Damaged,
    /// The file has a newer format, of this version.
    Version(u8),
}

/// Reads the header. `head` is the beginning of the file; `HEAD_BYTES` suffice.
pub fn decode_head(head: &[u8]) -> Result<Header, Unreadable> {
    let version = match head.strip_prefix(&MAGIC) {
        Some([version @ OLDEST..=VERSION, ..]) => *version,
        Some([version, ..]) if *version > VERSION => return Err(Unreadable::Version(*version)),
        _ => return Err(Unreadable::Damaged),
    };
    let frame = head.get(PREAMBLE..).and_then(split_frame);
    frame
        .filter(|frame| frame.holds(header_seed(version)))
        .and_then(|frame| Header::from_postcard(frame.bytes, version))
        .ok_or(Unreadable::Damaged)
}

/// Reads the version and the offset of the directory from the last bytes of a file. Returns none if
/// these bytes are not the end of a file.
pub(super) fn decode_trailer(trailer: &[u8]) -> Option<(u8, u64)> {
    let (offset, rest) = trailer.split_first_chunk()?;
    match rest.strip_prefix(&MAGIC)? {
        [version @ OLDEST..=VERSION] => Some((*version, u64::from_le_bytes(*offset))),
        _ => None,
    }
}

pub(super) fn preamble(version: u8) -> [u8; PREAMBLE] {
    let [a, b, c, d, e, f, g] = MAGIC;
    [a, b, c, d, e, f, g, version]
}
