//! A cache layer above the disk backend, whose folder can be away for a while.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use larder_host::{Backend, Cache, Layer, Options};
use tempfile::TempDir;

/// A layer, its backend, and a temporary folder. Its functions panic where the file system fails.
pub struct Layered {
    /// The layer.
    pub layer: Layer,
    /// The backend that the layer stands above.
    pub backend: Backend,
    folder: PathBuf,
    _parent: TempDir,
}

impl Default for Layered {
    fn default() -> Self {
        Self::with_memory_limit(1 << 30)
    }
}

impl Layered {
    /// Makes a layer that may use so many bytes of memory.
    pub fn with_memory_limit(bytes: usize) -> Self {
        let parent = TempDir::new().expect("a temporary folder");
        let folder = parent.path().join("store");
        let backend = Backend::disk(&folder).expect("the built-in backend");
        Self {
            layer: Layer::with_memory_limit(backend.clone(), bytes).expect("the built-in layer"),
            backend,
            folder,
            _parent: parent,
        }
    }

    /// Opens a cache with default options.
    pub fn open(&self, name: &str) -> Cache {
        let opened = self.layer.open(name, &Options::default());
        opened.expect("a valid name")
    }

    /// Does something while the folder is away.
    pub fn without_folder<T>(&self, act: impl FnOnce() -> T) -> T {
        let away = self.folder.with_extension("away");
        fs::rename(&self.folder, &away).expect("the folder can be moved");
        let result = act();
        fs::rename(&away, &self.folder).expect("the folder can be moved back");
        result
    }

    /// The keys that the backend has.
    pub fn stored(&self, cache: &str) -> BTreeSet<String> {
        let contents = self.backend.load(cache).expect("the cache can be loaded");
        contents
            .entries
            .into_iter()
            .map(|entry| entry.key)
            .collect()
    }
}
