//! A component under test: the storage it works on, the time it lives in, and its instances.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use tempfile::TempDir;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::filesystem::WasiFilesystemView;
use wasmtime_wasi::p2::bindings::sync::filesystem::types as filesystem;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use crate::clock::Clock;
use crate::faults::{Faults, FaultyFilesystem, HasFaultyFilesystem};
use crate::folder::tree;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "full-backend",
        additional_derives: [PartialEq, Clone],
    });
}

use bindings::exports::larder::cache::{cache_backend, cache_inspect, cache_updates};
pub use bindings::exports::larder::cache::{
    cache_inspect::{CacheStat, Damage, Part, Report},
    cache_updates::Change,
    types::{Contents, Entry, Error, LiveEntry},
};

/// An entry that is to be saved.
pub fn entry(key: impl Into<String>, value: impl Into<Vec<u8>>, ttl: Option<u64>) -> Entry {
    Entry {
        key: key.into(),
        value: value.into(),
        ttl,
    }
}

/// A change that stores an entry.
pub fn put(key: impl Into<String>, value: impl Into<Vec<u8>>, ttl: Option<u64>) -> Change {
    Change::Put(entry(key, value, ttl))
}

/// A change that removes an entry.
pub fn remove(key: impl Into<String>) -> Change {
    Change::Remove(key.into())
}

/// Entries in the order of their keys: those of a load come in any.
pub fn sorted(mut entries: Vec<LiveEntry>) -> Vec<LiveEntry> {
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    entries
}

/// The values of a load by their keys.
///
/// # Panics
///
/// Where a key comes twice, or entries were lost.
pub fn values(contents: Contents) -> BTreeMap<String, Vec<u8>> {
    assert_eq!(contents.lost, 0, "nothing was damaged");
    let count = contents.entries.len();
    let entries = contents.entries.into_iter();
    let values: BTreeMap<_, _> = entries.map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(values.len(), count, "a key comes back once");
    values
}

/// An interface of the contract that a backend may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// `cache-updates`
    Updates,
    /// `cache-inspect`
    Inspect,
}

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);
static DISK: LazyLock<Backend> = LazyLock::new(|| Backend::compile(larder_host::DISK_COMPONENT));

/// A component that is compiled and ready to be opened on any storage. Cheap to clone.
#[derive(Clone)]
pub struct Backend {
    component: InstancePre<State>,
    core: cache_backend::GuestIndices,
    updates: Option<cache_updates::GuestIndices>,
    inspect: Option<cache_inspect::GuestIndices>,
}

impl Backend {
    /// Compiles a component, given as WebAssembly.
    ///
    /// # Panics
    ///
    /// Where it is not a component, does not export `cache-backend`, or imports what is not WASI.
    pub fn compile(bytes: &[u8]) -> Backend {
        let component = Component::new(&ENGINE, bytes).expect("a component");
        let mut linker = Linker::new(&ENGINE);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("an empty linker takes WASI");
        linker.allow_shadowing(true);
        filesystem::add_to_linker::<State, HasFaultyFilesystem>(&mut linker, State::faulty)
            .expect("shadowing is allowed");
        let component = linker
            .instantiate_pre(&component)
            .expect("a component that imports WASI and nothing else");
        Backend {
            core: cache_backend::GuestIndices::new(&component).expect("cache-backend is exported"),
            updates: cache_updates::GuestIndices::new(&component).ok(),
            inspect: cache_inspect::GuestIndices::new(&component).ok(),
            component,
        }
    }
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    faults: Faults,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl State {
    fn faulty(&mut self) -> FaultyFilesystem<'_> {
        // A handle to the same faults: the view below borrows the rest of the state as a whole.
        let faults = self.faults.clone();
        FaultyFilesystem {
            inner: self.filesystem(),
            faults,
        }
    }
}

/// A component under test with its own storage, environment and clocks. Clones share storage and clocks.
#[derive(Clone)]
pub struct Subject {
    backend: Backend,
    folder: Folder,
    access: FsPerms,
    environment: Vec<(String, String)>,
    clock: Clock,
}

#[derive(Clone)]
enum Folder {
    /// Removed with the last clone of the subject.
    Own(Arc<TempDir>),
    Given(Arc<Path>),
}

impl Subject {
    /// The built-in disk backend with empty storage.
    pub fn disk() -> Subject {
        Subject::new(DISK.clone())
    }

    /// A backend with empty storage: a preopened folder of its own.
    pub fn new(backend: Backend) -> Subject {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Subject {
            backend,
            folder: Folder::Own(Arc::new(folder)),
            access: FsPerms::ReadWrite,
            environment: Vec::new(),
            clock: Clock::new(),
        }
    }

    /// The same with this folder, which is there and stays, as its storage.
    pub fn on(self, folder: impl AsRef<Path>) -> Subject {
        Subject {
            folder: Folder::Given(folder.as_ref().into()),
            ..self
        }
    }

    /// Another subject that begins with the files of this one, in storage of its own. The clocks are shared.
    ///
    /// # Panics
    ///
    /// Where a file cannot be copied.
    pub fn copy(&self) -> Subject {
        let copy = Subject {
            clock: self.clock.clone(),
            access: self.access,
            environment: self.environment.clone(),
            ..Subject::new(self.backend.clone())
        };
        for (path, bytes) in tree(self.folder()) {
            let to = copy.folder().join(&path);
            if self.folder().join(path).is_dir() {
                fs::create_dir_all(to).expect("the folder can be created");
            } else {
                fs::create_dir_all(to.parent().expect("it is in the folder"))
                    .and_then(|()| fs::write(to, bytes))
                    .expect("the file can be copied");
            }
        }
        copy
    }

    /// The same with storage that may only be read.
    pub fn read_only(self) -> Subject {
        Subject {
            access: FsPerms::ReadOnly,
            ..self
        }
    }

    /// The same with one more environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Subject {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder that the component sees as its storage.
    pub fn folder(&self) -> &Path {
        match &self.folder {
            Folder::Own(folder) => folder.path(),
            Folder::Given(folder) => folder,
        }
    }

    /// The clocks of all instances.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether the backend exports an interface. Says so on standard error where it does not: a case that needs
    /// it then proves nothing.
    pub fn has(&self, interface: Interface) -> bool {
        let has = match interface {
            Interface::Updates => self.backend.updates.is_some(),
            Interface::Inspect => self.backend.inspect.is_some(),
        };
        if !has {
            eprintln!("SKIPPED: the backend does not export the interface for {interface:?}");
        }
        has
    }

    /// Starts the component: the instance knows nothing but what is in storage.
    ///
    /// # Panics
    ///
    /// Where the folder cannot be opened or the component traps.
    pub fn open(&self) -> Instance {
        let mut wasi = WasiCtx::builder();
        wasi.envs(&self.environment)
            .wall_clock(self.clock.clone())
            .monotonic_clock(self.clock.clone())
            .inherit_stderr()
            .allow_blocking_current_thread(true)
            .preopened_dir(self.folder(), "/", self.access)
            .expect("the storage can be opened");
        let faults = Faults::default();
        let state = State {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            faults: faults.clone(),
        };
        let mut store = Store::new(&ENGINE, state);
        // What a load gives back may be of any size.
        store.set_hostcall_fuel(usize::MAX);
        let backend = &self.backend;
        let instance = backend
            .component
            .instantiate(&mut store)
            .unwrap_or_else(|trap| panic!("the component does not start: {trap:?}"));
        Instance {
            core: backend
                .core
                .load(&mut store, &instance)
                .expect("cache-backend is as in the contract"),
            updates: backend.updates.as_ref().map(|updates| {
                updates
                    .load(&mut store, &instance)
                    .expect("cache-updates is as in the contract")
            }),
            inspect: backend.inspect.as_ref().map(|inspect| {
                inspect
                    .load(&mut store, &instance)
                    .expect("cache-inspect is as in the contract")
            }),
            store,
            faults,
        }
    }
}

/// A running component. Its functions are those of the contract.
///
/// They all panic where the component traps, with the file system calls that led there, and where it does not
/// export the interface.
pub struct Instance {
    store: Store<State>,
    core: cache_backend::Guest,
    updates: Option<cache_updates::Guest>,
    inspect: Option<cache_inspect::Guest>,
    faults: Faults,
}

impl Instance {
    /// The faults of this instance's file system.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// `cache-backend.load`
    pub fn load(&mut self, cache: &str) -> Result<Contents, Error> {
        self.faults.start_record();
        let outcome = self.core.call_load(&mut self.store, cache);
        self.untrapped("load", outcome)
    }

    /// `cache-backend.save`
    pub fn save(&mut self, cache: &str, entries: &[Entry]) -> Result<(), Error> {
        self.faults.start_record();
        let outcome = self.core.call_save(&mut self.store, cache, entries);
        self.untrapped("save", outcome)
    }

    /// `cache-backend.clear`
    pub fn clear(&mut self, cache: &str) -> Result<(), Error> {
        self.faults.start_record();
        let outcome = self.core.call_clear(&mut self.store, cache);
        self.untrapped("clear", outcome)
    }

    /// `cache-updates.apply`
    pub fn apply(&mut self, cache: &str, changes: &[Change]) -> Result<(), Error> {
        self.faults.start_record();
        let updates = self.updates.as_ref().expect("cache-updates is exported");
        let outcome = updates.call_apply(&mut self.store, cache, changes);
        self.untrapped("apply", outcome)
    }

    /// `cache-inspect.list-caches`
    pub fn list_caches(&mut self) -> Result<Vec<String>, Error> {
        self.faults.start_record();
        let inspect = self.inspect.as_ref().expect("cache-inspect is exported");
        let outcome = inspect.call_list_caches(&mut self.store);
        self.untrapped("list-caches", outcome)
    }

    /// `cache-inspect.stat`
    pub fn stat(&mut self, cache: &str) -> Result<CacheStat, Error> {
        self.faults.start_record();
        let inspect = self.inspect.as_ref().expect("cache-inspect is exported");
        let outcome = inspect.call_stat(&mut self.store, cache);
        self.untrapped("stat", outcome)
    }

    /// `cache-inspect.verify`
    pub fn verify(&mut self, cache: &str) -> Result<Report, Error> {
        self.faults.start_record();
        let inspect = self.inspect.as_ref().expect("cache-inspect is exported");
        let outcome = inspect.call_verify(&mut self.store, cache);
        self.untrapped("verify", outcome)
    }

    fn untrapped<T>(&self, operation: &str, outcome: wasmtime::Result<T>) -> T {
        outcome.unwrap_or_else(|trap| {
            panic!(
                "{operation} trapped: {trap:?}\nits file system calls:\n{}",
                self.faults
            )
        })
    }
}
