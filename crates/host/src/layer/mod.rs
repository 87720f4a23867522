//! The cache layer above a backend, for this program and for the components that it runs.

mod bindings;
mod cache;
mod caches;
mod contract;
mod instance;
mod tenant;

use std::fmt;

use wasmtime::component::Linker;

pub use cache::{Cache, Keys};
use caches::Shared;
pub use contract::{Found, Metrics, Options};
use instance::Linked;
pub use tenant::{Limits, Tenant};

use crate::bindings::CACHE_UPDATES;
use crate::{Backend, Error, ErrorKind};

/// The operation that an error names if a layer cannot be made.
const LAYER: &str = "cache layer";

/// The cache layer above a backend. It keeps entries in memory and hands changes to the backend in
/// groups.
///
/// ```
/// use larder_host::{Backend, Layer, Options};
///
/// # fn main() -> Result<(), larder_host::Error> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let layer = Layer::new(Backend::disk(folder)?)?;
/// let sessions = layer.open("sessions", &Options::default().flush_every(100))?;
/// sessions.set("user:1", "alice", None);
/// assert_eq!(sessions.get("user:1").unwrap(), b"alice");
/// # Ok(())
/// # }
/// ```
///
/// All callers use one instance of the layer's component. Any number of threads may share a layer,
/// and a clone is the same layer. Calls wait for one another. A `get` takes about a microsecond. A
/// call that flushes changes or opens a cache takes as long as the backend. Calls block the thread,
/// which may run asynchronous tasks. If it must not be blocked, call from a thread for blocking
/// work.
///
/// The memory decides, and the backend is best effort: if the backend fails, caches go on without
/// it. [`Cache::metrics`] and [`Cache::flush`] report its errors.
///
/// The instance can break down, for example when it has no more memory. Then everything in memory
/// is lost, with the changes that were not flushed. In the call that broke down, `get` finds
/// nothing and `set` does nothing. The next call starts another instance. There, each cache is
/// opened again when it is used.
///
/// While a cache is open, the layer does not see changes that another process makes in the storage.
#[derive(Clone)]
pub struct Layer {
    caches: Shared,
}

impl Layer {
    /// Makes a layer above this backend, with 1 GiB of memory.
    ///
    /// A process compiles the component once. It keeps the code in the
    /// [`code_cache`](crate::Builder::code_cache) of the backend.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MissingInterface`] if the backend cannot change single entries.
    pub fn new(backend: Backend) -> Result<Self, Error> {
        Self::with_memory_limit(backend, 1 << 30)
    }

    /// Makes a layer above this backend, with this many bytes of memory. An entry or a cache that
    /// takes more than a quarter of that is neither stored nor loaded.
    ///
    /// # Errors
    ///
    /// As with [`new`](Self::new), and [`ErrorKind::OutOfMemory`] if the component cannot start
    /// with that little memory.
    pub fn with_memory_limit(backend: Backend, bytes: usize) -> Result<Self, Error> {
        let make = || {
            if backend.pool().linked.updates.is_none() {
                return Err(Error::new(ErrorKind::MissingInterface(CACHE_UPDATES)));
            }
            Shared::new(Linked::new(backend, bytes)?)
        };
        let caches = make().map_err(|error| error.during(LAYER))?;
        Ok(Self { caches })
    }

    /// Opens a cache with the entries that the backend has of it. If the cache is open already, the
    /// handles share it, and it gets these options. The last handle that is dropped flushes it.
    ///
    /// If the backend fails, the error is in the [`metrics`](Cache::metrics), and the cache begins
    /// empty. Changes are still flushed. The same happens with a cache that takes more than a
    /// quarter of the layer's memory. A corrupt cache is replaced at the first change. A cache that
    /// a newer Larder stored is left alone.
    ///
    /// The cache `pages` of the tenant `one` has the name `one+pages` here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`]; [`ErrorKind::OutOfMemory`] and [`ErrorKind::Trapped`] if the
    /// instance breaks down.
    pub fn open(&self, cache: &str, options: &Options) -> Result<Cache, Error> {
        let opened = tenant::check(cache)
            .and_then(|()| Cache::open(&self.caches, cache, options.clone(), None));
        opened.map_err(|kind| Error::new(kind).during("open").on_cache(cache))
    }

    /// Makes the tenant's side of the layer, for one instance of a component that imports
    /// `larder:cache/cache`. Its limits are [`Limits::default`], unless [`Tenant::limits`] sets
    /// others.
    ///
    /// Instances of one tenant share its caches, and no other tenant can reach them. The layer puts
    /// the tenant's name in front of every cache name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] if the name breaks a rule. A tenant's name has 1 to 100
    /// characters: `a` to `z`, `0` to `9`, `-`, `_` and `.`. It does not begin with a dot. Some
    /// file systems change or confuse other names.
    pub fn tenant(&self, name: impl Into<String>) -> Result<Tenant, Error> {
        Tenant::new(&self.caches, name.into())
    }

    /// Gives components the import `larder:cache/cache`. The function finds the tenant in the data
    /// of the store. The store may be synchronous or not; calls block in both cases, as described
    /// above.
    ///
    /// The module [`wasmtime_48`](crate::wasmtime_48) has the type `Linker`.
    ///
    /// # Errors
    ///
    /// If the linker already has an import of that name.
    pub fn add_to_linker<T: 'static>(
        linker: &mut Linker<T>,
        tenant: fn(&mut T) -> &mut Tenant,
    ) -> wasmtime::Result<()> {
        tenant::add_to_linker(linker, tenant)
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").finish_non_exhaustive()
    }
}
