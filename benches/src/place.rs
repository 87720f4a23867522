//! A place for entries: a folder on some file system, and a new folder in it for each turn.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::syncfs;

use crate::{Result, process};

/// The folder of everything that the bench writes by default.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench");

/// A file system to measure on.
pub struct Place {
    pub name: &'static str,
    /// The kind of file system, and of the device.
    pub storage: String,
    folder: PathBuf,
}

impl Place {
    /// Makes a new folder in this folder.
    pub fn new(name: &'static str, within: &Path) -> Result<Self> {
        let folder = within.join(format!("larder-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self {
            name,
            storage: process::storage(&folder)?,
            folder: folder.canonicalize()?,
        })
    }

    /// A new folder. All earlier writes are on the disk, so that no contestant pays for the writes
    /// of another contestant.
    pub fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        remove(&folder)?;
        fs::create_dir(&folder)?;
        self.settle()?;
        Ok(folder)
    }

    /// A folder whose bytes are all on the disk.
    pub fn settled(&self, name: &str) -> Result<PathBuf> {
        self.settle()?;
        Ok(self.folder.join(name))
    }

    /// Waits until all writes are on the disk.
    pub fn settle(&self) -> Result<()> {
        Ok(syncfs(File::open(&self.folder)?)?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

/// Removes a folder, if it exists.
pub fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
