//! The bytes of a file, in memory or in an open file.

use std::rc::Rc;

use crate::abi::Error;
use crate::abi::memory::reserve;
use crate::format::Source;

use super::dir::{Dir, File};
use super::publish::busy;

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
    /// A file that is opened for each read.
    Name(Rc<Dir>, String),
}

impl Bytes {
    /// Takes bytes that are in memory.
    pub fn in_memory(bytes: Rc<Vec<u8>>) -> Bytes {
        Bytes {
            size: bytes.len() as u64,
            held: Held::Memory(bytes),
        }
    }

    /// Whether the bytes are in a file that is open.
    pub fn is_open(&self) -> bool {
        matches!(self.held, Held::File(_))
    }

    /// Takes the bytes of a published file of this size. It is opened for each read, so it must not
    /// be deleted meanwhile.
    pub fn in_folder(folder: Rc<Dir>, name: String, size: u64) -> Bytes {
        Bytes {
            size,
            held: Held::Name(folder, name),
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
            Held::Name(folder, name) => {
                let file = folder.open(name)?.ok_or_else(busy)?;
                file.read(offset, end.min(self.size))
            }
        }
    }

    fn reserve(&self, bytes: u64) -> Result<(), Error> {
        // Hashes exist as bytes, as numbers, and once more in the result.
        Ok(reserve(0, bytes.saturating_mul(4))?)
    }
}
