//! The pieces of a file, as a reader gives them.

use super::columns::Columns;
use super::record::LostKeys;

/// The frame of an intact block.
#[derive(Debug)]
pub struct Block(pub(super) Vec<u8>);

impl Block {
    /// The records of the block.
    pub fn columns(&self) -> Columns<'_> {
        Columns::of_block(&self.0)
    }

    /// The bytes of its frame.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A piece of a file.
#[derive(Debug)]
pub enum Piece {
    /// A block of records.
    Block(Block),
    /// Records that cannot be read. Their keys are known.
    Lost(LostKeys),
    /// Records that cannot be read. Their keys are not known.
    Missing {
        /// How many of the records store an entry.
        puts: u64,
        /// How many of the records remove an entry.
        removes: u64,
    },
}
