//! A simulated disk, which knows what a power cut would leave of it.
//!
//! Programs see what they wrote, as on any disk. What a power cut leaves is something else: the bytes of a file
//! are durable only after a sync of that file, a name only after a sync of its folder, and of everything since
//! then a cut may keep any part. Clocks and random numbers belong to the disk too, so that a run on it depends on
//! its seed alone.

mod filesystem;
mod nodes;
mod path;
mod power_cut;
mod random;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use larder_conformance::Clock;

pub(crate) use filesystem::{HasSimFilesystem, SimFilesystem};
use nodes::{File, Folder, Ino, Kind, Nodes, ROOT};
pub(crate) use power_cut::PowerCut;
pub use power_cut::PowerCuts;
pub(crate) use random::Random;

use crate::run::Run;

/// A disk in memory, together with the clocks and the random numbers of the instances that use it. Clones are the
/// same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Shared>);

struct Shared {
    nodes: Mutex<Nodes>,
    clock: Clock,
    random: Random,
    run: Run,
    instances: AtomicUsize,
}

impl SimDisk {
    /// An empty disk. All that happens on it follows from the seed and from what instances are told to do.
    pub fn new(seed: u64) -> SimDisk {
        let clock = Clock::at(Duration::from_secs(1_700_000_000));
        SimDisk(Arc::new(Shared {
            nodes: Mutex::new(Nodes::new(clock.wall())),
            clock,
            random: Random::new(seed),
            run: Run::default(),
            instances: AtomicUsize::new(0),
        }))
    }

    /// Another disk that is as this one is now, with what is not durable yet: what killed processes leave behind.
    /// Its clocks and random numbers go on from the same place.
    pub fn fork(&self) -> SimDisk {
        let mut nodes = self.nodes().clone();
        nodes.forget_unreachable();
        self.with_nodes(nodes, self.0.random.fork())
    }

    /// The same with other random numbers from now on, which come from a seed.
    pub(crate) fn fork_with_seed(&self, seed: u64) -> SimDisk {
        self.with_nodes(self.nodes().clone(), Random::new(seed))
    }

    /// What a power cut may leave: every disk that the model allows if those are at most so many, and so many of
    /// them chosen by the seed otherwise.
    pub fn power_cuts(&self, at_most: u64, seed: u64) -> PowerCuts {
        PowerCuts::of(self.fork(), at_most, seed)
    }

    /// The clocks of all instances on the disk.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The calls that all instances made since the disk was new, and the power cuts.
    pub fn run(&self) -> &Run {
        &self.0.run
    }

    /// Puts a file there, durably, with the folders that it is in.
    ///
    /// # Panics
    ///
    /// Where something is in the way.
    pub fn put_file(&self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) {
        let now = self.clock().wall();
        let mut nodes = self.nodes();
        let mut names: Vec<&str> = path
            .as_ref()
            .iter()
            .filter_map(|name| name.to_str())
            .collect();
        let file = names.pop().expect("the file has a name");
        let mut folder = ROOT;
        for name in names {
            let found = nodes.look_up(folder, name).expect("it is a folder");
            let next = found.map_or_else(
                || nodes.create(folder, name, Kind::Folder(Folder::default()), now),
                Ok,
            );
            nodes.sync(folder);
            folder = next.expect("it can be created");
        }
        let bytes = Arc::new(bytes.into());
        let contents = Kind::File(File {
            seen: Arc::clone(&bytes),
            durable: bytes,
        });
        let created = nodes.create(folder, file, contents, now);
        created.expect("nothing else has the name");
        nodes.sync(folder);
    }

    /// Everything on the disk, by path: files with their bytes, links with the path that they hold, folders with
    /// nothing.
    pub fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let nodes = self.nodes();
        visit(&nodes, ROOT, Path::new(""), &mut |path, kind| {
            let bytes = match kind {
                Kind::File(file) => file.seen.to_vec(),
                Kind::Folder(_) => Vec::new(),
                Kind::Link(to) => to.clone().into_bytes(),
            };
            found.insert(path.to_owned(), bytes);
        });
        found
    }

    /// A hash of everything on the disk as programs see it: where it is the same, so are the disks.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let nodes = self.nodes();
        visit(&nodes, ROOT, Path::new(""), &mut |path, kind| {
            path.hash(&mut hasher);
            match kind {
                Kind::File(file) => file.seen.hash(&mut hasher),
                Kind::Folder(_) => 0.hash(&mut hasher),
                Kind::Link(to) => to.hash(&mut hasher),
            }
        });
        hasher.finish()
    }

    pub(crate) fn random(&self) -> Random {
        self.0.random.clone()
    }

    /// The number of the next instance on the disk, from 1 on.
    pub(crate) fn next_instance(&self) -> usize {
        self.0.instances.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn with_nodes(&self, nodes: Nodes, random: Random) -> SimDisk {
        SimDisk(Arc::new(Shared {
            nodes: Mutex::new(nodes),
            clock: self.0.clock.fork(),
            random,
            run: self.0.run.fork(),
            instances: AtomicUsize::new(self.0.instances.load(Ordering::Relaxed)),
        }))
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.0.nodes.lock().expect("no call panics half way")
    }
}

/// Comes by everything below a folder, in the order of the names.
fn visit(nodes: &Nodes, folder: Ino, path: &Path, visitor: &mut impl FnMut(&Path, &Kind)) {
    for (name, ino) in nodes.list(folder).unwrap_or_default() {
        let path = path.join(name);
        visitor(&path, &nodes.get(ino).kind);
        visit(nodes, ino, &path, visitor);
    }
}
