//! One change to a large cache, beside two fsyncs, in turn.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

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
    let file = File::create_new(folder.join("in-place"))?;
    write_in_place(&file)?;
    let beside = place.fresh("beside")?;
    place.settle()?;

    let mut random = Rng::with_seed(0);
    let (mut applies, mut written) = (Vec::new(), Vec::new());
    let (mut new_files, mut in_place) = (Vec::new(), Vec::new());
    for call in 0..calls {
        let change = put(&mut random, data);
        let before = process::written()?;
        let ((), time) = timed(|| Ok(backend.apply(CACHE, [change])?))?;
        written.push(process::written()? - before);
        applies.push(time);
        let new_file = beside.join(call.to_string());
        new_files.push(timed(|| write_new(&new_file, &beside))?.1);
        in_place.push(timed(|| write_in_place(&file))?.1);
    }
    let mut each: Vec<_> = written.iter().map(|&bytes| bytes as f64).collect();
    Ok(Apply {
        place: place.name.into(),
        cache: data.entries.len(),
        apply: Times::of(&applies).ok_or("no calls")?,
        new_file: Times::of(&new_files).ok_or("no calls")?,
        in_place: Times::of(&in_place).ok_or("no calls")?,
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

/// The two fsyncs of a new file: of itself, and of its folder.
pub fn write_new(file: &Path, folder: &Path) -> Result<()> {
    let mut file = File::create_new(file)?;
    file.write_all(&[0; 4096])?;
    file.sync_all()?;
    Ok(File::open(folder)?.sync_all()?)
}

/// Two fsyncs of a file that is there.
fn write_in_place(file: &File) -> Result<()> {
    for byte in 0..2 {
        file.write_all_at(&[byte; 4096], 0)?;
        file.sync_all()?;
    }
    Ok(())
}
