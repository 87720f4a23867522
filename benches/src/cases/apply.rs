//! One change to a large cache, beside two fsyncs, in turn.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use fastrand::Rng;
use larder_host::{Backend, Change, Entry};

use crate::contestant::timed;
use crate::data::Data;
use crate::place::Place;
use crate::results::Apply;
use crate::stats::{Times, median};
use crate::{Result, process};

const CACHE: &str = "apply";

pub fn run(place: &Place, data: &Data, calls: usize) -> Result<Apply> {
    eprintln!("{calls} changes, {}", place.name);
    let folder = place.fresh(CACHE)?;
    let backend = Backend::disk(&folder)?;
    backend.save(CACHE, &data.entries)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(folder.join("fsync"))?;
    fsync_twice(&file)?;
    place.settle()?;

    let mut random = Rng::with_seed(0);
    let (mut applies, mut fsyncs, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..calls {
        let change = put(&mut random, data);
        let before = process::written()?;
        let ((), time) = timed(|| Ok(backend.apply(CACHE, [change])?))?;
        written.push(process::written()? - before);
        applies.push(time);
        fsyncs.push(timed(|| fsync_twice(&file))?.1);
    }
    let mut each: Vec<_> = written.iter().map(|&bytes| bytes as f64).collect();
    Ok(Apply {
        place: place.name,
        cache: data.entries.len(),
        apply: Times::of(&applies).ok_or("no calls")?,
        fsyncs: Times::of(&fsyncs).ok_or("no calls")?,
        written_median: median(&mut each).ok_or("no calls")?,
        written_max: written.into_iter().max().ok_or("no calls")?,
    })
}

/// A new value for some key.
pub fn put(random: &mut Rng, data: &Data) -> Change {
    let entry = &data.entries[random.usize(..data.entries.len())];
    let mut value = vec![0; entry.value.len()];
    random.fill(&mut value);
    Change::Put(Entry::new(entry.key.clone(), value))
}

fn fsync_twice(file: &File) -> Result<()> {
    for byte in 0..2 {
        file.write_all_at(&[byte; 4096], 0)?;
        file.sync_all()?;
    }
    Ok(())
}
