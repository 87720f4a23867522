//! The instance of the cache layer, and the backend that it imports.

use std::sync::LazyLock;

use wasmtime::Store;
use wasmtime::component::{HasSelf, InstancePre, Linker, ResourceAny};

use super::contract::Options;
use crate::bindings::given::types::{Contents, LiveEntry};
use crate::bindings::{CACHE, cache, given};
use crate::clocks::Clocks;
use crate::compile::{self, unlike, unusable};
use crate::engine::ENGINE;
use crate::instance::Failure;
use crate::settings::Settings;
use crate::state;
use crate::{Backend, Change, Entry, Error, ErrorKind};

/// The host's side of the layer's instance.
type State = state::State<Below>;

/// Calls of the layer are synchronous, unlike calls of backends. The component is our own and
/// computes for microseconds. It waits only for the backend, which has a time limit.
static LINKER: LazyLock<Linker<State>> = LazyLock::new(|| {
    let mut linker = Linker::new(&ENGINE);
    let mut link = || {
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        given::cache_backend::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        given::cache_updates::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)
    };
    link().expect("no interface is defined twice");
    linker
});

/// The linked component, its settings, and the backend below.
pub(super) struct Linked {
    instance: InstancePre<State>,
    cache: cache::GuestIndices,
    settings: Settings,
    backend: Backend,
}

/// An instance that is ready for a call.
pub(super) struct Instance {
    store: Store<State>,
    cache: cache::Guest,
}

/// The backend below the layer.
pub(super) struct Below {
    backend: Backend,
    /// The largest cache that it loads, in bytes.
    largest: usize,
}

impl Linked {
    pub(super) fn new(backend: Backend, memory_limit: usize) -> Result<Self, Error> {
        let code_cache = backend.pool().settings.code_cache.as_deref();
        let component = compile::CACHE.compiled(code_cache)?;
        let mut settings = Settings::new();
        settings.memory_limit = memory_limit;
        let instance = LINKER.instantiate_pre(&component).map_err(unusable)?;
        Ok(Self {
            cache: cache::GuestIndices::new(&instance).map_err(unlike(CACHE))?,
            instance,
            settings,
            backend,
        })
    }

    /// How many bytes may go into an instance, or come out of it, in one call. During the call,
    /// they are in memory several times.
    pub(super) fn largest(&self) -> usize {
        self.settings.memory_limit / 4
    }

    /// Starts an instance.
    pub(super) fn start(&self) -> Result<Instance, Error> {
        let below = Below {
            backend: self.backend.clone(),
            largest: self.largest(),
        };
        let mut store = State::store(&self.settings, None, below)?;
        let instance = match self.instance.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return Err(self.explain(&store, error)),
        };
        let cache = self.cache.load(&mut store, &instance);
        let cache = cache.map_err(unlike(CACHE))?;
        Ok(Instance { store, cache })
    }

    /// The reason why a call into this instance was broken off.
    pub(super) fn why(&self, instance: &Instance, error: wasmtime::Error) -> ErrorKind {
        self.explain(&instance.store, error).kind().clone()
    }

    fn explain(&self, store: &Store<State>, error: wasmtime::Error) -> Error {
        store.data().explain(error, &self.settings)
    }
}

impl Instance {
    /// Opens a cache. If it is open already, it gets these options.
    pub(super) fn open(&mut self, name: &str, options: &Options) -> Result<ResourceAny, Failure> {
        let cache = self.cache.cache();
        Ok(cache.call_open(&mut self.store, name, options.into())??)
    }

    /// Closes a handle to a cache. The last handle flushes the cache.
    pub(super) fn close(&mut self, cache: ResourceAny) -> Result<(), Failure> {
        Ok(cache.resource_drop(&mut self.store)?)
    }

    /// Makes a call on a cache that is open.
    pub(super) fn call<T>(&mut self, cache: ResourceAny, call: impl Call<T>) -> Result<T, Failure> {
        Ok(call(self.cache.cache(), &mut self.store, cache)?)
    }
}

/// A call to a method of a cache.
pub(super) trait Call<T>:
    FnOnce(cache::GuestCache<'_>, &mut Store<State>, ResourceAny) -> wasmtime::Result<T>
{
}

impl<T, F> Call<T> for F where
    F: FnOnce(cache::GuestCache<'_>, &mut Store<State>, ResourceAny) -> wasmtime::Result<T>
{
}

impl given::types::Host for State {}

impl given::cache_backend::Host for State {
    fn load(&mut self, cache: String) -> wasmtime::Result<Result<Contents, given::types::Error>> {
        let clocks = self.tell_time()?;
        Ok(self.extra.read(&cache, clocks).map_err(answer))
    }

    fn save(
        &mut self,
        cache: String,
        entries: Vec<given::types::Entry>,
    ) -> wasmtime::Result<Result<(), given::types::Error>> {
        let entries = entries.into_iter().map(Entry::from);
        Ok(self.extra.backend.save(&cache, entries).map_err(answer))
    }

    fn clear(&mut self, cache: String) -> wasmtime::Result<Result<(), given::types::Error>> {
        Ok(self.extra.backend.clear(&cache).map_err(answer))
    }
}

impl given::cache_updates::Host for State {
    fn apply(
        &mut self,
        cache: String,
        changes: Vec<given::cache_updates::Change>,
    ) -> wasmtime::Result<Result<(), given::types::Error>> {
        let changes: Vec<_> = changes.into_iter().map(Change::from).collect();
        Ok(self.extra.backend.apply(&cache, changes).map_err(answer))
    }
}

impl Below {
    /// Loads a cache. A cache that the instance could not hold gives an error: loading it would end
    /// the instance.
    fn read(&self, cache: &str, clocks: Clocks) -> Result<Contents, Error> {
        let mut loaded = self.backend.read(cache)?;
        let (mut entries, mut size) = (Vec::new(), 0_usize);
        for entry in &mut loaded {
            let entry = entry?;
            size =
                size.saturating_add(size_of::<LiveEntry>() + entry.key.len() + entry.value.len());
            if size > self.largest {
                return Err(Error::new(ErrorKind::TooLarge(size as u64)));
            }
            entries.push(LiveEntry {
                key: entry.key,
                value: entry.value,
                expires_at: entry.expires_at.map(|at| clocks.nanoseconds(at)),
            });
        }
        let lost = loaded.lost();
        Ok(Contents { entries, lost })
    }
}

fn answer(error: Error) -> given::types::Error {
    error.kind().clone().into()
}
