//! One instance of a component: what it may use, and how its calls end.

use std::time::{Duration, Instant};

use same_file::Handle;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::{
    self, CACHE_BACKEND, CACHE_BULK, CACHE_INSPECT, CACHE_UPDATES, cache_backend, cache_bulk,
    cache_inspect, cache_updates,
};
use crate::builder::Settings;
use crate::component::{Linked, unlike};
use crate::{Error, ErrorKind};

/// How many resources an instance can hold: open files, sockets, timers. What they take of the host's
/// memory does not count towards the limit.
const RESOURCES: usize = 100_000;
/// How many bytes an instance can write to its standard error before that is closed.
const STDERR: usize = 64 * 1024;
/// How many of the lines that it wrote an error tells.
const STDERR_LINES: usize = 4;

/// An instance that is ready for a call, or in one.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    pub(crate) backend: cache_backend::Guest,
    pub(crate) updates: Option<cache_updates::Guest>,
    pub(crate) bulk: Option<cache_bulk::Guest>,
    pub(crate) inspect: Option<cache_inspect::Guest>,
}

/// What belongs to an instance on the side of the host.
pub(crate) struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    /// The folders that the instance was given, to tell whether others took their places.
    folders: Vec<Handle>,
    stderr: MemoryOutputPipe,
    /// How much of `stderr` was there before this call.
    stderr_seen: usize,
    memory: usize,
    memory_limit: usize,
    /// Whether this call asked for more memory than the limit.
    refused: bool,
    deadline: Option<Instant>,
    /// Whether this call was computing at its deadline.
    late: bool,
}

/// One moment, on two clocks.
#[derive(Clone, Copy)]
pub(crate) struct Clocks {
    /// In nanoseconds.
    component: u64,
    host: Instant,
}

/// Why a call into an instance gave no result.
pub(crate) enum Failure {
    /// There was an answer, and it was an error. The instance is as good as before.
    Answered(ErrorKind),
    /// There was none: the instance is of no more use.
    BrokenOff(wasmtime::Error),
}

impl From<bindings::Error> for Failure {
    fn from(error: bindings::Error) -> Self {
        Self::Answered(error.into())
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::BrokenOff(error)
    }
}

impl Instance {
    /// Starts an instance, which is then ready for one call until the deadline.
    pub(crate) async fn new(
        linked: &Linked,
        settings: &Settings,
        deadline: Option<Instant>,
    ) -> Result<Self, Error> {
        let state = State::new(settings, deadline)?;
        let mut store = Store::new(linked.instance.engine(), state);
        store.limiter(|state| state);
        // What a call gives back lies in the component's memory, so this is no tighter.
        store.set_hostcall_fuel(settings.memory_limit);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            state.late = state.deadline.is_some_and(|at| at <= Instant::now());
            if state.late {
                wasmtime::bail!("out of time");
            }
            // The epoch is there for another call.
            Ok(UpdateDeadline::Continue(1))
        });

        let instance = match linked.instance.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => return Err(store.data().explain(error, settings)),
        };
        let load = linked.backend.load(&mut store, &instance);
        let backend = load.map_err(unlike(CACHE_BACKEND))?;
        let updates = linked.updates.as_ref();
        let updates = updates.map(|updates| updates.load(&mut store, &instance));
        let updates = updates.transpose().map_err(unlike(CACHE_UPDATES))?;
        let bulk = linked.bulk.as_ref();
        let bulk = bulk.map(|bulk| bulk.load(&mut store, &instance));
        let bulk = bulk.transpose().map_err(unlike(CACHE_BULK))?;
        let inspect = linked.inspect.as_ref();
        let inspect = inspect.map(|inspect| inspect.load(&mut store, &instance));
        let inspect = inspect.transpose().map_err(unlike(CACHE_INSPECT))?;
        Ok(Self {
            store,
            backend,
            updates,
            bulk,
            inspect,
        })
    }

    /// Makes an instance that is idle ready for one more call, until the deadline.
    pub(crate) fn ready(&mut self, deadline: Option<Instant>) {
        let state = self.store.data_mut();
        state.deadline = deadline;
        state.refused = false;
        state.stderr_seen = state.stderr.contents().len();
    }

    /// Whether the instance may be used for calls to come, as far as itself goes.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.store.data().stderr.contents().len() < STDERR / 2
    }

    /// How many bytes of memory it holds on to.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().memory
    }

    /// Whether its folders are still those that the paths in the settings name.
    pub(crate) fn is_current(&self, settings: &Settings) -> bool {
        let folders = &self.store.data().folders;
        let mut named = settings.folders().map(Handle::from_path);
        folders
            .iter()
            .all(|folder| matches!(named.next(), Some(Ok(named)) if named == *folder))
    }

    /// As with [`State::tell_time`].
    pub(crate) fn clocks(&mut self) -> wasmtime::Result<Clocks> {
        self.store.data_mut().tell_time()
    }
}

impl Clocks {
    /// Translates an instant of the host's clock; one that has passed is now.
    pub(crate) fn nanoseconds(self, at: Instant) -> u64 {
        let left = at.saturating_duration_since(self.host);
        self.component.saturating_add(bindings::nanoseconds(left))
    }

    /// A component's clock that begins now.
    #[cfg(test)]
    pub(crate) fn at_zero() -> Self {
        let host = Instant::now();
        Self { component: 0, host }
    }

    /// Translates an instant of the component's clock. None where it is too late for the host to
    /// express.
    pub(crate) fn instant(self, at: u64) -> Option<Instant> {
        let now = self.host;
        match at.checked_sub(self.component) {
            Some(left) => now.checked_add(Duration::from_nanos(left)),
            None => now
                .checked_sub(Duration::from_nanos(self.component - at))
                .or(Some(now)),
        }
    }
}

/// An optional interface, or the reason why the call cannot be made.
pub(crate) fn present<'a, T>(
    interface: &'a Option<T>,
    name: &'static str,
) -> Result<&'a T, Failure> {
    let missing = Failure::Answered(ErrorKind::MissingInterface(name));
    interface.as_ref().ok_or(missing)
}

impl State {
    pub(crate) fn new(settings: &Settings, deadline: Option<Instant>) -> Result<Self, Error> {
        let stderr = MemoryOutputPipe::new(STDERR);
        let (wasi, folders) = settings.wasi(stderr.clone())?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        Ok(Self {
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
        })
    }

    /// Tells the time by the instance's monotonic clock, whatever clock that is, and by the host's.
    pub(crate) fn tell_time(&mut self) -> wasmtime::Result<Clocks> {
        Ok(Clocks {
            component: self.clocks().now()?,
            host: Instant::now(),
        })
    }

    /// Says why a call was broken off.
    pub(crate) fn explain(&self, error: wasmtime::Error, settings: &Settings) -> Error {
        let kind = if self.late {
            ErrorKind::TimedOut(settings.time_limit)
        } else if self.refused {
            ErrorKind::OutOfMemory(settings.memory_limit)
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

    /// Accounts for memory that an instance asks for, or refuses it.
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

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Beyond its own maximum a memory does not grow, whatever is answered here.
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

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_goes_to_a_component_and_back() {
        let host = Instant::now();
        let clocks = Clocks {
            component: 1000,
            host,
        };
        let later = host + Duration::from_nanos(7);
        assert_eq!(clocks.nanoseconds(later), 1007);
        assert_eq!(clocks.instant(1007), Some(later));
        assert_eq!(clocks.nanoseconds(host), 1000);
        let earlier = host - Duration::from_nanos(7);
        assert_eq!(clocks.nanoseconds(earlier), 1000);
        let never = host + Duration::from_secs(1 << 35);
        assert_eq!(clocks.nanoseconds(never), u64::MAX);
    }
}
