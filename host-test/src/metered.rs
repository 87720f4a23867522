//! What calls of the disk backend cost, in measures that are the same on every machine: instructions and memory.

use std::path::Path;
use std::sync::LazyLock;

use wasmtime::component::{Component, InstancePre, Linker, ResourceTable, Val};
use wasmtime::{Config, Engine, ResourceLimiter, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

static DISK: LazyLock<InstancePre<State>> = LazyLock::new(|| {
    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config).expect("wasmtime counts instructions everywhere");
    let component = Component::new(&engine, larder_components::DISK).expect("a component");
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("an empty linker takes WASI");
    let instance = linker.instantiate_pre(&component);
    instance.expect("a component that imports WASI and nothing else")
});

/// What a call cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// How many WebAssembly instructions ran in the component, as wasmtime counts them.
    pub fuel: u64,
    /// How large the component's memory became, in bytes.
    pub memory: usize,
}

/// A function that only looks at a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// `cache-backend.load`
    Load,
    /// `cache-inspect.stat`
    Stat,
    /// `cache-inspect.verify`
    Verify,
    /// `cache-inspect.list-caches`
    ListCaches,
}

impl Look {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Look::Load => ("larder:cache/cache-backend@0.1.0", "load"),
            Look::Stat => ("larder:cache/cache-inspect@0.1.0", "stat"),
            Look::Verify => ("larder:cache/cache-inspect@0.1.0", "verify"),
            Look::ListCaches => ("larder:cache/cache-inspect@0.1.0", "list-caches"),
        }
    }
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    memory: Memory,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// How large the memory is.
#[derive(Default)]
struct Memory(usize);

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.0 = self.0.max(desired);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

/// Has a new instance of the built-in disk backend look at a cache in this folder; gives what that cost.
///
/// Whether the component answers with a value or with an error does not matter here. Fails where it traps, which it does
/// when it has run more instructions than `fuel`.
pub fn measure(
    folder: &Path,
    environment: &[(&str, &str)],
    look: Look,
    cache: &str,
    fuel: u64,
) -> wasmtime::Result<Cost> {
    let mut wasi = WasiCtx::builder();
    wasi.envs(environment)
        .inherit_stderr()
        .allow_blocking_current_thread(true)
        .preopened_dir(folder, "/", FsPerms::ReadOnly)?;
    let state = State {
        wasi: wasi.build(),
        table: ResourceTable::new(),
        memory: Memory::default(),
    };
    let mut store = Store::new(DISK.engine(), state);
    store.limiter(|state| &mut state.memory);
    // What a load gives back may be of any size.
    store.set_hostcall_fuel(usize::MAX);
    store.set_fuel(fuel)?;
    let instance = DISK.instantiate(&mut store)?;

    let (interface, function) = look.names();
    let interface = instance.get_export_index(&mut store, None, interface);
    let function = instance.get_export_index(&mut store, interface.as_ref(), function);
    let function = function.and_then(|function| instance.get_func(&mut store, function));
    let function = function.expect("it is in the contract");
    let arguments = [Val::String(cache.into())];
    let arguments = match look {
        Look::ListCaches => &[],
        Look::Load | Look::Stat | Look::Verify => &arguments[..],
    };
    function.call(&mut store, arguments, &mut [Val::Bool(false)])?;
    Ok(Cost {
        fuel: fuel - store.get_fuel()?,
        memory: store.data().memory.0,
    })
}
