//! The contents of a folder, to compare and to search.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Gives everything below a folder, by relative path: the bytes of a file, the target of a link,
/// nothing for a folder.
///
/// # Panics
///
/// If something cannot be read.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    add(folder, Path::new(""), &mut found);
    found
}

fn add(root: &Path, below: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(root.join(below)).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        let path = below.join(entry.file_name());
        let kind = entry.file_type().expect("what is listed has a type");
        let bytes = if kind.is_symlink() {
            let target = fs::read_link(entry.path()).expect("the link can be read");
            target.into_os_string().into_encoded_bytes()
        } else if kind.is_dir() {
            add(root, &path, found);
            Vec::new()
        } else {
            fs::read(entry.path()).expect("the file can be read")
        };
        found.insert(path, bytes);
    }
}
