//! A compiled backend, linked to WASI with [`Faults`] in front of its file system.

use std::sync::LazyLock;
use std::{env, fs};

use larder_conformance::{Exports, Functions};
use wasmtime::component::{HasData, InstancePre, Linker};
use wasmtime::{Store, StoreLimits};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::sync::filesystem::types as filesystem;
use wasmtime_wasi::{FsPerms, WasiCtx};

use crate::faults::Faults;
use crate::faulty_filesystem::{FaultyFilesystem, FileSystem, HasFaulty};
use crate::sim::{HasSimFilesystem, SimDisk, SimFilesystem};
use crate::surroundings::{Inside, compiled, linker};

/// The environment variable with the path of a component that replaces the disk backend.
const DISK_COMPONENT: &str = "LARDER_DISK_COMPONENT";

/// The disk backend under test.
pub(crate) static DISK: LazyLock<Backend> = LazyLock::new(|| match env::var_os(DISK_COMPONENT) {
    Some(path) => Backend::compile(&fs::read(path).expect("the component can be read")),
    None => Backend::compile(larder_components::DISK),
});

/// The data of an instance's store.
pub(crate) type State = Inside<Host>;

/// The state of a backend's host, besides WASI.
pub(crate) struct Host {
    pub(crate) faults: Faults,
    /// The simulated disk, if the storage is one.
    pub(crate) disk: Option<SimDisk>,
    /// The rights of the instance on the simulated disk.
    pub(crate) access: FsPerms,
    pub(crate) limits: StoreLimits,
}

/// A compiled component that can be opened on any storage. A clone costs little.
#[derive(Clone)]
pub struct Backend {
    component: InstancePre<State>,
    /// The same component on a simulated disk.
    simulated: InstancePre<State>,
    pub(crate) exports: Exports,
}

impl Backend {
    /// Compiles a component from WebAssembly.
    ///
    /// # Panics
    ///
    /// If it is not a component, does not export `cache-backend`, or imports more than WASI.
    pub fn compile(bytes: &[u8]) -> Backend {
        let compiled = compiled(bytes);
        let ready = |linker: &Linker<State>| {
            let component = linker.instantiate_pre(&compiled);
            component.expect("a component that imports WASI and nothing else")
        };
        let component = ready(&faulty_linker::<WasiFilesystem>(faulty));
        let mut simulated = faulty_linker::<HasSimFilesystem>(faulty_simulated);
        preopens::add_to_linker::<State, HasSimFilesystem>(&mut simulated, sim_filesystem)
            .expect("shadowing is allowed");
        Backend {
            exports: Exports::of(&component).expect("the contract is exported"),
            simulated: ready(&simulated),
            component,
        }
    }

    /// Starts an instance.
    ///
    /// # Panics
    ///
    /// If the component traps.
    pub(crate) fn start(&self, wasi: WasiCtx, host: Host) -> (Store<State>, Functions) {
        let component = match host.disk {
            Some(_) => &self.simulated,
            None => &self.component,
        };
        let mut store = Store::new(component.engine(), Inside::new(wasi, host));
        store.limiter(|state| &mut state.extra.limits);
        // The contents that a load gives may have any size.
        store.set_hostcall_fuel(usize::MAX);
        let instance = component
            .instantiate(&mut store)
            .unwrap_or_else(|trap| panic!("the component does not start: {trap:?}"));
        let functions = self.exports.load(&mut store, &instance);
        let functions = functions.expect("the functions are as in the contract");
        (store, functions)
    }
}

/// A linker with WASI, and with faults in front of this file system.
fn faulty_linker<F>(filesystem: fn(&mut State) -> FaultyFilesystem<F::Data<'_>>) -> Linker<State>
where
    F: HasData,
    for<'a> F::Data<'a>: FileSystem,
{
    let mut linker = linker();
    linker.allow_shadowing(true);
    filesystem::add_to_linker::<State, HasFaulty<F>>(&mut linker, filesystem)
        .expect("shadowing is allowed");
    linker
}

fn faulty(state: &mut State) -> FaultyFilesystem<WasiFilesystemCtxView<'_>> {
    // Cloned because the file system borrows the whole state. Clones are the same faults.
    let faults = state.extra.faults.clone();
    FaultyFilesystem {
        inner: state.filesystem(),
        faults,
    }
}

fn faulty_simulated(state: &mut State) -> FaultyFilesystem<SimFilesystem<'_>> {
    let faults = state.extra.faults.clone();
    FaultyFilesystem {
        inner: sim_filesystem(state),
        faults,
    }
}

fn sim_filesystem(state: &mut State) -> SimFilesystem<'_> {
    let Host { disk, access, .. } = &state.extra;
    SimFilesystem {
        disk: disk.as_ref().expect("the storage is simulated"),
        access: *access,
        table: &mut state.table,
    }
}
