//! A large cache, written and read in parts: time and memory. Each measurement has a process of its
//! own, so that no other memory counts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum as _;
use larder_components::DISK;
use larder_host::{Backend, Entry};
use serde::{Deserialize, Serialize};

use crate::data::{self, Columns, FEW, Loaded, MANY, Size, checksum};
use crate::larder::batches::{entries, read, write};
use crate::larder::component::Disk;
use crate::place::Place;
use crate::results::Rows;
use crate::{Result, process};

const CACHE: &str = "stream";

/// The work of one process.
#[derive(clap::Args)]
pub struct Child {
    work: Work,
    entries: u64,
    /// The folder of the machine code of the component
    code: PathBuf,
    folder: PathBuf,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Work {
    /// Batches that exist already, by wasmtime alone
    SaveBatches,
    LoadBatches,
    /// One entry after the other, by `larder-host`
    SaveEntries,
    LoadEntries,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::SaveBatches => "save in batches",
            Self::LoadBatches => "load in batches",
            Self::SaveEntries => "save by `larder-host`",
            Self::LoadEntries => "load by `larder-host`",
        }
    }

    fn is_save(self) -> bool {
        matches!(self, Self::SaveBatches | Self::SaveEntries)
    }
}

/// The measurements of one process.
#[derive(Serialize, Deserialize)]
struct Answer {
    seconds: f64,
    /// Unknown if `larder-host` did the work.
    guest_bytes: Option<u64>,
    host_bytes: u64,
}

/// The work of several processes, and their answers.
struct Turns {
    work: Work,
    size: &'static Size,
    answers: Vec<Answer>,
}

pub fn run(place: &Place, rounds: usize) -> Result<Rows> {
    let code = place.fresh("code")?;
    Disk::precompile(&code.join("disk.cwasm"))?;
    drop(library(&code, &code)?);
    let mut all = Vec::new();
    for works in [
        [Work::SaveBatches, Work::LoadBatches],
        [Work::SaveEntries, Work::LoadEntries],
    ] {
        for size in [&FEW, &MANY] {
            all.extend(works.map(|work| Turns {
                work,
                size,
                answers: Vec::new(),
            }));
        }
    }
    for round in 1..=rounds {
        eprintln!("{}, {}: round {round} of {rounds}", MANY.name, place.name);
        for turns in &mut all {
            // Short work is measured more often.
            let repeats = if turns.size.entries == FEW.entries {
                5
            } else {
                1
            };
            for _ in 0..repeats {
                let folder = match turns.work.is_save() {
                    true => place.fresh(CACHE)?,
                    false => place.settled(CACHE)?,
                };
                turns.take(&code, &folder)?;
            }
        }
    }
    place.fresh(CACHE)?;
    let mut rows = Rows::new("stream", place.name);
    for turns in &all {
        turns.add_to(&mut rows);
    }
    Ok(rows)
}

impl Turns {
    fn take(&mut self, code: &Path, folder: &Path) -> Result<()> {
        let (name, size) = (self.work.name(), self.size);
        let work = self.work.to_possible_value().ok_or("no work")?;
        let output = Command::new(std::env::current_exe()?)
            .args(["stream", work.get_name(), &size.entries.to_string()])
            .args([code, folder])
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("{name} of {} failed", size.name).into());
        }
        self.answers.push(serde_json::from_slice(&output.stdout)?);
        Ok(())
    }

    fn add_to(&self, rows: &mut Rows) {
        const MIB: f64 = 1024.0 * 1024.0;
        let (name, size) = (self.work.name(), self.size.name);
        let answers = || self.answers.iter();
        let times = answers().map(|answer| answer.seconds * 1e3);
        rows.add(name, size, "time, ms", times);
        let each = answers().map(|answer| answer.seconds * 1e9 / self.size.entries as f64);
        rows.add(name, size, "time of each entry, ns", each);
        // Of several processes, the largest counts.
        if let Some(guest) = answers().filter_map(|answer| answer.guest_bytes).max() {
            let guest = [guest as f64 / MIB];
            rows.add(name, size, "memory of the guest, MiB", guest);
        }
        let host = answers().map(|answer| answer.host_bytes).max();
        let host = host.map(|host| host as f64 / MIB);
        rows.add(name, size, "memory of the host above idle, MiB", host);
    }
}

/// A backend for this folder, with the machine code from this code cache.
fn library(folder: &Path, code: &Path) -> Result<Backend> {
    let backend = Backend::component_bytes(DISK).code_cache(code.join("cache"));
    Ok(backend
        .time_limit(Duration::MAX)
        .preopen(folder, "/")
        .build()?)
}

impl Child {
    /// Does the work, and writes the answer to standard output.
    pub fn run(&self) -> Result<()> {
        let answer = match self.work {
            Work::SaveBatches | Work::LoadBatches => self.batches()?,
            Work::SaveEntries | Work::LoadEntries => self.entries()?,
        };
        println!("{}", serde_json::to_string(&answer)?);
        Ok(())
    }

    fn batches(&self) -> Result<Answer> {
        let disk = Disk::precompiled(&self.code.join("disk.cwasm"))?;
        let mut instance = disk.start(&self.folder)?;
        let idle = process::memory()?;
        let start = Instant::now();
        // The time to make the entries and to verify them does not count.
        let mut ours = Duration::ZERO;
        let mut loaded = (0, 0_u64);
        match self.work.is_save() {
            true => {
                let mut batches = data::stream(self.entries);
                let batches = std::iter::from_fn(|| {
                    let start = Instant::now();
                    let batch = batches.next();
                    ours += start.elapsed();
                    batch
                });
                write(&mut instance, CACHE, batches)?;
            }
            false => read(&mut instance, CACHE, |batch| {
                let start = Instant::now();
                let (count, sum) = checksum(entries(&batch));
                loaded = (loaded.0 + count, loaded.1.wrapping_add(sum));
                ours += start.elapsed();
            })?,
        }
        let time = start.elapsed() - ours;
        if !self.work.is_save() {
            self.verify(loaded)?;
        }
        Ok(Answer {
            seconds: time.as_secs_f64(),
            guest_bytes: Some(instance.memory() as u64),
            host_bytes: process::peak_memory()?.saturating_sub(idle),
        })
    }

    fn entries(&self) -> Result<Answer> {
        let backend = library(&self.folder, &self.code)?;
        let idle = process::memory()?;
        let start = Instant::now();
        let time = match self.work.is_save() {
            true => {
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
            false => {
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

    /// Fails unless this is the number and the checksum of all entries.
    fn verify(&self, loaded: (usize, u64)) -> Result<()> {
        let mut expected = (0, 0_u64);
        for batch in data::stream(self.entries) {
            let (count, sum) = checksum(batch.entries());
            expected = (expected.0 + count, expected.1.wrapping_add(sum));
        }
        if loaded != expected {
            return Err("other entries came back than were saved".into());
        }
        Ok(())
    }
}

/// The entries of a batch, in the form that `larder-host` takes.
fn made(batch: &Columns) -> Vec<Entry> {
    let entry = |(key, value, _): Loaded| Entry::new(String::from_utf8_lossy(key), value);
    batch.entries().map(entry).collect()
}
