//! The settings of a backend: what instances of its component may use, and how much of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;
use std::{fs, io};

use same_file::Handle;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::clocks::WallClock;
use crate::{Error, ErrorKind, folder};

type SetWasi = dyn Fn(&mut WasiCtxBuilder) + Send + Sync;

/// The things that an instance may use, and the place of compiled code. [`Builder`](crate::Builder)
/// documents each setting.
pub(crate) struct Settings {
    pub(crate) code_cache: Option<PathBuf>,
    /// Each folder of the host, with the path by which the component knows it.
    pub(crate) folders: Vec<(PathBuf, String)>,
    /// The folders that are created before the first instance starts.
    pub(crate) created: Vec<PathBuf>,
    pub(crate) environment: Vec<(String, String)>,
    /// The addresses to which TCP connections are allowed.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Further changes to the WASI settings, in this order.
    pub(crate) wasi: Vec<Box<SetWasi>>,
    /// In bytes.
    pub(crate) memory_limit: usize,
    pub(crate) time_limit: Duration,
}

impl Settings {
    /// Allows only clocks and random numbers.
    pub(crate) fn new() -> Self {
        Self {
            code_cache: None,
            folders: Vec::new(),
            created: Vec::new(),
            environment: Vec::new(),
            addresses: Vec::new(),
            wasi: Vec::new(),
            memory_limit: 1 << 30,
            time_limit: Duration::from_secs(60),
        }
    }

    /// Creates the folders, and makes the paths independent of the current directory.
    pub(crate) fn in_place(mut self) -> Result<Self, Error> {
        for dir in &self.created {
            folder::create(dir).map_err(|error| {
                let what = format!("cannot create the folder {}: {error}", dir.display());
                Error::new(ErrorKind::Folder(what)).caused_by(error)
            })?;
        }
        for (path, _) in &mut self.folders {
            *path = absolute(&*path).map_err(|error| unopened(path, &error))?;
        }
        Ok(self)
    }

    /// Whether the paths still lead to these folders.
    pub(crate) fn still_name(&self, folders: &[Handle]) -> bool {
        let mut named = self.folders.iter().map(|(path, _)| handle(path));
        folders
            .iter()
            .all(|folder| matches!(named.next(), Some(Ok(named)) if named == *folder))
    }

    /// Makes the WASI side of a new instance. Also gives the folders that it opened.
    pub(crate) fn wasi(&self, stderr: MemoryOutputPipe) -> Result<(WasiCtx, Vec<Handle>), Error> {
        let mut wasi = WasiCtxBuilder::new();
        // Each call has a thread already: handing file operations to other threads costs time.
        wasi.allow_blocking_current_thread(true);
        wasi.stderr(stderr);
        wasi.wall_clock(WallClock);
        wasi.envs(&self.environment);
        let mut handles = Vec::with_capacity(self.folders.len());
        for (path, guest) in &self.folders {
            handles.push(handle(path).map_err(|error| unopened(path, &error))?);
            wasi.preopened_dir(path, guest, FsPerms::ReadWrite)
                .map_err(|error| unopened(path, error.root_cause()))?;
        }
        if !self.addresses.is_empty() {
            let allowed = self.addresses.clone();
            wasi.allow_tcp(true);
            wasi.socket_addr_check(move |address, to| {
                let granted = match to {
                    SocketAddrUse::TcpConnect => allowed.contains(&address),
                    // A connection needs a local port, which the operating system chooses.
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

/// Opens a folder. To open anything else could wait without end, as a named pipe does.
fn handle(folder: &Path) -> io::Result<Handle> {
    match fs::metadata(folder)?.is_dir() {
        true => Handle::from_path(folder),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}

fn unopened(path: &Path, error: &(impl std::error::Error + ?Sized)) -> Error {
    let what = format!("cannot open the folder {}: {error}", path.display());
    Error::new(ErrorKind::Folder(what))
}
