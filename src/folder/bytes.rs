//! The bytes of a file, in memory or in an open file.

use std::rc::Rc;

use crate::abi::Error;
use crate::abi::memory::reserve;
use crate::format::Source;

use super::dir::File;

/// The bytes of a file, shared by all that read it.
#[derive(Clone)]
pub struct Bytes {
    size: u64,
    held: Held,
}

#[derive(Clone)]
enum Held {
    Memory(Rc<Vec<u8>>),
    File(Rc<File>),
}

impl Bytes {
    /// Takes bytes that are in memory.
    pub fn in_memory(bytes: Vec<u8>) -> Bytes {
        Bytes {
            size: bytes.len() as u64,
            held: Held::Memory(Rc::new(bytes)),
        }
    }

    /// Takes the first `size` bytes of an open file.
    pub fn in_file(file: Rc<File>, size: u64) -> Bytes {
        Bytes {
            size,
            held: Held::File(file),
        }
    }
}

impl Source for Bytes {
    type Error = Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, end: u64) -> Result<Vec<u8>, Error> {
        match &self.held {
            Held::Memory(bytes) => {
                let Ok(bytes) = bytes.as_slice().read(offset, end);
                Ok(bytes)
            }
            Held::File(file) => file.read(offset, end.min(self.size)),
        }
    }

    fn reserve(&self, bytes: u64) -> Result<(), Error> {
        // Hashes exist as bytes, as numbers, and once more in the result.
        Ok(reserve(0, bytes.saturating_mul(4))?)
    }
}
