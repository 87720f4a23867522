//! A contestant in Python: a process that waits for its turns.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::data::Data;

/// A process of `python/turns.py`. It has read the entries, and verifies what it loads itself.
pub struct Python {
    child: Child,
    turns: Option<ChildStdin>,
    times: BufReader<ChildStdout>,
}

impl Python {
    /// Starts `store` of `python/turns.py` with this interpreter, and hands it the entries.
    pub fn start(interpreter: &Path, store: &str, data: &Data) -> Result<Self> {
        let file = folder().join("entries");
        write(data, &file)?;
        let mut child = Command::new(interpreter)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/turns.py"))
            .args([store, "--entries"])
            .arg(&file)
            .arg("--seed")
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

    /// Has it persist into a folder, or load from it, and tells how long that took.
    pub fn turn(&mut self, what: &str, folder: &Path) -> Result<Duration> {
        let turns = self.turns.as_mut().ok_or("no standard input")?;
        writeln!(turns, "{what} {}", folder.display())?;
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
        // Without more turns it ends.
        drop(self.turns.take());
        if let Err(error) = self.child.wait() {
            eprintln!("python3: {error}");
        }
    }
}

/// Where the bench keeps what it sets up.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench")
}

/// Writes the entries for Python to read: for each the lengths of key and value, whole seconds to
/// live (0 for ever), key and value.
fn write(data: &Data, file: &Path) -> Result<()> {
    std::fs::create_dir_all(folder())?;
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
