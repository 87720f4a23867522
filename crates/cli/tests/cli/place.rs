//! An empty folder in which the command runs as people and scripts run it: as a process.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The command, without settings from outside. All tests share the compiled components.
pub fn larder() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    let code = concat!(env!("CARGO_TARGET_TMPDIR"), "/code");
    command.env("LARDER_CODE_CACHE", code);
    command
        .env_remove("LARDER_DIR")
        .env_remove("LARDER_DURABILITY");
    command
}

/// An empty folder in which the command runs.
pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("a file can be written");
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = larder();
        command
            .args(args)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        ended(self.command(args).output().expect("larder runs"))
    }

    pub fn feed(&self, args: &[&str], input: impl AsRef<[u8]>) -> Ended {
        fed(self.command(args), input.as_ref())
    }

    /// Saves entries of a hundred bytes each, enough for several blocks.
    pub fn save_many(&self, cache: &str) -> BTreeMap<String, String> {
        let entries: BTreeMap<_, _> = (0..2000)
            .map(|n| (format!("key {n:04}"), format!("{n:0100}")))
            .collect();
        self.feed(&["save", cache], lines(&entries)).done();
        entries
    }
}

pub fn fed(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("larder runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that refuses its arguments does not read.
    let written = stdin.write_all(input);
    drop(stdin);
    let ended = ended(child.wait_with_output().expect("larder ends"));
    assert!(written.is_ok() || ended.code != 0, "{written:?}");
    ended
}

/// The exit code and the output of a process that has ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn ended(output: Output) -> Ended {
    let ended = Ended {
        code: output.status.code().expect("no signal"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    };
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

impl Ended {
    /// Asserts that the command did everything and complained about nothing. Gives its output.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(
            (self.code, self.stderr.as_str()),
            (0, ""),
            "{}",
            self.stdout
        );
        self.stdout
    }

    /// Asserts that the command failed, and that standard error contains each of these parts.
    /// Gives the output.
    #[track_caller]
    pub fn failed(self, saying: &[&str]) -> String {
        assert_eq!(self.code, 1, "{}{}", self.stdout, self.stderr);
        for part in saying {
            assert!(self.stderr.contains(part), "no {part:?} in {}", self.stderr);
        }
        self.stdout
    }
}

pub fn lines(entries: &BTreeMap<String, String>) -> String {
    entries
        .iter()
        .map(|(key, value)| format!("{}\n", json!({"key": key, "value": value})))
        .collect()
}

#[track_caller]
pub fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

/// The lines that `load` wrote, sorted by key.
#[track_caller]
pub fn by_key(text: &str) -> Vec<Value> {
    let mut entries = objects(text);
    entries.sort_by(|a, b| a["key"].as_str().cmp(&b["key"].as_str()));
    entries
}

/// The keys and values that `load` wrote. All of them have to be text.
pub fn entries(text: &str) -> BTreeMap<String, String> {
    objects(text)
        .iter()
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().expect("text").to_owned();
            (text("key"), text("value"))
        })
        .collect()
}

pub fn ttl(entry: &Value) -> Duration {
    let span = SpanParser::new().parse_span(entry["ttl"].as_str().expect("a ttl"));
    let ttl = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    ttl.and_then(Duration::try_from).expect("a duration")
}

/// Flips a bit in the middle of the one file of a cache.
pub fn damage(place: &Place, cache: &str) {
    let folder = place.path("larder-data").join(cache);
    let files: Vec<_> = fs::read_dir(folder).expect("a folder").collect();
    let [Ok(file)] = files.as_slice() else {
        panic!("not one file: {files:?}");
    };
    let mut bytes = fs::read(file.path()).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file.path(), bytes).expect("a file can be written");
}

/// The absolute path of a file, from its path in this package.
pub fn in_package(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    path.to_str().expect("text").to_owned()
}
