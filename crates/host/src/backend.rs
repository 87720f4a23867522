//! A backend, and the calls that it takes.

use std::borrow::Borrow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Component;

use crate::bindings::{CACHE_INSPECT, CACHE_UPDATES};
use crate::builder::{DISK_BACKEND, Settings};
use crate::component::Linked;
use crate::instance::{Failure, Instance, present};
use crate::session::{Pool, Session};
use crate::{
    AsyncBackend, Builder, CacheStat, Change, Contents, Entries, Entry, Error, ErrorKind,
    LiveEntry, Report, Writer,
};

/// A backend, ready for calls: a compiled component, and what it may use.
///
/// Any number of threads may share one, and clones of it are the same backend. Calls that are made
/// at the same time run at the same time, each in an instance of the component of its own. A call
/// blocks its thread, which may be any thread, one that runs asynchronous tasks included; there,
/// [`AsyncBackend`] is the better choice.
///
/// Every call can give the errors of the contract, and besides [`ErrorKind::Trapped`],
/// [`ErrorKind::TimedOut`] and [`ErrorKind::OutOfMemory`] if the component misbehaves, and
/// [`ErrorKind::Folder`] if a folder is not there any more. None of them keeps later calls from
/// working.
#[derive(Clone)]
pub struct Backend {
    pool: Arc<Pool>,
}

impl Backend {
    /// The built-in disk component with this folder, which is created if it is not there, and
    /// nothing else.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Folder`] if the folder can be neither opened nor created.
    pub fn disk(dir: impl AsRef<Path>) -> Result<Backend, Error> {
        let dir = dir.as_ref();
        if let Err(error) = std::fs::create_dir_all(dir) {
            let what = format!("cannot create the folder {}: {error}", dir.display());
            return Err(Error::new(ErrorKind::Folder(what)).during(DISK_BACKEND));
        }
        Self::builtin().preopen(dir, "/").build()
    }

    /// The built-in disk component, to be given a folder and other settings.
    pub fn builtin() -> Builder {
        Builder::builtin()
    }

    /// The component in this file of WebAssembly, to be given settings.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadComponent`] if the file cannot be read, or is larger than 64 MiB. What is in it
    /// is looked at when the backend is built.
    pub fn component(path: impl AsRef<Path>) -> Result<Builder, Error> {
        Builder::file(path.as_ref())
    }

    /// The component that these bytes of WebAssembly are, to be given settings. They are looked at
    /// when the backend is built.
    pub fn component_bytes(bytes: impl Into<Vec<u8>>) -> Builder {
        Builder::memory(bytes.into())
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn new(component: &Component, settings: Settings) -> Result<Self, Error> {
        let backend = Self {
            pool: Arc::new(Pool::new(Linked::new(component)?, settings)),
        };
        // The first instance shows whether there can be any, and waits for the first call.
        backend.run(async |_| Ok(()))?;
        Ok(backend)
    }

    /// Gives the live entries of a cache. Nothing stored under that name, or an empty cache: no
    /// entries. Damaged storage: what is intact, and how many entries are lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] and [`ErrorKind::UnsupportedVersion`] if nothing of the cache can be
    /// read; [`ErrorKind::TooLarge`] for more than the memory limit, which [`read`](Self::read)
    /// gives piece by piece; [`ErrorKind::InvalidName`], [`ErrorKind::AccessDenied`],
    /// [`ErrorKind::Unavailable`].
    pub fn load(&self, cache: &str) -> Result<Contents, Error> {
        let limit = self.pool.settings.memory_limit;
        let mut source = Entries::open(&self.pool, "load", cache)?;
        let mut entries = Vec::new();
        // As many as there may be, at most; where there is no room for that, there is for fewer.
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

    /// Gives the live entries of a cache one by one, and holds some hundred KiB of them at a time,
    /// whatever the size of the cache; all of it, if the component has no `cache-bulk`.
    ///
    /// # Errors
    ///
    /// As with [`load`](Self::load), now or from the iterator; [`ErrorKind::TooLarge`] for an entry
    /// that is larger than the memory limit allows.
    pub fn read(&self, cache: &str) -> Result<Entries, Error> {
        Entries::open(&self.pool, "read", cache)
    }

    /// Stores entries as the whole of a cache, in place of what it held, and creates it if need be.
    /// No entries: the cache is empty afterwards. A key named twice: the last entry counts.
    ///
    /// The entries may come from a list or from any iterator, of which some hundred KiB are held at
    /// a time; all of it, if the component has no `cache-bulk`. Should the iterator panic, nothing
    /// is stored. Times to live are counted from its end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] for an entry that is larger than the memory limit allows, or all of
    /// them if the component has no `cache-bulk`; [`ErrorKind::NoSpace`], [`ErrorKind::InvalidName`],
    /// [`ErrorKind::AccessDenied`], [`ErrorKind::Unavailable`]: the cache is what it was before, but
    /// for the exceptions at [`Error`].
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

    /// Stores entries as [`save`](Self::save) does, for a caller that may have to give up on the
    /// way: they are put one by one, and committed or dropped.
    pub fn write(&self, cache: &str) -> Writer {
        Writer::new(&self.pool, cache)
    }

    /// Removes everything that is stored under a name. A cache that does not exist, or is empty,
    /// stays so.
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

    /// Makes all of these changes, in their order, or none of them, and creates the cache if need
    /// be. No changes: nothing is done. A key named twice: the last change counts.
    ///
    /// # Errors
    ///
    /// As with [`save`](Self::save); [`ErrorKind::Corrupt`] and [`ErrorKind::UnsupportedVersion`]
    /// if nothing of the cache can be read; [`ErrorKind::MissingInterface`] if the component cannot
    /// change less than a cache.
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

    /// Names the caches that hold anything, sorted by name: none that was cleared, or saved with no
    /// entries, but those whose entries have all expired or are damaged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AccessDenied`], [`ErrorKind::Unavailable`]; [`ErrorKind::MissingInterface`] if
    /// the component does not tell about its caches.
    pub fn list(&self) -> Result<Vec<String>, Error> {
        self.run(async |instance| {
            let inspect = present(&instance.inspect, CACHE_INSPECT)?;
            Ok(inspect.call_list_caches(&mut instance.store).await??)
        })
        .map_err(|error| error.during("list"))
    }

    /// Tells the size and age of a cache and hands over no values. Nothing stored: zeros.
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

    /// Reads all of a cache and checks every byte of it. Damage is what the report is about, and
    /// not an error. Nothing stored: a report of no files.
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

    /// The same backend for asynchronous callers.
    pub fn into_async(self) -> AsyncBackend {
        AsyncBackend::new(self)
    }

    /// Makes a call that is about a cache.
    fn call<T>(
        &self,
        operation: &'static str,
        cache: &str,
        call: impl AsyncFnOnce(&mut Instance) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        self.run(call)
            .map_err(|error| error.during(operation).on_cache(cache))
    }

    /// Makes a call, and lets others use its instance.
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
