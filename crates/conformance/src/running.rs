//! A running instance of a component, with limits on its memory and on the time of its calls.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant as Time};

use wasmtime::component::InstancePre;
use wasmtime::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

use crate::contract::{
    Batch, CacheStat, Change, Condition, Contents, Entry, Error, Found, LiveBatch, Page, Report,
};
use crate::{Exports, Functions, Inside, Instance, Reader, Writer};

/// The memory of an instance in bytes.
const MEMORY: usize = 1 << 30;
/// How many bytes an instance can write to its standard error before the kit closes it.
const STDERR: usize = 64 * 1024;
/// How many of the last lines on standard error an error shows.
const STDERR_LINES: usize = 4;
/// How often running calls are checked against their deadlines.
const TICK: Duration = Duration::from_millis(100);

/// The engine, with a thread that advances its epoch.
pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
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

/// The limits of an instance.
pub(crate) struct Limits {
    stderr: MemoryOutputPipe,
    memory: StoreLimits,
    /// For each call.
    pub(crate) time: Duration,
    /// Of the present call.
    pub(crate) deadline: Time,
    /// How many steps the instance makes before it is killed; none if it is not to be killed.
    steps: Option<u64>,
}

/// An instance, until a call breaks it.
struct Running {
    store: Store<Inside<Limits>>,
    functions: Functions,
    ended: bool,
}

/// A handle to an instance.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Running>>);

impl Shared {
    /// Starts an instance with these WASI settings.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub(crate) fn start(
        component: &InstancePre<Inside<Limits>>,
        exports: &Exports,
        wasi: &mut WasiCtxBuilder,
        time_limit: Duration,
    ) -> Shared {
        let stderr = MemoryOutputPipe::new(STDERR);
        wasi.stderr(stderr.clone());
        let limits = Limits {
            stderr,
            memory: StoreLimitsBuilder::new().memory_size(MEMORY).build(),
            time: time_limit,
            deadline: Time::now() + time_limit,
            steps: None,
        };
        let mut store = Store::new(&ENGINE, Inside::new(wasi.build(), limits));
        store.limiter(|state| &mut state.extra.memory);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let limits = &mut store.data_mut().extra;
            if limits.deadline <= Time::now() {
                return Err(late(limits.time));
            }
            let Some(steps) = &mut limits.steps else {
                return Ok(UpdateDeadline::Continue(1));
            };
            *steps = steps.saturating_sub(1);
            match steps {
                0 => Err(wasmtime::format_err!("it was killed")),
                // With a deadline that is always over, the guest asks at each step.
                _ => Ok(UpdateDeadline::Continue(0)),
            }
        });
        let started = component.instantiate(&mut store);
        let functions = started.and_then(|instance| exports.load(&mut store, &instance));
        match functions {
            Ok(functions) => Shared(Arc::new(Mutex::new(Running {
                store,
                functions,
                ended: false,
            }))),
            Err(error) => panic!("it does not start: {}", store.data().extra.explain(&error)),
        }
    }

    /// Whether a call broke the instance.
    pub(crate) fn has_ended(&self) -> bool {
        self.with(|running| running.ended)
    }

    /// Kills the instance at this step of its next calls.
    pub(crate) fn kill_at(&self, step: u64) {
        self.with(|running| {
            running.store.data_mut().extra.steps = Some(step);
            running.store.set_epoch_deadline(0);
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Running) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a call that must give an answer.
    fn call<T>(
        &self,
        function: &str,
        call: impl FnOnce(&mut Store<Inside<Limits>>, &Functions) -> wasmtime::Result<T>,
    ) -> T {
        let answer = self.with(|running| {
            let limits = &mut running.store.data_mut().extra;
            limits.deadline = Time::now() + limits.time;
            let answer = call(&mut running.store, &running.functions);
            answer.map_err(|error| {
                running.ended = true;
                running.store.data().extra.explain(&error)
            })
        });
        answer.unwrap_or_else(|why| panic!("{function} gives no answer: {why}"))
    }
}

impl Limits {
    /// Why a call was broken off, with the last lines on standard error.
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

/// The error of a call that takes longer than this.
pub(crate) fn late(time_limit: Duration) -> wasmtime::Error {
    wasmtime::format_err!("none within {time_limit:?}")
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

    fn get_many(&mut self, cache: &str, keys: &[&str]) -> Result<Vec<Option<Found>>, Error> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.call("get-many", |store, its| {
            its.lookup().call_get_many(store, cache, &keys)
        })
    }

    fn scan(&mut self, cache: &str, after: Option<&str>, limit: u32) -> Result<Page, Error> {
        self.call("scan", |store, its| {
            its.lookup().call_scan(store, cache, after, limit)
        })
    }

    fn apply_if(
        &mut self,
        cache: &str,
        conditions: &[Condition],
        changes: &[Change],
    ) -> Result<Vec<u32>, Error> {
        self.call("apply-if", |store, its| {
            its.atomics()
                .call_apply_if(store, cache, conditions, changes)
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
