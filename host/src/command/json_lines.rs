//! Entries as JSON lines: what `save` and `apply` read and `load` writes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use larder_host::{Change, Entry, LiveEntry};
use serde::{Deserialize, Serialize};

use super::{duration, output};

/// Where lines come from.
#[derive(clap::Args)]
pub struct Input {
    /// A file of JSON lines [default: -, which is standard input]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// One line, before it is known what it asks for.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<String>,
}

impl Input {
    /// Reads all lines but blank ones. The first that is not acceptable is the error, which names
    /// the input and the line.
    pub fn read<T>(&self, accept: impl Fn(Line) -> Result<T, String>) -> Result<Vec<T>, String> {
        match self.file.as_deref().filter(|file| *file != Path::new("-")) {
            Some(file) => {
                let name = file.display().to_string();
                let opened = File::open(file).and_then(|file| Ok((file.metadata()?.len(), file)));
                let (size, file) = opened.map_err(|error| format!("{name}: {error}"))?;
                let progress = output::counting(&format!("reading {name}"), size);
                read(&name, BufReader::new(progress.wrap_read(file)), accept)
            }
            None => {
                let stdin = io::stdin();
                // Where the lines are typed, progress would be written among them.
                let _progress =
                    (!stdin.is_terminal()).then(|| output::working("reading standard input"));
                read("standard input", stdin.lock(), accept)
            }
        }
    }
}

fn read<T>(
    name: &str,
    mut input: impl BufRead,
    accept: impl Fn(Line) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let mut accepted = Vec::new();
    let mut line = Vec::new();
    for number in 1u64.. {
        let at = |why: String| format!("{name}, line {number}: {why}");
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Err(at(error.to_string())),
        }
        let line = line.trim_ascii();
        if !line.is_empty() {
            // What serde takes for the fields of an object in their order is no line.
            if !line.starts_with(b"{") {
                return Err(at(
                    "a line is a JSON object, such as {\"key\": \"k\"}".into()
                ));
            }
            let line = serde_json::from_slice(line).map_err(|error| at(without_line(&error)))?;
            accepted.push(accept(line).map_err(at)?);
        }
    }
    Ok(accepted)
}

/// What is wrong with a line of JSON, which takes itself for line 1.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position) {
        Some(what) => format!("{what}, at column {}", error.column()),
        None => text,
    }
}

impl Line {
    /// The entry that the line puts.
    pub fn entry(self) -> Result<Entry, String> {
        if self.remove.is_some() {
            return Err("\"remove\" is for `larder apply`".into());
        }
        let key = self.key.ok_or("there is no \"key\"")?;
        let value = match (self.value, self.base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(base64)) => STANDARD
                .decode(base64)
                .map_err(|error| format!("\"base64\": {error}"))?,
            (Some(_), Some(_)) => return Err("there are both \"value\" and \"base64\"".into()),
            (None, None) => return Err("there is neither \"value\" nor \"base64\"".into()),
        };
        let ttl = self.ttl.as_deref().map(duration::parse).transpose();
        Ok(Entry {
            key,
            value,
            ttl: ttl.map_err(|why| format!("\"ttl\": {why}"))?,
        })
    }

    /// The change that the line makes.
    pub fn change(self) -> Result<Change, String> {
        match self {
            Self {
                key: None,
                value: None,
                base64: None,
                ttl: None,
                remove: Some(key),
            } => Ok(Change::Remove(key)),
            Self {
                remove: Some(_), ..
            } => Err("there is something else beside \"remove\"".into()),
            put => put.entry().map(Change::Put),
        }
    }

    /// The line for an entry as it is at that moment; none where it has expired by then.
    pub fn of(entry: LiveEntry, now: Instant) -> Option<Self> {
        let remaining = match entry.expires_at {
            // A deadline that has passed gives nothing, as does one that is now.
            Some(deadline) => Some(
                deadline
                    .checked_duration_since(now)
                    .filter(|ttl| !ttl.is_zero())?,
            ),
            None => None,
        };
        let (value, base64) = match String::from_utf8(entry.value) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };
        Some(Self {
            key: Some(entry.key),
            value,
            base64,
            ttl: remaining.map(duration::exact),
            remove: None,
        })
    }
}
