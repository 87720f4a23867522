//! Memory, asked for before it is needed: a component that runs out of it
//! traps, unless it looked first.

use std::hint::black_box;

use super::bindings::exports::larder::cache::types::Error;

/// There is no memory for this many bytes.
#[derive(Debug)]
pub struct TooLarge(pub u64);

impl From<TooLarge> for Error {
    fn from(TooLarge(bytes): TooLarge) -> Error {
        Error::TooLarge(bytes)
    }
}

/// An empty buffer with room for this many bytes.
pub fn buffer(bytes: u64) -> Result<Vec<u8>, Error> {
    let mut buffer = Vec::new();
    reserve_in(&mut buffer, bytes)?;
    Ok(buffer)
}

/// Makes room in a buffer for this many more bytes.
pub fn reserve_in(buffer: &mut Vec<u8>, bytes: u64) -> Result<(), Error> {
    let room = usize::try_from(bytes).map(|bytes| buffer.try_reserve_exact(bytes));
    match room {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Error::TooLarge(bytes)),
    }
}

/// What a record takes at the most besides its bytes: in two lists, a set of
/// keys, an index, and two allocations.
const PER_RECORD: u64 = 160;

/// What does not depend on how much there is to do: buffers of blocks, and the
/// index of a segment of the smallest records, while they grow.
const FIXED: u64 = 4 * 1024 * 1024;

/// Makes sure that there is memory for this many records of altogether this
/// many bytes.
pub fn reserve(records: u64, bytes: u64) -> Result<(), TooLarge> {
    let records = records.saturating_mul(PER_RECORD);
    let bytes = bytes.saturating_add(records).saturating_add(FIXED);
    let mut room: Vec<u8> = Vec::new();
    let size = usize::try_from(bytes).map_err(|_| TooLarge(bytes))?;
    room.try_reserve_exact(size).map_err(|_| TooLarge(bytes))?;
    // Not an allocation to leave out for want of a use.
    black_box(room);
    Ok(())
}
