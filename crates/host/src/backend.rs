//! A backend, and its calls.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use wasmtime::component::Component;

use crate::bindings::{CACHE_INSPECT, CACHE_UPDATES};
use crate::component::Linked;
use crate::instance::{Failure, Instance, present};
use crate::session::{Pool, Session};
use crate::settings::Settings;
use crate::{
    CacheStat, Change, Contents, Entries, Entry, Error, ErrorKind, LiveEntry, Report, Writer,
};

/// A backend that is ready for calls: a compiled component with its settings.
///
/// Four calls read or write a whole cache:
///
/// |       | all entries at once        | entry by entry, for caches of any size |
/// |-------|----------------------------|----------------------------------------|
/// | read  | [`load`](Self::load)       | [`read`](Self::read)                   |
/// | write | [`save`](Self::save) (\*)  | [`write`](Self::write)                 |
///
/// (\*) `save` also takes an iterator, and then holds only a part of the entries. `write` is for
/// callers that may give up before the end. [`apply`](Self::apply) changes single entries, and
/// [`get`](Self::get) reads one.
///
/// ```
/// use larder_host::{Backend, Change, Entry};
///
/// # fn main() -> Result<(), larder_host::Error> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let disk = Backend::disk(folder)?;
/// disk.save("sessions", [Entry::new("user:1", "alice"), Entry::new("user:2", "bob")])?;
/// disk.apply("sessions", [Change::Remove("user:1".into())])?;
///
/// let contents = disk.load("sessions")?;
/// assert_eq!(contents.entries[0].value, b"bob");
/// # Ok(())
/// # }
/// ```
///
/// Any number of threads may share a backend. A clone is the same backend. Calls can run at the
/// same time: each of them uses its own instance of the component. A call blocks its thread. It may
/// run on any thread, but for asynchronous tasks [`AsyncBackend`](crate::AsyncBackend) is better.
///
/// Every call can give the errors of the contract. In addition, it can give
/// [`ErrorKind::Trapped`], [`ErrorKind::TimedOut`] and [`ErrorKind::OutOfMemory`] if the component
/// misbehaves, and [`ErrorKind::Folder`] if a folder was removed. After such an error, later calls
/// still work.
#[derive(Clone)]
pub struct Backend {
    pool: Arc<Pool>,
}

impl Backend {
    pub(crate) fn new(component: &Component, settings: Settings) -> Result<Self, Error> {
        let backend = Self {
            pool: Arc::new(Pool::new(Linked::new(component)?, settings)),
        };
        // The first instance proves that the component starts. It then waits for the first call.
        backend.run(async |_| Ok(()))?;
        Ok(backend)
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Gives the live entries of a cache, all at once. A cache that does not exist has no entries.
    /// If the storage is damaged, the call gives the intact entries and the number of lost ones.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Corrupt`] and [`ErrorKind::UnsupportedVersion`] if nothing of the cache can
    ///   be read.
    /// - [`ErrorKind::TooLarge`] for a cache larger than the memory limit. [`read`](Self::read)
    ///   gives such a cache entry by entry.
    /// - [`ErrorKind::InvalidName`], [`ErrorKind::AccessDenied`], [`ErrorKind::Unavailable`].
    pub fn load(&self, cache: &str) -> Result<Contents, Error> {
        let limit = self.pool.settings.memory_limit;
        let mut source = Entries::open(&self.pool, "load", cache)?;
        let mut entries = Vec::new();
        // Reserves room for all entries. Without that much room, fewer entries may still fit.
        let expected = source.total().min((limit / size_of::<LiveEntry>()) as u64);
        let _ = entries.try_reserve_exact(expected as usize);
        let mut size = 0_usize;
        while let Some(batch) = source.next_batch()? {
            size = size.saturating_add(batch.size());
            if size > limit {
                let error = Error::new(ErrorKind::TooLarge(size as u64));
                return Err(error.during("load").on_cache(cache));
            }
            entries.extend(batch);
        }
        Ok(Contents {
            entries,
            lost: source.lost(),
        })
    }

    /// Gives the live entries of a cache one by one. It holds some hundred KiB of them at a time,
    /// for a cache of any size. If the component has no `cache-bulk`, it holds all of them.
    ///
    /// ```
    /// # use larder_host::{Backend, Entry};
    /// # fn main() -> Result<(), larder_host::Error> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let disk = Backend::disk(folder.path())?;
    /// # disk.save("pages", [Entry::new("/", "<html>")])?;
    /// let mut entries = disk.read("pages")?;
    /// for entry in &mut entries {
    ///     println!("{}", entry?.key);
    /// }
    /// println!("{} entries are lost", entries.lost());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As with [`load`](Self::load), from this call or from the iterator.
    /// [`ErrorKind::TooLarge`] for a single entry that is larger than the memory limit allows.
    pub fn read(&self, cache: &str) -> Result<Entries, Error> {
        Entries::open(&self.pool, "read", cache)
    }

    /// Replaces the whole cache by these entries. The cache is created if it does not exist.
    /// Without entries, the cache is empty afterwards. If a key comes twice, the last entry counts.
    ///
    /// The entries may come from a list or from any iterator. The call holds some hundred KiB of
    /// them at a time. If the component has no `cache-bulk`, it holds all of them. If the iterator
    /// panics, nothing is saved. Times to live count from the end of the iterator.
    ///
    /// # Errors
    ///
    /// After an error, the cache is as before, with the exceptions that [`Error`] describes.
    ///
    /// - [`ErrorKind::TooLarge`] for an entry larger than the memory limit allows. If the component
    ///   has no `cache-bulk`, the limit counts for all entries together.
    /// - [`ErrorKind::NoSpace`], [`ErrorKind::InvalidName`], [`ErrorKind::AccessDenied`],
    ///   [`ErrorKind::Unavailable`].
    pub fn save<E: Borrow<Entry>>(
        &self,
        cache: &str,
        entries: impl IntoIterator<Item = E>,
    ) -> Result<(), Error> {
        let store = || {
            let mut writer = self.write(cache);
            for entry in entries {
                writer.put(entry.borrow())?;
            }
            writer.commit()
        };
        store().map_err(|error| error.during("save"))
    }

    /// Replaces the whole cache, as [`save`](Self::save) does, by entries that are put one by one.
    /// The caller commits them, or drops the writer to change nothing.
    ///
    /// ```
    /// # use larder_host::{Backend, Entry};
    /// # fn main() -> Result<(), larder_host::Error> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let disk = Backend::disk(folder.path())?;
    /// let mut writer = disk.write("pages");
    /// writer.put(&Entry::new("/", "<html>"))?;
    /// writer.put(&Entry::new("/about", "<html>"))?;
    /// writer.commit()?;
    /// # assert_eq!(disk.load("pages")?.entries.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn write(&self, cache: &str) -> Writer {
        Writer::new(&self.pool, cache)
    }

    /// Removes all entries of a cache. It does nothing if the cache is empty or does not exist.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`], [`ErrorKind::AccessDenied`], [`ErrorKind::Unavailable`].
    pub fn clear(&self, cache: &str) -> Result<(), Error> {
        self.call("clear", cache, async |instance| {
            let store = &mut instance.store;
            Ok(instance.backend.call_clear(store, cache).await??)
        })
    }

    /// Makes all of these changes in their order, or none of them. The cache is created if it does
    /// not exist. Without changes, the call does nothing. If a key comes twice, the last change
    /// counts.
    ///
    /// # Errors
    ///
    /// As with [`save`](Self::save). In addition:
    ///
    /// - [`ErrorKind::Corrupt`] and [`ErrorKind::UnsupportedVersion`] if nothing of the cache can
    ///   be read.
    /// - [`ErrorKind::MissingInterface`] if the component cannot change single entries.
    pub fn apply(&self, cache: &str, changes: impl AsRef<[Change]>) -> Result<(), Error> {
        let changes = changes.as_ref();
        self.call("apply", cache, async |instance| {
            let updates = present(&instance.updates, CACHE_UPDATES)?;
            let size = changes
                .iter()
                .map(Change::size)
                .fold(0, usize::saturating_add);
            self.pool.check_size(size).map_err(Failure::Answered)?;
            let changes: Vec<_> = changes.iter().map(Into::into).collect();
            let store = &mut instance.store;
            Ok(updates.call_apply(store, cache, &changes).await??)
        })
    }

    /// Lists the names of the caches that have entries, in order. A cache is not listed after a
    /// clear or a save without entries. It is listed while all its entries are expired or damaged.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AccessDenied`], [`ErrorKind::Unavailable`].
    /// - [`ErrorKind::MissingInterface`] if the component does not export `cache-inspect`.
    pub fn list(&self) -> Result<Vec<String>, Error> {
        self.run(async |instance| {
            let inspect = present(&instance.inspect, CACHE_INSPECT)?;
            Ok(inspect.call_list_caches(&mut instance.store).await??)
        })
        .map_err(|error| error.during("list"))
    }

    /// Gives the size and age of a cache, without its values. For a cache that does not exist, all
    /// numbers are zero.
    ///
    /// # Errors
    ///
    /// As with [`list`](Self::list), and [`ErrorKind::InvalidName`].
    pub fn stat(&self, cache: &str) -> Result<CacheStat, Error> {
        self.call("stat", cache, async |instance| {
            let inspect = present(&instance.inspect, CACHE_INSPECT)?;
            let store = &mut instance.store;
            Ok(inspect.call_stat(store, cache).await??.into())
        })
    }

    /// Reads a whole cache and checks every byte. Damage is in the report; it is not an error. The
    /// report about a cache that does not exist has no files.
    ///
    /// # Errors
    ///
    /// As with [`list`](Self::list), and [`ErrorKind::InvalidName`].
    pub fn verify(&self, cache: &str) -> Result<Report, Error> {
        self.call("verify", cache, async |instance| {
            let inspect = present(&instance.inspect, CACHE_INSPECT)?;
            let store = &mut instance.store;
            Ok(inspect.call_verify(store, cache).await??.into())
        })
    }

    /// Makes a call about a cache.
    pub(crate) fn call<T>(
        &self,
        operation: &'static str,
        cache: &str,
        call: impl AsyncFnOnce(&mut Instance) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        self.run(call)
            .map_err(|error| error.during(operation).on_cache(cache))
    }

    /// Makes a call, and leaves its instance to other calls.
    fn run<T>(
        &self,
        call: impl AsyncFnOnce(&mut Instance) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let mut session = Session::new(&self.pool);
        let result = session.call(call);
        session.end();
        result
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").finish_non_exhaustive()
    }
}
