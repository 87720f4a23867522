//! A file before it is written.

use crate::dir::File;
use crate::format::{self, Header, Kind, LostKeys, Put, Record};
use crate::merge::Lost;
use crate::wasi::random::random;
use crate::{Error, clock};

/// A file before it is written: its records, one for each key, and what of the
/// cache was lost already.
pub struct Draft<'a> {
    header: Header,
    records: Vec<Record<'a>>,
    lost: LostKeys,
}

impl<'a> Draft<'a> {
    /// A file of these records, whose times to live count from `saved_at`.
    pub fn new(kind: Kind, saved_at: u64, records: Vec<Record<'a>>, mut lost: Lost) -> Draft<'a> {
        if kind == Kind::Snapshot {
            // There is nothing older that a removal could hide.
            lost.keys.removes.clear();
        }
        let puts = records.iter().filter(|record| record.put.is_some()).count();
        let removes = records.len() - puts;
        Draft {
            header: Header {
                id: random::get_random_u64(),
                kind,
                saved_at,
                puts: (puts + lost.keys.puts.len()) as u64,
                removes: (removes + lost.keys.removes.len()) as u64,
                lost: lost.unknown,
            },
            records,
            lost: lost.keys,
        }
    }

    /// The number that tells the file from every other.
    pub fn id(&self) -> u64 {
        self.header.id
    }

    /// Writes the file.
    pub fn write(&self, file: &File) -> Result<(), Error> {
        let mut offset = 0;
        self.encode(|bytes| {
            file.write(bytes, offset)?;
            offset += bytes.len() as u64;
            Ok(())
        })
    }

    /// Encodes the file in memory.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let Ok(()) = self.encode(|bytes| -> Result<(), std::convert::Infallible> {
            file.extend_from_slice(bytes);
            Ok(())
        });
        file
    }

    fn encode<E>(&self, write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let records = self.records.iter().copied();
        format::encode(self.header, records, &self.lost, format::BLOCK_BYTES, write)
    }
}

/// A record as of `now`, given when its time to live began; one that has
/// expired becomes a removal.
pub fn rebased<'a>(record: Record<'a>, saved_at: u64, now: u64) -> Record<'a> {
    let rebase = |put: Put<'a>| match put.ttl {
        None => Some(put),
        Some(ttl) => clock::remaining(ttl, saved_at, now).map(|ttl| Put {
            ttl: Some(ttl),
            ..put
        }),
    };
    Record {
        put: record.put.and_then(rebase),
        ..record
    }
}
