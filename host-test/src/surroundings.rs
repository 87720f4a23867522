//! What a component runs in that is not a backend: an application, a layer, an adapter.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use crate::Clock;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

/// A folder or none, clocks, and what a component writes to its standard output. Instances that are started in the same
/// surroundings share them.
#[derive(Clone)]
pub struct Surroundings {
    folder: Option<PathBuf>,
    access: FsPerms,
    arguments: Vec<String>,
    clock: Clock,
    stdout: MemoryOutputPipe,
}

/// What belongs to an instance on the side of the host.
pub struct Inside {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Inside {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Compiles a component.
///
/// # Panics
///
/// Where it is none.
pub fn compiled(component: &[u8]) -> Component {
    Component::new(&ENGINE, component).expect("a component")
}

/// All of WASI.
///
/// # Panics
///
/// Never.
pub fn linker() -> Linker<Inside> {
    let mut linker = Linker::new(&ENGINE);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("an empty linker takes WASI");
    linker
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            folder: None,
            access: FsPerms::ReadWrite,
            arguments: Vec::new(),
            clock: Clock::starting_now(),
            stdout: MemoryOutputPipe::new(1 << 20),
        }
    }
}

impl Surroundings {
    /// The same with this folder.
    pub fn on(self, folder: impl AsRef<Path>) -> Self {
        let folder = Some(folder.as_ref().to_owned());
        Self { folder, ..self }
    }

    /// The same with a folder that may only be read.
    pub fn read_only(self) -> Self {
        let access = FsPerms::ReadOnly;
        Self { access, ..self }
    }

    /// The same with one more argument.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// The clocks of all instances.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// All that instances wrote to their standard output.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.stdout.contents()).into_owned()
    }

    /// For one more instance.
    ///
    /// # Panics
    ///
    /// Where the folder cannot be opened.
    pub fn store(&self) -> Store<Inside> {
        let mut wasi = WasiCtx::builder();
        wasi.args(&self.arguments)
            .wall_clock(self.clock.clone())
            .monotonic_clock(self.clock.clone())
            .stdout(self.stdout.clone())
            .inherit_stderr()
            .allow_blocking_current_thread(true);
        if let Some(folder) = &self.folder {
            wasi.preopened_dir(folder, "/", self.access)
                .expect("the folder can be opened");
        }
        let inside = Inside {
            wasi: wasi.build(),
            table: ResourceTable::new(),
        };
        Store::new(&ENGINE, inside)
    }
}
