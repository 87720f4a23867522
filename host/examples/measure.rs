//! The figures in the README: the size of the disk component, how long an
//! instance and its first load take, and saving and loading beside the Python
//! module that Larder re-imagines, turn by turn in one run.
//!
//! `cargo run --release --example measure`, with python3 on the PATH, measures
//! with the allocator of the command `larder`; with `--no-default-features` it
//! is the system's.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use larder_host::{Backend, DISK_COMPONENT, Entry};

#[cfg(feature = "command")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 15;
const COUNT: usize = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(".")?;
    println!(
        "disk component: {:.1} KiB",
        DISK_COMPONENT.len() as f64 / 1024.0
    );

    let first = first_load(folder.path())?;
    println!(
        "instance and first load of 100 entries: {:.3} ms median, {:.3} ms at worst",
        millis(first[ROUNDS / 2]),
        millis(first[ROUNDS - 1])
    );

    let disk = Backend::disk(folder.path())?;
    let entries = entries(COUNT);
    let mut seed = Seed::start(folder.path())?;
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        disk.save("measured", &entries)?;
        times[0].push(start.elapsed());
        let start = Instant::now();
        let loaded = disk.load("measured")?;
        times[1].push(start.elapsed());
        assert_eq!(loaded.entries.len(), COUNT);
        let (save, load) = seed.round()?;
        times[2].push(save);
        times[3].push(load);
    }
    let [save, load, seed_save, seed_load] = times.map(|mut times| {
        times.sort_unstable();
        times
    });
    for (what, times) in [
        ("save, larder", &save),
        ("save, seed", &seed_save),
        ("load, larder", &load),
        ("load, seed", &seed_load),
    ] {
        println!(
            "{COUNT} entries, {what}: {:.1} ms median ({:.1} to {:.1})",
            millis(times[ROUNDS / 2]),
            millis(times[0]),
            millis(times[ROUNDS - 1])
        );
    }
    let ratio = |seed: &[Duration], larder: &[Duration]| {
        seed[ROUNDS / 2].as_secs_f64() / larder[ROUNDS / 2].as_secs_f64()
    };
    println!(
        "as fast as the seed: save {:.2} times, load {:.2} times",
        ratio(&seed_save, &save),
        ratio(&seed_load, &load)
    );
    Ok(())
}

/// How long it takes from a compiled component to its first loaded entries.
fn first_load(folder: &Path) -> Result<Vec<Duration>, Box<dyn Error>> {
    let builtin = || Backend::builtin().preopen(folder, "/").build();
    builtin()?.save("small", entries(100))?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        // Built anew, it has no instance yet.
        let backend = builtin()?;
        let start = Instant::now();
        let loaded = backend.load("small")?;
        times.push(start.elapsed());
        assert_eq!(loaded.entries.len(), 100);
    }
    times.sort_unstable();
    Ok(times)
}

fn entries(count: usize) -> Vec<Entry> {
    let entry = |i: usize| {
        let entry = Entry::new(format!("user:{i}"), vec![i as u8; 100]);
        if i.is_multiple_of(3) {
            entry.ttl(Duration::from_secs(3600))
        } else {
            entry
        }
    };
    (0..count).map(entry).collect()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The Python module, in a process of its own that waits for its turns.
struct Seed {
    turns: std::process::ChildStdin,
    times: BufReader<std::process::ChildStdout>,
}

impl Seed {
    fn start(folder: &Path) -> Result<Seed, Box<dyn Error>> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("python3")
            .arg(package.join("examples/measure.py"))
            .arg(package.join("../tests/data/seed"))
            .arg(folder)
            .arg(COUNT.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Seed {
            turns: child.stdin.take().ok_or("no standard input")?,
            times: BufReader::new(child.stdout.take().ok_or("no standard output")?),
        })
    }

    fn round(&mut self) -> Result<(Duration, Duration), Box<dyn Error>> {
        writeln!(self.turns)?;
        let mut line = String::new();
        self.times.read_line(&mut line)?;
        let (save, load) = line.trim().split_once(' ').ok_or("python3 failed")?;
        let seconds = |text: &str| Ok::<_, Box<dyn Error>>(Duration::from_secs_f64(text.parse()?));
        Ok((seconds(save)?, seconds(load)?))
    }
}
