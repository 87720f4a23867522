//! Reads a cache entry by entry.

use std::sync::Arc;
use std::{fmt, mem, vec};

use wasmtime::component::ResourceAny;

use crate::bindings::CACHE_BULK;
use crate::columns::LiveColumns;
use crate::instance::{Failure, Instance, present};
use crate::session::{Pool, Session};
use crate::{Error, LiveEntry};

/// Iterates over the live entries of a cache; [`Backend::read`](crate::Backend::read) gives it.
///
/// Gives the entries that the cache had at the call of `read`, even if the cache changes later.
/// They come in no particular order, and no two have the same key. An entry that expires during the
/// reading is left out, or comes with a deadline in the past. After an error, no more entries come.
/// An iterator may be dropped at any time.
pub struct Entries {
    session: Session,
    operation: &'static str,
    cache: String,
    /// None after the last batch.
    reader: Option<ResourceAny>,
    batch: Batch,
    total: u64,
    lost: u64,
}

/// The entries of one call.
pub(crate) enum Batch {
    Columns(LiveColumns),
    /// The whole cache, from a component without `cache-bulk`.
    List(vec::IntoIter<LiveEntry>),
}

/// The result of one call to the reader.
enum Step {
    More(LiveColumns),
    End { lost: u64 },
}

impl Entries {
    pub(crate) fn open(
        pool: &Arc<Pool>,
        operation: &'static str,
        cache: &str,
    ) -> Result<Self, Error> {
        let mut entries = Self {
            session: Session::new(pool),
            operation,
            cache: cache.to_owned(),
            reader: None,
            batch: Batch::List(Vec::new().into_iter()),
            total: 0,
            lost: 0,
        };
        // For a few entries, this takes five calls, and 2 µs more than a plain load.
        match pool.linked.bulk {
            Some(_) => entries.open_reader()?,
            None => entries.load()?,
        }
        Ok(entries)
    }

    /// The greatest number of entries that can come, to show progress. It includes replaced,
    /// removed, lost and expired entries.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many more entries damage to the storage took, as in
    /// [`Contents::lost`](crate::Contents::lost). The number is 0 until the last entry has come.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The rest of the present batch, or else the next batch.
    pub(crate) fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        if self.batch.size_hint().0 == 0 && self.reader.is_some() {
            self.advance()?;
        }
        let rest = Batch::List(Vec::new().into_iter());
        let batch = mem::replace(&mut self.batch, rest);
        Ok(Some(batch).filter(|batch| batch.size_hint().0 > 0))
    }

    fn open_reader(&mut self) -> Result<(), Error> {
        let (cache, session) = (&*self.cache, &mut self.session);
        let opened = session.call(async |instance| {
            let bulk = present(&instance.bulk, CACHE_BULK)?;
            let store = &mut instance.store;
            let reader = bulk.call_open_reader(&mut *store, cache).await??;
            let total = bulk.reader().call_count(store, reader).await?;
            Ok((reader, total, step(instance, reader).await?))
        });
        let (reader, total, step) = opened.map_err(|error| self.explain(error))?;
        self.reader = Some(reader);
        self.total = total;
        self.take(step);
        Ok(())
    }

    /// Gets the next batch, if there is one.
    fn advance(&mut self) -> Result<(), Error> {
        // It is put back below. After an error, the reader gives nothing more.
        let Some(reader) = self.reader.take() else {
            return Ok(());
        };
        let advanced = self
            .session
            .call(async |instance| step(instance, reader).await);
        let step = advanced.map_err(|error| self.explain(error))?;
        self.reader = Some(reader);
        self.take(step);
        Ok(())
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::More(columns) => self.batch = Batch::Columns(columns),
            Step::End { lost } => {
                self.lost = lost;
                self.reader = None;
                self.session.end();
            }
        }
    }

    fn load(&mut self) -> Result<(), Error> {
        let (cache, session) = (&*self.cache, &mut self.session);
        let loaded = session.call(async |instance| {
            let store = &mut instance.store;
            let contents = instance.backend.call_load(store, cache).await??;
            let clocks = instance.clocks()?;
            let live = contents.entries.into_iter().map(|entry| LiveEntry {
                key: entry.key,
                value: entry.value,
                expires_at: entry.expires_at.and_then(|at| clocks.instant(at)),
            });
            Ok((live.collect::<Vec<_>>(), contents.lost))
        });
        // After any answer, nothing is open in the instance.
        self.session.end();
        let (entries, lost) = loaded.map_err(|error| self.explain(error))?;
        self.total = entries.len() as u64;
        self.lost = lost;
        self.batch = Batch::List(entries.into_iter());
        Ok(())
    }

    fn explain(&self, error: Error) -> Error {
        error.during(self.operation).on_cache(&self.cache)
    }
}

/// Asks the reader for a batch. After the last batch, drops the reader.
async fn step(instance: &mut Instance, reader: ResourceAny) -> Result<Step, Failure> {
    let bulk = present(&instance.bulk, CACHE_BULK)?;
    let store = &mut instance.store;
    if let Some(batch) = bulk.reader().call_next(&mut *store, reader).await?? {
        let clocks = instance.clocks()?;
        return Ok(Step::More(LiveColumns::new(batch, clocks)?));
    }
    let lost = bulk.reader().call_lost(&mut *store, reader).await?;
    reader.resource_drop_async(store).await?;
    Ok(Step::End { lost })
}

impl Iterator for Entries {
    type Item = Result<LiveEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.batch.next() {
            return Some(Ok(entry));
        }
        match self.advance() {
            Ok(()) => self.batch.next().map(Ok),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Batch {
    /// How many bytes of the host's memory the entries take. A list counts as zero: it came in one
    /// answer, whose size has a limit of its own.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Columns(columns) => columns.size(),
            Self::List(_) => 0,
        }
    }
}

impl Iterator for Batch {
    type Item = LiveEntry;

    fn next(&mut self) -> Option<LiveEntry> {
        match self {
            Self::Columns(columns) => columns.next(),
            Self::List(list) => list.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Columns(columns) => columns.size_hint(),
            Self::List(list) => list.size_hint(),
        }
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
