//! The decisions of a power cut on a simulated disk, and the options that it has.
//!
//! A name whose folder was not synced since the name changed keeps its target of the last sync, or
//! of any later change. A file that was not synced since it was written keeps the old bytes, the
//! new bytes, or some of each. These choices are independent of each other, with one exception: a
//! rename removes its old name only if it keeps its new name.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::nodes::{File, Ino, Kind, Name, Nodes, ROOT};

/// The bytes that a disk writes at once, or not at all.
const BLOCK: usize = 4096;

/// A name or a file whose state after a power cut is open.
pub(super) struct Undecided {
    path: String,
    what: What,
    /// From the oldest state to the newest.
    options: Vec<Kept>,
}

enum What {
    /// The file or folder that a name in a folder stands for.
    Name(Ino, String),
    /// The bytes of a file.
    Bytes(Ino),
}

/// The part that a power cut keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// Of a name: this many of its changes since the last sync.
    Changes(usize),
    /// Of a file: the bytes of the last sync.
    Old,
    /// Of a file: this many of the new bytes, then the old bytes.
    Prefix(usize),
    /// Of a file: the new length with the old bytes, filled up with zeros.
    Length,
    /// Of a file: the new bytes, but one block has its old bytes, filled up with zeros.
    TornOld(usize),
    /// Of a file: the new bytes, but one block is zeros.
    TornZero(usize),
    /// Of a file: the new bytes.
    New,
}

/// Everything undecided that a path from the root may lead to after a cut.
pub(super) fn undecided(nodes: &Nodes) -> Vec<Undecided> {
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

/// An option for each different thing that the name may stand for.
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
    pub(super) fn option_count(&self) -> usize {
        self.options.len()
    }

    /// Puts one of the options on a disk, by its number.
    pub(super) fn decide(&self, nodes: &mut Nodes, option: usize) {
        self.keep(nodes, self.options[option]);
    }

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

/// A power cut that happened, to be shown.
pub(super) struct PowerCut {
    undecided: Arc<[Undecided]>,
    choices: Vec<usize>,
}

impl PowerCut {
    /// The cut that chose these options, one for each undecided name or file.
    pub(super) fn new(undecided: Arc<[Undecided]>, choices: Vec<usize>) -> PowerCut {
        PowerCut { undecided, choices }
    }
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
