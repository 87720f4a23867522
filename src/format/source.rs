//! The bytes of a file, as the reader takes them and the writer gives them.

use std::convert::Infallible;

/// Gives the bytes of a file.
pub trait Source {
    /// Why bytes cannot be read.
    type Error;

    /// The size of the file, in bytes.
    fn size(&self) -> u64;

    /// Reads from `offset` to `end`, or to the end of the file.
    fn read(&self, offset: u64, end: u64) -> Result<Vec<u8>, Self::Error>;

    /// Reserves memory for the values that `bytes` bytes decode to.
    fn reserve(&self, _bytes: u64) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl Source for &[u8] {
    type Error = Infallible;

    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, end: u64) -> Result<Vec<u8>, Infallible> {
        let within = |at: u64| usize::try_from(at).map_or(self.len(), |at| at.min(self.len()));
        let bytes = self.get(within(offset)..within(end));
        Ok(bytes.unwrap_or_default().to_vec())
    }
}

/// Takes the bytes of a file, in their order. The beginning may be written a second time.
pub trait Sink<E> {
    /// Writes all of the bytes at `offset`, or fails.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), E>;
}

impl<E> Sink<E> for Vec<u8> {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), E> {
        let offset = offset as usize;
        match self.get_mut(offset..offset + bytes.len()) {
            Some(written) => written.copy_from_slice(bytes),
            None => self.extend_from_slice(bytes),
        }
        Ok(())
    }
}

/// Whether these bytes are there, and all zero.
pub(super) fn is_zero<S: Source>(source: &S, offset: u64, length: u64) -> Result<bool, S::Error> {
    let bytes = source.read(offset, offset + length)?;
    Ok(bytes.len() as u64 == length && bytes.iter().all(|byte| *byte == 0))
}
