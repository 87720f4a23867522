//! A component under wasmtime, as any host runs it, but for the clocks: those only the cases move.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant as Time};
use std::{error, fmt, thread};

use tempfile::TempDir;
use tokio::time::timeout;
use wasmtime::component::{HasData, InstancePre, Linker, Resource, ResourceTable};
use wasmtime::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll as asynchronous;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use crate::contract::{Batch, CacheStat, Change, Contents, Entry, Error, LiveBatch, Report};
use crate::exports::exports;
use crate::{Clock, Exports, Feature, Functions, Instance, Reader, Subject, Writer};

/// How much memory an instance gets, in bytes; and what the host spends on an answer.
const MEMORY: usize = 1 << 30;
/// How many bytes an instance can write to its standard error before that is closed.
const STDERR: usize = 64 * 1024;
/// How many of the lines that it wrote are told.
const STDERR_LINES: usize = 4;
/// How long a call may take.
const TIME: Duration = Duration::from_secs(30);
/// How often it is looked whether one takes longer.
const TICK: Duration = Duration::from_millis(100);

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.epoch_interruption(true);
    let engine = Engine::new(&config).expect("wasmtime compiles for the machine that it runs on");
    let ticking = engine.clone();
    thread::spawn(move || {
        loop {
            thread::sleep(TICK);
            ticking.increment_epoch();
        }
    });
    engine
});

/// A backend that is a component, compiled. Cheap to clone.
///
/// Each of its subjects is one folder, which is the component's first preopened directory, and there is no network. An
/// instance gets 1 GiB of memory, and half a minute for a call.
#[derive(Clone)]
pub struct Component {
    component: InstancePre<State>,
    exports: Exports,
    environment: Vec<(String, String)>,
    volatile: bool,
    alone: bool,
    time_limit: Duration,
}

/// Why something cannot be certified.
#[derive(Debug)]
pub struct NotABackend(String);

impl fmt::Display for NotABackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for NotABackend {}

impl Component {
    /// Compiles a component, given as WebAssembly.
    ///
    /// # Errors
    ///
    /// Where it is none, does not export `cache-backend`, exports an interface that is not as in the contract, or imports
    /// what is not WASI 0.2.
    pub fn new(bytes: &[u8]) -> Result<Component, NotABackend> {
        let unfit = |what: &str| {
            let what = what.to_owned();
            move |error: wasmtime::Error| NotABackend(format!("{what}{error:#}"))
        };
        let compiled = wasmtime::component::Component::from_binary(&ENGINE, bytes)
            .map_err(unfit("is not a component: "))?;
        if !exports(&compiled, "cache-backend") {
            return Err(NotABackend(
                "does not export larder:cache/cache-backend@0.1.0".into(),
            ));
        }
        let mut linker = Linker::new(&ENGINE);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("an empty linker takes WASI");
        linker.allow_shadowing(true);
        poll::add_to_linker::<State, HasWaiting>(&mut linker, State::waiting)
            .expect("shadowing is allowed");
        let component = linker
            .instantiate_pre(&compiled)
            .map_err(unfit("needs more than WASI 0.2: "))?;
        Ok(Component {
            exports: Exports::of(&component).map_err(unfit(""))?,
            component,
            environment: Vec::new(),
            volatile: false,
            alone: false,
            time_limit: TIME,
        })
    }

    /// The same with one more environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Component {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The same, known to keep what it stores in the instance: a subject has one instance, however often it is opened,
    /// and promises about storage that outlives it are not offered.
    pub fn volatile(self) -> Component {
        Component {
            volatile: true,
            ..self
        }
    }

    /// The same, known to be for one instance at a time: promises about several at once are not offered.
    pub fn alone(self) -> Component {
        Component {
            alone: true,
            ..self
        }
    }

    /// The same with so much time for each call.
    pub fn time_limit(self, limit: Duration) -> Component {
        Component {
            time_limit: limit,
            ..self
        }
    }

    /// The component with empty storage, and with clocks of its own.
    ///
    /// # Panics
    ///
    /// Where no temporary folder can be made.
    pub fn subject(&self) -> ComponentSubject {
        ComponentSubject {
            backend: self.clone(),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            clock: Clock::starting_now(),
            running: Mutex::default(),
        }
    }
}

/// A component with storage of its own.
pub struct ComponentSubject {
    backend: Component,
    folder: TempDir,
    clock: Clock,
    /// The one instance of a volatile backend.
    running: Mutex<Option<Shared>>,
}

impl Subject for ComponentSubject {
    fn open(&self) -> Box<dyn Instance> {
        if !self.backend.volatile {
            return Box::new(self.start());
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // One that came to its end has taken with it what it kept.
        let shared = running
            .take()
            .filter(|shared| !shared.with(|one| one.ended));
        let shared = shared.unwrap_or_else(|| self.start());
        Box::new(running.insert(shared).clone())
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn offers(&self, feature: Feature) -> bool {
        match feature {
            Feature::Durability | Feature::Files => !self.backend.volatile,
            Feature::Concurrency => !self.backend.volatile && !self.backend.alone,
            interface => self.backend.exports.offers(interface),
        }
    }

    fn folder(&self) -> Option<&Path> {
        (!self.backend.volatile).then(|| self.folder.path())
    }
}

impl ComponentSubject {
    fn start(&self) -> Shared {
        let Component {
            component,
            exports,
            environment,
            time_limit,
            ..
        } = &self.backend;
        let stderr = MemoryOutputPipe::new(STDERR);
        let mut wasi = WasiCtx::builder();
        wasi.envs(environment)
            .wall_clock(self.clock.clone())
            .monotonic_clock(self.clock.clone())
            .stderr(stderr.clone())
            .allow_blocking_current_thread(true)
            .preopened_dir(self.folder.path(), "/", FsPerms::ReadWrite)
            .expect("the storage can be opened");
        let state = State {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            stderr,
            limits: StoreLimitsBuilder::new().memory_size(MEMORY).build(),
            time_limit: *time_limit,
            deadline: Time::now() + *time_limit,
        };
        let mut store = Store::new(&ENGINE, state);
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(MEMORY);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| match store.data().deadline <= Time::now() {
            true => Err(late(store.data().time_limit)),
            false => Ok(UpdateDeadline::Continue(1)),
        });
        let started = component.instantiate(&mut store);
        let functions = started.and_then(|instance| exports.load(&mut store, &instance));
        match functions {
            Ok(functions) => Shared(Arc::new(Mutex::new(Running {
                store,
                functions,
                ended: false,
            }))),
            Err(error) => panic!("it does not start: {}", store.data().explain(&error)),
        }
    }
}

/// An instance, which has come to its end or not.
struct Running {
    store: Store<State>,
    functions: Functions,
    ended: bool,
}

/// A hold on an instance.
#[derive(Clone)]
struct Shared(Arc<Mutex<Running>>);

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Running) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a call, which has to give an answer.
    fn call<T>(
        &self,
        function: &str,
        call: impl FnOnce(&mut Store<State>, &Functions) -> wasmtime::Result<T>,
    ) -> T {
        let answer = self.with(|running| {
            let state = running.store.data_mut();
            state.deadline = Time::now() + state.time_limit;
            let answer = call(&mut running.store, &running.functions);
            answer.map_err(|error| {
                running.ended = true;
                running.store.data().explain(&error)
            })
        });
        answer.unwrap_or_else(|why| panic!("{function} gives no answer: {why}"))
    }
}

impl Instance for Shared {
    fn load(&mut self, cache: &str) -> Result<Contents, Error> {
        self.call("load", |store, its| its.backend.call_load(store, cache))
    }

    fn save(&mut self, cache: &str, entries: &[Entry]) -> Result<(), Error> {
        self.call("save", |store, its| {
            its.backend.call_save(store, cache, entries)
        })
    }

    fn clear(&mut self, cache: &str) -> Result<(), Error> {
        self.call("clear", |store, its| its.backend.call_clear(store, cache))
    }

    fn apply(&mut self, cache: &str, changes: &[Change]) -> Result<(), Error> {
        self.call("apply", |store, its| {
            its.updates().call_apply(store, cache, changes)
        })
    }

    fn open_reader(&mut self, cache: &str) -> Result<Reader, Error> {
        let opened = self.call("open-reader", |store, its| {
            its.bulk().call_open_reader(store, cache)
        });
        opened.map(Reader)
    }

    fn next(&mut self, reader: &Reader) -> Result<Option<LiveBatch>, Error> {
        self.call("next", |store, its| {
            its.bulk().reader().call_next(store, reader.0)
        })
    }

    fn lost(&mut self, reader: &Reader) -> u64 {
        self.call("lost", |store, its| {
            its.bulk().reader().call_lost(store, reader.0)
        })
    }

    fn count(&mut self, reader: &Reader) -> u64 {
        self.call("count", |store, its| {
            its.bulk().reader().call_count(store, reader.0)
        })
    }

    fn close_reader(&mut self, reader: Reader) {
        self.call("the drop of a reader", |store, _| {
            reader.0.resource_drop(store)
        });
    }

    fn open_writer(&mut self, cache: &str) -> Result<Writer, Error> {
        let opened = self.call("open-writer", |store, its| {
            its.bulk().call_open_writer(store, cache)
        });
        opened.map(Writer)
    }

    fn append(&mut self, writer: &Writer, entries: &Batch) -> Result<(), Error> {
        self.call("append", |store, its| {
            its.bulk().writer().call_append(store, writer.0, entries)
        })
    }

    fn commit(&mut self, writer: Writer) -> Result<(), Error> {
        self.call("commit", |store, its| {
            its.bulk().writer().call_commit(store, writer.0)
        })
    }

    fn close_writer(&mut self, writer: Writer) {
        self.call("the drop of a writer", |store, _| {
            writer.0.resource_drop(store)
        });
    }

    fn list_caches(&mut self) -> Result<Vec<String>, Error> {
        self.call("list-caches", |store, its| {
            its.inspect().call_list_caches(store)
        })
    }

    fn stat(&mut self, cache: &str) -> Result<CacheStat, Error> {
        self.call("stat", |store, its| its.inspect().call_stat(store, cache))
    }

    fn verify(&mut self, cache: &str) -> Result<Report, Error> {
        self.call("verify", |store, its| {
            its.inspect().call_verify(store, cache)
        })
    }
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    stderr: MemoryOutputPipe,
    limits: StoreLimits,
    time_limit: Duration,
    /// Of the call that is made.
    deadline: Time,
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
    fn waiting(&mut self) -> Waiting<'_> {
        Waiting {
            table: &mut self.table,
            time_limit: self.time_limit,
            deadline: self.deadline,
        }
    }

    /// Why a call was broken off, and what the instance had to say.
    fn explain(&self, error: &wasmtime::Error) -> String {
        let why = error.root_cause().to_string();
        let stderr = self.stderr.contents();
        let text = String::from_utf8_lossy(&stderr);
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let lines: Vec<_> = lines.collect();
        match &lines[lines.len().saturating_sub(STDERR_LINES)..] {
            [] => why,
            last => format!("{why}; it wrote: {}", last.join(" | ")),
        }
    }
}

/// What an instance waits for, no longer than its call may take: an epoch would not wake it there.
struct Waiting<'a> {
    table: &'a mut ResourceTable,
    time_limit: Duration,
    deadline: Time,
}

struct HasWaiting;

impl HasData for HasWaiting {
    type Data<'a> = Waiting<'a>;
}

impl Waiting<'_> {
    fn wait<'a, T, F>(
        &'a mut self,
        event: impl FnOnce(&'a mut ResourceTable) -> F,
    ) -> wasmtime::Result<T>
    where
        F: Future<Output = wasmtime::Result<T>>,
    {
        let left = self.deadline.saturating_duration_since(Time::now());
        let event = event(self.table);
        in_tokio(async { timeout(left, event).await })
            .unwrap_or_else(|_| Err(late(self.time_limit)))
    }
}

fn late(time_limit: Duration) -> wasmtime::Error {
    wasmtime::format_err!("none within {time_limit:?}")
}

impl poll::Host for Waiting<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.wait(|table| asynchronous::Host::poll(table, pollables))
    }
}

impl poll::HostPollable for Waiting<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(self.table, pollable)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.wait(|table| asynchronous::HostPollable::block(table, pollable))
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}
