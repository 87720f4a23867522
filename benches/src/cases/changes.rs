//! Very many single changes to a large cache: the bytes that they write, and the number of files.

use std::collections::HashMap;
use std::{fmt, fs};

use fastrand::Rng;
use larder_host::{Backend, Change};

use super::apply::put;
use crate::contestant::timed;
use crate::data::{Data, Kind, checksum};
use crate::place::Place;
use crate::results::Rows;
use crate::stats::millis;
use crate::{Result, process};

const CACHE: &str = "changes";
const CHANGES: &str = "very many single changes";
const KIB: f64 = 1024.0;

/// One call.
#[derive(Default)]
struct Call {
    /// Its number, counted from 0.
    number: usize,
    millis: f64,
    /// The processor time of its thread: the rest is waiting for the disk or for a processor.
    computing_millis: f64,
    written: u64,
    files_before: usize,
    files_after: usize,
}

pub fn run(place: &Place, data: &Data, calls: usize) -> Result<Rows> {
    eprintln!("{calls} changes in as many calls, {}", place.name);
    let folder = place.fresh(CACHE)?;
    let backend = Backend::disk(&folder)?;
    backend.save(CACHE, &data.entries)?;
    place.settle()?;
    let files = || -> Result<usize> { Ok(fs::read_dir(folder.join(CACHE))?.count()) };

    let mut random = Rng::with_seed(0);
    let entries = data.entries.iter();
    let mut expected: HashMap<_, _> = entries
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect();
    let (mut times, mut changed, mut written) = (Vec::with_capacity(calls), 0, 0);
    let mut files_before = files()?;
    let mut most_files = files_before;
    let mut slowest = Call::default();
    for number in 0..calls {
        let change = change(&mut random, data);
        match &change {
            Change::Put(entry) => {
                changed += entry.key.len() + entry.value.len();
                expected.insert(entry.key.clone(), entry.value.clone());
            }
            Change::Remove(key) => {
                changed += key.len();
                expected.remove(key);
            }
            other => unreachable!("no change here is {other:?}"),
        }
        let (before, computed) = (process::written()?, process::computing()?);
        let ((), time) = timed(|| Ok(backend.apply(CACHE, [change])?))?;
        let call = Call {
            number,
            millis: millis(time),
            computing_millis: millis(process::computing()? - computed),
            written: process::written()? - before,
            files_before,
            files_after: files()?,
        };
        times.push(call.millis);
        written += call.written;
        most_files = most_files.max(call.files_after);
        files_before = call.files_after;
        if call.millis > slowest.millis {
            slowest = call;
        }
    }

    let loaded = backend.load(CACHE)?.entries;
    let loaded = loaded.iter();
    let loaded = loaded.map(|entry| (entry.key.as_bytes(), entry.value.as_slice(), false));
    let expected = expected.iter();
    let expected = expected.map(|(key, value)| (key.as_bytes(), value.as_slice(), false));
    if checksum(loaded) != checksum(expected) {
        return Err("after the changes, the cache has other entries than expected".into());
    }
    let data = Kind::Million.name();
    let allowed = changed + 200 * calls;
    let mut rows = Rows::new("changes", place.name);
    rows.add(CHANGES, data, "time, ms", times);
    let metric = "bytes written / (bytes changed + 200 a call)";
    let ratio = written as f64 / allowed as f64;
    rows.add(CHANGES, data, metric, [ratio]).note =
        format!("{:.0} MiB written", written as f64 / KIB / KIB);
    let files = [most_files as f64];
    rows.add(CHANGES, data, "files between two calls", files)
        .note = slowest.to_string();
    Ok(rows)
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the slowest call, number {}, took {:.1} ms, {:.1} ms of it computing: {} files became \
             {}, and it wrote {:.0} KiB",
            self.number,
            self.millis,
            self.computing_millis,
            self.files_before,
            self.files_after,
            self.written as f64 / KIB,
        )
    }
}

/// In nine of ten cases a new value for some key, otherwise the removal of some key.
fn change(random: &mut Rng, data: &Data) -> Change {
    match put(random, data) {
        Change::Put(entry) if random.u8(..10) == 0 => Change::Remove(entry.key),
        change => change,
    }
}
