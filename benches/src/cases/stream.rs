//! A cache that nobody holds, written and read piece by piece: time and memory, in a process of its own,
//! so that nobody else's memory counts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use larder_host::{Backend, DISK_COMPONENT, Entry};
use serde::{Deserialize, Serialize};

use crate::data::{self, Columns, Loaded, checksum};
use crate::larder::batches::{entries, read, write};
use crate::larder::component::Disk;
use crate::place::Place;
use crate::results::Stream;
use crate::stats::Times;
use crate::{Result, process};

/// The two sizes whose costs per entry are compared.
pub const FEW: u64 = 100_000;
pub const MANY: u64 = 10_000_000;

const CACHE: &str = "stream";

/// What the process is asked for.
#[derive(clap::Args)]
pub struct Child {
    through: Through,
    what: What,
    entries: u64,
    /// Where the machine code of the component is.
    code: PathBuf,
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum Through {
    /// wasmtime alone, and batches that are there already
    Batches,
    /// `larder-host`, and entries one by one
    Library,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum What {
    Save,
    Load,
}

/// What the process answers.
#[derive(Serialize, Deserialize)]
struct Answer {
    seconds: f64,
    /// Not known of the library's.
    guest_bytes: Option<u64>,
    host_bytes: u64,
}

/// What is asked of a process, and its answers.
struct Case {
    through: Through,
    size: u64,
    what: What,
    answers: Vec<Answer>,
}

pub fn run(place: &Place, rounds: usize) -> Result<Vec<Stream>> {
    let code = place.fresh("code")?;
    Disk::precompile(&code.join("disk.cwasm"))?;
    drop(library(&code, &code)?);
    let mut cases = Vec::new();
    for through in [Through::Batches, Through::Library] {
        for size in [FEW, MANY] {
            cases.extend([What::Save, What::Load].map(|what| Case {
                through,
                size,
                what,
                answers: Vec::new(),
            }));
        }
    }
    for round in 1..=rounds {
        eprintln!("{MANY} entries, {}: round {round} of {rounds}", place.name);
        for case in &mut cases {
            // What is over soon can be had more often.
            for _ in 0..if case.size == FEW { 5 } else { 1 } {
                let folder = match case.what {
                    What::Save => place.fresh(CACHE)?,
                    What::Load => place.settled(CACHE)?,
                };
                let answer = case.ask(&code, &folder)?;
                case.answers.push(answer);
            }
        }
    }
    place.fresh(CACHE)?;
    let streams = cases.iter().map(|case| case.stream(place));
    streams.collect::<Option<_>>().ok_or("no rounds".into())
}

impl Case {
    fn ask(&self, code: &Path, folder: &Path) -> Result<Answer> {
        let output = Command::new(std::env::current_exe()?)
            .args(["stream", self.through(), self.what()])
            .arg(self.size.to_string())
            .args([code, folder])
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("{} of {} entries failed", self.what(), self.size).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn stream(&self, place: &Place) -> Option<Stream> {
        let answers = self.answers.iter();
        let times = answers.map(|answer| Duration::from_secs_f64(answer.seconds));
        Some(Stream {
            place: place.name.into(),
            through: self.through().into(),
            what: self.what().into(),
            entries: self.size,
            times: Times::of(&times.collect::<Vec<_>>())?,
            guest_bytes: self
                .answers
                .iter()
                .filter_map(|answer| answer.guest_bytes)
                .max(),
            host_bytes: self.answers.iter().map(|answer| answer.host_bytes).max()?,
        })
    }

    fn through(&self) -> &'static str {
        match self.through {
            Through::Batches => "batches",
            Through::Library => "library",
        }
    }

    fn what(&self) -> &'static str {
        match self.what {
            What::Save => "save",
            What::Load => "load",
        }
    }
}

/// A backend for this folder, whose code is found where it was kept.
fn library(folder: &Path, code: &Path) -> Result<Backend> {
    let backend = Backend::component_bytes(DISK_COMPONENT).code_cache(code.join("kept"));
    Ok(backend
        .time_limit(Duration::MAX)
        .preopen(folder, "/")
        .build()?)
}

impl Child {
    /// Does what it was asked for, and answers on standard output.
    pub fn run(&self) -> Result<()> {
        let answer = match self.through {
            Through::Batches => self.batches()?,
            Through::Library => self.library()?,
        };
        println!("{}", serde_json::to_string(&answer)?);
        Ok(())
    }

    fn batches(&self) -> Result<Answer> {
        let disk = Disk::precompiled(&self.code.join("disk.cwasm"))?;
        let mut instance = disk.start(&self.folder)?;
        let idle = process::memory()?;
        let start = Instant::now();
        // What it takes to make the entries, and to look at them, does not count.
        let mut ours = Duration::ZERO;
        let mut loaded = (0, 0_u64);
        match self.what {
            What::Save => {
                let mut batches = data::stream(self.entries);
                let batches = std::iter::from_fn(|| {
                    let start = Instant::now();
                    let batch = batches.next();
                    ours += start.elapsed();
                    batch
                });
                write(&mut instance, CACHE, batches)?;
            }
            What::Load => read(&mut instance, CACHE, |batch| {
                let start = Instant::now();
                let (count, sum) = checksum(entries(&batch));
                loaded = (loaded.0 + count, loaded.1.wrapping_add(sum));
                ours += start.elapsed();
            })?,
        }
        let time = start.elapsed() - ours;
        if self.what == What::Load {
            self.verify(loaded)?;
        }
        Ok(Answer {
            seconds: time.as_secs_f64(),
            guest_bytes: Some(instance.memory() as u64),
            host_bytes: process::peak_memory()?.saturating_sub(idle),
        })
    }

    fn library(&self) -> Result<Answer> {
        let backend = library(&self.folder, &self.code)?;
        let idle = process::memory()?;
        let start = Instant::now();
        let time = match self.what {
            What::Save => {
                let mut ours = Duration::ZERO;
                let mut batches = data::stream(self.entries);
                let made = std::iter::from_fn(|| {
                    let start = Instant::now();
                    let batch = batches.next().map(|batch| made(&batch));
                    ours += start.elapsed();
                    batch
                });
                backend.save(CACHE, made.flatten())?;
                start.elapsed() - ours
            }
            What::Load => {
                let count = backend
                    .read(CACHE)?
                    .try_fold(0, |count, entry| entry.map(|_| count + 1))?;
                let time = start.elapsed();
                let mut loaded = (0, 0_u64);
                for entry in backend.read(CACHE)? {
                    let entry = entry?;
                    let expires = entry.expires_at.is_some();
                    let entry = (entry.key.as_bytes(), entry.value.as_slice(), expires);
                    let (count, sum) = checksum([entry].into_iter());
                    loaded = (loaded.0 + count, loaded.1.wrapping_add(sum));
                }
                self.verify(loaded)?;
                if count != loaded.0 {
                    return Err(format!("{count} entries came back").into());
                }
                time
            }
        };
        Ok(Answer {
            seconds: time.as_secs_f64(),
            guest_bytes: None,
            host_bytes: process::peak_memory()?.saturating_sub(idle),
        })
    }

    /// Fails unless this is what all entries add up to.
    fn verify(&self, loaded: (usize, u64)) -> Result<()> {
        let mut expected = (0, 0_u64);
        for batch in data::stream(self.entries) {
            let (count, sum) = checksum(batch.entries());
            expected = (expected.0 + count, expected.1.wrapping_add(sum));
        }
        if loaded != expected {
            return Err("other entries came back than were kept".into());
        }
        Ok(())
    }
}

/// The entries of a batch, as the library takes them.
fn made(batch: &Columns) -> Vec<Entry> {
    let entry = |(key, value, _): Loaded| Entry::new(String::from_utf8_lossy(key), value);
    batch.entries().map(entry).collect()
}
