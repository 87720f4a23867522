//! Memory, asked for before it is needed: a component that runs out of it
//! traps, unless it looked first.

use crate::bindings::exports::larder::cache::types::Error;

/// An empty buffer with room for this many bytes.
pub fn buffer(bytes: u64) -> Result<Vec<u8>, Error> {
    let mut buffer = Vec::new();
    let room = usize::try_from(bytes).map(|bytes| buffer.try_reserve_exact(bytes));
    match room {
        Ok(Ok(())) => Ok(buffer),
        Ok(Err(_)) | Err(_) => Err(Error::TooLarge(bytes)),
    }
}

/// Makes sure that there is memory for this many bytes, in whatever pieces.
pub fn make_room(bytes: u64) -> Result<(), Error> {
    buffer(bytes).map(drop)
}
