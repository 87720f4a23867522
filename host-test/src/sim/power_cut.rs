//! What a power cut leaves of a simulated disk.
//!
//! Of every name whose folder was not synced since it changed, a cut keeps what the name stood for at the last sync
//! or after any of its changes since; of every file that was not synced since it was written, the old bytes, the
//! new ones, or some of each. All of these are independent of each other, but for a rename: its old name goes only
//! where its new name comes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::SimDisk;
use super::nodes::{File, Ino, Kind, Name, Nodes, ROOT};

/// What a disk writes at once, or not at all.
const BLOCK: usize = 4096;

/// The disks that a power cut may leave.
pub struct PowerCuts {
    disk: SimDisk,
    undecided: Arc<[Undecided]>,
    /// How many there may be; none where that is beyond counting.
    allowed: Option<u64>,
    next: Next,
}

enum Next {
    /// All of them: the number of the next one.
    All(u64),
    /// A sample: how many more.
    Sample(u64, Xoshiro256PlusPlus),
}

/// Something that a power cut decides.
struct Undecided {
    /// Its path.
    path: String,
    what: What,
    /// From the oldest to the newest.
    options: Vec<Kept>,
}

enum What {
    /// What a name in a folder stands for.
    Name(Ino, String),
    /// The bytes of a file.
    Bytes(Ino),
}

/// What a power cut may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// Of a name: so many of its changes since the last sync.
    Changes(usize),
    /// Of a file: the bytes of the last sync.
    Old,
    /// So many of the new bytes, and the old ones behind them as far as there were any.
    Prefix(usize),
    /// The new length, and the old bytes, filled up with zeros.
    Length,
    /// All but this block, which has its old bytes, filled up with zeros.
    TornOld(usize),
    /// All but this block, which is zeros.
    TornZero(usize),
    /// All.
    New,
}

impl PowerCuts {
    pub(super) fn of(disk: SimDisk, at_most: u64, seed: u64) -> PowerCuts {
        let undecided = undecided(&disk.nodes());
        let allowed = undecided.iter().try_fold(1, |product: u64, undecided| {
            product.checked_mul(undecided.options.len() as u64)
        });
        let next = match allowed {
            Some(allowed) if allowed <= at_most => Next::All(0),
            _ => Next::Sample(at_most, Xoshiro256PlusPlus::seed_from_u64(seed)),
        };
        PowerCuts {
            disk,
            undecided: undecided.into(),
            allowed,
            next,
        }
    }

    /// How many disks the model allows, counted by what is kept: some may be alike. None beyond 64 bits.
    pub fn allowed(&self) -> Option<u64> {
        self.allowed
    }

    /// Whether these are all that the model allows, rather than a sample of them.
    pub fn is_exhaustive(&self) -> bool {
        matches!(self.next, Next::All(_))
    }

    /// The next choice among the options of everything that is undecided.
    fn choose(&mut self) -> Option<Vec<usize>> {
        let counts = self
            .undecided
            .iter()
            .map(|undecided| undecided.options.len());
        match &mut self.next {
            Next::All(number) => {
                let mut rest = *number;
                *number += 1;
                let choices = counts.map(|count| {
                    let choice = rest % count as u64;
                    rest /= count as u64;
                    choice as usize
                });
                let choices = choices.collect();
                (rest == 0).then_some(choices)
            }
            Next::Sample(0, _) => None,
            Next::Sample(left, random) => {
                *left -= 1;
                // Cuts differ in how much of what was pending they keep: from nothing to all.
                let kept: f64 = random.random();
                let choices = counts.map(|count| match random.random_range(0..4) {
                    0 => random.random_range(0..count),
                    _ if random.random_bool(kept) => count - 1,
                    _ => 0,
                });
                Some(choices.collect())
            }
        }
    }
}

impl Iterator for PowerCuts {
    type Item = SimDisk;

    fn next(&mut self) -> Option<SimDisk> {
        let choices = self.choose()?;
        let mut nodes = self.disk.nodes().clone();
        for (undecided, choice) in self.undecided.iter().zip(&choices) {
            undecided.keep(&mut nodes, undecided.options[*choice]);
        }
        nodes.settle();
        let image = self.disk.with_nodes(nodes, self.disk.random().fork());
        image.clock().reboot();
        image.run().cut(PowerCut {
            undecided: Arc::clone(&self.undecided),
            choices,
        });
        Some(image)
    }
}

/// Everything that a cut decides about, as far as anything may still lead to it.
fn undecided(nodes: &Nodes) -> Vec<Undecided> {
    let mut found = Vec::new();
    add_undecided(nodes, ROOT, "", &mut BTreeSet::new(), &mut found);
    found
}

fn add_undecided(
    nodes: &Nodes,
    folder: Ino,
    path: &str,
    visited: &mut BTreeSet<Ino>,
    found: &mut Vec<Undecided>,
) {
    let Kind::Folder(names) = &nodes.get(folder).kind else {
        return;
    };
    for (name, stands) in &names.names {
        let path = format!("{path}/{name}");
        if !stands.pending.is_empty() {
            found.push(Undecided {
                path: path.clone(),
                what: What::Name(folder, name.clone()),
                options: options_of_name(stands),
            });
        }
        for ino in stands.may_be() {
            if !visited.insert(ino) {
                continue;
            }
            match &nodes.get(ino).kind {
                Kind::File(file) if !file.is_durable() => found.push(Undecided {
                    path: path.clone(),
                    what: What::Bytes(ino),
                    options: options_of_bytes(file),
                }),
                Kind::Folder(_) => add_undecided(nodes, ino, &path, visited, found),
                Kind::File(_) | Kind::Link(_) => {}
            }
        }
    }
}

/// One for everything different that the name may stand for.
fn options_of_name(name: &Name) -> Vec<Kept> {
    let steps = &name.pending;
    let after = |count: usize| {
        count
            .checked_sub(1)
            .map_or(name.durable, |last| steps[last].to)
    };
    let is_rename = |count: usize| count > 0 && steps[count - 1].moved.is_some();
    let counts = (0..=steps.len()).filter(|count| {
        let mut later = count + 1..=steps.len();
        is_rename(*count) || !later.any(|later| !is_rename(later) && after(later) == after(*count))
    });
    counts.map(Kept::Changes).collect()
}

fn options_of_bytes(file: &File) -> Vec<Kept> {
    let (old, new) = (file.durable.len(), file.seen.len());
    let mut options = vec![Kept::Old];
    if old < new {
        options.push(Kept::Length);
    }
    for start in (0..new).step_by(BLOCK) {
        let middle = start + BLOCK.min(new - start) / 2;
        let prefixes = [start, middle].into_iter().filter(|length| *length > 0);
        options.extend(prefixes.map(Kept::Prefix));
        if start < old {
            options.push(Kept::TornOld(start));
        }
        // With nothing else in the file, this is the length alone.
        if new > BLOCK || old > 0 {
            options.push(Kept::TornZero(start));
        }
    }
    options.push(Kept::New);
    options
}

impl Undecided {
    fn keep(&self, nodes: &mut Nodes, kept: Kept) {
        match (&self.what, kept) {
            (What::Name(folder, name), Kept::Changes(count)) => {
                if let Kind::Folder(folder) = &mut nodes.get_mut(*folder).kind {
                    let name = folder.names.get_mut(name);
                    name.expect("it was found there").pending.truncate(count);
                }
            }
            (What::Name(..), _) => {}
            (What::Bytes(ino), kept) => {
                if let Kind::File(file) = &mut nodes.get_mut(*ino).kind {
                    let bytes = kept.bytes_of(file);
                    file.seen = Arc::clone(&bytes);
                    file.durable = bytes;
                }
            }
        }
    }
}

impl Kept {
    fn bytes_of(self, file: &File) -> Arc<Vec<u8>> {
        let (old, new) = (&*file.durable, &*file.seen);
        let torn = |start: usize, with: &[u8]| {
            let end = new.len().min(start + BLOCK);
            let with = with.iter().copied().chain(std::iter::repeat(0));
            let mut bytes = new.clone();
            bytes.splice(start..end, with.take(end - start));
            bytes
        };
        Arc::new(match self {
            Kept::Old | Kept::Changes(_) => return Arc::clone(&file.durable),
            Kept::New => return Arc::clone(&file.seen),
            Kept::Prefix(length) => {
                let mut bytes = new[..length].to_vec();
                bytes.extend(old.iter().skip(length));
                bytes
            }
            Kept::Length => {
                let mut bytes = old.clone();
                bytes.resize(new.len(), 0);
                bytes
            }
            Kept::TornOld(start) => torn(start, &old[start..]),
            Kept::TornZero(start) => torn(start, &[]),
        })
    }
}

/// A power cut that happened, for people to read.
pub(crate) struct PowerCut {
    undecided: Arc<[Undecided]>,
    choices: Vec<usize>,
}

impl fmt::Display for PowerCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "power cut")?;
        for (undecided, choice) in self.undecided.iter().zip(&self.choices) {
            let Undecided {
                path,
                what,
                options,
            } = undecided;
            write!(f, "\n       {path}: ")?;
            match (what, options[*choice]) {
                (What::Name(..), Kept::Changes(0)) => write!(f, "name as of the last sync"),
                (What::Name(..), Kept::Changes(count)) => write!(f, "name after change {count}"),
                (_, kept) => write!(f, "bytes {kept:?}"),
            }?;
        }
        Ok(())
    }
}
