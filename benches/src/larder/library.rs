//! Larder as a Rust program calls it: through `larder-host`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use larder_host::{Backend, Contents};

use super::cache;
use crate::Result;
use crate::contestant::{Contestant, timed};
use crate::data::Data;

/// The time at which the backend is opened.
pub enum Library {
    /// For each turn, like peers.
    Opened,
    /// Once: later turns reuse an instance and its memory.
    Kept(Option<(PathBuf, Backend)>),
}

impl Library {
    /// A backend for the folder above this folder, and the name of the cache.
    fn backend<'a>(&mut self, folder: &'a Path) -> Result<(Backend, &'a str)> {
        let (root, name) = cache(folder)?;
        let open = || -> Result<Backend> {
            let backend = Backend::builtin().preopen(root, "/");
            Ok(backend.memory_limit(4 << 30).build()?)
        };
        let backend = match self {
            Self::Opened => open()?,
            Self::Kept(Some((kept, backend))) if kept == root => backend.clone(),
            Self::Kept(kept) => kept.insert((root.into(), open()?)).1.clone(),
        };
        Ok((backend, name))
    }
}

impl Contestant for Library {
    fn name(&self) -> &'static str {
        match self {
            Self::Opened => "Larder",
            Self::Kept(_) => "Larder, kept open",
        }
    }

    fn settings(&self) -> &'static str {
        match self {
            Self::Opened => {
                "`larder-host`: a `Backend`, `save` of a slice of entries, `load`; durability `full` \
                 (synced); the component is compiled before"
            }
            Self::Kept(_) => {
                "the same, with one `Backend` for all turns: the instance and its memory are reused"
            }
        }
    }

    fn prepare(&mut self, _: &Data) -> Result<()> {
        // The first backend of a process compiles the component.
        Backend::builtin().build()?;
        Ok(())
    }

    fn persist(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let ((), time) = timed(|| {
            let (backend, cache) = self.backend(folder)?;
            Ok(backend.save(cache, &data.entries)?)
        })?;
        Ok(time)
    }

    fn load(&mut self, data: &Data, folder: &Path) -> Result<Duration> {
        let (contents, time) = timed(|| {
            let (backend, cache) = self.backend(folder)?;
            Ok(backend.load(cache)?)
        })?;
        verify(data, &contents)?;
        Ok(time)
    }
}

fn verify(data: &Data, contents: &Contents) -> Result<()> {
    if contents.lost > 0 {
        return Err(format!("{} entries are lost", contents.lost).into());
    }
    data.verify(contents.entries.iter().map(|entry| {
        let key = entry.key.as_bytes();
        (key, entry.value.as_slice(), entry.expires_at.is_some())
    }))
}
