//! The storage that the writers change, and the temporaries that they leave in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use larder_host::Backend;
use tempfile::TempDir;

use super::steps::begun_entries;
use crate::contents::CACHE;

/// After this time, a temporary is stale for certain.
const HOUR: Duration = Duration::from_secs(3600);

pub fn backend(folder: &Path, durability: &str) -> Backend {
    let backend = Backend::builtin().preopen(folder, "/");
    let backend = backend.env("LARDER_DURABILITY", durability).build();
    backend.expect("the folder is there")
}

/// The storage that the processes of a test write to, one after the other.
pub struct Storage {
    pub folder: TempDir,
    pub backend: Backend,
}

impl Storage {
    pub fn new(durability: &str) -> Storage {
        let folder = TempDir::new().expect("a temporary folder");
        Storage {
            backend: backend(folder.path(), durability),
            folder,
        }
    }

    pub fn temporaries(&self) -> Vec<PathBuf> {
        let mut paths = files(&self.folder.path().join(CACHE));
        paths.retain(|path| {
            path.extension()
                .is_some_and(|suffix| suffix == "tmp" || suffix == "part")
        });
        paths
    }

    /// Makes the temporaries of killed writers look stale, and saves the entries to begin with,
    /// which reaps the temporaries. Gives how many there were.
    pub fn begin_anew(&self) -> usize {
        let left = self.temporaries();
        for path in &left {
            let file = fs::File::options().write(true).open(path);
            let aged = file.and_then(|file| file.set_modified(SystemTime::now() - HOUR));
            aged.expect("the test may change its files");
        }
        // Without syncs, only a later save reaps: once there are several versions to remove.
        for _ in 0..10 {
            self.backend.save(CACHE, begun_entries()).expect("a save");
            if self.temporaries().is_empty() {
                return left.len();
            }
        }
        panic!("temporaries of killed writers are never removed: {left:?}");
    }
}

/// The files in a folder; none if the folder is missing.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}
