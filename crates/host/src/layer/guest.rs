//! What a component is given that calls the layer: the caches of one tenant, within limits.

use std::fmt;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};

use super::caches::Quota;
use super::{Cache, Layer, Options, check};
use crate::bindings::given::cache::{self as contract, Host, HostCache};
use crate::bindings::given::types;
use crate::{Entry, Error, ErrorKind};
use larder_names::LONGEST;

/// What stands between tenant and name: any name may have it, no tenant, and none of the short names of Windows.
const SEPARATOR: char = '+';
const LONGEST_TENANT: usize = 100;
/// How many handles a guest may have open, which take no more than a few bytes each of the host's memory.
const HANDLES: usize = 1000;

/// The layer as one instance of a component sees it; see [`Layer::guest`].
///
/// It belongs into the data of that instance's store, where [`Layer::add_to_linker`] finds it. Dropped
/// with the store, it closes whatever the instance left open. A cache of which the last handle was closed
/// hands over what changed, and stays in memory for the guests to come: until its room is needed, or
/// until it is opened with [`Layer::open`] and dropped there.
pub struct Guest {
    layer: Layer,
    /// The tenant and the separator.
    prefix: String,
    limits: Limits,
    open: ResourceTable,
}

/// How much of the layer's memory a tenant may have. At worst, a cache takes four times its
/// `capacity_bytes`, 256 bytes for each entry, and 4 MiB: what is in it, the keys of what is not any more,
/// one that is claimed, and what is on its way in or out.
///
/// It is for the host to see to it that all tenants together get no more than the layer has. Storage is
/// not limited, nor is time: a tenant that opens large caches, or flushes without a pause, makes others
/// wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How many caches may be in memory at once. One that no guest has open makes room for another;
    /// where there is none, the guest's `open` fails, with `other`.
    pub caches: usize,
    /// The most that a guest gets as a cache's `capacity`. Changes of this many keys are always
    /// handed over.
    pub capacity: u64,
    /// The most that a guest gets as a cache's `capacity-bytes`. A guest traps that asks for more
    /// with one `get-many`, which takes the same large keys many times.
    pub capacity_bytes: u64,
}

impl Default for Limits {
    /// 8 caches of 16,384 entries in 4 MiB: 128 MiB at worst.
    fn default() -> Self {
        Self {
            caches: 8,
            capacity: 1 << 14,
            capacity_bytes: 4 << 20,
        }
    }
}

impl Guest {
    pub(super) fn new(layer: &Layer, tenant: String) -> Result<Self, Error> {
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
                layer: layer.clone(),
                prefix: tenant + &SEPARATOR.to_string(),
                limits: Limits::default(),
                open,
            });
        };
        let why = format!("{why}: {tenant:?}");
        Err(Error::new(ErrorKind::InvalidName(why)).during("guest"))
    }

    /// Sets limits, which count for what is opened from then on.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    fn open(&self, name: &str, options: Options) -> Result<Cache, ErrorKind> {
        check(name)?;
        let most = LONGEST - self.prefix.len();
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
        Cache::open(&self.layer, &name, options, Some(quota))
    }
}

fn within<N: Ord>(asked: Option<N>, most: N) -> Option<N> {
    Some(match asked {
        Some(asked) => asked.min(most),
        None => most,
    })
}

pub(super) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    guest: fn(&mut T) -> &mut Guest,
) -> wasmtime::Result<()> {
    contract::add_to_linker::<T, HasSelf<Guest>>(linker, guest)
}

impl types::Host for Guest {}

impl Host for Guest {}

impl HostCache for Guest {
    fn open(
        &mut self,
        name: String,
        options: contract::Options,
    ) -> wasmtime::Result<Result<Resource<Cache>, types::Error>> {
        Ok(match Guest::open(self, &name, options.into()) {
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

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenant = self.prefix.trim_end_matches(SEPARATOR);
        f.debug_struct("Guest")
            .field("tenant", &tenant)
            .finish_non_exhaustive()
    }
}
