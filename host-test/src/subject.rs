//! A component under test: the storage it works on, the time it lives in, and its instances.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::{env, fs};

use rand::Rng;
use tempfile::TempDir;
use wasmtime::component::{Component, HasData, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::sync::filesystem::types as filesystem;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use crate::clock::Clock;
use crate::faults::{Faults, FaultyFilesystem, FileSystem, HasFaulty, Killed};
use crate::folder::tree;
use crate::sim::{HasSimFilesystem, SimDisk, SimFilesystem};
use crate::write::Write;

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
static DISK: LazyLock<Backend> = LazyLock::new(|| match env::var_os(DISK_COMPONENT) {
    Some(path) => Backend::compile(&fs::read(path).expect("the component can be read")),
    None => Backend::compile(larder_host::DISK_COMPONENT),
});

/// The variable that puts another component, by its path, in place of the disk backend under test.
const DISK_COMPONENT: &str = "LARDER_DISK_COMPONENT";

/// A component that is compiled and ready to be opened on any storage. Cheap to clone.
#[derive(Clone)]
pub struct Backend {
    component: InstancePre<State>,
    /// The same on a simulated disk.
    simulated: InstancePre<State>,
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
        let compiled = Component::new(&ENGINE, bytes).expect("a component");
        let mut linker = linker::<WasiFilesystem>(State::faulty);
        let ready = |linker: &Linker<State>| {
            let component = linker.instantiate_pre(&compiled);
            component.expect("a component that imports WASI and nothing else")
        };
        let component = ready(&linker);
        linker = self::linker::<HasSimFilesystem>(State::simulated);
        preopens::add_to_linker::<State, HasSimFilesystem>(&mut linker, State::sim_filesystem)
            .expect("shadowing is allowed");
        Backend {
            core: cache_backend::GuestIndices::new(&component).expect("cache-backend is exported"),
            updates: cache_updates::GuestIndices::new(&component).ok(),
            inspect: cache_inspect::GuestIndices::new(&component).ok(),
            simulated: ready(&linker),
            component,
        }
    }
}

/// WASI, with faults in front of this file system.
fn linker<F>(filesystem: fn(&mut State) -> FaultyFilesystem<F::Data<'_>>) -> Linker<State>
where
    F: HasData,
    for<'a> F::Data<'a>: FileSystem,
{
    let mut linker = Linker::new(&ENGINE);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("an empty linker takes WASI");
    linker.allow_shadowing(true);
    filesystem::add_to_linker::<State, HasFaulty<F>>(&mut linker, filesystem)
        .expect("shadowing is allowed");
    linker
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    faults: Faults,
    /// The simulated disk, where it works on one, and what it may do there.
    disk: Option<SimDisk>,
    access: FsPerms,
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
    fn faulty(&mut self) -> FaultyFilesystem<WasiFilesystemCtxView<'_>> {
        // A handle to the same faults: the view below borrows the rest of the state as a whole.
        let faults = self.faults.clone();
        FaultyFilesystem {
            inner: self.filesystem(),
            faults,
        }
    }

    fn simulated(&mut self) -> FaultyFilesystem<SimFilesystem<'_>> {
        let faults = self.faults.clone();
        FaultyFilesystem {
            inner: self.sim_filesystem(),
            faults,
        }
    }

    fn sim_filesystem(&mut self) -> SimFilesystem<'_> {
        SimFilesystem {
            disk: self.disk.as_ref().expect("the storage is simulated"),
            access: self.access,
            table: &mut self.table,
        }
    }
}

/// A component under test with its own storage, environment and clocks. Clones share storage and clocks.
#[derive(Clone)]
pub struct Subject {
    backend: Backend,
    storage: Storage,
    access: FsPerms,
    environment: Vec<(String, String)>,
    clock: Clock,
}

#[derive(Clone)]
enum Storage {
    /// Removed with the last clone of the subject.
    Own(Arc<TempDir>),
    Given(Arc<Path>),
    Simulated(SimDisk),
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
            storage: Storage::Own(Arc::new(folder)),
            access: FsPerms::ReadWrite,
            environment: Vec::new(),
            clock: Clock::new(),
        }
    }

    /// The same with this folder, which is there and stays, as its storage.
    pub fn on(self, folder: impl AsRef<Path>) -> Subject {
        Subject {
            storage: Storage::Given(folder.as_ref().into()),
            ..self
        }
    }

    /// The built-in disk backend on a simulated disk, with the clocks and random numbers of that.
    pub fn disk_on(disk: &SimDisk) -> Subject {
        Subject::simulated(DISK.clone(), disk)
    }

    /// A backend on a simulated disk, with the clocks and random numbers of that.
    pub fn simulated(backend: Backend, disk: &SimDisk) -> Subject {
        Subject {
            backend,
            storage: Storage::Simulated(disk.clone()),
            access: FsPerms::ReadWrite,
            environment: Vec::new(),
            clock: disk.clock().clone(),
        }
    }

    /// The same on this simulated disk, with the clocks and random numbers of that.
    pub fn on_simulated(&self, disk: &SimDisk) -> Subject {
        Subject {
            access: self.access,
            environment: self.environment.clone(),
            ..Subject::simulated(self.backend.clone(), disk)
        }
    }

    /// Another subject that begins with the files of this one, in storage of its own. The clocks are shared.
    ///
    /// # Panics
    ///
    /// Where a file cannot be copied, or storage is simulated: [`SimDisk::fork`] copies that.
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
    ///
    /// # Panics
    ///
    /// Where that is simulated.
    pub fn folder(&self) -> &Path {
        match &self.storage {
            Storage::Own(folder) => folder.path(),
            Storage::Given(folder) => folder,
            Storage::Simulated(_) => panic!("a simulated disk is not a folder"),
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
            .allow_blocking_current_thread(true);
        let backend = &self.backend;
        let (component, faults, disk) = match &self.storage {
            Storage::Simulated(disk) => {
                let mut random = disk.random();
                wasi.insecure_random_seed(u128::from(random.next_u64()))
                    .insecure_random(random.clone())
                    .secure_random(random);
                (&backend.simulated, Faults::on(disk), Some(disk.clone()))
            }
            Storage::Own(_) | Storage::Given(_) => {
                wasi.preopened_dir(self.folder(), "/", self.access)
                    .expect("the storage can be opened");
                (&backend.component, Faults::default(), None)
            }
        };
        let state = State {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            faults: faults.clone(),
            disk,
            access: self.access,
        };
        let mut store = Store::new(&ENGINE, state);
        // What a load gives back may be of any size.
        store.set_hostcall_fuel(usize::MAX);
        let instance = component
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
        let outcome = self.try_load(cache);
        self.untrapped("load", outcome)
    }

    /// `cache-backend.save`
    pub fn save(&mut self, cache: &str, entries: &[Entry]) -> Result<(), Error> {
        let outcome = self.try_save(cache, entries);
        self.untrapped("save", outcome)
    }

    /// `cache-backend.clear`
    pub fn clear(&mut self, cache: &str) -> Result<(), Error> {
        let outcome = self.try_clear(cache);
        self.untrapped("clear", outcome)
    }

    /// `cache-updates.apply`
    pub fn apply(&mut self, cache: &str, changes: &[Change]) -> Result<(), Error> {
        let outcome = self.try_apply(cache, changes);
        self.untrapped("apply", outcome)
    }

    /// `save`, `apply` or `clear`, of an instance that may be killed meanwhile. One that was does nothing more.
    pub fn write(&mut self, cache: &str, write: &Write) -> Result<Result<(), Error>, Killed> {
        let (operation, outcome) = match write {
            Write::Save(entries) => ("save", self.try_save(cache, entries)),
            Write::Apply(changes) => ("apply", self.try_apply(cache, changes)),
            Write::Clear => ("clear", self.try_clear(cache)),
        };
        self.unless_killed(operation, outcome)
    }

    /// `load`, of an instance that may be killed meanwhile.
    pub fn read(&mut self, cache: &str) -> Result<Result<Contents, Error>, Killed> {
        let outcome = self.try_load(cache);
        self.unless_killed("load", outcome)
    }

    /// `cache-inspect.list-caches`
    pub fn list_caches(&mut self) -> Result<Vec<String>, Error> {
        self.faults.start_record("list-caches", "");
        let inspect = self.inspect.as_ref().expect("cache-inspect is exported");
        let outcome = inspect.call_list_caches(&mut self.store);
        self.untrapped("list-caches", outcome)
    }

    /// `cache-inspect.stat`
    pub fn stat(&mut self, cache: &str) -> Result<CacheStat, Error> {
        self.faults.start_record("stat", cache);
        let inspect = self.inspect.as_ref().expect("cache-inspect is exported");
        let outcome = inspect.call_stat(&mut self.store, cache);
        self.untrapped("stat", outcome)
    }

    /// `cache-inspect.verify`
    pub fn verify(&mut self, cache: &str) -> Result<Report, Error> {
        self.faults.start_record("verify", cache);
        let inspect = self.inspect.as_ref().expect("cache-inspect is exported");
        let outcome = inspect.call_verify(&mut self.store, cache);
        self.untrapped("verify", outcome)
    }

    fn try_load(&mut self, cache: &str) -> Outcome<Contents> {
        self.faults.start_record("load", cache);
        self.core.call_load(&mut self.store, cache)
    }

    fn try_save(&mut self, cache: &str, entries: &[Entry]) -> Outcome<()> {
        self.faults.start_record("save", cache);
        self.core.call_save(&mut self.store, cache, entries)
    }

    fn try_clear(&mut self, cache: &str) -> Outcome<()> {
        self.faults.start_record("clear", cache);
        self.core.call_clear(&mut self.store, cache)
    }

    fn try_apply(&mut self, cache: &str, changes: &[Change]) -> Outcome<()> {
        self.faults.start_record("apply", cache);
        let updates = self.updates.as_ref().expect("cache-updates is exported");
        updates.call_apply(&mut self.store, cache, changes)
    }

    fn unless_killed<T>(
        &self,
        operation: &str,
        outcome: Outcome<T>,
    ) -> Result<Result<T, Error>, Killed> {
        match outcome {
            Err(trap) if trap.is::<Killed>() => Err(Killed),
            outcome => Ok(self.untrapped(operation, outcome)),
        }
    }

    fn untrapped<T>(&self, operation: &str, outcome: Outcome<T>) -> Result<T, Error> {
        let outcome = outcome.unwrap_or_else(|trap| {
            panic!(
                "{operation} trapped: {trap:?}\nits file system calls:\n{}",
                self.faults
            )
        });
        self.faults.end_record(operation, outcome.as_ref().err());
        outcome
    }
}

/// What a function of a component gives, or why it trapped.
type Outcome<T> = wasmtime::Result<Result<T, Error>>;
