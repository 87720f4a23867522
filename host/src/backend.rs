//! A backend that is ready for calls.

use std::path::Path;

use crate::{AsyncBackend, Builder, CacheStat, Change, Contents, Entry, Error, ErrorKind, Report};

/// A backend that is ready for calls: a compiled component, and what it may use.
///
/// It may be shared between threads, and clones of it are the same backend.
#[derive(Clone)]
pub struct Backend {}

fn pending<T>(operation: &'static str) -> Result<T, Error> {
    let kind = ErrorKind::Unavailable("the host is not written yet".into());
    Err(Error::new(operation, kind))
}

impl Backend {
    /// The built-in disk component with that directory, which is created if need be, and nothing else.
    pub fn disk(dir: impl AsRef<Path>) -> Result<Backend, Error> {
        std::fs::create_dir_all(dir.as_ref()).map_err(|error| {
            Error::new("folder", ErrorKind::Folder(error.to_string()))
                .with_path(Some(dir.as_ref()))
                .with_source(error)
        })?;
        Self::builtin().preopen(dir, "/").build()
    }

    /// The built-in disk component, settings to follow.
    pub fn builtin() -> Builder {
        Builder::default()
    }

    /// The component in that file, settings to follow.
    pub fn component(path: impl AsRef<Path>) -> Result<Builder, Error> {
        std::fs::read(path.as_ref())
            .map(Self::component_bytes)
            .map_err(|error| {
                Error::new("component", ErrorKind::BadComponent(error.to_string()))
                    .with_path(Some(path.as_ref()))
                    .with_source(error)
            })
    }

    /// A component from memory, settings to follow.
    pub fn component_bytes(_bytes: impl Into<Vec<u8>>) -> Builder {
        Builder::default()
    }

    /// Gives the live entries of a cache.
    pub fn load(&self, cache: &str) -> Result<Contents, Error> {
        pending("load").map_err(|error| error.with_cache(Some(cache)))
    }

    /// Stores entries as the whole of a cache, in place of what it held.
    pub fn save(&self, _cache: &str, _entries: impl AsRef<[Entry]>) -> Result<(), Error> {
        pending("save")
    }

    /// Removes everything that is stored under a name.
    pub fn clear(&self, _cache: &str) -> Result<(), Error> {
        pending("clear")
    }

    /// Makes all of these changes, in their order, or none of them.
    pub fn apply(&self, _cache: &str, _changes: impl AsRef<[Change]>) -> Result<(), Error> {
        pending("apply")
    }

    /// Names the caches that hold anything, sorted by name.
    pub fn list(&self) -> Result<Vec<String>, Error> {
        pending("list")
    }

    /// Tells the size and age of a cache.
    pub fn stat(&self, _cache: &str) -> Result<CacheStat, Error> {
        pending("stat")
    }

    /// Reads all of a cache and checks every byte of it.
    pub fn verify(&self, _cache: &str) -> Result<Report, Error> {
        pending("verify")
    }

    /// The same backend for callers on a tokio runtime.
    pub fn into_async(self) -> AsyncBackend {
        AsyncBackend::new(self)
    }
}
