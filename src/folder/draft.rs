//! A file that is written piece by piece before it is published.

use std::rc::Rc;

use crate::abi::Error;
use crate::abi::memory::reserve;
use crate::abi::wasi::random::random::get_random_u64;
use crate::format::{BLOCKS, Batch, Encoder, Kind, LostKeys, Record, Sink};

use super::bytes::Bytes;
use super::dir::{Dir, File, Linked, random_name};
use super::listing::{TEMPORARY, is_temporary};
use super::publish::temporary;
use super::settings::Durability;

/// A larger record needs memory that is not certain to be there.
const LARGE: usize = 256 * 1024;

/// A smaller file needs no table: one call reads all of it.
const LEAST_WITH_TABLE: u64 = 64 * 1024;

/// How many bytes are copied at once.
const COPY_BYTES: u64 = 256 * 1024;

/// A file that is being written. Dropping it removes the file.
pub struct Draft {
    file: Unpublished,
    encoder: Encoder,
}

/// A file that is completely written. Dropping it removes the file, unless it was published.
pub struct Written {
    file: Unpublished,
    id: u64,
    size: u64,
}

struct Unpublished {
    folder: Rc<Dir>,
    file: Rc<File>,
    /// The name must still be removed.
    is_named: bool,
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        if self.is_named {
            // If this fails, a later write reaps the file.
            let _ = self.folder.remove(self.file.name());
        }
    }
}

impl Sink<Error> for Unpublished {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file.write(bytes, offset)
    }
}

impl Draft {
    /// Creates a file. Its name ends with `suffix`.
    pub fn create(folder: &Rc<Dir>, kind: Kind, suffix: &str) -> Result<Draft, Error> {
        let file = Unpublished {
            folder: folder.clone(),
            file: Rc::new(folder.create(suffix)?),
            is_named: true,
        };
        let encoder = Encoder::new(get_random_u64(), kind, BLOCKS);
        Ok(Draft { file, encoder })
    }

    /// Adds a record.
    pub fn push(&mut self, record: Record) -> Result<(), Error> {
        if record.bytes() > LARGE {
            // The record is copied once, into a buffer that grows.
            reserve(0, 2 * record.bytes() as u64)?;
        }
        self.encoder.push(record, &mut self.file)
    }

    /// Adds entries.
    pub fn append(&mut self, batch: Batch) -> Result<(), Error> {
        self.encoder.append(batch, &mut self.file)
    }

    /// Ends the file. Times to live count from `saved_at`, in nanoseconds since 1970. `lost` and
    /// further `unknown` entries of the cache were lost before.
    pub fn finish(self, saved_at: u64, lost: &LostKeys, unknown: u64) -> Result<Written, Error> {
        let Draft { mut file, encoder } = self;
        let id = encoder.id();
        let size = match encoder.offset() > LEAST_WITH_TABLE {
            true => {
                let named = file.file.clone();
                let written = |size| Bytes::in_file(named.clone(), size);
                encoder.finish_with_table(saved_at, lost, unknown, &mut file, &written)?
            }
            false => encoder.finish(saved_at, lost, unknown, &mut file)?,
        };
        Ok(Written { file, id, size })
    }
}

impl Written {
    /// Makes the file a temporary that can be published, and returns its name.
    pub fn temporary(&mut self, durability: Durability) -> Result<String, Error> {
        let Unpublished {
            folder,
            file,
            is_named,
        } = &mut self.file;
        if *is_named {
            if durability == Durability::Full {
                file.sync_data()?;
            }
            let is_temporary = is_temporary(file.name());
            let name = match is_temporary {
                true => file.name().into(),
                false => random_name(TEMPORARY),
            };
            if is_temporary || folder.rename(file.name(), &name)? == Linked::Done {
                *is_named = false;
                return Ok(name);
            }
        }
        // Another writer removed the file: it took the file for a stale temporary, or could not
        // wait. The content stays readable for as long as the file is open.
        temporary(folder, durability, &|copy| {
            let mut offset = 0;
            while offset < self.size {
                let end = self.size.min(offset + COPY_BYTES);
                copy.write(&file.read_exactly(offset, end)?, offset)?;
                offset = end;
            }
            Ok(())
        })
    }

    /// The content of the file.
    pub fn bytes(&self) -> Bytes {
        Bytes::in_file(self.file.file.clone(), self.size)
    }

    /// The random number that tells this file from every other file.
    pub fn id(&self) -> u64 {
        self.id
    }
}
