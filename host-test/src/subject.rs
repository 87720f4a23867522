//! A component under test with its storage, environment and clock.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use larder_conformance::{self as conformance, Clock, Feature, tree};
use rand::Rng;
use tempfile::TempDir;
use wasmtime::StoreLimitsBuilder;
use wasmtime_wasi::{FsPerms, WasiCtx};

use crate::backend::{Backend, DISK, Host};
use crate::call::When;
use crate::faults::Faults;
use crate::instance::Instance;
use crate::sim::SimDisk;

/// A component under test with its own storage, environment and clock.
///
/// Clones share storage and clock.
#[derive(Clone)]
pub struct Subject {
    backend: Backend,
    storage: Storage,
    access: FsPerms,
    environment: Vec<(String, String)>,
    memory: usize,
    in_batches: bool,
    alone: bool,
    clock: Clock,
}

#[derive(Clone)]
enum Storage {
    /// A temporary folder, which is removed with the last clone of the subject.
    Own(Arc<TempDir>),
    Given(Arc<Path>),
    Simulated(SimDisk),
}

impl Storage {
    fn own() -> Storage {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Storage::Own(Arc::new(folder))
    }
}

impl Subject {
    /// The disk backend with empty storage: a folder of its own.
    pub fn disk() -> Subject {
        Subject::new(DISK.clone())
    }

    /// A backend with empty storage: a folder of its own.
    pub fn new(backend: Backend) -> Subject {
        Subject::with(backend, Storage::own(), Clock::starting_now())
    }

    /// The disk backend on a simulated disk, with that disk's clock and random numbers.
    pub fn disk_on(disk: &SimDisk) -> Subject {
        Subject::simulated(DISK.clone(), disk)
    }

    /// A backend on a simulated disk, with that disk's clock and random numbers.
    pub fn simulated(backend: Backend, disk: &SimDisk) -> Subject {
        let storage = Storage::Simulated(disk.clone());
        Subject::with(backend, storage, disk.clock().clone())
    }

    fn with(backend: Backend, storage: Storage, clock: Clock) -> Subject {
        Subject {
            backend,
            storage,
            access: FsPerms::ReadWrite,
            environment: Vec::new(),
            memory: usize::MAX,
            in_batches: false,
            alone: false,
            clock,
        }
    }

    /// Moves the subject to this folder, which has to exist, and is not removed.
    pub fn on(self, folder: impl AsRef<Path>) -> Subject {
        Subject {
            storage: Storage::Given(folder.as_ref().into()),
            ..self
        }
    }

    /// Gives this subject on a simulated disk, with that disk's clock and random numbers.
    pub fn on_simulated(&self, disk: &SimDisk) -> Subject {
        Subject {
            storage: Storage::Simulated(disk.clone()),
            clock: disk.clock().clone(),
            ..self.clone()
        }
    }

    /// Gives this subject on a copy of its files, in a folder of its own. The clock is shared.
    ///
    /// # Panics
    ///
    /// If a file cannot be copied, or the storage is simulated: [`SimDisk::fork`] copies that.
    pub fn copy(&self) -> Subject {
        let copy = Subject {
            storage: Storage::own(),
            ..self.clone()
        };
        for (path, bytes) in tree(self.folder()) {
            let to = copy.folder().join(&path);
            if self.folder().join(path).is_dir() {
                fs::create_dir_all(to).expect("the folder can be created");
            } else {
                fs::create_dir_all(to.parent().expect("it is in the folder"))
                    .and_then(|()| fs::write(to, bytes))
                    .expect("the file can be copied");
            }
        }
        copy
    }

    /// Lets instances only read the storage.
    pub fn read_only(self) -> Subject {
        Subject {
            access: FsPerms::ReadOnly,
            ..self
        }
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Subject {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Limits the memory of each instance, in bytes.
    pub fn memory(self, bytes: usize) -> Subject {
        Subject {
            memory: bytes,
            ..self
        }
    }

    /// Says that the backend is for one instance at a time.
    pub fn alone(self) -> Subject {
        Subject {
            alone: true,
            ..self
        }
    }

    /// Makes saves and loads of the instances go through writers and readers.
    pub fn in_batches(self) -> Subject {
        Subject {
            in_batches: true,
            ..self
        }
    }

    /// The folder that the component sees as its storage.
    ///
    /// # Panics
    ///
    /// If the storage is simulated.
    pub fn folder(&self) -> &Path {
        self.real_folder()
            .expect("a simulated disk is not a folder")
    }

    /// The folder, unless the storage is simulated.
    fn real_folder(&self) -> Option<&Path> {
        match &self.storage {
            Storage::Own(folder) => Some(folder.path()),
            Storage::Given(folder) => Some(folder),
            Storage::Simulated(_) => None,
        }
    }

    /// The clock of all instances.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Starts an instance, which knows only the storage.
    ///
    /// # Panics
    ///
    /// If the folder cannot be opened or the component traps.
    pub fn open(&self) -> Instance {
        let mut wasi = WasiCtx::builder();
        wasi.envs(&self.environment)
            .wall_clock(self.clock.clone())
            .monotonic_clock(self.clock.clone())
            .inherit_stderr()
            .allow_blocking_current_thread(true);
        let (faults, disk) = match &self.storage {
            Storage::Simulated(disk) => {
                let mut random = disk.random();
                wasi.insecure_random_seed(u128::from(random.next_u64()))
                    .insecure_random(random.clone())
                    .secure_random(random);
                (Faults::on(disk), Some(disk.clone()))
            }
            Storage::Own(_) | Storage::Given(_) => {
                wasi.preopened_dir(self.folder(), "/", self.access)
                    .expect("the storage can be opened");
                (Faults::default(), None)
            }
        };
        let host = Host {
            faults: faults.clone(),
            disk,
            access: self.access,
            limits: StoreLimitsBuilder::new().memory_size(self.memory).build(),
        };
        let (store, functions) = self.backend.start(wasi.build(), host);
        Instance::new(store, functions, faults, self.in_batches)
    }
}

impl conformance::Subject for Subject {
    fn open(&self) -> Box<dyn conformance::Instance> {
        Box::new(self.open())
    }

    /// The instance is killed at this call to its file system.
    fn open_to_be_killed(&self, step: u64) -> Box<dyn conformance::Instance> {
        let instance = self.open();
        instance.faults().kill(When::any().from_nth(step));
        Box::new(instance)
    }

    fn clock(&self) -> &Clock {
        self.clock()
    }

    fn offers(&self, feature: Feature) -> bool {
        match feature {
            Feature::Durability | Feature::Kill => true,
            Feature::Concurrency => !self.alone,
            // Without syncs, damage may bring back an older version; the disk backend's docs say
            // so.
            Feature::Files => !self.environment.iter().any(|(_, value)| value == "atomic"),
            interface => self.backend.exports.offers(interface),
        }
    }

    fn folder(&self) -> Option<&Path> {
        self.real_folder()
    }
}
