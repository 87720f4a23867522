//! What the kit calls.

use wasmtime::component::ResourceAny;

use crate::contract::{
    self, Batch, CacheStat, Change, Contents, Entry, Error, LiveBatch, Report, batch,
};

/// A running backend. Its functions are those of the contract.
///
/// They all panic where the backend gives no answer: it traps, goes on without end, or does not have the interface.
pub trait Instance {
    /// `cache-backend.load`
    fn load(&mut self, cache: &str) -> Result<Contents, Error>;

    /// `cache-backend.save`
    fn save(&mut self, cache: &str, entries: &[Entry]) -> Result<(), Error>;

    /// `cache-backend.clear`
    fn clear(&mut self, cache: &str) -> Result<(), Error>;

    /// `cache-updates.apply`
    fn apply(&mut self, _cache: &str, _changes: &[Change]) -> Result<(), Error> {
        missing("cache-updates")
    }

    /// `cache-bulk.open-reader`
    fn open_reader(&mut self, _cache: &str) -> Result<Reader, Error> {
        missing("cache-bulk")
    }

    /// `cache-bulk.reader.next`
    fn next(&mut self, _reader: &Reader) -> Result<Option<LiveBatch>, Error> {
        missing("cache-bulk")
    }

    /// `cache-bulk.reader.lost`
    fn lost(&mut self, _reader: &Reader) -> u64 {
        missing("cache-bulk")
    }

    /// `cache-bulk.reader.count`
    fn count(&mut self, _reader: &Reader) -> u64 {
        missing("cache-bulk")
    }

    /// Drops a reader.
    fn close_reader(&mut self, _reader: Reader) {
        missing("cache-bulk")
    }

    /// `cache-bulk.open-writer`
    fn open_writer(&mut self, _cache: &str) -> Result<Writer, Error> {
        missing("cache-bulk")
    }

    /// `cache-bulk.writer.append`
    fn append(&mut self, _writer: &Writer, _entries: &Batch) -> Result<(), Error> {
        missing("cache-bulk")
    }

    /// `cache-bulk.writer.commit`
    fn commit(&mut self, _writer: Writer) -> Result<(), Error> {
        missing("cache-bulk")
    }

    /// Drops a writer that was not committed.
    fn close_writer(&mut self, _writer: Writer) {
        missing("cache-bulk")
    }

    /// `cache-inspect.list-caches`
    fn list_caches(&mut self) -> Result<Vec<String>, Error> {
        missing("cache-inspect")
    }

    /// `cache-inspect.stat`
    fn stat(&mut self, _cache: &str) -> Result<CacheStat, Error> {
        missing("cache-inspect")
    }

    /// `cache-inspect.verify`
    fn verify(&mut self, _cache: &str) -> Result<Report, Error> {
        missing("cache-inspect")
    }
}

fn missing(interface: &str) -> ! {
    panic!("{interface} is called, which is not there")
}

/// A reader that an instance has opened. It is closed by [`Instance::close_reader`] or with the instance.
#[derive(Debug)]
pub struct Reader(pub ResourceAny);

/// A writer that an instance has opened. It is closed by [`Instance::commit`], by [`Instance::close_writer`], or with
/// the instance, as if that was killed.
#[derive(Debug)]
pub struct Writer(pub ResourceAny);

impl dyn Instance + '_ {
    /// All that a reader gives from here on, and how many entries are lost then.
    pub(crate) fn rest(&mut self, reader: &Reader) -> Result<Contents, Error> {
        let mut entries = Vec::new();
        while let Some(batch) = self.next(reader)? {
            entries.extend(contract::entries(batch));
        }
        let lost = self.lost(reader);
        Ok(Contents { entries, lost })
    }

    /// What a new reader gives.
    pub(crate) fn load_in_batches(&mut self, cache: &str) -> Result<Contents, Error> {
        let reader = self.open_reader(cache)?;
        let contents = self.rest(&reader);
        self.close_reader(reader);
        contents
    }

    /// Saves through a writer, a batch after the other; drops it where that fails.
    pub(crate) fn save_in_batches(
        &mut self,
        cache: &str,
        batches: &[Vec<Entry>],
    ) -> Result<(), Error> {
        let writer = self.open_writer(cache)?;
        for entries in batches {
            if let Err(error) = self.append(&writer, &batch(entries)) {
                self.close_writer(writer);
                return Err(error);
            }
        }
        self.commit(writer)
    }
}
