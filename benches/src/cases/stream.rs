//! A cache that nobody holds, written and read in batches: time and memory, in a process of its own, so
//! that nobody else's memory counts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::data::{self, checksum};
use crate::larder::batches::{entries, read, write};
use crate::larder::component::Disk;
use crate::place::Place;
use crate::results::Stream;
use crate::stats::Times;
use crate::{Result, process};

/// The two sizes whose costs per entry are compared.
pub const FEW: u64 = 100_000;
pub const MANY: u64 = 10_000_000;

/// What the process is asked for.
#[derive(clap::Args)]
pub struct Child {
    what: What,
    entries: u64,
    /// The machine code of the component.
    code: PathBuf,
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum What {
    Save,
    Load,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Save => "save",
            Self::Load => "load",
        }
    }
}

/// What the process answers.
#[derive(Serialize, Deserialize)]
struct Answer {
    seconds: f64,
    guest_bytes: u64,
    host_bytes: u64,
}

pub fn run(place: &Place, rounds: usize) -> Result<Vec<Stream>> {
    let code = place.fresh("code")?.join("disk.cwasm");
    Disk::precompile(&code)?;
    let mut answers: [Vec<Answer>; 4] = Default::default();
    for round in 0..rounds {
        eprintln!(
            "{MANY} entries, {}: round {} of {rounds}",
            place.name,
            round + 1
        );
        for (size, answers) in [FEW, MANY].into_iter().zip(answers.chunks_mut(2)) {
            let folder = place.fresh("stream")?;
            for (what, answers) in [What::Save, What::Load].into_iter().zip(answers) {
                answers.push(ask(what, size, &code, &folder)?);
                place.settle()?;
            }
        }
    }
    place.fresh("stream")?;
    let cases = [
        (What::Save, FEW),
        (What::Load, FEW),
        (What::Save, MANY),
        (What::Load, MANY),
    ];
    let stream = |((what, size), answers): ((What, u64), &Vec<Answer>)| {
        let times = answers.iter().map(|answer| answer.seconds);
        let times: Vec<_> = times.map(Duration::from_secs_f64).collect();
        Some(Stream {
            place: place.name,
            what: what.name(),
            entries: size,
            times: Times::of(&times)?,
            guest_bytes: answers.iter().map(|answer| answer.guest_bytes).max()?,
            host_bytes: answers.iter().map(|answer| answer.host_bytes).max()?,
        })
    };
    let streams = cases.into_iter().zip(&answers).map(stream);
    streams.collect::<Option<_>>().ok_or("no rounds".into())
}

fn ask(what: What, size: u64, code: &Path, folder: &Path) -> Result<Answer> {
    let output = Command::new(std::env::current_exe()?)
        .args(["stream", what.name(), &size.to_string()])
        .args([code, folder])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{} of {size} entries failed", what.name()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

impl Child {
    /// Does what it was asked for, and answers on standard output.
    pub fn run(&self) -> Result<()> {
        let disk = Disk::precompiled(&self.code)?;
        let mut instance = disk.start(&self.folder)?;
        let idle = process::memory()?;
        let start = Instant::now();
        // What it takes to make the entries, and to look at them, does not count.
        let mut ours = Duration::ZERO;
        match self.what {
            What::Save => {
                let mut batches = data::stream(self.entries);
                let batches = std::iter::from_fn(|| {
                    let start = Instant::now();
                    let batch = batches.next();
                    ours += start.elapsed();
                    batch
                });
                write(&mut instance, batches)?;
            }
            What::Load => {
                let mut loaded = (0, 0_u64);
                read(&mut instance, |batch| {
                    let start = Instant::now();
                    let (count, sum) = checksum(entries(&batch));
                    loaded = (loaded.0 + count, loaded.1.wrapping_add(sum));
                    ours += start.elapsed();
                })?;
                let start = Instant::now();
                let mut expected = (0, 0_u64);
                for batch in data::stream(self.entries) {
                    let (count, sum) = checksum(batch.entries());
                    expected = (expected.0 + count, expected.1.wrapping_add(sum));
                }
                ours += start.elapsed();
                if loaded != expected {
                    return Err("other entries came back than were kept".into());
                }
            }
        }
        let answer = Answer {
            seconds: (start.elapsed() - ours).as_secs_f64(),
            guest_bytes: instance.memory() as u64,
            host_bytes: process::peak_memory()?.saturating_sub(idle),
        };
        println!("{}", serde_json::to_string(&answer)?);
        Ok(())
    }
}
