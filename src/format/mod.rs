//! The bytes of a file of the store. No other code knows the format.
//!
//! ```text
//! magic, version            7 + 1 bytes
//! header                    a frame: what the file contains, and how much
//! segments                  blocks, a frame each: records in columns; then 4 KiB of zeros; then
//!                           their index, a frame: length, checksum and key hashes of every block
//! table                     pages: where the block of each key is; only in a large file
//! directory                 a frame: the header again, then the length and the number of records
//!                           of each segment, then the number of pages of the table
//! offset of the directory   8 bytes
//! magic, version            7 + 1 bytes
//! ```
//!
//! A frame is a length (`u32`), a checksum (`u64`, XXH3) and as many bytes of postcard as the
//! length says. All integers outside of postcard are little-endian. The checksums of blocks and
//! indexes are seeded with the random id of the file and the offset. So a block of another file or
//! another offset never passes for a block of this file.
//!
//! A file is written from its beginning to its end. Only the header is written twice: its length is
//! known at the beginning, but its totals are not. A file is read one block at a time. So a writer
//! or a reader takes memory for no more than one segment, about 1 MiB, and the directory.
//!
//! For every damaged part, another part helps. Without the header, the directory holds the same.
//! Without the directory, the frames lead from one to the next. The index holds the key hashes of a
//! damaged block. Without an index, the totals of the directory tell how many records are missing.
//!
//! The table repeats what the indexes say, so that a look-up need not read them. The zeros keep a
//! block and its index in different sectors of the disk, and so header and directory. So one
//! damaged sector costs the entries of its blocks, and nothing else.
//!
//! The newest version is 3. Version 2 has no zeros and no table. A file of version 1 is one
//! segment. Its index holds the header, and is the directory too.

mod batch;
mod columns;
mod encode;
mod frame;
mod header;
mod index;
mod memory;
mod piece;
mod place;
mod read;
mod record;
mod segments;
mod source;
mod table;

pub use batch::{Batch, UNLIMITED};
pub use columns::Columns;
pub use encode::{BLOCKS, Encoder, encoded_size};
pub use header::{GAP, HEAD_BYTES, Header, Kind, Unreadable, decode_head};
pub use index::Index;
pub use memory::{encode, encode_with_table};
pub use piece::{Block, Piece};
pub use read::{Checked, Damage, Keys, Part, Reader, check};
pub use record::{LostKeys, Put, Record, key_hash};
pub use segments::header;
pub use source::{Sink, Source};
