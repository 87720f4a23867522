//! Files that are encoded in memory.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::rc::Rc;

use crate::abi::Error;

use super::encode::Encoder;
use super::header::Kind;
use super::record::{LostKeys, Record};
use super::source::{Sink, Source};

/// Encodes a file in memory.
pub fn encode<'a>(
    id: u64,
    kind: Kind,
    saved_at: u64,
    records: &mut dyn Iterator<Item = Record<'a>>,
    lost: &LostKeys,
    unknown: u64,
    blocks: RangeInclusive<usize>,
) -> Vec<u8> {
    let mut encoder = Encoder::new(id, kind, blocks);
    let mut file = Vec::new();
    let sink: &mut dyn Sink<Error> = &mut file;
    let mut pushed = Ok(());
    for record in records {
        pushed = pushed.and_then(|()| encoder.push(record, sink));
    }
    let encoded = pushed.and_then(|()| encoder.finish(saved_at, lost, unknown, sink));
    // Memory takes all bytes. The error type is the same as for files, so that there is only one
    // encoder.
    debug_assert!(encoded.is_ok());
    file
}

/// Encodes a file with a table in memory.
pub fn encode_with_table<'a>(
    id: u64,
    kind: Kind,
    saved_at: u64,
    records: &mut dyn Iterator<Item = Record<'a>>,
    lost: &LostKeys,
    unknown: u64,
    blocks: RangeInclusive<usize>,
) -> Vec<u8> {
    let mut encoder = Encoder::new(id, kind, blocks);
    let mut file = Shared::default();
    let written = file.clone();
    let mut pushed = Ok(());
    for record in records {
        pushed = pushed.and_then(|()| encoder.push(record, &mut file));
    }
    let encoded = pushed.and_then(|()| {
        encoder.finish_with_table(saved_at, lost, unknown, &mut file, &|_| written.clone())
    });
    debug_assert!(encoded.is_ok());
    written.0.take()
}

/// Bytes that are read while they are written.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Sink<Error> for Shared {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.0.borrow_mut().write(offset, bytes)
    }
}

impl Source for Shared {
    type Error = Error;

    fn size(&self) -> u64 {
        self.0.borrow().len() as u64
    }

    fn read(&self, offset: u64, end: u64) -> Result<Vec<u8>, Error> {
        let Ok(bytes) = self.0.borrow().as_slice().read(offset, end);
        Ok(bytes)
    }
}
