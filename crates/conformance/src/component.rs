//! A component as the subject of cases. Only the cases move its clocks.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{error, fmt};

use tempfile::TempDir;
use wasmtime::component::{InstancePre, Linker};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::exports::exports;
use crate::running::{ENGINE, Limits, Shared};
use crate::{Clock, Exports, Feature, Inside, Instance, Subject, waiting};

/// How long a call may take by default.
const TIME: Duration = Duration::from_secs(30);

/// A backend that is a compiled component. Cheap to clone.
///
/// Each subject has a folder of its own, which is the component's first preopened directory. There
/// is no network. An instance gets 1 GiB of memory, and half a minute for each call.
///
/// All other limits are wasmtime's defaults. So a component traps if it passes more than 128 MiB to
/// its host in one call: as an argument of WASI, or as an answer. What the host passes to the
/// component has no such limit. The cases save one value that is larger, and load none.
///
/// ```no_run
/// use larder_conformance::{CASES, Component};
///
/// let component = std::fs::read("my_backend.wasm").expect("it was built");
/// let backend = Component::new(&component)
///     .expect("it is a backend")
///     .env("MY_SETTING", "value")
///     .alone();
/// for case in CASES {
///     println!("{}: {:?}", case.promise, case.judge(|| backend.subject()));
/// }
/// ```
#[derive(Clone)]
pub struct Component {
    component: InstancePre<Inside<Limits>>,
    exports: Exports,
    environment: Vec<(String, String)>,
    volatile: bool,
    alone: bool,
    time_limit: Duration,
}

/// Why bytes cannot be judged as a backend.
#[derive(Debug)]
pub struct NotABackend(String);

impl fmt::Display for NotABackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for NotABackend {}

impl Component {
    /// Compiles a component from bytes of WebAssembly.
    ///
    /// # Errors
    ///
    /// If the bytes are no component, if the component does not export `cache-backend`, or if it
    /// imports more than WASI 0.2. Also if an interface differs from the contract.
    pub fn new(bytes: &[u8]) -> Result<Component, NotABackend> {
        let unfit = |what: &str| {
            let what = what.to_owned();
            move |error: wasmtime::Error| NotABackend(format!("{what}{error:#}"))
        };
        let compiled = wasmtime::component::Component::from_binary(&ENGINE, bytes)
            .map_err(unfit("is not a component: "))?;
        if !exports(&compiled, "cache-backend") {
            return Err(NotABackend(
                "does not export larder:cache/cache-backend@0.1.0".into(),
            ));
        }
        let mut linker = Linker::new(&ENGINE);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("an empty linker takes WASI");
        linker.allow_shadowing(true);
        waiting::add_to_linker(&mut linker).expect("shadowing is allowed");
        let component = linker
            .instantiate_pre(&compiled)
            .map_err(unfit("needs more than WASI 0.2: "))?;
        Ok(Component {
            exports: Exports::of(&component).map_err(unfit(""))?,
            component,
            environment: Vec::new(),
            volatile: false,
            alone: false,
            time_limit: TIME,
        })
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Component {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Says that the backend keeps its data in the instance. A subject then has one instance,
    /// however often it is opened. Promises about storage that outlives an instance are not
    /// offered.
    pub fn volatile(self) -> Component {
        Component {
            volatile: true,
            ..self
        }
    }

    /// Says that the backend allows one instance at a time. Promises about several instances at
    /// once are not offered.
    pub fn alone(self) -> Component {
        Component {
            alone: true,
            ..self
        }
    }

    /// Sets how long each call may take.
    pub fn time_limit(self, limit: Duration) -> Component {
        Component {
            time_limit: limit,
            ..self
        }
    }

    /// Makes a subject: the component with empty storage and clocks of its own.
    ///
    /// # Panics
    ///
    /// If no temporary folder can be made.
    pub fn subject(&self) -> ComponentSubject {
        ComponentSubject {
            backend: self.clone(),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            clock: Clock::starting_now(),
            running: Mutex::default(),
        }
    }
}

/// A component with storage of its own; [`Component::subject`] gives it.
pub struct ComponentSubject {
    backend: Component,
    folder: TempDir,
    clock: Clock,
    /// The only instance of a volatile backend.
    running: Mutex<Option<Shared>>,
}

impl Subject for ComponentSubject {
    fn open(&self) -> Box<dyn Instance> {
        if !self.backend.volatile {
            return Box::new(self.start());
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // An instance that a call broke has lost its data.
        let shared = running.take().filter(|shared| !shared.has_ended());
        let shared = shared.unwrap_or_else(|| self.start());
        Box::new(running.insert(shared).clone())
    }

    fn open_to_be_killed(&self, step: u64) -> Box<dyn Instance> {
        let instance = self.start();
        instance.kill_at(step);
        Box::new(instance)
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn offers(&self, feature: Feature) -> bool {
        match feature {
            Feature::Durability | Feature::Kill | Feature::Files => !self.backend.volatile,
            Feature::Concurrency => !self.backend.volatile && !self.backend.alone,
            interface => self.backend.exports.offers(interface),
        }
    }

    fn folder(&self) -> Option<&Path> {
        (!self.backend.volatile).then(|| self.folder.path())
    }
}

impl ComponentSubject {
    fn start(&self) -> Shared {
        let Component {
            component,
            exports,
            environment,
            time_limit,
            ..
        } = &self.backend;
        let mut wasi = WasiCtxBuilder::new();
        wasi.envs(environment)
            .wall_clock(self.clock.clone())
            .monotonic_clock(self.clock.clone())
            .allow_blocking_current_thread(true)
            .preopened_dir(self.folder.path(), "/", FsPerms::ReadWrite)
            .expect("the storage can be opened");
        Shared::start(component, exports, &mut wasi, *time_limit)
    }
}
