//! The settings of a backend: what its component may use, and how much of it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use same_file::Handle;
use wasmtime::component::Component;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::component;
use crate::{Backend, Error, ErrorKind, code_cache};

/// What an error names if a backend cannot be made.
pub(crate) const DISK_BACKEND: &str = "disk backend";
const COMPONENT: &str = "component";

/// A backend in the making: a component, and what it may use.
///
/// At first that is nothing: no folder, no network, an empty environment, clocks and random numbers
/// alone. What it writes to its standard output is dropped, and what it writes to its standard error
/// is kept for the message of [`ErrorKind::Trapped`].
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

type SetWasi = dyn Fn(&mut WasiCtxBuilder) + Send + Sync;

/// How a component is compiled, and what its instances may use.
pub(crate) struct Settings {
    code_cache: Option<PathBuf>,
    folders: Vec<(PathBuf, String)>,
    environment: Vec<(String, String)>,
    addresses: Vec<SocketAddr>,
    wasi: Vec<Box<SetWasi>>,
    pub(crate) memory_limit: usize,
    pub(crate) time_limit: Duration,
}

impl Builder {
    fn new(source: Source) -> Self {
        Self {
            source,
            settings: Settings::new(None),
        }
    }

    pub(crate) fn builtin() -> Self {
        Self::new(Source::Builtin)
    }

    pub(crate) fn file(path: &Path) -> Result<Self, Error> {
        let read = || {
            let mut bytes = Vec::new();
            // One more than may be: a device can be read without end.
            let most = component::LARGEST as u64 + 1;
            File::open(path)?.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error: io::Error| {
            let what = format!("cannot be read: {error}");
            let error = Error::new(ErrorKind::BadComponent(what)).caused_by(error);
            error.during(COMPONENT).on_file(Some(path.to_owned()))
        })?;
        Ok(Self::new(Source::File(path.to_owned(), bytes)))
    }

    pub(crate) fn memory(bytes: Vec<u8>) -> Self {
        Self::new(Source::Memory(bytes))
    }

    /// Gives the component a folder of the host to read and write, under a path by which it knows
    /// the folder. The disk component uses the first one, and not the path.
    ///
    /// The folder must exist when the backend is built. A relative path is one from what the
    /// current directory is then, and stays so. Should the path lead to another folder later, that
    /// is the one which the calls that begin from then on use.
    pub fn preopen(mut self, host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        self.settings.folders.push((host.into(), guest.into()));
        self
    }

    /// Sets a variable of the component's environment, which has no others; set again, it takes the
    /// new value.
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.settings.environment.retain(|(set, _)| *set != key);
        self.settings.environment.push((key, value));
        self
    }

    /// Lets the component open TCP connections to this address, and to no other that is not allowed
    /// as well. It can neither listen nor look up names.
    pub fn allow_tcp(mut self, address: SocketAddr) -> Self {
        self.settings.addresses.push(address);
        self
    }

    /// Sets how many bytes of memory an instance of the component may use, 1 GiB unless set. Calls
    /// that are made at the same time use an instance each.
    ///
    /// A component that breaks down for the lack of more gives [`ErrorKind::OutOfMemory`], and a call
    /// that is given more than that to begin with [`ErrorKind::TooLarge`].
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.settings.memory_limit = bytes;
        self
    }

    /// Sets how long a call into the component may take, one minute unless set; [`Duration::MAX`]
    /// for as long as it takes. A call that takes longer gives [`ErrorKind::TimedOut`].
    ///
    /// A cache that is loaded or saved in pieces takes many calls: the limit is for each of them,
    /// and not for what the caller does in between.
    ///
    /// It ends then whether the component computes or waits, but not before an operation on a file
    /// which the operating system has in hand is through.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.settings.time_limit = limit;
        self
    }

    /// Sets anything else of WASI, such as other clocks, for each instance that is started. It is
    /// called after the settings above were made, several in the order in which they were given.
    pub fn wasi(mut self, set: impl Fn(&mut WasiCtxBuilder) + Send + Sync + 'static) -> Self {
        self.settings.wasi.push(Box::new(set));
        self
    }

    /// Keeps compiled components in this folder, so that other processes need not compile them
    /// again: a quarter of a second for the disk component. It is created if it is not there, for its
    /// user alone.
    ///
    /// Code is found again by a hash of the component, and of all that compiled code depends on in
    /// this version of the crate and on this machine. A damaged file is replaced. Files that are not
    /// used any more stay; anything in the folder may be removed at any time. A folder that cannot
    /// be used fails nothing: the component is compiled.
    ///
    /// **Whoever may write to the folder can run any code in this process.** On Unix a folder or
    /// file that belongs to another user, or that others may write, is not used. On other systems it
    /// is for the caller to see to.
    pub fn code_cache(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.code_cache = Some(dir.into());
        self
    }

    /// Compiles the component, which is not subject to the limits, and starts a first instance.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadComponent`] for what is not a component, does not export the contract or
    /// imports what is not there; [`ErrorKind::Folder`] for a folder that is not there or may not be
    /// opened; and what a call can give, since instances may run code as they start.
    pub fn build(self) -> Result<Backend, Error> {
        let settings = &self.settings;
        let (operation, path, component) = match self.source {
            Source::Builtin => (DISK_BACKEND, None, component::DISK.compiled(settings)),
            Source::Memory(bytes) => (COMPONENT, None, settings.compile(&bytes)),
            Source::File(path, bytes) => (COMPONENT, Some(path), settings.compile(&bytes)),
        };
        component
            .and_then(|component| Backend::new(&component, self.settings.in_place()?))
            .map_err(|error| error.during(operation).on_file(path))
    }
}

impl Settings {
    /// Nothing may be used but clocks and random numbers.
    pub(crate) fn new(code_cache: Option<PathBuf>) -> Self {
        Self {
            code_cache,
            folders: Vec::new(),
            environment: Vec::new(),
            addresses: Vec::new(),
            wasi: Vec::new(),
            memory_limit: 1 << 30,
            time_limit: Duration::from_secs(60),
        }
    }

    /// Where compiled code is kept.
    pub(crate) fn code_cache(&self) -> Option<&Path> {
        self.code_cache.as_deref()
    }

    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<Component, Error> {
        match &self.code_cache {
            Some(folder) => code_cache::compile(folder, bytes),
            None => component::compile(bytes),
        }
    }

    /// Makes the paths independent of the current directory.
    fn in_place(mut self) -> Result<Self, Error> {
        for (path, _) in &mut self.folders {
            *path = absolute(&*path).map_err(|error| unopened(path, &error))?;
        }
        Ok(self)
    }

    /// The folders of the host that an instance gets.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(|(path, _)| path.as_path())
    }

    /// What a new instance gets: its side of WASI, and the folders in that.
    pub(crate) fn wasi(&self, stderr: MemoryOutputPipe) -> Result<(WasiCtx, Vec<Handle>), Error> {
        let mut wasi = WasiCtxBuilder::new();
        // There is a thread for each call: to hand file operations to others only costs time.
        wasi.allow_blocking_current_thread(true);
        wasi.stderr(stderr);
        wasi.envs(&self.environment);
        let mut handles = Vec::with_capacity(self.folders.len());
        for (path, guest) in &self.folders {
            handles.push(Handle::from_path(path).map_err(|error| unopened(path, &error))?);
            wasi.preopened_dir(path, guest, FsPerms::ReadWrite)
                .map_err(|error| unopened(path, error.root_cause()))?;
        }
        if !self.addresses.is_empty() {
            let allowed = self.addresses.clone();
            wasi.allow_tcp(true);
            wasi.socket_addr_check(move |address, to| {
                let granted = match to {
                    SocketAddrUse::TcpConnect => allowed.contains(&address),
                    // To connect is to let the operating system choose a port on this side.
                    SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
                    _ => false,
                };
                Box::pin(async move { granted })
            });
        }
        for set in &self.wasi {
            set(&mut wasi);
        }
        Ok((wasi.build(), handles))
    }
}

fn unopened(path: &Path, error: &(impl std::error::Error + ?Sized)) -> Error {
    let what = format!("cannot open the folder {}: {error}", path.display());
    Error::new(ErrorKind::Folder(what))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}
