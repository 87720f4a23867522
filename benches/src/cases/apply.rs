//! One change to a large cache, in turn with two fsyncs.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use fastrand::Rng;
use larder_host::{Backend, Change, Entry};

use crate::contestant::timed;
use crate::data::{Data, Kind};
use crate::place::Place;
use crate::results::Rows;
use crate::stats::millis;
use crate::{Result, process};

const CACHE: &str = "apply";
const APPLY: &str = "apply of one change";
/// The name of the work of [`write_new`].
pub const NEW_FILE: &str = "fsync of a new file of 4 KiB, and of its folder";

pub fn run(place: &Place, data: &Data, calls: usize) -> Result<Rows> {
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
        written.push((process::written()? - before) as f64 / 1024.0);
        applies.push(millis(time));
        let new_file = beside.join(call.to_string());
        new_files.push(millis(timed(|| write_new(&new_file, &beside))?.1));
        in_place.push(millis(timed(|| write_in_place(&file))?.1));
    }
    let mut rows = Rows::new("apply", place.name);
    rows.add(APPLY, Kind::Million.name(), "time, ms", applies);
    rows.add(APPLY, Kind::Million.name(), "written, KiB", written)
        .note = "compactions included".into();
    rows.add(NEW_FILE, "", "time, ms", new_files);
    rows.add(
        "two fsyncs of a file of 4 KiB in place",
        "",
        "time, ms",
        in_place,
    );
    Ok(rows)
}

/// A new value for some key.
pub fn put(random: &mut Rng, data: &Data) -> Change {
    let entry = &data.entries[random.usize(..data.entries.len())];
    let mut value = vec![0; entry.value.len()];
    random.fill(&mut value);
    Change::Put(Entry::new(entry.key.clone(), value))
}

/// Makes a new file with two fsyncs: of the file, and of its folder.
pub fn write_new(file: &Path, folder: &Path) -> Result<()> {
    let mut file = File::create_new(file)?;
    file.write_all(&[0; 4096])?;
    file.sync_all()?;
    Ok(File::open(folder)?.sync_all()?)
}

/// Writes over an existing file twice, each time with an fsync.
fn write_in_place(file: &File) -> Result<()> {
    for byte in 0..2 {
        file.write_all_at(&[byte; 4096], 0)?;
        file.sync_all()?;
    }
    Ok(())
}
