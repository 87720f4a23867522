//! The storage that is written to, and what is left in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use larder_host::Backend;
use tempfile::TempDir;

use crate::steps::{Values, begun_entries};

/// The one cache of each storage.
pub const CACHE: &str = "sessions";
/// Longer than a writer is waited for.
const HOUR: Duration = Duration::from_secs(3600);

pub fn backend(folder: &Path, durability: &str) -> Backend {
    let backend = Backend::builtin().preopen(folder, "/");
    let backend = backend.env("LARDER_DURABILITY", durability).build();
    backend.expect("the folder is there")
}

pub fn load(backend: &Backend) -> Values {
    let contents = backend.load(CACHE).expect("a kill damages nothing");
    assert_eq!(contents.lost, 0, "a kill damages nothing");
    let entries = contents.entries.into_iter();
    entries.map(|entry| (entry.key, entry.value)).collect()
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
        paths.retain(|path| path.extension().is_some_and(|suffix| suffix == "tmp"));
        paths
    }

    /// Lets the temporaries of killed writers seem to be so old that they are taken for such, and saves the
    /// cache as it is to begin with: then they are gone. Says how many there were.
    pub fn begin_anew(&self) -> usize {
        let left = self.temporaries();
        for path in &left {
            let file = fs::File::options().write(true).open(path);
            let aged = file.and_then(|file| file.set_modified(SystemTime::now() - HOUR));
            aged.expect("the test may change its files");
        }
        // Without syncs, some saves later: once there are several versions to remove.
        for _ in 0..10 {
            self.backend.save(CACHE, begun_entries()).expect("a save");
            if self.temporaries().is_empty() {
                return left.len();
            }
        }
        panic!("temporaries of killed writers are never removed: {left:?}");
    }
}

/// The files in a folder; none where it is missing.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}
