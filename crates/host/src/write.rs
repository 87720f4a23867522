//! Writing a cache entry by entry.

use std::sync::Arc;
use std::{fmt, mem};

use wasmtime::component::ResourceAny;

use crate::bindings::CACHE_BULK;
use crate::bindings::cache_bulk::Batch;
use crate::columns::{BATCH, Columns, alone};
use crate::instance::present;
use crate::session::{Pool, Session};
use crate::{Entry, Error, ErrorKind};

/// Entries that are to be the whole of a cache; see [`Backend::write`](crate::Backend::write).
///
/// Nobody sees them before they are committed. A writer that is dropped has done nothing.
pub struct Writer {
    session: Session,
    cache: String,
    /// What was put, and not handed to the component yet.
    columns: Columns,
    /// The component's side of it, once it was given a batch.
    writer: Option<ResourceAny>,
    /// Why no more can be put.
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

    /// Adds an entry. Where its key was there before, the new entry counts. Its time to live is
    /// counted from the commit.
    ///
    /// # Errors
    ///
    /// As with [`Backend::save`](crate::Backend::save). After one there is no more to be put, and
    /// nothing to be committed: both give that error again.
    pub fn put(&mut self, entry: &Entry) -> Result<(), Error> {
        self.attempt(|writer| writer.add(entry))
    }

    /// Stores what was put as the whole of the cache, in place of what it held, and creates it if
    /// need be. Nothing was put: the cache is empty afterwards.
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
        // Without the interface for batches all goes into one call.
        if pool.linked.bulk.is_some() {
            if self.columns.len() > 0 && self.columns.size() + size > BATCH {
                self.flush()?;
            }
            if size > BATCH {
                return alone(entry, |batch| self.append(batch)).map(drop);
            }
        }
        self.columns.push(entry);
        Ok(())
    }

    /// Hands over what is at hand, and be it nothing.
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
        // A hundred entries take some 10 µs longer in columns than in a plain save, less than a sync
        // varies by; 100,000 take half as long.
        if self.session.pool().linked.bulk.is_none() {
            return self.save();
        }
        let writer = self.flush()?;
        // From here on it is the component's to drop.
        self.writer = None;
        self.session.call(async |instance| {
            let bulk = present(&instance.bulk, CACHE_BULK)?;
            let store = &mut instance.store;
            Ok(bulk.writer().call_commit(store, writer).await??)
        })
    }

    /// Stores all of it in one call, where there is no interface for batches.
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
            // Where this fails, what is left behind is as after a crash, and nobody asks.
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
