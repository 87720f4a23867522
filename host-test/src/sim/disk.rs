//! A simulated disk: its files, clock, random numbers and run.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use larder_conformance::Clock;

use super::nodes::{File, Folder, Ino, Kind, Nodes, ROOT};
use super::random::Random;
use super::run::Run;

/// A disk in memory, with the clock and the random numbers of the instances that use it.
///
/// Clones are the same disk.
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
    /// Makes an empty disk. Its run depends only on the seed and on the operations of the
    /// instances.
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

    /// Copies the disk, with its unsynced changes: killed processes leave such a disk behind.
    ///
    /// The clock and the random numbers of the copy go on from the same place.
    pub fn fork(&self) -> SimDisk {
        let mut nodes = self.nodes().clone();
        nodes.forget_unreachable();
        self.with_nodes(nodes, self.0.random.fork())
    }

    /// Copies the disk, with new random numbers from a seed.
    pub(crate) fn fork_with_seed(&self, seed: u64) -> SimDisk {
        self.with_nodes(self.nodes().clone(), Random::new(seed))
    }

    /// The clock of all instances on the disk.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The events on the disk since it was new.
    pub fn run(&self) -> &Run {
        &self.0.run
    }

    /// Adds a file and the folders that it is in, all of them synced.
    ///
    /// # Panics
    ///
    /// If the file is there already, or a file has the name of a folder.
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

    /// Everything on the disk by path: the bytes of files, the targets of links, and no bytes for
    /// folders.
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

    /// A hash of everything on the disk as programs see it.
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

    /// The random numbers of all instances on the disk.
    pub(crate) fn random(&self) -> Random {
        self.0.random.clone()
    }

    /// The number of the next instance on the disk, from 1 on.
    pub(crate) fn next_instance(&self) -> usize {
        self.0.instances.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A disk with these files, whose clock and run go on from this one's.
    pub(super) fn with_nodes(&self, nodes: Nodes, random: Random) -> SimDisk {
        SimDisk(Arc::new(Shared {
            nodes: Mutex::new(nodes),
            clock: self.0.clock.fork(),
            random,
            run: self.0.run.fork(),
            instances: AtomicUsize::new(self.0.instances.load(Ordering::Relaxed)),
        }))
    }

    /// What is on it. Public for the tests of this crate.
    #[doc(hidden)]
    pub fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.0.nodes.lock().expect("no call panics half way")
    }
}

/// Visits everything below a folder, in the order of the names.
fn visit(nodes: &Nodes, folder: Ino, path: &Path, visitor: &mut impl FnMut(&Path, &Kind)) {
    for (name, ino) in nodes.list(folder).unwrap_or_default() {
        let path = path.join(name);
        visitor(&path, &nodes.get(ino).kind);
        visit(nodes, ino, &path, visitor);
    }
}
