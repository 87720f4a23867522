//! Finds the blocks that hold certain keys, with the help of the table.

use super::columns::Columns;
use super::frame::{FRAME, block_seed, frame_length, split_frame};
use super::piece::{Block, Piece};
use super::record::LostKeys;
use super::segments::LONG;
use super::source::Source;
use super::table::Table;

/// How many bytes are read of a block whose length is not known.
const PIECE: u64 = 64 * 1024;

/// A block that may hold wanted keys.
pub(super) struct Place {
    /// 0 if the records were lost before the file was written.
    offset: u64,
    /// The hashes of the wanted keys.
    hashes: Vec<u64>,
}

/// The blocks that may hold keys with these hashes. Returns none if a page of the table that is
/// needed is damaged.
pub(super) fn places<S: Source>(
    source: &S,
    table: &Table,
    wanted: &[u64],
) -> Result<Option<Vec<Place>>, S::Error> {
    let mut found = Vec::new();
    for hash in wanted {
        let Some(offsets) = table.find(source, *hash)? else {
            return Ok(None);
        };
        found.extend(offsets.into_iter().map(|offset| (offset, *hash)));
    }
    found.sort_unstable();
    let mut places: Vec<Place> = Vec::new();
    for (offset, hash) in found {
        match places.last_mut() {
            Some(last) if last.offset == offset => last.hashes.push(hash),
            _ => places.push(Place {
                offset,
                hashes: vec![hash],
            }),
        }
    }
    Ok(Some(places))
}

impl Place {
    /// Reads the block. If the block is damaged, the wanted keys are lost.
    pub(super) fn read<S: Source>(self, source: &S, id: u64) -> Result<Piece, S::Error> {
        let block = match self.offset {
            0 => None,
            offset => block(source, id, offset)?,
        };
        Ok(block.map_or_else(
            || {
                Piece::Lost(LostKeys {
                    puts: self.hashes,
                    removes: Vec::new(),
                })
            },
            Piece::Block,
        ))
    }
}

/// Reads the block at `offset`. Returns none if the block is damaged.
fn block<S: Source>(source: &S, id: u64, offset: u64) -> Result<Option<Block>, S::Error> {
    let mut bytes = source.read(offset, offset + PIECE)?;
    let Some(length) = frame_length(&bytes) else {
        return Ok(None);
    };
    let size = FRAME as u64 + u64::from(length);
    if size > bytes.len() as u64 {
        bytes = match source.read(offset, offset + size) {
            Ok(bytes) => bytes,
            // A damaged length may have any value.
            Err(_) if u64::from(length) > LONG => return Ok(None),
            Err(error) => return Err(error),
        };
    }
    let frame = split_frame(&bytes).filter(|frame| frame.holds(block_seed(id, offset)));
    if frame
        .and_then(|frame| Columns::decode(frame.bytes))
        .is_none()
    {
        return Ok(None);
    }
    bytes.truncate(size as usize);
    Ok(Some(Block(bytes)))
}
