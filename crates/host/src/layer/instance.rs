//! The one instance of the cache layer, and the backend that it imports.

use std::sync::LazyLock;

use wasmtime::component::{HasSelf, InstancePre, Linker, ResourceAny};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::Options;
use crate::bindings::given::types::{Contents, LiveEntry};
use crate::bindings::{CACHE, cache, given};
use crate::builder::Settings;
use crate::component::{self, unlike, unusable};
use crate::engine::ENGINE;
use crate::instance::{self, Clocks, Failure};
use crate::{Backend, Change, Entry, Error, ErrorKind};

/// Unlike that of backends, its functions do not wait by way of a future: the component is our own,
/// computes for microseconds, and waits for nothing but the backend, which has a time limit.
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

/// The component, and what its instances may use.
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

/// What belongs to an instance on the side of the host.
pub(super) struct State {
    wasi: instance::State,
    backend: Backend,
    largest: usize,
}

impl Linked {
    pub(super) fn new(backend: Backend, memory_limit: usize) -> Result<Self, Error> {
        let code_cache = backend.pool().settings.code_cache();
        let mut settings = Settings::new(code_cache.map(Into::into));
        settings.memory_limit = memory_limit;
        let component = component::CACHE.compiled(&settings)?;
        let instance = LINKER.instantiate_pre(&component).map_err(unusable)?;
        Ok(Self {
            cache: cache::GuestIndices::new(&instance).map_err(unlike(CACHE))?,
            instance,
            settings,
            backend,
        })
    }

    /// How many bytes may go into an instance or come out of it in one go: they are in memory several
    /// times over then.
    pub(super) fn largest(&self) -> usize {
        self.settings.memory_limit / 4
    }

    /// Starts an instance.
    pub(super) fn start(&self) -> Result<Instance, Error> {
        let state = State {
            wasi: instance::State::new(&self.settings, None)?,
            backend: self.backend.clone(),
            largest: self.largest(),
        };
        let mut store = Store::new(&ENGINE, state);
        store.limiter(|state| &mut state.wasi);
        store.set_hostcall_fuel(self.settings.memory_limit);
        store.set_epoch_deadline(1);
        // Epochs are there for calls that have a deadline.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
        let instance = match self.instance.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return Err(self.explain(&store, error)),
        };
        let cache = self.cache.load(&mut store, &instance);
        let cache = cache.map_err(unlike(CACHE))?;
        Ok(Instance { store, cache })
    }

    /// Says why a call was broken off in this instance.
    pub(super) fn why(&self, instance: &Instance, error: wasmtime::Error) -> ErrorKind {
        self.explain(&instance.store, error).kind().clone()
    }

    fn explain(&self, store: &Store<State>, error: wasmtime::Error) -> Error {
        store.data().wasi.explain(error, &self.settings)
    }
}

impl Instance {
    /// Opens a cache. Where it is open, the options become these.
    pub(super) fn open(&mut self, name: &str, options: &Options) -> Result<ResourceAny, Failure> {
        let cache = self.cache.cache();
        Ok(cache.call_open(&mut self.store, name, options.into())??)
    }

    /// Closes a cache, which hands over what changed where no other handle to it is open.
    pub(super) fn close(&mut self, cache: ResourceAny) -> Result<(), Failure> {
        Ok(cache.resource_drop(&mut self.store)?)
    }

    /// Makes a call on a cache that is open.
    pub(super) fn call<T>(&mut self, cache: ResourceAny, call: impl Call<T>) -> Result<T, Failure> {
        Ok(call(self.cache.cache(), &mut self.store, cache)?)
    }
}

/// A call of a method of a cache.
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
        let clocks = self.wasi.tell_time()?;
        Ok(self.read(&cache, clocks).map_err(answer))
    }

    fn save(
        &mut self,
        cache: String,
        entries: Vec<given::types::Entry>,
    ) -> wasmtime::Result<Result<(), given::types::Error>> {
        let entries = entries.into_iter().map(Entry::from);
        Ok(self.backend.save(&cache, entries).map_err(answer))
    }

    fn clear(&mut self, cache: String) -> wasmtime::Result<Result<(), given::types::Error>> {
        Ok(self.backend.clear(&cache).map_err(answer))
    }
}

impl given::cache_updates::Host for State {
    fn apply(
        &mut self,
        cache: String,
        changes: Vec<given::cache_updates::Change>,
    ) -> wasmtime::Result<Result<(), given::types::Error>> {
        let changes: Vec<_> = changes.into_iter().map(Change::from).collect();
        Ok(self.backend.apply(&cache, changes).map_err(answer))
    }
}

impl State {
    /// More than the instance could hold is none of its errors, which would be the end of it.
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

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}
