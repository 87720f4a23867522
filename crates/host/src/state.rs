//! The data of a store: the host's side of one instance, with its limits.

use std::time::Instant;

use same_file::Handle;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::clocks::Clocks;
use crate::engine::ENGINE;
use crate::settings::Settings;
use crate::{Error, ErrorKind, shortage};

/// How many resources an instance can hold: open files, sockets, timers. Their host memory does not
/// count towards the memory limit.
const RESOURCES: usize = 100_000;
/// How many bytes an instance can write to its standard error before the host closes it.
const STDERR: usize = 64 * 1024;
/// How many of the last lines on standard error an error shows.
const STDERR_LINES: usize = 4;

/// How many times larger an answer can be in the host than it was in the component, whose memory
/// limit it kept. A string of a list takes 24 bytes here and 8 there; an entry takes 64 and 32.
const GROWTH: usize = 3;

/// The host's side of an instance: WASI, limits, and `extra`, the data of everything else that the
/// host provides.
pub(crate) struct State<T = ()> {
    wasi: WasiCtx,
    table: ResourceTable,
    /// The folders that the instance was given, to see whether the paths still lead there.
    folders: Vec<Handle>,
    stderr: MemoryOutputPipe,
    /// The length of `stderr` before this call.
    stderr_seen: usize,
    /// In bytes, as is the limit.
    memory: usize,
    memory_limit: usize,
    /// Whether this call asked for more memory than the limit.
    refused: bool,
    deadline: Option<Instant>,
    /// Whether this call was computing at its deadline.
    late: bool,
    pub(crate) extra: T,
}

impl<T: Send + 'static> State<T> {
    /// Makes a store with limits, for an instance that is ready for one call until the deadline.
    pub(crate) fn store(
        settings: &Settings,
        deadline: Option<Instant>,
        extra: T,
    ) -> Result<Store<Self>, Error> {
        let stderr = MemoryOutputPipe::new(STDERR);
        let (wasi, folders) = settings.wasi(stderr.clone())?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let state = Self {
            wasi,
            table,
            folders,
            stderr,
            stderr_seen: 0,
            memory: 0,
            memory_limit: settings.memory_limit,
            refused: false,
            deadline,
            late: false,
            extra,
        };
        let mut store = Store::new(&ENGINE, state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(settings.memory_limit.saturating_mul(GROWTH));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            state.late = state.deadline.is_some_and(|at| at <= Instant::now());
            if state.late {
                wasmtime::bail!("out of time");
            }
            // The epoch was meant for another call.
            Ok(UpdateDeadline::Continue(1))
        });
        Ok(store)
    }

    /// Reads the instance's monotonic clock, which the settings may replace, and the host's clock.
    pub(crate) fn tell_time(&mut self) -> wasmtime::Result<Clocks> {
        Ok(Clocks::now(self.clocks().now()?))
    }
}

impl<T> State<T> {
    /// Makes an idle instance ready for one more call, until the deadline.
    pub(crate) fn ready(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
        self.refused = false;
        self.stderr_seen = self.stderr.contents().len();
    }

    /// Whether there is enough room left on standard error for later calls.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.stderr.contents().len() < STDERR / 2
    }

    /// How many bytes of memory the instance has.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Whether the settings still name the folders of the instance.
    pub(crate) fn is_current(&self, settings: &Settings) -> bool {
        settings.still_name(&self.folders)
    }

    /// The reason why a call was broken off.
    pub(crate) fn explain(&self, error: wasmtime::Error, settings: &Settings) -> Error {
        let kind = if self.late {
            ErrorKind::TimedOut(settings.time_limit)
        } else if self.refused {
            ErrorKind::OutOfMemory(settings.memory_limit)
        } else if let Some(why) = shortage::behind(&error) {
            ErrorKind::Unavailable(why)
        } else {
            let mut how = error.root_cause().to_string();
            let stderr = self.stderr.contents();
            let text = String::from_utf8_lossy(&stderr[self.stderr_seen..]);
            let lines: Vec<_> = text
                .lines()
                .filter(|line| !line.trim().is_empty())
                .collect();
            if !lines.is_empty() {
                let last = &lines[lines.len().saturating_sub(STDERR_LINES)..];
                how = format!("{how}; it wrote: {}", last.join(" | "));
            }
            ErrorKind::Trapped(how)
        };
        Error::new(kind).caused_by(error)
    }

    /// Counts memory that the instance asks for, or refuses it.
    fn grow(&mut self, bytes: usize) -> bool {
        let grown = self.memory.saturating_add(bytes);
        let granted = grown <= self.memory_limit;
        if granted {
            self.memory = grown;
        } else {
            self.refused = true;
        }
        granted
    }
}

impl<T: Send> ResourceLimiter for State<T> {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A memory never grows beyond its own maximum, even if the answer is true.
        let possible = maximum.is_none_or(|maximum| desired <= maximum);
        Ok(possible && self.grow(desired - current))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let possible = maximum.is_none_or(|maximum| desired <= maximum);
        let bytes = (desired - current).saturating_mul(size_of::<usize>());
        Ok(possible && self.grow(bytes))
    }
}

impl<T: Send> WasiView for State<T> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
