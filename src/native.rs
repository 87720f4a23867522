//! The same storage without WebAssembly, to measure and test the component against. It is not a
//! product: nothing confines it, and its only promise is that it runs the component's code.

use std::path::Path;

pub use crate::abi::bindings::exports::larder::cache::cache_bulk::Batch;
pub use crate::abi::bindings::exports::larder::cache::cache_updates::Change;
pub use crate::abi::bindings::exports::larder::cache::types::{Entry, Error};
pub use crate::abi::lower::{Contents, LiveBatch};
pub use crate::bulk::{Reader, Writer};
use crate::folder::Dir;
use crate::store::Cache;

/// The caches in a directory. It has the functions of the contract. `LARDER_DURABILITY` is read
/// from the environment of the process.
pub struct Store(Dir);

impl Store {
    /// Opens an existing directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Store, Error> {
        Dir::at(path.as_ref()).map(Store)
    }

    /// `cache-backend.load`. Deadlines count from a moment in this process.
    pub fn load(&self, cache: &str) -> Result<Contents, Error> {
        Cache::new(&self.0, cache)?.load()
    }

    /// `cache-backend.save`
    pub fn save(&self, cache: &str, entries: &[Entry]) -> Result<(), Error> {
        Cache::new(&self.0, cache)?.save(entries)
    }

    /// `cache-backend.clear`
    pub fn clear(&self, cache: &str) -> Result<(), Error> {
        Cache::new(&self.0, cache)?.clear()
    }

    /// `cache-updates.apply`
    pub fn apply(&self, cache: &str, changes: &[Change]) -> Result<(), Error> {
        Cache::new(&self.0, cache)?.apply(&[], changes)?;
        Ok(())
    }

    /// `cache-bulk.open-reader`
    pub fn open_reader(&self, cache: &str) -> Result<Reader, Error> {
        Reader::open(&Cache::new(&self.0, cache)?)
    }

    /// `cache-bulk.open-writer`
    pub fn open_writer(&self, cache: &str) -> Result<Writer, Error> {
        Writer::open(&Cache::new(&self.0, cache)?)
    }

    /// `cache-bulk.[static]writer.commit`
    pub fn commit(&self, writer: Writer) -> Result<(), Error> {
        writer.commit(&self.0)
    }
}
