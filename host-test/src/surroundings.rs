//! The host's side of a component that is no backend: an application, a cache layer, an adapter.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx};

pub use larder_conformance::Inside;

use crate::Clock;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

/// A folder or none, arguments, clocks and standard output. Instances that start in the same
/// surroundings share them.
#[derive(Clone)]
pub struct Surroundings {
    folder: Option<PathBuf>,
    access: FsPerms,
    arguments: Vec<String>,
    clock: Clock,
    stdout: MemoryOutputPipe,
}

/// Compiles a component.
///
/// # Panics
///
/// If the bytes are not a component.
pub fn compiled(component: &[u8]) -> Component {
    Component::new(&ENGINE, component).expect("a component")
}

/// Makes a linker that has all of WASI.
///
/// # Panics
///
/// Never.
pub fn linker<T: Send + 'static>() -> Linker<Inside<T>> {
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
    /// Adds a folder, as `/`.
    pub fn on(self, folder: impl AsRef<Path>) -> Self {
        let folder = Some(folder.as_ref().to_owned());
        Self { folder, ..self }
    }

    /// Lets instances only read the folder.
    pub fn read_only(self) -> Self {
        let access = FsPerms::ReadOnly;
        Self { access, ..self }
    }

    /// Adds an argument.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// The clock of all instances.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The standard output of all instances, as text.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.stdout.contents()).into_owned()
    }

    /// Makes the store of one more instance.
    ///
    /// # Panics
    ///
    /// If the folder cannot be opened.
    pub fn store(&self) -> Store<Inside> {
        self.store_with(())
    }

    /// Makes the store of one more instance, with data of the test.
    ///
    /// # Panics
    ///
    /// If the folder cannot be opened.
    pub fn store_with<T>(&self, extra: T) -> Store<Inside<T>> {
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
        Store::new(&ENGINE, Inside::new(wasi.build(), extra))
    }
}
