//! The header of a file, and what stands around it: magic, version and trailer.

use serde::{Deserialize, Serialize};

use super::frame::{
    begin_frame, end_frame, extend_with_postcard, from_postcard, header_seed, split_frame,
};

/// The version of the format that is written.
pub const VERSION: u8 = 2;
/// The oldest that is read.
const OLDEST: u8 = 1;

pub(super) const MAGIC: [u8; 7] = *b"\x93LARDER";
const PREAMBLE: usize = MAGIC.len() + 1;

/// The beginning of a file that is sure to hold the whole header, of which no
/// field takes more than 11 bytes.
pub const HEAD_BYTES: usize = 128;

/// How many bytes at the end of a file lead to its directory.
pub(super) const TRAILER: usize = 8 + PREAMBLE;

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

/// What a file is and how much is in it. What is only known when all is written
/// takes as many bytes whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// A random number that tells this file from every other.
    pub id: u64,
    /// What the file stands for.
    pub kind: Kind,
    /// The wall clock when the file was written, in nanoseconds since 1970.
    #[serde(with = "postcard::fixint::le")]
    pub saved_at: u64,
    /// How many records store an entry, those included that were lost before
    /// this file was written.
    #[serde(with = "postcard::fixint::le")]
    pub puts: u64,
    /// How many records remove one.
    #[serde(with = "postcard::fixint::le")]
    pub removes: u64,
    /// How many further entries were lost before, of which nothing is known.
    #[serde(with = "postcard::fixint::le")]
    pub lost: u64,
    /// How many bytes the keys take; 0 where that is not known.
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
    /// A file's preamble and header frame.
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
    /// Neither the header nor the directory is whole.
    Damaged,
    /// A newer format, of this version.
    Version(u8),
}

/// Reads the header from the beginning of a file, of which `HEAD_BYTES` suffice.
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

/// The version of a file and where its directory begins, from its last bytes;
/// none where they are not the end of one.
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
