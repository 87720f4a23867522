//! The cache layer: what a call takes that stays in memory, and what a group of changes takes beside two fsyncs.

use std::path::Path;
use std::time::Duration;

use larder_host::{Backend, CACHE_COMPONENT, Cache, DISK_COMPONENT, Entry, Options};
use larder_host_test::compose::plug;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::apply::write_new;
use crate::Result;
use crate::contestant::timed;
use crate::place::Place;
use crate::results::Layer;
use crate::stats::Times;

mod generated {
    wasmtime::component::bindgen!({
        inline: "
            package larder:bench;
            world guest {
                export prepare: func(entries: u32) -> result<_, string>;
                export get: func(times: u32) -> u32;
                export set: func(times: u32);
                export flush: func() -> result<_, string>;
            }
        ",
    });
}

use generated::Guest;

static GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/larder-bench-guest.wasm"));

const ENTRIES: u32 = 10_000;
/// So many calls take as many milliseconds as one takes nanoseconds.
const CALLS: u32 = 1_000_000;
const GROUP: u32 = 1_000;

pub fn run(place: &Place, rounds: usize) -> Result<Layer> {
    eprintln!("the cache layer, {rounds} rounds, {}", place.name);
    let mut application = Application::start(&place.fresh("layer")?)?;
    let library = Library::start(&place.fresh("library")?)?;
    let beside = place.fresh("beside")?;
    place.settle()?;
    let (mut gets, mut library_gets, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut flushes, mut fsyncs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        gets.push(application.get(CALLS)?);
        library_gets.push(library.get(CALLS)?);
        sets.push(application.set(CALLS)?);
        application.flush()?;
        application.set(GROUP)?;
        flushes.push(application.flush()?);
        let new_file = beside.join(round.to_string());
        fsyncs.push(timed(|| write_new(&new_file, &beside))?.1);
    }
    let times = |times: &[Duration]| Times::of(times).ok_or("no rounds");
    Ok(Layer {
        place: place.name.into(),
        get: times(&gets)?,
        library_get: times(&library_gets)?,
        set: times(&sets)?,
        flush: times(&flushes)?,
        fsyncs: times(&fsyncs)?,
    })
}

/// An application, the cache layer and the disk backend, in one component.
struct Application {
    store: Store<State>,
    guest: Guest,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl Application {
    fn start(folder: &Path) -> Result<Self> {
        let engine = Engine::default();
        let cache = plug(CACHE_COMPONENT, &[DISK_COMPONENT])?;
        let component = Component::new(&engine, plug(GUEST, &[&cache])?)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync::<State>(&mut linker)?;
        let wasi = WasiCtxBuilder::new()
            .allow_blocking_current_thread(true)
            .preopened_dir(folder, "/", FsPerms::ReadWrite)?
            .build();
        let table = ResourceTable::new();
        let mut store = Store::new(&engine, State { wasi, table });
        let guest = Guest::instantiate(&mut store, &component, &linker)?;
        guest.call_prepare(&mut store, ENTRIES)??;
        Ok(Self { store, guest })
    }

    fn get(&mut self, times: u32) -> Result<Duration> {
        let (found, time) = timed(|| Ok(self.guest.call_get(&mut self.store, times)?))?;
        if found != times {
            return Err(format!("{found} of {times} values were found").into());
        }
        Ok(time)
    }

    fn set(&mut self, times: u32) -> Result<Duration> {
        Ok(timed(|| Ok(self.guest.call_set(&mut self.store, times)?))?.1)
    }

    fn flush(&mut self) -> Result<Duration> {
        Ok(timed(|| Ok(self.guest.call_flush(&mut self.store)??))?.1)
    }
}

/// The same entries in a layer of this program.
struct Library {
    cache: Cache,
    keys: Vec<String>,
}

impl Library {
    fn start(folder: &Path) -> Result<Self> {
        let layer = larder_host::Layer::new(Backend::disk(folder)?)?;
        let cache = layer.open("bench", &Options::default())?;
        let keys: Vec<_> = (0..ENTRIES).map(|n| format!("user:{n}")).collect();
        cache.set_many(keys.iter().map(|key| Entry::new(key, [7; 100])));
        Ok(Self { cache, keys })
    }

    /// In the order of the guest.
    fn get(&self, times: u32) -> Result<Duration> {
        const STRIDE: usize = 7919;
        let (mut next, mut found) = (0, 0);
        let ((), time) = timed(|| {
            for _ in 0..times {
                next = (next + STRIDE) % self.keys.len();
                found += u32::from(self.cache.get(&self.keys[next]).is_some());
            }
            Ok(())
        })?;
        if found != times {
            return Err(format!("{found} of {times} values were found").into());
        }
        Ok(time)
    }
}
