//! Reading a cache entry by entry.

use std::sync::Arc;
use std::{fmt, mem, vec};

use wasmtime::component::ResourceAny;

use crate::bindings::CACHE_BULK;
use crate::columns::LiveColumns;
use crate::instance::{Failure, Instance, present};
use crate::session::{Pool, Session};
use crate::{Error, LiveEntry};

/// The live entries of a cache as it was when they were asked for, whatever becomes of it meanwhile;
/// see [`Backend::read`](crate::Backend::read).
///
/// They come in no order that may be relied upon, and no two share a key. What expires before its
/// turn has come is left out, or comes with a deadline that has passed. After an error there are no
/// more. To drop them early is fine at any time.
pub struct Entries {
    session: Session,
    operation: &'static str,
    cache: String,
    /// None once it gave all it had.
    reader: Option<ResourceAny>,
    batch: Batch,
    total: u64,
    lost: u64,
}

/// Entries that a component gave in one call.
pub(crate) enum Batch {
    Columns(LiveColumns),
    /// All of a cache, from a component without `cache-bulk`.
    List(vec::IntoIter<LiveEntry>),
}

/// What a call gives that may be the last.
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
        // All five calls that a few entries take cost 2 µs more than a plain load.
        match pool.linked.bulk {
            Some(_) => entries.open_reader()?,
            None => entries.load()?,
        }
        Ok(entries)
    }

    /// How many entries there are in all, at most, to show progress by: those are counted too that
    /// were replaced, removed, lost or expired.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many further entries damage to the storage took away, as in
    /// [`Contents::lost`](crate::Contents::lost): once there are no more; 0 before that.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What is left of the entries at hand, or those of the next call into the component.
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

    /// Gets more entries, or none where there are no more.
    fn advance(&mut self) -> Result<(), Error> {
        // Put back below: after an error there is nothing more to be had from it.
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
        // Nothing is open in the instance, whatever the answer was.
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

/// Asks for more entries. At the end the reader is dropped.
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
    /// How many bytes of memory the entries take beyond what the component was allowed.
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
