//! The listing of a folder on a simulated disk.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use wasmtime_wasi::p2::bindings::sync::filesystem::types::{DescriptorType, DirectoryEntry};

use super::nodes::{Ino, Kind, Node, Nodes};
use crate::call::ErrorCode;

/// A listing of a folder, partly read.
///
/// As on a real disk, the order does not depend on the order of the names. A name that comes or
/// goes during the listing may be given or not.
pub(super) struct Listing {
    folder: Ino,
    seed: u64,
    /// The last name that was given, after its place in the order.
    last: Option<(u64, String)>,
    left: Option<Left>,
}

/// The names that a listing has not given yet.
struct Left {
    /// The folder with these names. A change of the folder makes another node.
    folder: Arc<Node>,
    /// The names after their places in the order. The last one comes next.
    names: Vec<(u64, String, Ino)>,
}

impl Listing {
    pub(super) fn new(folder: Ino, seed: u64) -> Listing {
        Listing {
            folder,
            seed,
            last: None,
            left: None,
        }
    }

    /// The next entry; none at the end.
    pub(super) fn next(&mut self, nodes: &Nodes) -> Result<Option<DirectoryEntry>, ErrorCode> {
        let folder = nodes.shared(self.folder);
        let left = match self.left.take() {
            Some(left) if Arc::ptr_eq(&left.folder, folder) => left,
            Some(_) | None => Left {
                folder: Arc::clone(folder),
                names: self.names_left(nodes)?,
            },
        };
        let Some((place, name, ino)) = self.left.insert(left).names.pop() else {
            return Ok(None);
        };
        self.last = Some((place, name.clone()));
        let type_ = type_of(&nodes.get(ino).kind);
        Ok(Some(DirectoryEntry { type_, name }))
    }

    fn names_left(&self, nodes: &Nodes) -> Result<Vec<(u64, String, Ino)>, ErrorCode> {
        let names = nodes.list(self.folder)?.into_iter();
        let places = names.map(|(name, ino)| (place_in_order(self.seed, name), name, ino));
        let last = self
            .last
            .as_ref()
            .map(|(place, name)| (*place, name.as_str()));
        let left = places.filter(|(place, name, _)| Some((*place, *name)) > last);
        let mut left: Vec<_> = left
            .map(|(place, name, ino)| (place, name.to_owned(), ino))
            .collect();
        left.sort_unstable_by(|one, other| other.cmp(one));
        Ok(left)
    }
}

fn place_in_order(seed: u64, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, name).hash(&mut hasher);
    hasher.finish()
}

pub(super) fn type_of(kind: &Kind) -> DescriptorType {
    match kind {
        Kind::File(_) => DescriptorType::RegularFile,
        Kind::Folder(_) => DescriptorType::Directory,
        Kind::Link(_) => DescriptorType::SymbolicLink,
    }
}
