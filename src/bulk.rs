//! Readers and writers of caches of any size.

use std::cell::RefCell;
use std::rc::Rc;

use crate::abi::Error;
use crate::abi::bindings::exports::larder::cache::cache_bulk::{
    self as bindings, Batch, GuestReader, GuestWriter,
};
use crate::abi::lower::LiveBatch;
use crate::abi::memory::{buffer, reserve};
use crate::clock::{Deadlines, wall_now};
use crate::folder::{DRAFT, Dir, Draft};
use crate::format::{self, Block, Columns, Header, Kind, LostKeys, UNLIMITED};
use crate::records::{Stream, deduplicate};
use crate::store::Cache;

/// Reads a cache as it was when the reader was opened.
pub struct Reader(RefCell<Reading>);

struct Reading {
    stream: Stream,
    failed: Option<Error>,
}

impl Reader {
    /// Opens a reader for a cache.
    pub fn open(cache: &Cache) -> Result<Reader, Error> {
        Ok(Reader(RefCell::new(Reading {
            stream: cache.stream()?,
            failed: None,
        })))
    }

    /// Returns the next live entries. Returns none after the last entry.
    pub fn next(&self) -> Result<Option<LiveBatch>, Error> {
        let Reading { stream, failed } = &mut *self.0.borrow_mut();
        if let Some(error) = failed {
            return Err(error.clone());
        }
        let next = next(stream);
        *failed = next.as_ref().err().cloned();
        next
    }
}

impl GuestReader for Reader {
    fn lost(&self) -> u64 {
        self.0.borrow().stream.lost()
    }

    fn count(&self) -> u64 {
        self.0.borrow().stream.count()
    }
}

fn next(stream: &mut Stream) -> Result<Option<LiveBatch>, Error> {
    let now = Deadlines::now();
    while let Some((header, block)) = stream.next()? {
        reserve(block.columns().len() as u64, 0)?;
        if let Some(batch) = live(stream, &header, block, &now)? {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

/// The live entries of a block. Returns none if there are none.
fn live(
    stream: &mut Stream,
    header: &Header,
    block: Block,
    now: &Deadlines,
) -> Result<Option<LiveBatch>, Error> {
    let columns = block.columns();
    reserve(columns.len() as u64, 0)?;
    if columns.are_unlimited() && stream.is_all_newest() {
        return Ok(Some(whole(block, Vec::new())));
    }
    // The deadline of each record; none if the record does not count.
    let mut deadlines = Vec::with_capacity(columns.len());
    for record in columns.records() {
        let is_newest = stream.is_newest(record.key)?;
        let put = record.put.filter(|_| is_newest);
        let deadline = put.and_then(|put| now.of(put.ttl, header.saved_at));
        deadlines.push(deadline.map(|deadline| deadline.unwrap_or(UNLIMITED)));
    }
    let mut expires_at: Vec<u64> = deadlines.iter().flatten().copied().collect();
    let live = expires_at.len();
    if expires_at.iter().all(|deadline| *deadline == UNLIMITED) {
        expires_at.clear();
    }
    match live {
        0 => Ok(None),
        all if all == deadlines.len() => Ok(Some(whole(block, expires_at))),
        _ => some(&columns, &deadlines, expires_at).map(Some),
    }
}

/// All entries of a block.
fn whole(block: Block, expires_at: Vec<u64>) -> LiveBatch {
    let columns = block.columns();
    let key_lengths = columns.key_lengths().collect();
    let value_lengths = columns.value_lengths().collect();
    fn find(block: &[u8]) -> (&[u8], &[u8]) {
        let columns = Columns::of_block(block);
        (columns.keys, columns.values)
    }
    LiveBatch::new(
        block.into_bytes(),
        find,
        key_lengths,
        value_lengths,
        expires_at,
    )
}

/// The entries of a block that have a deadline in `deadlines`.
fn some(
    columns: &Columns,
    deadlines: &[Option<u64>],
    expires_at: Vec<u64>,
) -> Result<LiveBatch, Error> {
    let mut keys = buffer((columns.keys.len() + columns.values.len()) as u64)?;
    let mut values = buffer(columns.values.len() as u64)?;
    let (mut key_lengths, mut value_lengths) = (Vec::new(), Vec::new());
    for (record, deadline) in columns.records().zip(deadlines) {
        if let (Some(put), Some(_)) = (record.put, deadline) {
            keys.extend_from_slice(record.key.as_bytes());
            key_lengths.push(record.key.len() as u32);
            values.extend_from_slice(put.value);
            value_lengths.push(put.value.len() as u32);
        }
    }
    let end_of_keys = keys.len();
    keys.append(&mut values);
    Ok(LiveBatch::new(
        keys,
        |block| block.split_at_checked(end_of_keys).unwrap_or_default(),
        key_lengths,
        value_lengths,
        expires_at,
    ))
}

/// Gathers the entries of a whole cache.
pub struct Writer(RefCell<Writing>);

struct Writing {
    cache: String,
    folder: Rc<Dir>,
    draft: Result<Draft, Error>,
}

impl Writer {
    /// Opens a writer for a cache.
    pub fn open(cache: &Cache) -> Result<Writer, Error> {
        let folder = cache.folder()?;
        let draft = Draft::create(&folder, Kind::Snapshot, DRAFT)?;
        Ok(Writer(RefCell::new(Writing {
            cache: cache.name.into(),
            folder,
            draft: Ok(draft),
        })))
    }

    /// Adds entries.
    pub fn append(&self, entries: &Batch) -> Result<(), Error> {
        let Writing { draft, .. } = &mut *self.0.borrow_mut();
        let open = draft.as_mut().map_err(|error| error.clone())?;
        let batch = format::Batch::new(
            &entries.keys,
            &entries.key_lengths,
            &entries.values,
            &entries.value_lengths,
            &entries.ttls,
        );
        let batch = batch.map_err(|why| Error::InvalidArgument(why.into()))?;
        // The entry is encoded in the output buffer, and that buffer grows.
        reserve(0, batch.largest().saturating_mul(3))?;
        let appended = open.append(batch);
        if let Err(error) = &appended {
            *draft = Err(error.clone());
        }
        appended
    }

    /// Stores the added entries as the whole cache.
    pub fn commit(self, root: &Dir) -> Result<(), Error> {
        let Writing {
            cache,
            folder,
            draft,
        } = self.0.into_inner();
        let snapshot = draft?.finish(wall_now(), &LostKeys::default(), 0)?;
        let snapshot = deduplicate(&folder, snapshot)?;
        Cache::new(root, &cache)?.save_written(&folder, snapshot)
    }
}

impl GuestWriter for Writer {
    fn append(&self, entries: Batch) -> Result<(), Error> {
        Writer::append(self, &entries)
    }

    fn commit(writer: bindings::Writer) -> Result<(), Error> {
        writer.into_inner::<Writer>().commit(&Dir::root()?)
    }
}
