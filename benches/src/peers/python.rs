//! A contestant in Python: a process that waits for its turns.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::data::Data;
use crate::place::FOLDER;

/// A process of `python/turns.py`. It has read the entries, and verifies loaded entries itself.
pub struct Python {
    child: Child,
    turns: Option<ChildStdin>,
    times: BufReader<ChildStdout>,
}

impl Python {
    /// Starts `store` of `python/turns.py` with this interpreter, and gives it the entries.
    pub fn start(interpreter: &Path, store: &str, data: &Data) -> Result<Self> {
        let file = Path::new(FOLDER).join("entries");
        write(data, &file)?;
        let mut child = Command::new(interpreter)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/turns.py"))
            .args([store, "--entries"])
            .arg(&file)
            .arg("--module")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/seed"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut python = Self {
            turns: child.stdin.take(),
            times: BufReader::new(child.stdout.take().ok_or("no standard output")?),
            child,
        };
        python.answer()?;
        std::fs::remove_file(file)?;
        Ok(python)
    }

    /// Lets it persist into a folder, or load from it. Returns the time of that.
    pub fn turn(&mut self, work: &str, folder: &Path) -> Result<Duration> {
        let turns = self.turns.as_mut().ok_or("no standard input")?;
        writeln!(turns, "{work} {}", folder.display())?;
        Ok(Duration::from_secs_f64(self.answer()?.parse()?))
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.times.read_line(&mut line)?;
        match line.trim_end() {
            "" => Err("python3 failed".into()),
            answer => Ok(answer.into()),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends when there are no more turns.
        drop(self.turns.take());
        if let Err(error) = self.child.wait() {
            eprintln!("python3: {error}");
        }
    }
}

/// Writes the entries to a file for Python. Each has the lengths of key and value, the ttl in whole
/// seconds (0: none), key and value.
fn write(data: &Data, file: &Path) -> Result<()> {
    std::fs::create_dir_all(FOLDER)?;
    let mut out = BufWriter::new(File::create(file)?);
    for entry in &data.entries {
        let seconds = entry.ttl.map_or(0, |ttl| ttl.as_secs() as u32);
        for number in [entry.key.len() as u32, entry.value.len() as u32, seconds] {
            out.write_all(&number.to_le_bytes())?;
        }
        out.write_all(entry.key.as_bytes())?;
        out.write_all(&entry.value)?;
    }
    Ok(out.flush()?)
}
