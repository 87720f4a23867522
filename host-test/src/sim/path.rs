//! How a path leads from a folder to a file, folder or link, and never out of the folder.

use std::collections::VecDeque;

use super::nodes::{Ino, Kind, Nodes};
use crate::call::ErrorCode;

/// The most links that a path may go through.
const LINKS_AT_MOST: usize = 40;

/// The place that a path leads to: a name in a folder, and its node if there is one.
///
/// The name is `.` if the last step of the path is `.` or `..`.
pub struct Place {
    pub folder: Ino,
    pub name: String,
    pub node: Option<Ino>,
}

impl Place {
    /// The node, or an error if there is none.
    pub fn found(&self) -> Result<Ino, ErrorCode> {
        self.node.ok_or(ErrorCode::NoEntry)
    }
}

/// Follows a path from a folder. A link as the last name is followed only if `follow` is set.
pub fn resolve(nodes: &Nodes, from: Ino, path: &str, follow: bool) -> Result<Place, ErrorCode> {
    if path.is_empty() {
        return Err(ErrorCode::NoEntry);
    }
    let mut names = VecDeque::new();
    push_front(&mut names, path)?;
    let mut folders = vec![from];
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        let &folder = folders.last().ok_or(ErrorCode::NotPermitted)?;
        if name == "." {
            continue;
        }
        if name == ".." {
            folders.pop();
            if folders.is_empty() {
                return Err(ErrorCode::NotPermitted);
            }
            continue;
        }
        let node = nodes.look_up(folder, &name)?;
        let is_last = names.is_empty();
        match node.map(|ino| &nodes.get(ino).kind) {
            Some(Kind::Link(to)) if follow || !is_last => {
                links += 1;
                if links > LINKS_AT_MOST {
                    return Err(ErrorCode::Loop);
                }
                push_front(&mut names, to)?;
            }
            _ if is_last => return Ok(Place { folder, name, node }),
            Some(Kind::Folder(_)) => folders.extend(node),
            Some(Kind::File(_) | Kind::Link(_)) => return Err(ErrorCode::NotDirectory),
            None => return Err(ErrorCode::NoEntry),
        }
    }
    let &folder = folders.last().ok_or(ErrorCode::NotPermitted)?;
    Ok(Place {
        folder,
        name: ".".to_owned(),
        node: Some(folder),
    })
}

fn push_front(names: &mut VecDeque<String>, path: &str) -> Result<(), ErrorCode> {
    if path.starts_with('/') {
        return Err(ErrorCode::NotPermitted);
    }
    if path.contains('\0') {
        return Err(ErrorCode::Invalid);
    }
    for name in path.rsplit('/').filter(|name| !name.is_empty()) {
        names.push_front(name.to_owned());
    }
    Ok(())
}
