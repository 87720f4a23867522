//! Very many single changes to a large cache: how many bytes they write, and how many files there are.

use std::collections::HashMap;
use std::fs;

use fastrand::Rng;
use larder_host::{Backend, Change};

use super::apply::put;
use crate::contestant::timed;
use crate::data::{Data, checksum};
use crate::place::Place;
use crate::results::{Call, Changes};
use crate::stats::{Times, millis};
use crate::{Result, process};

const CACHE: &str = "changes";

pub fn run(place: &Place, data: &Data, calls: usize) -> Result<Changes> {
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
        times.push(time);
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
        return Err("after the changes, the cache does not hold what it should".into());
    }
    Ok(Changes {
        place: place.name.into(),
        cache: data.entries.len(),
        calls,
        times: Times::of(&times).ok_or("no calls")?,
        changed: changed as u64,
        written,
        most_files,
        slowest,
    })
}

/// Mostly a new value for some key, now and then the removal of one.
fn change(random: &mut Rng, data: &Data) -> Change {
    match put(random, data) {
        Change::Put(entry) if random.u8(..10) == 0 => Change::Remove(entry.key),
        change => change,
    }
}
