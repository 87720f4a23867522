//! Writes a cache entry by entry.

use std::sync::Arc;
use std::{fmt, mem};

use wasmtime::component::ResourceAny;

use crate::bindings::CACHE_BULK;
use crate::bindings::cache_bulk::Batch;
use crate::columns::{BATCH, Columns, alone};
use crate::instance::present;
use crate::session::{Pool, Session};
use crate::{Entry, Error, ErrorKind};

/// Writes a whole cache entry by entry; [`Backend::write`](crate::Backend::write) gives it.
///
/// The cache changes only in [`commit`](Self::commit). A writer that is dropped changes nothing.
pub struct Writer {
    session: Session,
    cache: String,
    /// The entries that the component does not have yet.
    columns: Columns,
    /// The component's writer; none before the first batch.
    writer: Option<ResourceAny>,
    /// The first error. After it, nothing more can be put.
    failed: Option<ErrorKind>,
}

impl Writer {
    pub(crate) fn new(pool: &Arc<Pool>, cache: &str) -> Self {
        Self {
            session: Session::new(pool),
            cache: cache.to_owned(),
            columns: Columns::default(),
            writer: None,
            failed: None,
        }
    }

    /// Adds an entry. It replaces an earlier entry with the same key. Its time to live counts from
    /// the commit.
    ///
    /// # Errors
    ///
    /// As with [`Backend::save`](crate::Backend::save). After an error, `put` and `commit` only
    /// give that error again.
    pub fn put(&mut self, entry: &Entry) -> Result<(), Error> {
        self.attempt(|writer| writer.add(entry))
    }

    /// Replaces the whole cache by the entries that were put. The cache is created if it does not
    /// exist. If nothing was put, the cache is empty afterwards.
    ///
    /// # Errors
    ///
    /// As with [`Backend::save`](crate::Backend::save).
    pub fn commit(mut self) -> Result<(), Error> {
        self.attempt(Self::store)
    }

    fn attempt(&mut self, act: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        let outcome = match &self.failed {
            Some(kind) => Err(Error::new(kind.clone())),
            None => act(self),
        };
        outcome.map_err(|error| {
            self.failed = Some(error.kind().clone());
            error.during("write").on_cache(&self.cache)
        })
    }

    fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        let size = Columns::size_of(entry);
        let pool = self.session.pool();
        pool.check_size(size).map_err(Error::new)?;
        if self.calls_for(entry) {
            if self.columns.len() > 0 {
                self.flush()?;
            }
            if size > BATCH {
                return alone(entry, |batch| self.append(batch)).map(drop);
            }
        }
        self.columns.push(entry);
        Ok(())
    }

    /// Whether a put of this entry calls the component, because the batch would be too large.
    pub(crate) fn calls_for(&self, entry: &Entry) -> bool {
        // Without `cache-bulk`, all entries go into one call.
        let in_batches = self.session.pool().linked.bulk.is_some();
        in_batches && self.columns.size() + Columns::size_of(entry) > BATCH
    }

    /// Whether the component has a writer, which a drop closes.
    pub(crate) fn is_open(&self) -> bool {
        self.writer.is_some()
    }

    /// Hands the batch to the component, even if it is empty.
    fn flush(&mut self) -> Result<ResourceAny, Error> {
        let mut columns = mem::take(&mut self.columns);
        let appended = self.append(columns.batch());
        columns.clear();
        self.columns = columns;
        appended
    }

    fn append(&mut self, batch: Batch<'_>) -> Result<ResourceAny, Error> {
        let (cache, writer) = (&*self.cache, &mut self.writer);
        self.session.call(async |instance| {
            let bulk = present(&instance.bulk, CACHE_BULK)?;
            let store = &mut instance.store;
            let opened = match *writer {
                Some(opened) => opened,
                None => *writer.insert(bulk.call_open_writer(&mut *store, cache).await??),
            };
            bulk.writer().call_append(store, opened, batch).await??;
            Ok(opened)
        })
    }

    fn store(&mut self) -> Result<(), Error> {
        // In columns, a hundred entries take 10 µs longer than in a plain save, which is less than
        // the times of a sync differ. 100,000 entries take half as long.
        if self.session.pool().linked.bulk.is_none() {
            return self.save();
        }
        let writer = self.flush()?;
        // The commit takes the writer: the component drops it.
        self.writer = None;
        self.session.call(async |instance| {
            let bulk = present(&instance.bulk, CACHE_BULK)?;
            let store = &mut instance.store;
            Ok(bulk.writer().call_commit(store, writer).await??)
        })
    }

    /// Saves all entries in one call, if the component has no `cache-bulk`.
    fn save(&mut self) -> Result<(), Error> {
        let size = self.columns.size() + self.columns.len() * size_of::<Entry>();
        self.session.pool().check_size(size).map_err(Error::new)?;
        let (cache, entries) = (&*self.cache, self.columns.list());
        self.session.call(async |instance| {
            let store = &mut instance.store;
            Ok(instance.backend.call_save(store, cache, &entries).await??)
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(writer) = self.writer
            && self.session.has_instance()
        {
            // If this fails, the storage is as after a crash, and the component can cope with that.
            let _ = self
                .session
                .call(async |instance| Ok(writer.resource_drop_async(&mut instance.store).await?));
        }
        self.session.end();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
