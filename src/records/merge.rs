//! Merges the files of a cache: finds the newest record of every key.

use crate::abi::memory::{TooLarge, push};
use crate::format::{Header, Kind, LostKeys, Piece, key_hash};

use super::keys::{HashSet, KeySet};

/// The losses that a merge found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The hashes of the keys whose newest record was lost.
    pub keys: LostKeys,
    /// How many further entries were lost. Nothing is known of their keys.
    pub unknown: u64,
    /// Any key may be among the lost ones. So all files older than the damage were left out.
    pub blind: bool,
}

impl Lost {
    /// How many entries were lost.
    pub fn count(&self) -> u64 {
        (self.keys.puts.len() as u64).saturating_add(self.unknown)
    }
}

/// Tells which records are the newest of their keys. It receives all records of all files, from the
/// newest file to the oldest.
///
/// A lost record hides the older records of its key. It counts as lost, unless a newer file has a
/// record of that key. A merge takes memory for the keys of all files but the oldest. To take less,
/// merge the keys in shares, one share after the other.
pub struct Merge {
    lost: Lost,
    seen: KeySet,
    /// The hashes of the keys that were seen, and of the lost keys. Filled only after the first
    /// loss.
    settled: HashSet,
    is_lossy: bool,
    share: Share,
    file: Option<Header>,
    is_oldest: bool,
    /// Records of the file were lost, and their keys are not known.
    is_blind: bool,
}

/// The keys that are merged at once.
#[derive(Clone, Copy)]
pub struct Share {
    /// The number of the share, from 0.
    pub number: u64,
    /// How many shares there are.
    pub of: u64,
}

impl Share {
    /// All keys at once.
    pub const ALL: Share = Share { number: 0, of: 1 };

    fn has(&self, hash: u64) -> bool {
        self.of <= 1 || hash % self.of == self.number
    }

    fn has_key(&self, key: &str) -> bool {
        self.of <= 1 || self.has(key_hash(key))
    }
}

impl Merge {
    /// Begins a merge. `seed` is a random number.
    pub fn new(share: Share, seed: u64) -> Merge {
        Merge {
            lost: Lost::default(),
            seen: KeySet::new(seed),
            settled: HashSet::new(seed),
            is_lossy: false,
            share,
            file: None,
            is_oldest: false,
            is_blind: false,
        }
    }

    /// Begins the next file. Returns false if no record of it counts.
    pub fn begin(&mut self, header: &Header, is_oldest: bool) -> bool {
        self.end_file();
        self.lose_unknown(header.lost);
        if self.lost.blind {
            self.lose_unknown(header.puts);
            return false;
        }
        self.file = Some(*header);
        self.is_oldest = is_oldest;
        true
    }

    /// Whether every record of the file is certain to be the newest of its key, without a look at
    /// it.
    pub fn is_all_newest(&self) -> bool {
        // A file has each key once.
        self.is_oldest && self.seen.is_empty() && !self.is_lossy && self.share.of <= 1
    }

    /// Whether the record of this key is the newest.
    pub fn is_newest(&mut self, key: &str) -> Result<bool, TooLarge> {
        if self.is_all_newest() {
            return Ok(true);
        }
        if !self.share.has_key(key) {
            return Ok(false);
        }
        let is_newest = match self.is_oldest {
            true => !self.seen.contains(key),
            false => self.seen.insert(key)?.1,
        };
        Ok(is_newest && (!self.is_lossy || self.settle(key_hash(key))?))
    }

    /// Counts records of the file that cannot be read.
    pub fn lose(&mut self, piece: &Piece) -> Result<(), TooLarge> {
        match piece {
            Piece::Block(_) => {}
            Piece::Lost(keys) => {
                if !self.is_lossy {
                    self.is_lossy = true;
                    for key in self.seen.iter() {
                        self.settled.insert(key_hash(key))?;
                    }
                }
                for hash in &keys.puts {
                    if self.share.has(*hash) && self.settle(*hash)? {
                        push(&mut self.lost.keys.puts, *hash)?;
                    }
                }
                for hash in &keys.removes {
                    if self.share.has(*hash) && self.settle(*hash)? {
                        push(&mut self.lost.keys.removes, *hash)?;
                    }
                }
            }
            Piece::Missing { puts, .. } => {
                self.lose_unknown(*puts);
                self.is_blind = true;
            }
        }
        Ok(())
    }

    /// The losses found so far.
    pub fn lost(&self) -> &Lost {
        &self.lost
    }

    /// Ends the merge and returns the losses.
    pub fn finish(mut self) -> Lost {
        self.end_file();
        self.lost
    }

    /// Begins the next share. The losses are kept.
    pub fn next_share(&mut self, seed: u64) {
        self.end_file();
        let share = Share {
            number: self.share.number + 1,
            ..self.share
        };
        let mut lost = std::mem::take(&mut self.lost);
        lost.blind = false;
        *self = Merge {
            lost,
            ..Merge::new(share, seed)
        };
    }

    fn end_file(&mut self) {
        if let Some(header) = self.file.take()
            && self.is_blind
            && header.kind != Kind::Snapshot
        {
            self.lost.blind = true;
        }
        self.is_blind = false;
    }

    /// Every share finds the same unknown losses. They count once.
    fn lose_unknown(&mut self, entries: u64) {
        if self.share.number == 0 {
            self.lost.unknown = self.lost.unknown.saturating_add(entries);
        }
    }

    /// Returns false if something newer is known of the key.
    fn settle(&mut self, hash: u64) -> Result<bool, TooLarge> {
        match self.is_oldest {
            true => Ok(!self.settled.contains(hash)),
            false => self.settled.insert(hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: Kind, puts: u64, lost: u64) -> Header {
        Header {
            id: 1,
            kind,
            saved_at: 0,
            puts,
            removes: 0,
            lost,
            key_bytes: 0,
        }
    }

    const CHANGES: Kind = Kind::Changes { covers: 1 };

    fn lost(puts: &[&str]) -> Piece {
        Piece::Lost(LostKeys {
            puts: puts.iter().map(key_hash).collect(),
            removes: Vec::new(),
        })
    }

    #[test]
    fn a_record_counts_unless_a_newer_one_is_known_or_was_lost() {
        let mut merge = Merge::new(Share::ALL, 5);
        assert!(merge.begin(&header(CHANGES, 3, 0), false));
        assert!(!merge.is_all_newest());
        assert!(merge.is_newest("a").unwrap());
        merge.lose(&lost(&["a", "b"])).unwrap();
        assert!(merge.is_newest("c").unwrap());
        assert!(merge.begin(&header(Kind::Snapshot, 4, 2), true));
        let is_newest = ["a", "b", "c", "d"].map(|key| merge.is_newest(key).unwrap());
        assert_eq!(is_newest, [false, false, false, true]);
        let lost = merge.finish();
        assert_eq!(lost.keys.puts, [key_hash("b")]);
        assert_eq!((lost.unknown, lost.count(), lost.blind), (2, 3, false));
    }

    #[test]
    fn what_is_missing_hides_whatever_is_older_than_changes_and_nothing_below_a_snapshot() {
        let missing = Piece::Missing {
            puts: 2,
            removes: 1,
        };
        for (kind, begins) in [(CHANGES, false), (Kind::Snapshot, true)] {
            let mut merge = Merge::new(Share { number: 0, of: 3 }, 5);
            for share in 0..3 {
                if share > 0 {
                    merge.next_share(5 + share);
                }
                assert!(merge.begin(&header(kind, 2, 0), false));
                merge.lose(&missing).unwrap();
                assert_eq!(merge.begin(&header(Kind::Snapshot, 10, 0), true), begins);
            }
            let lost = merge.finish();
            assert_eq!(lost.blind, !begins);
            // It counts once, although every share finds it.
            assert_eq!(lost.count(), if begins { 2 } else { 12 });
        }
    }

    #[test]
    fn every_key_is_of_one_share() {
        let mut given = [0; 4];
        let mut merge = Merge::new(Share { number: 0, of: 4 }, 5);
        for share in 0..4 {
            if share > 0 {
                merge.next_share(share);
            }
            assert!(merge.begin(&header(Kind::Snapshot, 100, 0), true));
            assert!(!merge.is_all_newest(), "some keys are of other shares");
            for n in 0..100 {
                let is_newest = merge.is_newest(&format!("{n}")).unwrap();
                given[share as usize] += u64::from(is_newest);
            }
        }
        assert_eq!(given.iter().sum::<u64>(), 100);
        assert!(given.iter().all(|keys| *keys > 0));
    }
}
