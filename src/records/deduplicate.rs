//! Deduplication: leaves out of a new snapshot the records that later records replace, and
//! removals.

use std::rc::Rc;

use crate::abi::Error;
use crate::abi::memory::TooLarge;
use crate::abi::wasi::random::random::get_random_u64;
use crate::folder::{Bytes, Dir, Draft, TEMPORARY, Written};
use crate::format::{Keys, Kind, LostKeys, Piece, Reader, Record, key_hash};

use super::keys::{HashSet, KeySet};

/// How many keys are compared at once. More keys are compared in shares, one share after the other,
/// so that the memory for it is limited.
const MOST_KEYS: u64 = 2 * 1024 * 1024;

/// Returns the snapshot, or a copy without the records that do not count.
pub fn deduplicate(folder: &Rc<Dir>, snapshot: Written) -> Result<Written, Error> {
    let header = *open(&snapshot)?.header();
    let count = header.puts.saturating_add(header.removes);
    let shares = Shares {
        factor: get_random_u64() | 1,
        of: 1 + count / MOST_KEYS,
    };
    let mut replaced = Bits::default();
    for share in 0..shares.of {
        let repeated = repeated(&snapshot, shares, share, count)?;
        if !repeated.is_empty() {
            find_replaced(&snapshot, &repeated, count, &mut replaced)?;
        }
    }
    if replaced.is_empty() && header.removes == 0 {
        return Ok(snapshot);
    }
    let mut draft = Draft::create(folder, Kind::Snapshot, TEMPORARY)?;
    for_each(&snapshot, |at, record| {
        match record.put.is_some() && !replaced.has(at) {
            true => draft.push(record),
            false => Ok(()),
        }
    })?;
    draft.finish(header.saved_at, &LostKeys::default(), 0)
}

/// The hashes of the keys of a share that occur more than once. May contain a few other hashes.
fn repeated(snapshot: &Written, shares: Shares, share: u64, count: u64) -> Result<HashSet, Error> {
    let mut repeated = HashSet::new(get_random_u64());
    let mut marks = Marks::new(count / shares.of)?;
    let mut reader = open(snapshot)?;
    while let Some(keys) = reader.next_keys()? {
        let Keys::Known(keys) = keys else {
            return Err(unreadable());
        };
        for hash in keys.hashes() {
            let (in_share, position) = shares.split(hash);
            if in_share == share && !marks.set(position) {
                repeated.insert(hash)?;
            }
        }
    }
    Ok(repeated)
}

/// Finds the records of keys with these hashes that are not the last record of their key.
fn find_replaced(
    snapshot: &Written,
    repeated: &HashSet,
    count: u64,
    replaced: &mut Bits,
) -> Result<(), Error> {
    let mut keys = KeySet::new(get_random_u64());
    let mut last = Vec::new();
    for_each(snapshot, |at, record| {
        if repeated.contains(key_hash(record.key)) {
            match keys.insert(record.key)? {
                (_, true) => {
                    last.try_reserve(1).map_err(|_| TooLarge(8 * at))?;
                    last.push(at);
                }
                (number, false) => {
                    if let Some(last) = last.get_mut(number) {
                        replaced.set(*last, count)?;
                        *last = at;
                    }
                }
            }
        }
        Ok(())
    })
}

/// Visits every record, with its position in the snapshot from 0.
fn for_each(
    snapshot: &Written,
    mut visit: impl FnMut(u64, Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut at = 0;
    let mut reader = open(snapshot)?;
    while let Some(piece) = reader.next()? {
        let Piece::Block(block) = piece else {
            return Err(unreadable());
        };
        for record in block.columns().records() {
            visit(at, record)?;
            at += 1;
        }
    }
    Ok(())
}

fn open(snapshot: &Written) -> Result<Reader<Bytes>, Error> {
    Reader::open(snapshot.bytes())?.map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::Unavailable("the file that was just written cannot be read".into())
}

/// The shares in which keys are compared. Nobody can choose keys that all fall into one share or
/// one position.
#[derive(Clone, Copy)]
struct Shares {
    factor: u64,
    of: u64,
}

impl Shares {
    /// The share of a hash, and its position in that share.
    fn split(self, hash: u64) -> (u64, u64) {
        let spread = hash.wrapping_mul(self.factor);
        let product = (spread >> 32) * self.of;
        (product >> 32, (product << 32) | (spread & 0xffff_ffff))
    }
}

/// A set of positions. Half of their bits tell them apart.
struct Marks {
    marks: Vec<u32>,
    bits: u32,
    left: usize,
}

impl Marks {
    /// A set with capacity for about `count` positions.
    fn new(count: u64) -> Result<Marks, TooLarge> {
        let slots = (count + count / 8 + 64).saturating_mul(3) / 2;
        let bits = slots.next_power_of_two().ilog2();
        let needed = 4u64 << bits;
        let mut marks = Vec::new();
        let slots = usize::try_from(1u64 << bits).map_err(|_| TooLarge(needed))?;
        marks
            .try_reserve_exact(slots)
            .map_err(|_| TooLarge(needed))?;
        marks.resize(slots, 0);
        let left = slots - 1;
        Ok(Marks { marks, bits, left })
    }

    /// Adds a position. Returns false if it is in the set already, or cannot be told from another
    /// one.
    fn set(&mut self, position: u64) -> bool {
        let mark = (((position << self.bits) >> 32) as u32).max(1);
        let mask = self.marks.len() - 1;
        let mut slot = (position >> (64 - self.bits)) as usize;
        while let Some(found) = self.marks.get_mut(slot) {
            match *found {
                0 if self.left > 0 => {
                    *found = mark;
                    self.left -= 1;
                    return true;
                }
                0 => return false,
                other if other == mark => return false,
                _ => slot = (slot + 1) & mask,
            }
        }
        false
    }
}

/// One bit for each record.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Whether no bit is set.
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets one of `count` bits.
    fn set(&mut self, at: u64, count: u64) -> Result<(), TooLarge> {
        if self.0.is_empty() {
            let words = count / 64 + 1;
            let failed = TooLarge(words.saturating_mul(8));
            let Ok(words) = usize::try_from(words) else {
                return Err(failed);
            };
            self.0.try_reserve_exact(words).map_err(|_| failed)?;
            self.0.resize(words, 0);
        }
        if let Some(word) = self.0.get_mut((at / 64) as usize) {
            *word |= 1 << (at % 64);
        }
        Ok(())
    }

    fn has(&self, at: u64) -> bool {
        let word = self.0.get((at / 64) as usize);
        word.is_some_and(|word| word & (1 << (at % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repeated position never counts as new. A new position may count as repeated.
    #[test]
    fn marks_forget_nothing_however_many_there_are() {
        let factor = 0x9e37_79b9_7f4a_7c15;
        for count in [0, 1, 100, 1000] {
            let mut marks = Marks::new(count).unwrap();
            let position = |n: u64| (n + 1).wrapping_mul(factor);
            // Ten times the capacity.
            let new = (0..10 * count + 1000).filter(|n| marks.set(position(*n)));
            assert!(new.count() as u64 >= count);
            assert!((0..10 * count + 1000).all(|n| !marks.set(position(n))));
        }
    }

    #[test]
    fn marks_tell_nearly_all_apart_that_there_is_room_for() {
        let mut marks = Marks::new(10_000).unwrap();
        let shares = Shares {
            factor: 0x2545_f491_4f6c_dd1d,
            of: 1,
        };
        let position = |n: u64| shares.split(key_hash(format!("{n}"))).1;
        let mistaken = (0..10_000).filter(|n| !marks.set(position(*n))).count();
        assert!(mistaken < 10, "{mistaken}");
    }

    #[test]
    fn equal_hashes_are_of_one_share_and_every_share_has_some() {
        let shares = Shares {
            factor: 99 << 50 | 1,
            of: 7,
        };
        let mut of = [0; 7];
        for n in 0..10_000_u64 {
            let hash = key_hash(format!("{n}"));
            assert_eq!(shares.split(hash), shares.split(hash));
            of[shares.split(hash).0 as usize] += 1;
        }
        assert!(of.iter().all(|keys| (1000..2000).contains(keys)), "{of:?}");
    }

    #[test]
    fn bits_are_set_one_by_one() {
        let mut bits = Bits::default();
        assert!(bits.is_empty() && !bits.has(5));
        for at in [0, 63, 64, 200] {
            bits.set(at, 201).unwrap();
        }
        let set: Vec<u64> = (0..300).filter(|at| bits.has(*at)).collect();
        assert_eq!(set, [0, 63, 64, 200]);
        assert!(!bits.is_empty());
    }
}
