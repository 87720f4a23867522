//! Entries as JSON lines: `save` and `apply` read them, `load` writes them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicatif::ProgressBar;
use larder_host::{Change, Entry, LiveEntry};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{duration, output};

/// Some editors put it at the beginning of a file in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The name of standard input in messages.
pub const STANDARD_INPUT: &str = "standard input";

/// The input of lines.
#[derive(clap::Args)]
pub struct Input {
    /// A file of JSON lines [default: -, which is standard input]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The fields of any line: an entry, or a key to remove.
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
    #[serde(default, deserialize_with = "ttl")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<String>,
}

/// Reads a ttl. The error for a number says how to write one.
fn ttl<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Option::deserialize(deserializer)? {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(D::Error::custom(format!(
            "\"ttl\" has to be a text such as \"90s\", not {other}"
        ))),
    }
}

/// The lines of an input, one at a time, without blank lines. A wrong line is an error that names
/// the input and the line.
pub struct Lines<T> {
    name: String,
    input: Box<dyn BufRead>,
    accept: fn(Line) -> Result<T, String>,
    number: u64,
    line: Vec<u8>,
    /// Counts lines. None for a terminal, where the count would stand among the typed lines. None
    /// for a file, which has a bar of its bytes.
    progress: Option<ProgressBar>,
}

/// Whether an argument in place of a file stands for standard input.
pub fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}

impl Input {
    /// Opens the input. As long as the lines are read, it shows the progress.
    pub fn open<T>(
        &self,
        doing: &str,
        accept: fn(Line) -> Result<T, String>,
    ) -> Result<Lines<T>, String> {
        let (name, input, progress): (_, Box<dyn BufRead>, _) = match &self.file {
            Some(file) if !is_standard_input(file) => {
                let name = file.display().to_string();
                let opened = File::open(file).and_then(|file| Ok((file.metadata()?.len(), file)));
                let (size, file) = opened.map_err(|error| format!("{name}: {error}"))?;
                let file = output::measuring(doing, size).wrap_read(file);
                (
                    name,
                    Box::new(BufReader::with_capacity(1 << 16, file)),
                    None,
                )
            }
            _ => {
                let stdin = io::stdin();
                let progress = (!stdin.is_terminal()).then(|| output::going_on(doing));
                (STANDARD_INPUT.into(), Box::new(stdin.lock()), progress)
            }
        };
        Ok(Lines {
            name,
            input,
            accept,
            number: 0,
            line: Vec::new(),
            progress,
        })
    }
}

impl<T> Lines<T> {
    /// Reads the next line that is not blank; `None` at the end.
    fn read(&mut self) -> Result<Option<T>, String> {
        loop {
            self.number += 1;
            self.line.clear();
            let read = self.input.read_until(b'\n', &mut self.line);
            if read.map_err(|error| error.to_string())? == 0 {
                return Ok(None);
            }
            let mut line = self.line.as_slice();
            if self.number == 1 {
                line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            }
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            // serde also accepts an array, as the fields in their order.
            if !line.starts_with(b"{") {
                return Err(
                    "a line has to be a JSON object, such as {\"key\": \"k\", \"value\": \"v\"}"
                        .into(),
                );
            }
            let line = serde_json::from_slice(line).map_err(|error| without_line(&error))?;
            return (self.accept)(line).map(Some);
        }
    }
}

impl<T> Iterator for Lines<T> {
    type Item = Result<T, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(progress) = &self.progress {
            progress.inc(1);
        }
        let line = self.read();
        let at = |why| format!("{}, line {}: {why}", self.name, self.number);
        line.map_err(at).transpose()
    }
}

/// A JSON error without its line number, which is always 1 here.
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
            return Err("only `larder apply` takes \"remove\"".into());
        }
        let key = self.key.ok_or("there is no \"key\"")?;
        let value = match (self.value, self.base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(base64)) => STANDARD
                .decode(base64)
                .map_err(|error| format!("\"base64\": {error}"))?,
            (Some(_), Some(_)) => return Err("there is both \"value\" and \"base64\"".into()),
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
            } => Err("there is another field beside \"remove\"".into()),
            put => put.entry().map(Change::Put),
        }
    }

    /// The line for an entry, with the time that remains; `None` if it has expired.
    pub fn of(entry: LiveEntry) -> Option<Self> {
        let remaining = match entry.expires_at {
            // A deadline of now has passed too.
            Some(deadline) => Some(
                deadline
                    .checked_duration_since(Instant::now())
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
