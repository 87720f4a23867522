//! The cache layer above a backend, for this program and for components that it runs.

mod cache;
mod caches;
mod contract;
mod guest;
mod instance;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::component::Linker;

pub use cache::{Cache, Keys};
use caches::Caches;
pub use contract::{Found, Metrics, Options};
pub use guest::{Guest, Limits};
use instance::Linked;

use crate::bindings::CACHE_UPDATES;
use crate::{Backend, Error, ErrorKind};

/// What an error names if a layer cannot be made.
const LAYER: &str = "cache layer";

/// The cache layer above a backend: entries in memory, of which the backend is told in groups.
///
/// There is one instance of it, whoever calls. Any number of threads may share it, clones of it are the
/// same layer, and calls wait for one another: a `get` takes about a microsecond, and one that
/// hands changes over, or opens a cache, as long as the backend does. That blocks the thread, which may be
/// one that runs asynchronous tasks; where it must not, calls belong on a thread for blocking ones.
///
/// The memory is what counts, and the backend is best effort: where it fails, caches go on
/// without it. [`Cache::metrics`] and [`Cache::flush`] tell of it.
///
/// If the instance breaks down, which it does when it runs out of memory, all that is in memory
/// is gone, and so is what was not handed over. In the call that this happened to, `get` finds nothing and
/// `set` does nothing; the next call starts another instance, which opens each cache again when it is used.
///
/// What another process changes in the storage while a cache is open is not seen.
#[derive(Clone)]
pub struct Layer {
    caches: Arc<Mutex<Caches>>,
}

impl Layer {
    /// A layer above this backend, with 1 GiB of memory.
    ///
    /// The component is compiled once in a process, and kept where the backend's
    /// [`code_cache`](crate::Builder::code_cache) is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MissingInterface`] if the backend cannot change less than a cache.
    pub fn new(backend: Backend) -> Result<Self, Error> {
        Self::with_memory_limit(backend, 1 << 30)
    }

    /// A layer above this backend that may use this many bytes of memory. What takes more than
    /// a quarter of that is neither stored nor loaded.
    ///
    /// # Errors
    ///
    /// As with [`new`](Self::new), and [`ErrorKind::OutOfMemory`] for less than it needs to begin
    /// with.
    pub fn with_memory_limit(backend: Backend, bytes: usize) -> Result<Self, Error> {
        let make = || {
            if backend.pool().linked.updates.is_none() {
                return Err(Error::new(ErrorKind::MissingInterface(CACHE_UPDATES)));
            }
            Caches::new(Linked::new(backend, bytes)?)
        };
        let caches = make().map_err(|error| error.during(LAYER))?;
        Ok(Self {
            caches: Arc::new(Mutex::new(caches)),
        })
    }

    /// Opens a cache, warmed by what the backend has of it. Where it is open, it is shared, and its
    /// options become these. When the last handle is dropped, what changed is handed over.
    ///
    /// A backend that fails is in the [`metrics`](Cache::metrics): the cache begins empty then, and what is
    /// set is handed over all the same. So it is with a cache that takes more than a quarter of the
    /// layer's memory. One that is corrupt is replaced as soon as something is
    /// changed; one that a newer Larder stored is left alone.
    ///
    /// What a tenant's guest knows as `pages` is `tenant+pages` here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`]; [`ErrorKind::OutOfMemory`] and [`ErrorKind::Trapped`] if the instance
    /// breaks down over it.
    pub fn open(&self, cache: &str, options: &Options) -> Result<Cache, Error> {
        let opened = check(cache).and_then(|()| Cache::open(self, cache, options.clone(), None));
        opened.map_err(|kind| Error::new(kind).during("open").on_cache(cache))
    }

    /// What an instance of a component gets that calls this layer: its caches are those of the tenant,
    /// within [`Limits::default`] unless [others](Guest::limits) are set.
    ///
    /// Guests of one tenant share its caches, and nobody else has them: the names that a guest uses are
    /// prefixed with the tenant, be it that caches are opened, listed, measured or cleared.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] for a tenant that is not 1 to 100 of the characters `a` to `z`, `0` to
    /// `9`, `-`, `_` and `.`, or begins with a dot. Others are not the same to every file system.
    pub fn guest(&self, tenant: impl Into<String>) -> Result<Guest, Error> {
        Guest::new(self, tenant.into())
    }

    /// Gives components what they import as `larder:cache/cache`, from the guest that is in the data of
    /// their store. Stores may be synchronous or not; calls block either way, as described above.
    ///
    /// # Errors
    ///
    /// If the linker has something of that name.
    pub fn add_to_linker<T: 'static>(
        linker: &mut Linker<T>,
        guest: fn(&mut T) -> &mut Guest,
    ) -> wasmtime::Result<()> {
        guest::add_to_linker(linker, guest)
    }

    fn caches(&self) -> MutexGuard<'_, Caches> {
        // A call that panicked has left no instance behind, which is seen to.
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks a name before anything else is done: a backend that fails would not say.
fn check(cache: &str) -> Result<(), ErrorKind> {
    larder_names::check(cache).map_err(|why| ErrorKind::InvalidName(why.into()))
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").finish_non_exhaustive()
    }
}
