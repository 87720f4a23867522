//! Larder, called in different ways.

pub mod batches;
pub mod component;
pub mod library;
pub mod native;
pub mod plain;

use std::path::Path;

use crate::Result;

/// A cache is a folder. Returns the folder above it, and the name of the cache.
fn cache(folder: &Path) -> Result<(&Path, &str)> {
    let root = folder.parent().ok_or("a folder without a parent")?;
    let name = folder.file_name().and_then(|name| name.to_str());
    Ok((root, name.ok_or("a folder without a name")?))
}
