//! Measures what calls of the disk backend cost: instructions and memory, the same on every
//! machine.

use std::path::Path;
use std::sync::LazyLock;

use wasmtime::component::{Component, InstancePre, Linker, Val};
use wasmtime::{Config, Engine, ResourceLimiter, Store};
use wasmtime_wasi::{FsPerms, WasiCtx};

use crate::surroundings::Inside;

static DISK: LazyLock<InstancePre<Inside<Memory>>> = LazyLock::new(|| {
    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config).expect("wasmtime counts instructions everywhere");
    let component = Component::new(&engine, larder_components::DISK).expect("a component");
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("an empty linker takes WASI");
    let instance = linker.instantiate_pre(&component);
    instance.expect("a component that imports WASI and nothing else")
});

/// The cost of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The WebAssembly instructions that ran in the component, as wasmtime counts them.
    pub fuel: u64,
    /// The largest size of the component's memory, in bytes.
    pub memory: usize,
}

/// A function that only reads.
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

/// The largest size of the memory so far, in bytes.
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

/// Calls a function of a new instance of the disk backend on this folder, and gives the cost.
///
/// The answer does not matter: it may be an error of the contract.
///
/// # Errors
///
/// If the component traps. It does so once it has run more instructions than `fuel`.
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
    let inside = Inside::new(wasi.build(), Memory::default());
    let mut store = Store::new(DISK.engine(), inside);
    store.limiter(|inside| &mut inside.extra);
    // The contents that a load gives may have any size.
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
        memory: store.data().extra.0,
    })
}
