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
mod frame;
mod header;
mod index;
mod read;
mod record;
mod segments;
mod source;

pub use batch::{Batch, UNLIMITED};
pub use columns::Columns;
pub use encode::{BLOCKS, Encoder, Sink, encode};
pub use header::{HEAD_BYTES, Header, Kind, Unreadable, VERSION, decode_head};
pub use index::Index;
pub use read::{Block, Checked, Damage, Keys, Part, Piece, Reader, check};
pub use record::{LostKeys, Put, Record, key_hash};
pub use segments::header;
pub use source::Source;
