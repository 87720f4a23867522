//! A component under test: the storage it works on, the time it lives in, and its instances.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::{env, fs};

use larder_conformance::contract::{
    Batch, CacheStat, Change, Contents, Entry, Error, LiveBatch, Report, batch, entries,
};
use larder_conformance::{
    self as conformance, Clock, Exports, Feature, Functions, Reader, Writer, tree,
};
use rand::Rng;
use tempfile::TempDir;
use wasmtime::component::{Component, HasData, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::sync::filesystem::types as filesystem;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use crate::faults::{Faults, FaultyFilesystem, FileSystem, HasFaulty, Killed};
use crate::sim::{HasSimFilesystem, SimDisk, SimFilesystem};
use crate::write::Write;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);
static DISK: LazyLock<Backend> = LazyLock::new(|| match env::var_os(DISK_COMPONENT) {
    Some(path) => Backend::compile(&fs::read(path).expect("the component can be read")),
    None => Backend::compile(larder_components::DISK),
});

/// The variable that puts another component, by its path, in place of the disk backend under test.
const DISK_COMPONENT: &str = "LARDER_DISK_COMPONENT";

/// A component that is compiled and ready to be opened on any storage. Cheap to clone.
#[derive(Clone)]
pub struct Backend {
    component: InstancePre<State>,
    /// The same on a simulated disk.
    simulated: InstancePre<State>,
    exports: Exports,
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
            exports: Exports::of(&component).expect("the contract is exported"),
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
    limits: StoreLimits,
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
    memory: usize,
    in_batches: bool,
    alone: bool,
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
            memory: usize::MAX,
            in_batches: false,
            alone: false,
            clock: Clock::starting_now(),
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
            memory: usize::MAX,
            in_batches: false,
            alone: false,
            clock: disk.clock().clone(),
        }
    }

    /// The same on this simulated disk, with the clocks and random numbers of that.
    pub fn on_simulated(&self, disk: &SimDisk) -> Subject {
        Subject {
            access: self.access,
            environment: self.environment.clone(),
            memory: self.memory,
            in_batches: self.in_batches,
            alone: self.alone,
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
            memory: self.memory,
            in_batches: self.in_batches,
            alone: self.alone,
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

    /// The same with so much memory for each instance, in bytes.
    pub fn memory(self, bytes: usize) -> Subject {
        Subject {
            memory: bytes,
            ..self
        }
    }

    /// The same, known to be for one instance at a time.
    pub fn alone(self) -> Subject {
        Subject {
            alone: true,
            ..self
        }
    }

    /// The same with saves and loads of its instances that go through writers and readers.
    pub fn in_batches(self) -> Subject {
        Subject {
            in_batches: true,
            ..self
        }
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
            limits: StoreLimitsBuilder::new().memory_size(self.memory).build(),
        };
        let mut store = Store::new(&ENGINE, state);
        store.limiter(|state| &mut state.limits);
        // What a load gives back may be of any size.
        store.set_hostcall_fuel(usize::MAX);
        let instance = component
            .instantiate(&mut store)
            .unwrap_or_else(|trap| panic!("the component does not start: {trap:?}"));
        Instance {
            functions: backend
                .exports
                .load(&mut store, &instance)
                .expect("the functions are as in the contract"),
            store,
            faults,
            in_batches: self.in_batches,
        }
    }
}

/// A running component. Its functions are those of the contract.
///
/// They all panic where the component traps, with the file system calls that led there, and where it does not
/// export the interface.
pub struct Instance {
    store: Store<State>,
    functions: Functions,
    faults: Faults,
    in_batches: bool,
}

impl conformance::Subject for Subject {
    fn open(&self) -> Box<dyn conformance::Instance> {
        Box::new(self.open())
    }

    fn clock(&self) -> &Clock {
        self.clock()
    }

    fn offers(&self, feature: Feature) -> bool {
        match feature {
            Feature::Durability => true,
            Feature::Concurrency => !self.alone,
            // Where nothing is synced, damage may bring back an older version: the contract of the disk backend says so.
            Feature::Files => !self.environment.iter().any(|(_, value)| value == "atomic"),
            interface => self.backend.exports.offers(interface),
        }
    }

    fn folder(&self) -> Option<&Path> {
        match &self.storage {
            Storage::Own(_) | Storage::Given(_) => Some(self.folder()),
            Storage::Simulated(_) => None,
        }
    }
}

/// As the functions of the same names, which tell more of what the instance did.
impl conformance::Instance for Instance {
    fn load(&mut self, cache: &str) -> Result<Contents, Error> {
        self.load(cache)
    }

    fn save(&mut self, cache: &str, entries: &[Entry]) -> Result<(), Error> {
        self.save(cache, entries)
    }

    fn clear(&mut self, cache: &str) -> Result<(), Error> {
        self.clear(cache)
    }

    fn apply(&mut self, cache: &str, changes: &[Change]) -> Result<(), Error> {
        self.apply(cache, changes)
    }

    fn open_reader(&mut self, cache: &str) -> Result<Reader, Error> {
        self.open_reader(cache)
    }

    fn next(&mut self, reader: &Reader) -> Result<Option<LiveBatch>, Error> {
        self.next(reader)
    }

    fn lost(&mut self, reader: &Reader) -> u64 {
        self.lost(reader)
    }

    fn count(&mut self, reader: &Reader) -> u64 {
        self.count(reader)
    }

    fn close_reader(&mut self, reader: Reader) {
        self.close_reader(reader);
    }

    fn open_writer(&mut self, cache: &str) -> Result<Writer, Error> {
        self.open_writer(cache)
    }

    fn append(&mut self, writer: &Writer, entries: &Batch) -> Result<(), Error> {
        self.append(writer, entries)
    }

    fn commit(&mut self, writer: Writer) -> Result<(), Error> {
        self.commit(writer)
    }

    fn close_writer(&mut self, writer: Writer) {
        self.close_writer(writer);
    }

    fn list_caches(&mut self) -> Result<Vec<String>, Error> {
        self.list_caches()
    }

    fn stat(&mut self, cache: &str) -> Result<CacheStat, Error> {
        self.stat(cache)
    }

    fn verify(&mut self, cache: &str) -> Result<Report, Error> {
        self.verify(cache)
    }
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

    /// `cache-bulk.open-reader`
    pub fn open_reader(&mut self, cache: &str) -> Result<Reader, Error> {
        self.faults.start_record("open-reader", cache);
        let outcome = self.try_open_reader(cache);
        self.untrapped("open-reader", outcome)
    }

    /// `cache-bulk.reader.next`
    pub fn next(&mut self, reader: &Reader) -> Result<Option<LiveBatch>, Error> {
        self.faults.start_record("next", "");
        let outcome = self.try_next(reader);
        self.untrapped("next", outcome)
    }

    /// `cache-bulk.reader.lost`
    pub fn lost(&mut self, reader: &Reader) -> u64 {
        let lost = self
            .functions
            .bulk()
            .reader()
            .call_lost(&mut self.store, reader.0);
        lost.expect("lost does not trap")
    }

    /// `cache-bulk.reader.count`
    pub fn count(&mut self, reader: &Reader) -> u64 {
        let count = self
            .functions
            .bulk()
            .reader()
            .call_count(&mut self.store, reader.0);
        count.expect("count does not trap")
    }

    /// Drops a reader.
    pub fn close_reader(&mut self, reader: Reader) {
        let closed = reader.0.resource_drop(&mut self.store);
        closed.expect("dropping a reader does not trap");
    }

    /// All that a reader gives from here on, and how many entries are lost then.
    pub fn rest(&mut self, reader: &Reader) -> Result<Contents, Error> {
        self.faults.start_record("rest", "");
        let outcome = self.try_rest(reader);
        self.untrapped("rest", outcome)
    }

    /// What a new reader gives.
    pub fn load_in_batches(&mut self, cache: &str) -> Result<Contents, Error> {
        let outcome = self.try_load_in_batches(cache);
        self.untrapped("load in batches", outcome)
    }

    /// `cache-bulk.open-writer`
    pub fn open_writer(&mut self, cache: &str) -> Result<Writer, Error> {
        self.faults.start_record("open-writer", cache);
        let outcome = self.try_open_writer(cache);
        self.untrapped("open-writer", outcome)
    }

    /// `cache-bulk.writer.append`
    pub fn append(&mut self, writer: &Writer, entries: &Batch) -> Result<(), Error> {
        self.faults.start_record("append", "");
        let outcome = self.try_append(writer, entries);
        self.untrapped("append", outcome)
    }

    /// `cache-bulk.writer.commit`
    pub fn commit(&mut self, writer: Writer) -> Result<(), Error> {
        self.faults.start_record("commit", "");
        let outcome = self.try_commit(writer);
        self.untrapped("commit", outcome)
    }

    /// Drops a writer that was not committed.
    pub fn close_writer(&mut self, writer: Writer) {
        self.faults.start_record("drop of a writer", "");
        let outcome = self.try_close_writer(writer).map(Ok);
        let closed = self.untrapped("drop of a writer", outcome);
        closed.expect("it gives no error");
    }

    /// Saves through a writer, a batch after the other; drops it where that fails.
    pub fn save_in_batches(&mut self, cache: &str, batches: &[Vec<Entry>]) -> Result<(), Error> {
        let outcome = self.try_save_in_batches(cache, batches);
        self.untrapped("save in batches", outcome)
    }

    /// A change of an instance that may be killed meanwhile. One that was does nothing more.
    pub fn write(&mut self, cache: &str, write: &Write) -> Result<Result<(), Error>, Killed> {
        let (operation, outcome) = match write {
            Write::Save(entries) => ("save", self.try_save(cache, entries)),
            Write::SaveInBatches(batches) => {
                ("save in batches", self.try_save_in_batches(cache, batches))
            }
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

    /// `cache-bulk.open-reader`, of an instance that may be killed meanwhile.
    pub fn read_later(&mut self, cache: &str) -> Result<Result<Reader, Error>, Killed> {
        self.faults.start_record("open-reader", cache);
        let outcome = self.try_open_reader(cache);
        self.unless_killed("open-reader", outcome)
    }

    /// All that a reader gives, of an instance that may be killed meanwhile.
    pub fn read_rest(&mut self, reader: Reader) -> Result<Result<Contents, Error>, Killed> {
        self.faults.start_record("rest", "");
        let outcome = self.try_rest(&reader);
        let contents = self.unless_killed("rest", outcome)?;
        self.close_reader(reader);
        Ok(contents)
    }

    /// A writer that is dropped when it has all of these, of an instance that may be killed meanwhile.
    pub fn write_and_drop(
        &mut self,
        cache: &str,
        batches: &[Vec<Entry>],
    ) -> Result<Result<(), Error>, Killed> {
        self.faults.start_record("writer to be dropped", cache);
        let outcome = self.try_write(cache, batches);
        let outcome = outcome.and_then(|written| match written {
            Ok(writer) => self.try_close_writer(writer).map(Ok),
            Err(error) => Ok(Err(error)),
        });
        self.unless_killed("writer to be dropped", outcome)
    }

    /// `cache-inspect.list-caches`
    pub fn list_caches(&mut self) -> Result<Vec<String>, Error> {
        self.faults.start_record("list-caches", "");
        let inspect = self.functions.inspect();
        let outcome = inspect.call_list_caches(&mut self.store);
        self.untrapped("list-caches", outcome)
    }

    /// `cache-inspect.stat`
    pub fn stat(&mut self, cache: &str) -> Result<CacheStat, Error> {
        self.faults.start_record("stat", cache);
        let inspect = self.functions.inspect();
        let outcome = inspect.call_stat(&mut self.store, cache);
        self.untrapped("stat", outcome)
    }

    /// `cache-inspect.verify`
    pub fn verify(&mut self, cache: &str) -> Result<Report, Error> {
        self.faults.start_record("verify", cache);
        let inspect = self.functions.inspect();
        let outcome = inspect.call_verify(&mut self.store, cache);
        self.untrapped("verify", outcome)
    }

    fn try_load(&mut self, cache: &str) -> Outcome<Contents> {
        if self.in_batches {
            return self.try_load_in_batches(cache);
        }
        self.faults.start_record("load", cache);
        self.functions.backend.call_load(&mut self.store, cache)
    }

    fn try_save(&mut self, cache: &str, entries: &[Entry]) -> Outcome<()> {
        if self.in_batches {
            return self.try_save_in_batches(cache, &batches_of(entries));
        }
        self.faults.start_record("save", cache);
        self.functions
            .backend
            .call_save(&mut self.store, cache, entries)
    }

    fn try_clear(&mut self, cache: &str) -> Outcome<()> {
        self.faults.start_record("clear", cache);
        self.functions.backend.call_clear(&mut self.store, cache)
    }

    fn try_apply(&mut self, cache: &str, changes: &[Change]) -> Outcome<()> {
        self.faults.start_record("apply", cache);
        let updates = self.functions.updates();
        updates.call_apply(&mut self.store, cache, changes)
    }

    fn try_open_reader(&mut self, cache: &str) -> Outcome<Reader> {
        let opened = self
            .functions
            .bulk()
            .call_open_reader(&mut self.store, cache)?;
        Ok(opened.map(Reader))
    }

    fn try_next(&mut self, reader: &Reader) -> Outcome<Option<LiveBatch>> {
        self.functions
            .bulk()
            .reader()
            .call_next(&mut self.store, reader.0)
    }

    fn try_rest(&mut self, reader: &Reader) -> Outcome<Contents> {
        let mut given = Vec::new();
        loop {
            match self.try_next(reader)? {
                Ok(Some(batch)) => given.extend(entries(batch)),
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        let lost = self.lost(reader);
        Ok(Ok(Contents {
            entries: given,
            lost,
        }))
    }

    fn try_load_in_batches(&mut self, cache: &str) -> Outcome<Contents> {
        self.faults.start_record("load in batches", cache);
        let reader = match self.try_open_reader(cache)? {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(error)),
        };
        let contents = self.try_rest(&reader)?;
        self.close_reader(reader);
        Ok(contents)
    }

    fn try_open_writer(&mut self, cache: &str) -> Outcome<Writer> {
        let opened = self
            .functions
            .bulk()
            .call_open_writer(&mut self.store, cache)?;
        Ok(opened.map(Writer))
    }

    fn try_append(&mut self, writer: &Writer, entries: &Batch) -> Outcome<()> {
        self.functions
            .bulk()
            .writer()
            .call_append(&mut self.store, writer.0, entries)
    }

    fn try_commit(&mut self, writer: Writer) -> Outcome<()> {
        self.functions
            .bulk()
            .writer()
            .call_commit(&mut self.store, writer.0)
    }

    fn try_close_writer(&mut self, writer: Writer) -> wasmtime::Result<()> {
        writer.0.resource_drop(&mut self.store)
    }

    fn try_save_in_batches(&mut self, cache: &str, batches: &[Vec<Entry>]) -> Outcome<()> {
        self.faults.start_record("save in batches", cache);
        match self.try_write(cache, batches)? {
            Ok(writer) => self.try_commit(writer),
            Err(error) => Ok(Err(error)),
        }
    }

    /// A writer that has these; dropped where that fails.
    fn try_write(&mut self, cache: &str, batches: &[Vec<Entry>]) -> Outcome<Writer> {
        let writer = match self.try_open_writer(cache)? {
            Ok(writer) => writer,
            Err(error) => return Ok(Err(error)),
        };
        for entries in batches {
            if let Err(error) = self.try_append(&writer, &batch(entries))? {
                self.try_close_writer(writer)?;
                return Ok(Err(error));
            }
        }
        Ok(Ok(writer))
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

/// Batches of one entry, of two, of four, and so on.
fn batches_of(mut entries: &[Entry]) -> Vec<Vec<Entry>> {
    let mut batches = Vec::new();
    while !entries.is_empty() {
        let count = entries.len().min(1 << batches.len().min(12));
        let (batch, rest) = entries.split_at(count);
        batches.push(batch.to_vec());
        entries = rest;
    }
    batches
}

/// What a function of a component gives, or why it trapped.
type Outcome<T> = wasmtime::Result<Result<T, Error>>;
