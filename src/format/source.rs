//! The bytes of a file, for the reader of the format.

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
