//! The limit: the same bytes without any format, written and synced, read and checked.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::Result;
use crate::contestant::{Contestant, timed};
use crate::data::Data;

const STEP: usize = 256 * 1024;

/// The way in which the bytes are written and read.
pub enum Limit {
    /// In steps, with one buffer.
    Steps(Bytes),
    /// At once, with a buffer of the size of the file.
    Whole(Bytes),
}

/// The bytes and their checksum.
#[derive(Default)]
pub struct Bytes {
    bytes: Vec<u8>,
    checksum: u64,
}

impl Contestant for Limit {
    fn name(&self) -> &'static str {
        match self {
            Self::Steps(_) => "the limit",
            Self::Whole(_) => "the limit, whole",
        }
    }

    fn settings(&self) -> &'static str {
        match self {
            Self::Steps(_) => {
                "keys, values, their lengths and ttls, 256 KiB a write from one buffer, fsync \
                 of file and folder; read in steps of 256 KiB into one buffer, XXH3 of it"
            }
            Self::Whole(_) => "the same, but one write of everything; `fs::read` and XXH3 of it",
        }
    }

    fn prepare(&mut self, data: &Data) -> Result<()> {
        let (Self::Steps(bytes) | Self::Whole(bytes)) = self;
        for batch in data.columns() {
            batch.write_to(&mut bytes.bytes);
        }
        bytes.checksum = xxh3_64(&bytes.bytes);
        Ok(())
    }

    fn persist(&mut self, _: &Data, folder: &Path) -> Result<Duration> {
        let (bytes, step) = match self {
            Self::Steps(bytes) => (bytes, STEP),
            Self::Whole(bytes) => (bytes, usize::MAX),
        };
        let ((), time) = timed(|| {
            let mut file = File::create_new(folder.join("limit"))?;
            for part in bytes.bytes.chunks(step) {
                file.write_all(part)?;
            }
            file.sync_all()?;
            Ok(File::open(folder)?.sync_all()?)
        })?;
        Ok(time)
    }

    fn load(&mut self, _: &Data, folder: &Path) -> Result<Duration> {
        let file = folder.join("limit");
        let (bytes, (checksum, time)) = match self {
            Self::Steps(bytes) => (bytes, timed(|| in_steps(&file))?),
            Self::Whole(bytes) => (bytes, timed(|| Ok(xxh3_64(&fs::read(&file)?)))?),
        };
        if checksum != bytes.checksum {
            return Err("other bytes came back than were written".into());
        }
        Ok(time)
    }
}

fn in_steps(file: &Path) -> Result<u64> {
    let mut file = File::open(file)?;
    let mut buffer = vec![0; STEP];
    let mut hash = Xxh3::new();
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.digest()),
            read => hash.update(&buffer[..read]),
        }
    }
}
