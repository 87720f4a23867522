//! Where the bytes of a file come from.

use std::convert::Infallible;

/// Where the bytes of a file come from.
pub trait Source {
    /// Why they cannot be had.
    type Error;

    /// How many there are.
    fn size(&self) -> u64;

    /// Those from `offset` to `end`, or to where the file ends.
    fn read(&self, offset: u64, end: u64) -> Result<Vec<u8>, Self::Error>;

    /// Makes sure that there is memory for what these many bytes are decoded to.
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
