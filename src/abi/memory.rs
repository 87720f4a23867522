//! Reserves memory before it is needed. A component that runs out of memory traps, unless it has
//! checked first.

use std::hint::black_box;

use super::bindings::exports::larder::cache::types::Error;

/// There is not enough memory for this many bytes.
#[derive(Debug)]
pub struct TooLarge(pub u64);

impl From<TooLarge> for Error {
    fn from(TooLarge(bytes): TooLarge) -> Error {
        Error::TooLarge(bytes)
    }
}

/// An empty buffer with capacity for this many bytes.
pub fn buffer(bytes: u64) -> Result<Vec<u8>, Error> {
    let mut buffer = Vec::new();
    reserve_in(&mut buffer, bytes)?;
    Ok(buffer)
}

/// Reserves capacity in a buffer for this many more bytes.
pub fn reserve_in(buffer: &mut Vec<u8>, bytes: u64) -> Result<(), Error> {
    let room = usize::try_from(bytes).map(|bytes| buffer.try_reserve_exact(bytes));
    match room {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Error::TooLarge(bytes)),
    }
}

/// Appends an item to a list.
pub fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), TooLarge> {
    if list.len() == list.capacity() {
        let needed = (list.len() as u64).saturating_mul(size_of::<T>() as u64);
        list.try_reserve(1).map_err(|_| TooLarge(needed))?;
        // The list must not take memory that others need meanwhile.
        reserve(0, 0)?;
    }
    list.push(item);
    Ok(())
}

/// How many bytes a record takes at most besides its own: in two lists, a set of keys, an index,
/// and two allocations.
const PER_RECORD: u64 = 160;

/// How many bytes even the smallest call needs. They hold the buffers of blocks, and the index of a
/// segment of the smallest records, while these grow.
const FIXED: u64 = 4 * 1024 * 1024;

/// Reserves memory for `records` records that take `bytes` bytes together. The memory is free again
/// when this returns, so it only makes sure that there is enough.
pub fn reserve(records: u64, bytes: u64) -> Result<(), TooLarge> {
    let records = records.saturating_mul(PER_RECORD);
    let bytes = bytes.saturating_add(records).saturating_add(FIXED);
    let mut room: Vec<u8> = Vec::new();
    let size = usize::try_from(bytes).map_err(|_| TooLarge(bytes))?;
    room.try_reserve_exact(size).map_err(|_| TooLarge(bytes))?;
    // The compiler must not remove this allocation, although nothing uses it.
    black_box(room);
    Ok(())
}
