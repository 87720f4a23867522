//! What the files of a cache say together: the newest record of every key.

use std::collections::BTreeSet;

use crate::format::{Decoded, Header, Kind, LostKeys, Record, key_hash};
use crate::keys::KeySet;

/// What is missing from a merge.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The keys whose newest record was lost, by hash.
    pub keys: LostKeys,
    /// How many further entries were lost, of which nothing is known.
    pub unknown: u64,
    /// Any key may have been among those lost, so that whatever is older than
    /// the damage was left out.
    pub blind: bool,
}

impl Lost {
    /// How many entries were lost.
    pub fn count(&self) -> u64 {
        (self.keys.puts.len() as u64).saturating_add(self.unknown)
    }
}

/// Hands the newest record of every key to `emit`, with the header of its file.
///
/// The files come newest first. A record that was lost hides what older files
/// say of its key, and is counted unless a newer file says something of it.
pub fn merge<'a>(
    files: &[Decoded<'a>],
    seed: u64,
    mut emit: impl FnMut(&Header, Record<'a>),
) -> Lost {
    let mut lost = Lost::default();
    let mut seen = KeySet::new(0, seed);
    // Of the keys seen and of those lost; only filled once anything is lost.
    let mut settled = BTreeSet::new();
    let mut lossy = false;

    for (at, file) in files.iter().enumerate() {
        lost.unknown = lost.unknown.saturating_add(file.header.lost);
        if lost.blind {
            lost.unknown = lost.unknown.saturating_add(file.header.puts);
            continue;
        }
        let is_oldest = at + 1 == files.len();
        for record in file
            .blocks
            .iter()
            .filter_map(|block| block.records())
            .flatten()
        {
            let is_newest = match (is_oldest, at) {
                // The only file, as mostly: a file has each key once.
                (true, 0) => true,
                (true, _) => !seen.contains(record.key),
                (false, _) => seen.insert(record.key),
            };
            if is_newest && (!lossy || settled.insert(key_hash(record.key))) {
                emit(&file.header, record);
            }
        }
        if file.lost_records() == 0 {
            continue;
        }
        if !file.indexed {
            lost.unknown = lost.unknown.saturating_add(file.lost_puts());
            lost.blind = file.header.kind != Kind::Snapshot;
            continue;
        }
        if !lossy {
            lossy = true;
            settled.extend(seen.iter().map(key_hash));
        }
        for block in file.blocks.iter().filter(|block| block.records().is_none()) {
            let newest = |hash: &u64| settled.insert(*hash);
            lost.keys.puts.extend(block.put_hashes().filter(newest));
            let newest = |hash: &u64| settled.insert(*hash);
            lost.keys
                .removes
                .extend(block.remove_hashes().filter(newest));
        }
    }
    lost
}
