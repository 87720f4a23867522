//! Builds a backend from a component and settings, which say what the component may use.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wasmtime_wasi::WasiCtxBuilder;

use crate::settings::Settings;
use crate::{Backend, Error, ErrorKind, compile};

/// The operation that an error names if a backend cannot be built.
const DISK_BACKEND: &str = "disk backend";
const COMPONENT: &str = "component";

/// A component and its settings, from which [`build`](Self::build) makes a [`Backend`].
///
/// Without settings, the component may use only clocks and random numbers: no folder, no network,
/// no environment variables. Its standard output is discarded. The end of its standard error is
/// part of the message of [`ErrorKind::Trapped`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use larder_host::Backend;
///
/// # fn main() -> Result<(), larder_host::Error> {
/// let backend = Backend::component("my_backend.wasm")?
///     .preopen("/var/cache/app", "/")
///     .memory_limit(256 << 20)
///     .time_limit(Duration::from_secs(5))
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub struct Builder {
    source: Source,
    settings: Settings,
}

/// Where the component comes from.
enum Source {
    Builtin,
    File(PathBuf, Vec<u8>),
    Memory(Vec<u8>),
}

/// The ways to a backend.
impl Backend {
    /// Builds the disk backend on this folder, which is created as by
    /// [`Builder::preopen_or_create`]. The backend can use nothing else.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Folder`] if the folder can be neither opened nor created.
    pub fn disk(dir: impl AsRef<Path>) -> Result<Backend, Error> {
        Self::builtin().preopen_or_create(dir.as_ref(), "/").build()
    }

    /// Begins with the built-in disk component. It still needs a folder.
    ///
    /// ```
    /// # fn main() -> Result<(), larder_host::Error> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let folder = folder.path();
    /// let fast = larder_host::Backend::builtin()
    ///     .preopen(folder, "/")
    ///     .env("LARDER_DURABILITY", "atomic")
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builtin() -> Builder {
        Builder::new(Source::Builtin)
    }

    /// Begins with the component in this file of WebAssembly. [`Builder::build`] checks the
    /// contents of the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadComponent`] if the file cannot be read, or is larger than 64 MiB.
    pub fn component(path: impl AsRef<Path>) -> Result<Builder, Error> {
        let path = path.as_ref();
        let read = || {
            let mut bytes = Vec::new();
            // One byte above the limit is enough: a device can be read without end.
            let most = compile::LARGEST as u64 + 1;
            File::open(path)?.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error: io::Error| {
            let what = format!("cannot be read: {error}");
            let error = Error::new(ErrorKind::BadComponent(what)).caused_by(error);
            error.during(COMPONENT).on_file(Some(path.to_owned()))
        })?;
        Ok(Builder::new(Source::File(path.to_owned(), bytes)))
    }

    /// Begins with a component that is in memory, as bytes of WebAssembly. [`Builder::build`]
    /// checks the bytes.
    pub fn component_bytes(bytes: impl Into<Vec<u8>>) -> Builder {
        Builder::new(Source::Memory(bytes.into()))
    }
}

impl Builder {
    fn new(source: Source) -> Self {
        Self {
            source,
            settings: Settings::new(),
        }
    }

    /// Lets the component read and write a folder of the host. The component knows the folder by
    /// the path `guest`. The disk component uses the first folder, or the one whose path the
    /// variable `LARDER_ROOT` names ([`env`](Self::env)).
    ///
    /// The folder must exist when the backend is built. A relative path starts at the directory
    /// that is current at that time. If the path leads to another folder later, the calls that
    /// begin after that use the other folder.
    pub fn preopen(mut self, host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        self.settings.folders.push((host.into(), guest.into()));
        self
    }

    /// As [`preopen`](Self::preopen), for a folder that may be missing: [`build`](Self::build)
    /// creates it, and the folders above it.
    ///
    /// On Unix, the name of each folder is synced, so that a saved cache survives a power cut
    /// together with its folder. The name of an existing folder is synced too, as another process
    /// may have created the folder just now. Only a name in a folder that this user may not open is
    /// left to the user who created it. Other systems cannot sync names.
    pub fn preopen_or_create(mut self, host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        let host = host.into();
        self.settings.created.push(host.clone());
        self.preopen(host, guest)
    }

    /// Sets an environment variable of the component. It has no other variables. A variable that is
    /// set twice has the second value.
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.settings.environment.retain(|(set, _)| *set != key);
        self.settings.environment.push((key, value));
        self
    }

    /// Lets the component open TCP connections to this address. It can connect only to addresses
    /// that are allowed in this way. It can neither listen nor look up names.
    pub fn allow_tcp(mut self, address: SocketAddr) -> Self {
        self.settings.addresses.push(address);
        self
    }

    /// Limits the memory of each instance of the component, in bytes; 1 GiB by default. Calls that
    /// run at the same time each use an instance.
    ///
    /// A component that breaks down because it gets no more memory gives
    /// [`ErrorKind::OutOfMemory`]. A call with arguments larger than the limit gives
    /// [`ErrorKind::TooLarge`].
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.settings.memory_limit = bytes;
        self
    }

    /// Limits the time of each call into the component; one minute by default, [`Duration::MAX`]
    /// for no limit. A call that takes longer gives [`ErrorKind::TimedOut`].
    ///
    /// A cache that is read or written in batches takes many calls. The limit counts for each call,
    /// and not for the time that the caller takes in between.
    ///
    /// The limit stops a component that computes and a component that waits. It cannot stop a file
    /// operation of the operating system: the call ends when that operation ends.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.settings.time_limit = limit;
        self
    }

    /// Changes other WASI settings, such as clocks. The function runs for each instance that is
    /// started, after the settings above are made. Several functions run in the order in which they
    /// were given.
    ///
    /// The module [`wasmtime_48`](crate::wasmtime_48) has the type `WasiCtxBuilder`.
    pub fn wasi(mut self, set: impl Fn(&mut WasiCtxBuilder) + Send + Sync + 'static) -> Self {
        self.settings.wasi.push(Box::new(set));
        self
    }

    /// Keeps compiled code in this folder, so that later processes need not compile: that saves a
    /// quarter of a second for the disk component. The folder is created if it is missing, with
    /// rights only for its user.
    ///
    /// The name of the code is a hash of the component, and of everything that changes the code.
    /// That includes this version of the crate and this machine. A damaged file is replaced. Unused
    /// files stay. Everything in the folder may be removed at any time. If the folder cannot be
    /// used, the component is compiled, without an error.
    ///
    /// **A user who may write to the folder can run any code in this process.** On Unix, a folder
    /// or file is not used if it belongs to another user, or if others may write it. Nor is a
    /// folder used below a folder that belongs to another user than root, or that others may write.
    /// A sticky folder such as `/tmp` may be above it: there, others cannot replace what is not
    /// theirs. The folder may be reached by links, as users move their caches to other disks: the
    /// folders of the resolved path are checked. A link in the place of a file is replaced. On
    /// other systems the caller must protect the folder.
    pub fn code_cache(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.code_cache = Some(dir.into());
        self
    }

    /// Compiles the component and starts a first instance. The limits do not count for the
    /// compilation.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadComponent`] if the bytes are no component, or if the component does not
    ///   export the contract or imports something that is not there.
    /// - [`ErrorKind::Folder`] if a folder is missing, or cannot be opened or created.
    /// - All errors of a call, since an instance may run code when it starts.
    pub fn build(self) -> Result<Backend, Error> {
        let code_cache = self.settings.code_cache.as_deref();
        let (operation, path, component) = match self.source {
            Source::Builtin => (DISK_BACKEND, None, compile::DISK.compiled(code_cache)),
            Source::Memory(bytes) => (COMPONENT, None, compile::compile(&bytes, code_cache)),
            Source::File(path, bytes) => {
                (COMPONENT, Some(path), compile::compile(&bytes, code_cache))
            }
        };
        component
            .and_then(|component| Backend::new(&component, self.settings.in_place()?))
            .map_err(|error| error.during(operation).on_file(path))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}
