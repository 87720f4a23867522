//! A running backend, as the cases call it.

use wasmtime::component::ResourceAny;

use crate::contract::{
    self, Batch, CacheStat, Change, Condition, Contents, Entry, Error, Found, LiveBatch, Page,
    Report, batch,
};

/// A running backend. Its methods are the functions of the contract.
///
/// Each method panics if the backend gives no answer: it traps, takes too long, or does not have
/// the interface.
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

    /// `cache-lookup.get-many`
    fn get_many(&mut self, _cache: &str, _keys: &[&str]) -> Result<Vec<Option<Found>>, Error> {
        missing("cache-lookup")
    }

    /// `cache-lookup.scan`
    fn scan(&mut self, _cache: &str, _after: Option<&str>, _limit: u32) -> Result<Page, Error> {
        missing("cache-lookup")
    }

    /// `cache-atomics.apply-if`
    fn apply_if(
        &mut self,
        _cache: &str,
        _conditions: &[Condition],
        _changes: &[Change],
    ) -> Result<Vec<u32>, Error> {
        missing("cache-atomics")
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
    panic!("the backend does not have {interface}")
}

/// A reader of an instance. [`Instance::close_reader`] closes it, or the end of the instance.
#[derive(Debug)]
pub struct Reader(pub ResourceAny);

/// A writer of an instance. [`Instance::commit`] or [`Instance::close_writer`] closes it. If the
/// instance ends first, the writer ends as in a killed process.
#[derive(Debug)]
pub struct Writer(pub ResourceAny);

impl dyn Instance + '_ {
    /// Reads all remaining entries, and the number of lost ones.
    pub(crate) fn rest(&mut self, reader: &Reader) -> Result<Contents, Error> {
        let mut entries = Vec::new();
        while let Some(batch) = self.next(reader)? {
            entries.extend(contract::entries(batch));
        }
        let lost = self.lost(reader);
        Ok(Contents { entries, lost })
    }

    /// Scans a whole cache, in pages of this limit.
    pub(crate) fn keys(&mut self, cache: &str, limit: u32) -> Result<Vec<String>, Error> {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = self.scan(cache, after.as_deref(), limit)?;
            keys.extend(page.keys);
            after = match page.next {
                Some(next) => Some(next),
                None => return Ok(keys),
            };
        }
    }

    /// Reads a whole cache with a new reader.
    pub(crate) fn load_in_batches(&mut self, cache: &str) -> Result<Contents, Error> {
        let reader = self.open_reader(cache)?;
        let contents = self.rest(&reader);
        self.close_reader(reader);
        contents
    }

    /// Saves batches with a new writer. Drops the writer if a batch is refused.
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
