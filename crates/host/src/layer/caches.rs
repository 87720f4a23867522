//! The open caches of a layer, which outlive its instance.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::component::ResourceAny;

use super::contract::{Metrics, Options};
use super::instance::{Call, Instance, Linked};
use crate::bindings::cache;
use crate::instance::Failure;
use crate::{Error, ErrorKind};

/// How many caches of tenants stay in memory while no instance has them open.
const IDLE_CACHES: usize = 64;
/// About how many bytes of memory an entry takes besides its key and its value.
const ENTRY: u64 = 256;

/// The caches of a layer, which its handles share.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Caches>>);

impl Shared {
    pub(super) fn new(linked: Linked) -> Result<Self, Error> {
        Ok(Self(Arc::new(Mutex::new(Caches::new(linked)?))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Caches> {
        // A call that panicked has taken the instance with it; the next call starts another.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caches of a layer. A call that is broken off takes the instance with it, and everything that
/// is in memory. The next call starts another instance. There, each cache is opened again when it
/// is used.
pub(super) struct Caches {
    linked: Linked,
    /// None during a call, and so after a call that panicked.
    instance: Option<Instance>,
    open: Vec<Option<Open>>,
    places: BTreeMap<Arc<str>, usize>,
    /// The caches without handles; the longest idle is first.
    idle: VecDeque<usize>,
}

/// A cache that has handles or is idle.
struct Open {
    name: Arc<str>,
    options: Options,
    handles: usize,
    /// Its handle in the instance; none if the instance has not used the cache.
    resource: Option<ResourceAny>,
    /// Why the entries in memory were lost, until a flush has reported it.
    loss: Option<ErrorKind>,
    /// How many bytes of memory it took when it became idle.
    size: u64,
}

/// The limits of a tenant, whose cache names have this prefix.
#[derive(Clone, Copy)]
pub(super) struct Quota<'a> {
    pub(super) prefix: &'a str,
    /// How many caches may be in memory at once.
    pub(super) caches: usize,
    /// How many bytes may go into a cache, or come out of it, in one call.
    pub(super) largest: usize,
}

impl Caches {
    fn new(linked: Linked) -> Result<Self, Error> {
        Ok(Self {
            instance: Some(linked.start()?),
            linked,
            open: Vec::new(),
            places: BTreeMap::new(),
            idle: VecDeque::new(),
        })
    }

    /// As with [`Linked::largest`].
    pub(super) fn largest(&self) -> usize {
        self.linked.largest()
    }

    /// Opens a handle to a cache, and gives the place of the cache.
    pub(super) fn open(
        &mut self,
        name: &str,
        options: Options,
        quota: Option<Quota<'_>>,
    ) -> Result<usize, ErrorKind> {
        if let Some(quota) = quota {
            self.make_room(quota, name)?;
        }
        // A cache that is open is opened again, so that it gets these options.
        let resource = self.run(|instance| instance.open(name, &options))?;
        let known = self.places.get(name).copied();
        let place = known.unwrap_or_else(|| self.add(name));
        let open = self.at(place);
        open.options = options;
        open.handles += 1;
        let before = open.resource.replace(resource);
        self.idle.retain(|idle| *idle != place);
        if let Some(before) = before {
            self.run(|instance| instance.close(before))?;
        }
        Ok(place)
    }

    /// Opens one more handle to an open cache.
    pub(super) fn share(&mut self, place: usize) {
        self.at(place).handles += 1;
    }

    /// Closes a handle. The last handle flushes the cache. With `keep`, the cache then stays in
    /// memory while there is room.
    pub(super) fn close(&mut self, place: usize, keep: bool) {
        let open = self.at(place);
        open.handles -= 1;
        if open.handles > 0 {
            return;
        }
        let measured = keep.then(|| {
            // A flush that fails is tried again when the cache is removed. No caller is left to get
            // the error.
            let _ = self.hand_over(place);
            self.call(place, |cache, store, this| cache.call_metrics(store, this))
        });
        // A cache that the backend failed to load must be loaded when it is opened again.
        let is_whole = |told: &cache::Metrics| told.backend_error.is_none() || told.unflushed > 0;
        let Some(metrics) = measured.and_then(Result::ok).filter(is_whole) else {
            return self.remove(place);
        };
        let size = metrics.entries.saturating_mul(ENTRY);
        self.at(place).size = metrics.bytes.saturating_add(size);
        self.idle.push_back(place);
        while self.idle.len() > IDLE_CACHES || self.idle_size() > self.largest() as u64 {
            self.remove(self.idle[0]);
        }
    }

    /// Makes a call on a cache.
    pub(super) fn call<T>(&mut self, place: usize, call: impl Call<T>) -> Result<T, ErrorKind> {
        if self.instance.is_none() {
            self.instance = Some(self.start()?);
        }
        let resource = match self.at(place).resource {
            Some(resource) => resource,
            None => self.reopen(place)?,
        };
        self.run(|instance| instance.call(resource, call))
    }

    /// Flushes a cache. The first flush after a loss reports it.
    pub(super) fn flush(&mut self, place: usize) -> Result<(), ErrorKind> {
        let flushed = self.hand_over(place);
        self.at(place).loss.take().map_or(flushed, Err)
    }

    /// The metrics of a cache, with a loss that no flush has reported.
    pub(super) fn metrics(&mut self, place: usize) -> Metrics {
        let told = self.call(place, |cache, store, this| cache.call_metrics(store, this));
        match told {
            Ok(told) => {
                let mut metrics = Metrics::from(told);
                let loss = self.at(place).loss.clone();
                metrics.backend_error = metrics.backend_error.or(loss);
                metrics
            }
            Err(error) => Metrics {
                backend_error: Some(error),
                ..Metrics::default()
            },
        }
    }

    fn hand_over(&mut self, place: usize) -> Result<(), ErrorKind> {
        Ok(self.call(place, |cache, store, this| cache.call_flush(store, this))??)
    }

    fn at(&mut self, place: usize) -> &mut Open {
        let open = self.open[place].as_mut();
        open.expect("a cache has its place while it has handles or is idle")
    }

    fn add(&mut self, name: &str) -> usize {
        let name = Arc::from(name);
        let open = Some(Open {
            name: Arc::clone(&name),
            options: Options::default(),
            handles: 0,
            resource: None,
            loss: None,
            size: 0,
        });
        let place = match self.open.iter().position(Option::is_none) {
            Some(free) => {
                self.open[free] = open;
                free
            }
            None => {
                self.open.push(open);
                self.open.len() - 1
            }
        };
        self.places.insert(name, place);
        place
    }

    /// Removes a cache without handles from memory.
    fn remove(&mut self, place: usize) {
        self.idle.retain(|idle| *idle != place);
        let Some(open) = self.open[place].take() else {
            return;
        };
        self.places.remove(&open.name);
        // Without an instance, there is nothing to close.
        if let Some(resource) = open.resource
            && self.instance.is_some()
        {
            // No caller is left to get the error. The handles of other caches report their losses.
            let _ = self.run(|instance| instance.close(resource));
        }
    }

    /// Closes idle caches, until the tenant's quota admits the cache of this name.
    fn make_room(&mut self, quota: Quota<'_>, name: &str) -> Result<(), ErrorKind> {
        let Quota { prefix, caches, .. } = quota;
        loop {
            let from = (Bound::Included(prefix), Bound::Unbounded);
            let places = self.places.range::<str, _>(from);
            let places = places.take_while(|(other, _)| other.starts_with(prefix));
            let others = places.filter(|(other, _)| ***other != *name);
            let others: Vec<_> = others.map(|(_, place)| *place).collect();
            if others.len() < caches {
                return Ok(());
            }
            let Some(idle) = self.idle.iter().find(|place| others.contains(place)) else {
                let why = format!("no more than {caches} caches may be open at once");
                return Err(ErrorKind::Other(why));
            };
            self.remove(*idle);
        }
    }

    fn idle_size(&mut self) -> u64 {
        let idle = self.idle.iter().flat_map(|place| &self.open[*place]);
        idle.map(|open| open.size).fold(0, u64::saturating_add)
    }

    fn reopen(&mut self, place: usize) -> Result<ResourceAny, ErrorKind> {
        let open = self.at(place);
        let (name, options) = (Arc::clone(&open.name), open.options.clone());
        let resource = self.run(|instance| instance.open(&name, &options))?;
        self.at(place).resource = Some(resource);
        Ok(resource)
    }

    /// Makes a call into the instance, and starts another one if it is gone.
    fn run<T>(
        &mut self,
        call: impl FnOnce(&mut Instance) -> Result<T, Failure>,
    ) -> Result<T, ErrorKind> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.start()?,
        };
        match call(&mut instance) {
            Ok(answer) => {
                self.instance = Some(instance);
                Ok(answer)
            }
            Err(Failure::Answered(kind)) => {
                self.instance = Some(instance);
                Err(kind)
            }
            Err(Failure::BrokenOff(error)) => {
                let why = self.linked.why(&instance, error);
                self.lose(&why);
                Err(why)
            }
        }
    }

    /// Starts another instance, in which nothing is open.
    fn start(&mut self) -> Result<Instance, ErrorKind> {
        // Losses are noted already, unless a call panicked.
        self.lose(&ErrorKind::Trapped("a call panicked".into()));
        self.linked.start().map_err(|error| error.kind().clone())
    }

    /// Notes that everything in memory is lost, and why.
    fn lose(&mut self, why: &ErrorKind) {
        for place in mem::take(&mut self.idle) {
            if let Some(open) = self.open[place].take() {
                self.places.remove(&open.name);
            }
        }
        for open in self.open.iter_mut().flatten() {
            if open.resource.take().is_some() {
                open.loss = Some(why.clone());
            }
        }
    }
}

impl Drop for Caches {
    fn drop(&mut self) {
        while let Some(place) = self.idle.front() {
            self.remove(*place);
        }
    }
}
