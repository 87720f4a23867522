//! What a file of the store looks like, in bytes: the one place that knows.
//!
//! ```text
//! magic, version        7 + 1 bytes
//! header                a frame: what the file is, and how much is in it
//! segments              blocks, a frame each: records in columns; then
//!                       their index, a frame: every block's length, checksum and key hashes
//! directory             a frame: the header again, then how long each segment is and how much is in it
//! offset of the directory   8 bytes
//! magic, version        7 + 1 bytes
//! ```
//!
//! A frame is a length (`u32`), a checksum (`u64`, XXH3) and that many bytes of
//! postcard; all integers outside of postcard are little-endian. The checksum
//! of a block or an index is seeded with the file's random id and the offset, so
//! that one which belongs elsewhere never passes for one of this file.
//!
//! A file is written from its beginning to its end but for the header, whose
//! length is known and whose totals are not; and is read a block at a time. So
//! neither takes memory for more than a segment, about 1 MiB, and the
//! directory.
//!
//! Whatever one damaged place hits, another place makes up for: without the
//! header the directory has all; without the directory the frames are walked;
//! a damaged block is known by the hashes of its keys; and without an index, the
//! directory's totals tell how many records are missing.
//!
//! A file of version 1 is one segment, whose index has the header and is the
//! directory.

mod batch;
mod columns;
mod encode;
mod index;
mod read;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub use batch::{Batch, UNLIMITED};
pub use columns::Columns;
pub use encode::{BLOCKS, Encoder, Sink, encode};
pub use index::Index;
pub use read::{Block, Checked, Damage, Keys, Part, Piece, Reader, Source, check, header};

/// The version of the format that is written.
pub const VERSION: u8 = 2;
/// The oldest that is read.
const OLDEST: u8 = 1;

const MAGIC: [u8; 7] = *b"\x93LARDER";
const PREAMBLE: usize = MAGIC.len() + 1;
const FRAME: usize = 4 + 8;

/// The beginning of a file that is sure to hold the whole header, of which no
/// field takes more than 11 bytes.
pub const HEAD_BYTES: usize = 128;

/// How many bytes at the end of a file lead to its directory.
const TRAILER: usize = 8 + PREAMBLE;

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
struct HeaderV1 {
    id: u64,
    kind: Kind,
    saved_at: u64,
    puts: u64,
    removes: u64,
    lost: u64,
}

impl Header {
    /// A file's preamble and header frame.
    fn to_bytes(self, version: u8) -> Vec<u8> {
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
    fn upgraded(self) -> Header {
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

/// Why nothing of a file can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Neither the header nor the directory is whole.
    Damaged,
    /// A newer format, of this version.
    Version(u8),
}

/// The hash by which an index knows a key.
pub fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
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
fn decode_trailer(trailer: &[u8]) -> Option<(u8, u64)> {
    let (offset, rest) = trailer.split_first_chunk()?;
    match rest.strip_prefix(&MAGIC)? {
        [version @ OLDEST..=VERSION] => Some((*version, u64::from_le_bytes(*offset))),
        _ => None,
    }
}

fn preamble(version: u8) -> [u8; PREAMBLE] {
    let [a, b, c, d, e, f, g] = MAGIC;
    [a, b, c, d, e, f, g, version]
}

/// Counts each record in a block for its key, its value, and this much.
const RECORD: usize = 17;

impl Record<'_> {
    fn bytes(&self) -> usize {
        self.key.len() + self.put.map_or(0, |put| put.value.len()) + RECORD
    }
}

/// The seeds of checksums tell the parts of a file from each other, and those of
/// one version from those of another: none ever passes for what it is not.
fn header_seed(version: u8) -> u64 {
    2 * u64::from(version) - 1
}

fn directory_seed(version: u8, offset: u64) -> u64 {
    (2 * u64::from(version)).wrapping_add(offset)
}

fn block_seed(id: u64, offset: u64) -> u64 {
    id.wrapping_add(offset)
}

fn index_seed(id: u64, offset: u64) -> u64 {
    (!id).wrapping_add(offset)
}

struct Frame<'a> {
    sum: u64,
    bytes: &'a [u8],
}

impl Frame<'_> {
    fn holds(&self, seed: u64) -> bool {
        xxh3_64_with_seed(self.bytes, seed) == self.sum
    }
}

/// The frame that these bytes begin with.
fn split_frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (length, bytes) = bytes.split_first_chunk()?;
    let (sum, bytes) = bytes.split_first_chunk()?;
    let (bytes, _) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some(Frame {
        sum: u64::from_le_bytes(*sum),
        bytes,
    })
}

/// Leaves room for the head of a frame, whose bytes are to follow.
fn begin_frame(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME]);
    start
}

/// Fills in the head of the frame that begins here, and gives its length and
/// checksum.
fn end_frame(out: &mut [u8], start: usize, seed: u64) -> (u32, u64) {
    let frame = out.get_mut(start..);
    let Some((head, bytes)) = frame.and_then(|frame| frame.split_first_chunk_mut()) else {
        return (0, 0);
    };
    let (length, sum) = (bytes.len() as u32, xxh3_64_with_seed(bytes, seed));
    *head = frame_head(length, sum);
    (length, sum)
}

fn frame_head(length: u32, sum: u64) -> [u8; FRAME] {
    let mut head = [0; FRAME];
    let (length_bytes, sum_bytes) = head.split_at_mut(4);
    length_bytes.copy_from_slice(&length.to_le_bytes());
    sum_bytes.copy_from_slice(&sum.to_le_bytes());
    head
}

/// None where anything is left over.
fn from_postcard<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        Ok(_) | Err(_) => None,
    }
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
