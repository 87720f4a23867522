//! Reads the merged files of a cache, one block at a time.

use std::rc::Rc;

use crate::abi::Error;
use crate::abi::wasi::random::random::get_random_u64;
use crate::folder::{Bytes, Published};
use crate::format::{Block, Header, Piece, Reader};

use super::merge::{Lost, Merge, Share};

/// How many bytes the keys of changes may take in memory. More keys are merged in shares, one share
/// after the other, and the files are read once for each share.
const MOST_KEY_BYTES: u64 = 64 * 1024 * 1024;

/// How many bytes a key takes at most, besides its own bytes.
const PER_KEY: u64 = 20;

/// The blocks of the files of a cache, from the newest file to the oldest. Tells of every record
/// whether it is the newest of its key.
pub struct Stream {
    files: Vec<Published>,
    next: usize,
    reader: Option<Reader<Bytes>>,
    merge: Merge,
    shares_left: u64,
    /// The hashes of the keys that are read, sorted. Otherwise all keys are read.
    wanted: Option<Rc<[u64]>>,
    /// How many entries are in files that cannot be read.
    cut_off: u64,
}

impl Stream {
    /// Reads these files, from the newest to the oldest. `cut_off` older entries are lost.
    pub fn new(files: Vec<Published>, cut_off: u64) -> Stream {
        // An unreadable file ends a chain, and the chain counts the entries that it cuts off.
        let readable = files.into_iter().filter(|file| file.header.is_ok());
        let files: Vec<_> = readable.collect();
        let changes = files.split_last().map_or(&[][..], |(_, changes)| changes);
        let key_bytes = changes.iter().map(|file| {
            let Ok(header) = &file.header else { return 0 };
            // A header may claim anything, but an index has 8 bytes for every key.
            let keys = header.puts.saturating_add(header.removes);
            let keys = keys.min(file.size() / 8);
            let bytes = match header.key_bytes {
                0 => file.size(),
                bytes => bytes.min(file.size()),
            };
            keys.saturating_mul(PER_KEY)
                .saturating_add(bytes.saturating_mul(2))
        });
        let shares = 1 + key_bytes.fold(0, u64::saturating_add) / MOST_KEY_BYTES;
        let share = Share {
            of: shares,
            ..Share::ALL
        };
        Stream {
            files,
            next: 0,
            reader: None,
            merge: Merge::new(share, get_random_u64()),
            shares_left: shares - 1,
            wanted: None,
            cut_off,
        }
    }

    /// Reads only the blocks of these files that may hold certain keys. `wanted` are the hashes of
    /// these keys, sorted. [`is_newest`](Self::is_newest) may be asked for these keys alone.
    pub fn select(files: Vec<Published>, cut_off: u64, wanted: Rc<[u64]>) -> Stream {
        Stream {
            merge: Merge::new(Share::ALL, get_random_u64()),
            shares_left: 0,
            wanted: Some(wanted),
            ..Stream::new(files, cut_off)
        }
    }

    /// The highest possible number of entries. Includes entries that were replaced, removed, lost
    /// or expired since.
    pub fn count(&self) -> u64 {
        let headers = self.files.iter().flat_map(|file| &file.header);
        headers.fold(0, |puts, header| puts.saturating_add(header.puts))
    }

    /// The number of bytes to read.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(Published::size).sum()
    }

    /// The next block, with the header of its file. Returns none after the last block.
    pub fn next(&mut self) -> Result<Option<(Header, Block)>, Error> {
        loop {
            let Some(reader) = &mut self.reader else {
                if self.open_next()? || self.begin_next_share() {
                    continue;
                }
                return Ok(None);
            };
            match reader.next()? {
                Some(Piece::Block(block)) => return Ok(Some((*reader.header(), block))),
                Some(piece) => self.merge.lose(&piece)?,
                None => self.reader = None,
            }
        }
    }

    /// Whether every record of the last block is the newest of its key.
    pub fn is_all_newest(&self) -> bool {
        self.merge.is_all_newest()
    }

    /// Whether a record of the last block is the newest of its key. Must be asked once for each
    /// record, from the first to the last.
    pub fn is_newest(&mut self, key: &str) -> Result<bool, Error> {
        Ok(self.merge.is_newest(key)?)
    }

    /// How many entries were found lost so far.
    pub fn lost(&self) -> u64 {
        self.merge.lost().count().saturating_add(self.cut_off)
    }

    /// Ends the stream and returns the losses.
    pub fn finish(self) -> Lost {
        let mut lost = self.merge.finish();
        lost.unknown = lost.unknown.saturating_add(self.cut_off);
        lost
    }

    /// Opens the next file. Returns false if there is none.
    fn open_next(&mut self) -> Result<bool, Error> {
        let Some(file) = self.files.get(self.next) else {
            return Ok(false);
        };
        self.next += 1;
        let is_oldest = self.next == self.files.len();
        let bytes = file.bytes.clone();
        let opened = match &self.wanted {
            None => Reader::open(bytes)?,
            Some(wanted) => Reader::select(bytes, wanted.clone())?,
        };
        if let Ok(reader) = opened
            && self.merge.begin(reader.header(), is_oldest)
        {
            self.reader = Some(reader);
        }
        Ok(true)
    }

    fn begin_next_share(&mut self) -> bool {
        let is_left = self.shares_left > 0;
        if is_left {
            self.shares_left -= 1;
            self.merge.next_share(get_random_u64());
            self.next = 0;
        }
        is_left
    }
}
