//! The disk component, called by wasmtime alone with the settings of `larder-host`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use larder_components::DISK;
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, ResourceLimiter, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::cache;
use crate::Result;

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "full-backend",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
        with: { "wasi": wasmtime_wasi::p2::bindings },
    });
}

pub use generated::FullBackend;
use generated::FullBackendPre;
pub use generated::exports::larder::cache::{cache_bulk, types};

/// The most bytes that one call may bring into the host.
const HOSTCALL_FUEL: usize = 4 << 30;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.epoch_interruption(true);
    Engine::new(&config).expect("wasmtime compiles for the machine that it runs on")
});

static COMPILED: LazyLock<Disk> = LazyLock::new(|| {
    let component = Component::new(&ENGINE, DISK).expect("the component is valid");
    Disk::new(&component).expect("it has the exports of its world")
});

/// The component, ready to be instantiated.
pub struct Disk(FullBackendPre<State>);

/// An instance with one folder.
pub struct Instance {
    store: Store<State>,
    exports: FullBackend,
    runtime: Runtime,
}

/// The state that the host has for an instance.
pub struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    memory: usize,
}

impl Disk {
    /// The built-in component, compiled once in a process.
    pub fn compiled() -> &'static Self {
        &COMPILED
    }

    /// Writes the machine code of the built-in component to a file.
    pub fn precompile(file: &Path) -> Result<()> {
        let code = COMPILED.0.instance_pre().component().serialize()?;
        Ok(std::fs::write(file, code)?)
    }

    /// Reads a file of [`precompile`](Self::precompile).
    pub fn precompiled(file: &Path) -> Result<Self> {
        // SAFETY: the bench has just written this file into its own folder, with the same wasmtime,
        // and nothing else changes it.
        let component = unsafe { Component::deserialize_file(&ENGINE, file) }?;
        Self::new(&component)
    }

    fn new(component: &Component) -> Result<Self> {
        let mut linker = Linker::new(&ENGINE);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let instance = linker.instantiate_pre(component)?;
        Ok(Self(FullBackendPre::new(instance)?))
    }

    /// Starts an instance that has only this folder.
    pub fn start(&self, folder: &Path) -> Result<Instance> {
        let wasi = WasiCtxBuilder::new()
            .allow_blocking_current_thread(true)
            .preopened_dir(folder, "/", FsPerms::ReadWrite)?
            .build();
        let state = State {
            wasi,
            table: ResourceTable::new(),
            memory: 0,
        };
        let mut store = Store::new(&ENGINE, state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(HOSTCALL_FUEL);
        store.set_epoch_deadline(1);
        let runtime = Builder::new_current_thread().build()?;
        let exports = runtime.block_on(self.0.instantiate_async(&mut store))?;
        Ok(Instance {
            store,
            exports,
            runtime,
        })
    }
}

impl Instance {
    /// Makes one call or several calls.
    pub fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Store<State>, &FullBackend) -> Result<T>,
    ) -> Result<T> {
        let call = call(&mut self.store, &self.exports);
        self.runtime.block_on(call)
    }

    /// The most memory that the component has had, in bytes.
    pub fn memory(&self) -> usize {
        self.store.data().memory
    }
}

/// The instances of a contestant.
pub enum Instances {
    /// A new instance for each turn.
    New,
    /// One instance for all turns: later turns reuse its memory.
    Kept(Option<Box<(PathBuf, Instance)>>),
}

impl Instances {
    /// Calls a function with an instance and the name of the cache that this folder is.
    pub fn with<T>(
        &mut self,
        folder: &Path,
        run: impl FnOnce(&mut Instance, &str) -> Result<T>,
    ) -> Result<T> {
        let (root, cache) = cache(folder)?;
        let start = || Disk::compiled().start(root);
        match self {
            Self::New => run(&mut start()?, cache),
            Self::Kept(Some(kept)) if kept.0 == root => run(&mut kept.1, cache),
            Self::Kept(kept) => {
                let new = Box::new((root.into(), start()?));
                run(&mut kept.insert(new).1, cache)
            }
        }
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

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let possible = maximum.is_none_or(|maximum| desired <= maximum);
        if possible {
            self.memory = desired;
        }
        Ok(possible)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }
}
