//! The disk component called by wasmtime alone, set as `larder-host` sets it.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use larder_host::DISK_COMPONENT;
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

/// What one call may bring into the host.
const HOSTCALL_FUEL: usize = 4 << 30;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.epoch_interruption(true);
    Engine::new(&config).expect("wasmtime compiles for the machine that it runs on")
});

static COMPILED: LazyLock<Disk> = LazyLock::new(|| {
    let component = Component::new(&ENGINE, DISK_COMPONENT).expect("the built-in component");
    Disk::new(&component).expect("it exports what it is built to export")
});

/// The component, ready to be instantiated.
pub struct Disk(FullBackendPre<State>);

/// An instance with one folder.
pub struct Instance {
    store: Store<State>,
    exports: FullBackend,
    runtime: Runtime,
}

/// What belongs to an instance on the side of the host.
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

    /// What [`precompile`](Self::precompile) wrote.
    pub fn precompiled(file: &Path) -> Result<Self> {
        // SAFETY: the file is the one that the bench has just written into its own folder, with the
        // same wasmtime, and nobody changes it.
        let component = unsafe { Component::deserialize_file(&ENGINE, file) }?;
        Self::new(&component)
    }

    fn new(component: &Component) -> Result<Self> {
        let mut linker = Linker::new(&ENGINE);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let instance = linker.instantiate_pre(component)?;
        Ok(Self(FullBackendPre::new(instance)?))
    }

    /// An instance that has this folder and nothing else.
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
    /// Makes a call, or several.
    pub fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Store<State>, &FullBackend) -> Result<T>,
    ) -> Result<T> {
        let call = call(&mut self.store, &self.exports);
        self.runtime.block_on(call)
    }

    /// How large the component's memory became, in bytes.
    pub fn memory(&self) -> usize {
        self.store.data().memory
    }
}

/// How a contestant has its instance.
pub enum Instances {
    /// A new one for each turn.
    New,
    /// One for all turns, so that those after the first find its memory.
    Kept(Option<Box<(PathBuf, Instance)>>),
}

impl Instances {
    /// Has an instance on what the folder is in, and the name of the cache.
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
