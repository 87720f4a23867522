//! Compaction: writes the merged records of several files to one file.

use std::rc::Rc;

use crate::abi::Error;
use crate::clock::{self, wall_now};
use crate::folder::{Dir, Draft, TEMPORARY, Written};
use crate::format::{Kind, Put, Record};

use super::stream::Stream;

/// Writes the merged records of a stream to one file, as of now. Returns none if the file would
/// have to name lost keys that are not known.
pub fn compacted(
    folder: &Rc<Dir>,
    mut stream: Stream,
    kind: Kind,
) -> Result<Option<Written>, Error> {
    let now = wall_now();
    let mut draft = Draft::create(folder, kind, TEMPORARY)?;
    while let Some((header, block)) = stream.next()? {
        for record in block.columns().records() {
            let rebased = rebased(record, header.saved_at, now);
            if stream.is_newest(record.key)? && (rebased.put.is_some() || kind != Kind::Snapshot) {
                draft.push(rebased)?;
            }
        }
    }
    let mut lost = stream.finish();
    match kind {
        Kind::Changes { .. } if lost.blind => return Ok(None),
        Kind::Changes { .. } => {}
        // There is no older file in which a removal could hide anything.
        Kind::Snapshot => lost.keys.removes.clear(),
    }
    draft.finish(now, &lost.keys, lost.unknown).map(Some)
}

/// The record as of `now`, if its time to live began at `saved_at`. An expired record becomes a
/// removal.
fn rebased<'a>(record: Record<'a>, saved_at: u64, now: u64) -> Record<'a> {
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
