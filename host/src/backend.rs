//! A backend, and the calls that it takes.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wasmtime::component::Component;

use crate::bindings::{CACHE_INSPECT, CACHE_UPDATES};
use crate::builder::{DISK_BACKEND, Settings};
use crate::component::Linked;
use crate::engine;
use crate::instance::{Failure, Instance};
use crate::{
    AsyncBackend, Builder, CacheStat, Change, Contents, Entry, Error, ErrorKind, LiveEntry, Report,
};

/// How many instances wait for calls at most.
const IDLE_INSTANCES: usize = 16;
/// How many bytes of memory the idle instances of a backend may hold on to. Memory that is new costs
/// a page fault every 4 KiB: a third of the time of a large load.
const IDLE_MEMORY: usize = 64 * 1024 * 1024;

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
    shared: Arc<Shared>,
}

struct Shared {
    linked: Linked,
    settings: Settings,
    idle: Mutex<Vec<Instance>>,
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

    pub(crate) fn new(component: &Component, settings: Settings) -> Result<Self, Error> {
        let backend = Self {
            shared: Arc::new(Shared {
                linked: Linked::new(component)?,
                settings,
                idle: Mutex::default(),
            }),
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
    /// read; [`ErrorKind::TooLarge`] for more than fits in the memory that the component may use;
    /// [`ErrorKind::InvalidName`], [`ErrorKind::AccessDenied`], [`ErrorKind::Unavailable`].
    pub fn load(&self, cache: &str) -> Result<Contents, Error> {
        self.call("load", cache, async |instance| {
            let store = &mut instance.store;
            let contents = instance.backend.call_load(store, cache).await??;
            let instant = instance.instants()?;
            let live = contents.entries.into_iter().map(|entry| LiveEntry {
                key: entry.key,
                value: entry.value,
                expires_at: entry.expires_at.and_then(&instant),
            });
            Ok(Contents {
                entries: live.collect(),
                lost: contents.lost,
            })
        })
    }

    /// Stores entries as the whole of a cache, in place of what it held, and creates it if need be.
    /// No entries: the cache is empty afterwards. A key named twice: the last entry counts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] for more than the memory limit, [`ErrorKind::NoSpace`],
    /// [`ErrorKind::InvalidName`], [`ErrorKind::AccessDenied`], [`ErrorKind::Unavailable`]: the
    /// cache is what it was before, but for the exceptions at [`Error`].
    pub fn save(&self, cache: &str, entries: impl AsRef<[Entry]>) -> Result<(), Error> {
        let entries = entries.as_ref();
        self.call("save", cache, async |instance| {
            self.check_size(entries.iter().map(Entry::size))?;
            let entries: Vec<_> = entries.iter().map(Into::into).collect();
            let store = &mut instance.store;
            Ok(instance.backend.call_save(store, cache, &entries).await??)
        })
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
            self.check_size(changes.iter().map(Change::size))?;
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

    /// Makes a call in an idle instance or a new one, and keeps the instance if it is worth it.
    fn run<T>(
        &self,
        call: impl AsyncFnOnce(&mut Instance) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let Shared {
            linked, settings, ..
        } = &*self.shared;
        let deadline = Instant::now().checked_add(settings.time_limit);
        let result = engine::run(deadline, async {
            let mut instance = match self.idle_instance() {
                Some(mut instance) => {
                    instance.ready(deadline);
                    instance
                }
                None => Instance::new(linked, settings, deadline).await?,
            };
            let result = match call(&mut instance).await {
                Ok(answer) => Ok(answer),
                Err(Failure::Answered(kind)) => Err(Error::new(kind)),
                Err(Failure::BrokenOff(error)) => {
                    return Err(instance.store.data().explain(error, settings));
                }
            };
            if instance.is_worth_keeping() {
                let mut idle = self.idle_instances();
                let memory: usize = idle.iter().map(Instance::memory).sum();
                if idle.len() < IDLE_INSTANCES && memory + instance.memory() <= IDLE_MEMORY {
                    idle.push(instance);
                }
            }
            result
        });
        match result {
            Ok(Some(result)) => result,
            Ok(None) => Err(Error::new(ErrorKind::TimedOut(settings.time_limit))),
            Err(error) => {
                let why = format!("the host cannot run calls: {error}");
                Err(Error::new(ErrorKind::Unavailable(why)).caused_by(error))
            }
        }
    }

    fn idle_instance(&self) -> Option<Instance> {
        let instance = self.idle_instances().pop()?;
        instance
            .is_current(&self.shared.settings)
            .then_some(instance)
    }

    fn idle_instances(&self) -> MutexGuard<'_, Vec<Instance>> {
        // A panic elsewhere leaves a list of good instances all the same.
        let idle = self.shared.idle.lock();
        idle.unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what could not be handed to the component in one call.
    fn check_size(&self, sizes: impl Iterator<Item = usize>) -> Result<(), Failure> {
        let size = sizes.fold(0, usize::saturating_add);
        let limit = self.shared.settings.memory_limit;
        if u32::try_from(size).is_err() || size > limit {
            return Err(Failure::Answered(ErrorKind::TooLarge(size as u64)));
        }
        Ok(())
    }
}

/// An optional interface, or the reason why the call cannot be made.
fn present<'a, T>(interface: &'a Option<T>, name: &'static str) -> Result<&'a T, Failure> {
    let missing = Failure::Answered(ErrorKind::MissingInterface(name));
    interface.as_ref().ok_or(missing)
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").finish_non_exhaustive()
    }
}
