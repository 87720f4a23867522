//! The files, folders and links on a simulated disk: the state that programs see, and the durable
//! state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::call::ErrorCode;

/// The number of a node: a file, a folder or a link. It does not depend on the node's names.
pub type Ino = u64;

/// The root folder.
pub const ROOT: Ino = 0;

/// The longest name, in bytes.
const LONGEST_NAME: usize = 255;

/// Everything on a disk. A clone costs little: bytes are shared until they change.
#[derive(Clone)]
pub struct Nodes {
    nodes: BTreeMap<Ino, Arc<Node>>,
    next: Ino,
}

#[derive(Clone)]
pub struct Node {
    pub kind: Kind,
    /// Since 1970.
    pub modified: Duration,
}

#[derive(Clone)]
pub enum Kind {
    File(File),
    Folder(Folder),
    /// A link to this path.
    Link(String),
}

/// The bytes of a file: as programs see them, and as of the last sync.
#[derive(Clone, Default)]
pub struct File {
    pub seen: Arc<Vec<u8>>,
    pub durable: Arc<Vec<u8>>,
}

impl File {
    /// Whether a power cut leaves the bytes that programs see.
    pub fn is_durable(&self) -> bool {
        Arc::ptr_eq(&self.seen, &self.durable) || self.seen == self.durable
    }
}

/// The names in a folder.
#[derive(Clone, Default)]
pub struct Folder {
    pub names: BTreeMap<String, Name>,
    /// The folder was removed. A descriptor may still be open.
    removed: bool,
}

/// The node of a name at the last sync of its folder, and the changes since.
#[derive(Clone, Default)]
pub struct Name {
    pub durable: Option<Ino>,
    pub pending: Vec<Step>,
}

/// A change of the node that a name stands for.
#[derive(Clone)]
pub struct Step {
    pub to: Option<Ino>,
    /// For a rename, the new name and how many steps that name has with it. A cut that loses these
    /// steps loses this step too.
    pub moved: Option<(String, usize)>,
}

impl Name {
    pub fn seen(&self) -> Option<Ino> {
        self.pending.last().map_or(self.durable, |step| step.to)
    }

    /// All nodes that the name may stand for after a power cut.
    pub fn may_be(&self) -> impl Iterator<Item = Ino> {
        let steps = self.pending.iter().filter_map(|step| step.to);
        steps.chain(self.durable)
    }

    /// The node of the name after a power cut that kept all steps in `pending`.
    fn settled(&self, names: &BTreeMap<String, Name>) -> Option<Ino> {
        let lasts = |step: &&Step| match &step.moved {
            Some((new, count)) => names[new].pending.len() >= *count,
            None => true,
        };
        let step = self.pending.iter().rev().find(lasts);
        step.map_or(self.durable, |step| step.to)
    }
}

impl Nodes {
    /// A disk with an empty root folder.
    pub fn new(now: Duration) -> Nodes {
        let mut nodes = Nodes {
            nodes: BTreeMap::new(),
            next: ROOT,
        };
        nodes.add(Kind::Folder(Folder::default()), now);
        nodes
    }

    pub fn get(&self, ino: Ino) -> &Node {
        &self.nodes[&ino]
    }

    /// The node itself, which a change replaces for as long as it is shared.
    pub fn shared(&self, ino: Ino) -> &Arc<Node> {
        &self.nodes[&ino]
    }

    pub fn get_mut(&mut self, ino: Ino) -> &mut Node {
        Arc::make_mut(self.nodes.get_mut(&ino).expect("a node has this number"))
    }

    pub fn file(&self, ino: Ino) -> Result<&File, ErrorCode> {
        match &self.get(ino).kind {
            Kind::File(file) => Ok(file),
            Kind::Folder(_) => Err(ErrorCode::IsDirectory),
            Kind::Link(_) => Err(ErrorCode::Loop),
        }
    }

    pub fn folder(&self, ino: Ino) -> Result<&Folder, ErrorCode> {
        match &self.get(ino).kind {
            Kind::Folder(folder) => Ok(folder),
            Kind::File(_) | Kind::Link(_) => Err(ErrorCode::NotDirectory),
        }
    }

    fn folder_mut(&mut self, ino: Ino) -> Result<&mut Folder, ErrorCode> {
        match &mut self.get_mut(ino).kind {
            Kind::Folder(folder) => Ok(folder),
            Kind::File(_) | Kind::Link(_) => Err(ErrorCode::NotDirectory),
        }
    }

    /// The node of a name in a folder, as programs see it.
    pub fn look_up(&self, folder: Ino, name: &str) -> Result<Option<Ino>, ErrorCode> {
        if name.len() > LONGEST_NAME {
            return Err(ErrorCode::NameTooLong);
        }
        let names = &self.folder(folder)?.names;
        Ok(names.get(name).and_then(Name::seen))
    }

    /// The names in a folder that stand for a node, in their order.
    pub fn list(&self, folder: Ino) -> Result<Vec<(&str, Ino)>, ErrorCode> {
        let names = &self.folder(folder)?.names;
        let seen = names.iter().map(|(name, stands)| (name, stands.seen()));
        Ok(seen
            .filter_map(|(name, ino)| Some((name.as_str(), ino?)))
            .collect())
    }

    /// How many names a node has.
    pub fn link_count(&self, ino: Ino) -> u64 {
        let folders = self.nodes.values().filter_map(|node| match &node.kind {
            Kind::Folder(folder) => Some(folder),
            Kind::File(_) | Kind::Link(_) => None,
        });
        let names = folders.flat_map(|folder| folder.names.values());
        names.filter(|name| name.seen() == Some(ino)).count() as u64
    }

    /// Makes a node under a free name.
    pub fn create(
        &mut self,
        folder: Ino,
        name: &str,
        kind: Kind,
        now: Duration,
    ) -> Result<Ino, ErrorCode> {
        self.check_free(folder, name)?;
        let ino = self.add(kind, now);
        self.set(folder, name, Some(ino), now)?;
        Ok(ino)
    }

    /// Gives a file or link one more name, which has to be free.
    pub fn link(
        &mut self,
        ino: Ino,
        folder: Ino,
        name: &str,
        now: Duration,
    ) -> Result<(), ErrorCode> {
        self.check_free(folder, name)?;
        if matches!(self.get(ino).kind, Kind::Folder(_)) {
            return Err(ErrorCode::NotPermitted);
        }
        self.set(folder, name, Some(ino), now)
    }

    /// Removes a name of a file or link.
    pub fn unlink(&mut self, folder: Ino, name: &str, now: Duration) -> Result<(), ErrorCode> {
        let ino = self.look_up(folder, name)?.ok_or(ErrorCode::NoEntry)?;
        if matches!(self.get(ino).kind, Kind::Folder(_)) {
            return Err(ErrorCode::IsDirectory);
        }
        self.set(folder, name, None, now)
    }

    /// Removes an empty folder.
    pub fn remove_folder(
        &mut self,
        folder: Ino,
        name: &str,
        now: Duration,
    ) -> Result<(), ErrorCode> {
        let ino = self.look_up(folder, name)?.ok_or(ErrorCode::NoEntry)?;
        if !self.list(ino)?.is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        self.folder_mut(ino)?.removed = true;
        self.set(folder, name, None, now)
    }

    /// Renames a node within its folder. An earlier node with the new name is replaced.
    pub fn rename(
        &mut self,
        folder: Ino,
        old: &str,
        new: &str,
        now: Duration,
    ) -> Result<(), ErrorCode> {
        let ino = self.look_up(folder, old)?.ok_or(ErrorCode::NoEntry)?;
        let replaced = self.look_up(folder, new)?;
        if replaced == Some(ino) {
            return Ok(());
        }
        if let Some(replaced) = replaced {
            let is_folder = |ino| matches!(self.get(ino).kind, Kind::Folder(_));
            match (is_folder(ino), is_folder(replaced)) {
                (false, false) => {}
                (false, true) => return Err(ErrorCode::IsDirectory),
                (true, false) => return Err(ErrorCode::NotDirectory),
                (true, true) if !self.list(replaced)?.is_empty() => {
                    return Err(ErrorCode::NotEmpty);
                }
                (true, true) => self.folder_mut(replaced)?.removed = true,
            }
        }
        self.set(folder, new, Some(ino), now)?;
        let names = &mut self.folder_mut(folder)?.names;
        let step = names[new].pending.len();
        let name = names.get_mut(old).expect("it was looked up");
        name.pending.push(Step {
            to: None,
            moved: Some((new.to_owned(), step)),
        });
        Ok(())
    }

    /// Writes at an offset. A gap before it becomes zeros.
    pub fn write(
        &mut self,
        ino: Ino,
        bytes: &[u8],
        offset: usize,
        now: Duration,
    ) -> Result<(), ErrorCode> {
        self.change(ino, now, |contents| {
            let end = offset + bytes.len();
            if contents.len() < end {
                contents.resize(end, 0);
            }
            contents[offset..end].copy_from_slice(bytes);
        })
    }

    /// Sets the length of a file. New bytes are zeros.
    pub fn set_size(&mut self, ino: Ino, size: usize, now: Duration) -> Result<(), ErrorCode> {
        self.change(ino, now, |contents| contents.resize(size, 0))
    }

    fn change(
        &mut self,
        ino: Ino,
        now: Duration,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ErrorCode> {
        self.file(ino)?;
        let node = self.get_mut(ino);
        node.modified = now;
        if let Kind::File(file) = &mut node.kind {
            change(Arc::make_mut(&mut file.seen));
        }
        Ok(())
    }

    /// Syncs the bytes of a file or the names in a folder.
    pub fn sync(&mut self, ino: Ino) {
        match &mut self.get_mut(ino).kind {
            Kind::File(file) => file.durable = file.seen.clone(),
            Kind::Folder(folder) => {
                for name in folder.names.values_mut() {
                    name.durable = name.seen();
                    name.pending.clear();
                }
                folder.names.retain(|_, name| name.durable.is_some());
            }
            Kind::Link(_) => {}
        }
    }

    /// Makes the pending steps durable, except renames whose new name was not kept. Removes nodes
    /// without a name.
    pub fn settle(&mut self) {
        for ino in self.reachable() {
            let Kind::Folder(folder) = &self.get(ino).kind else {
                continue;
            };
            if folder.names.values().all(|name| name.pending.is_empty()) {
                continue;
            }
            let settled = folder.names.iter().filter_map(|(name, stands)| {
                let settled = Name {
                    durable: Some(stands.settled(&folder.names)?),
                    pending: Vec::new(),
                };
                Some((name.clone(), settled))
            });
            let names = settled.collect();
            if let Kind::Folder(folder) = &mut self.get_mut(ino).kind {
                folder.names = names;
            }
        }
        self.forget_unreachable();
    }

    /// All nodes that a path may lead to, now or after a power cut.
    pub fn reachable(&self) -> BTreeSet<Ino> {
        let mut found = BTreeSet::from([ROOT]);
        let mut next = vec![ROOT];
        while let Some(ino) = next.pop() {
            let Kind::Folder(folder) = &self.get(ino).kind else {
                continue;
            };
            for name in folder.names.values() {
                next.extend(name.may_be().filter(|ino| found.insert(*ino)));
            }
        }
        found
    }

    /// Removes all nodes that no path may lead to. No descriptor may be open.
    pub fn forget_unreachable(&mut self) {
        let reachable = self.reachable();
        self.nodes.retain(|ino, _| reachable.contains(ino));
    }

    fn add(&mut self, kind: Kind, now: Duration) -> Ino {
        let ino = self.next;
        self.next += 1;
        let modified = now;
        self.nodes.insert(ino, Arc::new(Node { kind, modified }));
        ino
    }

    fn check_free(&self, folder: Ino, name: &str) -> Result<(), ErrorCode> {
        if self.look_up(folder, name)?.is_some() {
            return Err(ErrorCode::Exist);
        }
        match self.folder(folder)?.removed {
            true => Err(ErrorCode::NoEntry),
            false => Ok(()),
        }
    }

    fn set(
        &mut self,
        folder: Ino,
        name: &str,
        to: Option<Ino>,
        now: Duration,
    ) -> Result<(), ErrorCode> {
        self.get_mut(folder).modified = now;
        let names = &mut self.folder_mut(folder)?.names;
        let name = names.entry(name.to_owned()).or_default();
        name.pending.push(Step { to, moved: None });
        Ok(())
    }
}
