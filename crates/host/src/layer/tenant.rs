//! A tenant of the layer: its caches, and their limits.

use std::fmt;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};

use super::bindings::cache::{self as contract, Host, HostCache};
use super::cache::Cache;
use super::caches::{Quota, Shared};
use super::contract::Options;
use crate::bindings::given::types;
use crate::{Entry, Error, ErrorKind};

/// Stands between the names of tenant and cache. Cache names may have it; names of tenants and the
/// short names of Windows may not.
const SEPARATOR: char = '+';
/// In bytes.
const LONGEST_TENANT: usize = 100;
/// How many handles an instance may have open. Each takes a few bytes of the host's memory.
const HANDLES: usize = 1000;

/// A tenant's side of the layer, for one instance of a component; [`Layer::tenant`] gives it.
///
/// It belongs into the data of the instance's store, where [`Layer::add_to_linker`] finds it. When
/// it is dropped with the store, it closes all handles that the instance left open.
///
/// A cache whose last handle is closed is flushed, and stays in memory for later instances of the
/// tenant. It leaves the memory when its room is needed, or when a handle from [`Layer::open`] to
/// it is dropped.
///
/// ```
/// use larder_host::wasmtime_48::wasmtime::{Engine, Store, component::Linker};
/// use larder_host::{Backend, Layer, Limits, Tenant};
///
/// struct State {
///     larder: Tenant,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let layer = Layer::new(Backend::disk(folder.path())?)?;
/// let engine = Engine::default();
/// let mut linker = Linker::new(&engine);
/// Layer::add_to_linker(&mut linker, |state: &mut State| &mut state.larder)?;
///
/// // For each instance:
/// let larder = layer.tenant("tenant-1")?.limits(Limits::default().caches(2));
/// let store = Store::new(&engine, State { larder });
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
///
/// [`Layer::tenant`]: crate::Layer::tenant
/// [`Layer::add_to_linker`]: crate::Layer::add_to_linker
/// [`Layer::open`]: crate::Layer::open
pub struct Tenant {
    caches: Shared,
    /// The name of the tenant, and the separator.
    prefix: String,
    limits: Limits,
    open: ResourceTable,
}

/// How much of the layer's memory a tenant may use.
///
/// At most, a cache takes four times its `capacity_bytes`, 256 bytes for each entry, and 4 MiB.
/// That covers its entries, the keys of removed entries, a claimed key, and one call.
///
/// The host must see to it that all tenants together fit into the layer's memory. Storage and time
/// have no limits: a tenant that opens large caches, or flushes all the time, makes others wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// How many caches may be in memory at once. A cache that no instance has open is closed for
    /// another. If there is none, `open` gives the error `other`.
    pub caches: usize,
    /// The largest `capacity` of a cache. When this many keys have changed, they are flushed in any
    /// case.
    pub capacity: u64,
    /// The largest `capacity-bytes` of a cache. An instance traps if it asks for more in one
    /// `get-many`, with the same large keys many times.
    pub capacity_bytes: u64,
}

impl Limits {
    /// Sets [`caches`](Self::caches).
    pub fn caches(mut self, caches: usize) -> Self {
        self.caches = caches;
        self
    }

    /// Sets [`capacity`](Self::capacity).
    pub fn capacity(mut self, entries: u64) -> Self {
        self.capacity = entries;
        self
    }

    /// Sets [`capacity_bytes`](Self::capacity_bytes).
    pub fn capacity_bytes(mut self, bytes: u64) -> Self {
        self.capacity_bytes = bytes;
        self
    }
}

impl Default for Limits {
    /// 8 caches, each with 16,384 entries in 4 MiB: 192 MiB at most.
    fn default() -> Self {
        Self {
            caches: 8,
            capacity: 1 << 14,
            capacity_bytes: 4 << 20,
        }
    }
}

impl Tenant {
    pub(super) fn new(caches: &Shared, tenant: String) -> Result<Self, Error> {
        let is_allowed = |c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
        let why = if tenant.is_empty() {
            "a tenant is not empty"
        } else if tenant.len() > LONGEST_TENANT {
            "a tenant has at most 100 characters"
        } else if !tenant.chars().all(is_allowed) {
            "a tenant has no characters but a to z, 0 to 9, -, _ and ."
        } else if tenant.starts_with('.') {
            "a tenant does not start with a dot"
        } else {
            let mut open = ResourceTable::new();
            open.set_max_capacity(HANDLES);
            return Ok(Self {
                caches: caches.clone(),
                prefix: tenant + &SEPARATOR.to_string(),
                limits: Limits::default(),
                open,
            });
        };
        let why = format!("{why}: {tenant:?}");
        Err(Error::new(ErrorKind::InvalidName(why)).during("tenant"))
    }

    /// Sets other limits. They count for caches that are opened later.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    fn open(&self, name: &str, options: Options) -> Result<Cache, ErrorKind> {
        check(name)?;
        let most = larder_names::LONGEST - self.prefix.len();
        if name.len() > most {
            let why = format!("a cache name has at most {most} bytes here");
            return Err(ErrorKind::InvalidName(why));
        }
        let limits = &self.limits;
        let quota = Quota {
            prefix: &self.prefix,
            caches: limits.caches,
            largest: usize::try_from(limits.capacity_bytes).unwrap_or(usize::MAX),
        };
        let every = u32::try_from(limits.capacity).unwrap_or(u32::MAX);
        let options = Options {
            capacity: within(options.capacity, limits.capacity),
            capacity_bytes: within(options.capacity_bytes, limits.capacity_bytes),
            flush_every: within(options.flush_every, every),
            ..options
        };
        let name = format!("{}{name}", self.prefix);
        Cache::open(&self.caches, &name, options, Some(quota))
    }
}

fn within<N: Ord>(asked: Option<N>, most: N) -> Option<N> {
    Some(match asked {
        Some(asked) => asked.min(most),
        None => most,
    })
}

/// Checks a cache name before the backend is asked: a backend that fails would not report the name.
pub(super) fn check(cache: &str) -> Result<(), ErrorKind> {
    larder_names::check(cache).map_err(|why| ErrorKind::InvalidName(why.into()))
}

pub(super) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    tenant: fn(&mut T) -> &mut Tenant,
) -> wasmtime::Result<()> {
    contract::add_to_linker::<T, HasSelf<Tenant>>(linker, tenant)
}

impl types::Host for Tenant {}

impl Host for Tenant {}

impl HostCache for Tenant {
    fn open(
        &mut self,
        name: String,
        options: contract::Options,
    ) -> wasmtime::Result<Result<Resource<Cache>, types::Error>> {
        Ok(match Tenant::open(self, &name, options.into()) {
            Ok(cache) => self.open.push(cache).map_err(|_| {
                let why = format!("no more than {HANDLES} handles may be open at once");
                types::Error::Other(why)
            }),
            Err(kind) => Err(kind.into()),
        })
    }

    fn get(&mut self, this: Resource<Cache>, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.open.get(&this)?.get(&key))
    }

    fn get_many(
        &mut self,
        this: Resource<Cache>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Vec<Option<Vec<u8>>>> {
        let cache = self.open.get(&this)?;
        let mut left = self.limits.capacity_bytes;
        let values = keys.iter().map(|key| {
            let value = cache.get(key);
            let size = value.as_ref().map_or(0, Vec::len) as u64;
            let Some(rest) = left.checked_sub(size) else {
                wasmtime::bail!("get-many of more than the cache may hold");
            };
            left = rest;
            Ok(value)
        });
        values.collect()
    }

    fn get_or_claim(
        &mut self,
        this: Resource<Cache>,
        key: String,
        lease: u64,
    ) -> wasmtime::Result<contract::Found> {
        let lease = Duration::from_nanos(lease);
        Ok(self.open.get(&this)?.get_or_claim(&key, lease).into())
    }

    fn set(
        &mut self,
        this: Resource<Cache>,
        key: String,
        value: Vec<u8>,
        ttl: Option<u64>,
    ) -> wasmtime::Result<()> {
        let ttl = ttl.map(Duration::from_nanos);
        self.open.get(&this)?.set(&key, value, ttl);
        Ok(())
    }

    fn set_many(
        &mut self,
        this: Resource<Cache>,
        entries: Vec<types::Entry>,
    ) -> wasmtime::Result<()> {
        let entries = entries.into_iter().map(Entry::from);
        self.open.get(&this)?.set_many(entries);
        Ok(())
    }

    fn delete(&mut self, this: Resource<Cache>, key: String) -> wasmtime::Result<bool> {
        Ok(self.open.get(&this)?.delete(&key))
    }

    fn contains(&mut self, this: Resource<Cache>, key: String) -> wasmtime::Result<bool> {
        Ok(self.open.get(&this)?.contains(&key))
    }

    fn keys(
        &mut self,
        this: Resource<Cache>,
        after: Option<u64>,
        limit: u32,
    ) -> wasmtime::Result<contract::Page> {
        let (keys, next) = self.open.get(&this)?.page(after, limit);
        Ok(contract::Page { keys, next })
    }

    fn clear(&mut self, this: Resource<Cache>) -> wasmtime::Result<Result<(), types::Error>> {
        Ok(self.open.get(&this)?.try_clear().map_err(Into::into))
    }

    fn flush(&mut self, this: Resource<Cache>) -> wasmtime::Result<Result<(), types::Error>> {
        Ok(self.open.get(&this)?.try_flush().map_err(Into::into))
    }

    fn metrics(&mut self, this: Resource<Cache>) -> wasmtime::Result<contract::Metrics> {
        Ok(self.open.get(&this)?.metrics().into())
    }

    fn drop(&mut self, this: Resource<Cache>) -> wasmtime::Result<()> {
        self.open.delete(this)?;
        Ok(())
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenant = self.prefix.trim_end_matches(SEPARATOR);
        f.debug_struct("Tenant")
            .field("name", &tenant)
            .finish_non_exhaustive()
    }
}
