//! The output of the command: results on standard output, all other texts on standard error.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{HumanCount, ProgressBar, ProgressFinish, ProgressStyle};
use serde::Serialize;

/// Why a verb stopped.
pub enum Failure {
    /// For this reason, which the user has not read yet.
    Said(String),
    /// Standard output takes no more, for this reason.
    Unwritten(String),
}

pub struct Output {
    /// Whether a program reads the results.
    pub json: bool,
    /// Whether standard output is a terminal.
    pub terminal: bool,
    /// Whether the reader of standard output is gone, as after `larder load big | head`. It has all
    /// that it wants, so that is no failure. A verb does the rest of its work without output.
    pub reader_gone: bool,
    incomplete: bool,
    stdout: BufWriter<Stdout>,
}

impl Output {
    pub fn new(json: bool) -> Self {
        let stdout = io::stdout();
        Self {
            json,
            terminal: stdout.is_terminal(),
            reader_gone: false,
            incomplete: false,
            stdout: BufWriter::with_capacity(1 << 16, stdout),
        }
    }

    /// One line for people.
    pub fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        let text = text.to_string();
        self.write(|stdout| writeln!(stdout, "{}", printable(&text)))
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write(|stdout| stdout.write_all(bytes))
    }

    /// One line for programs.
    pub fn object(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_string(object).map_err(io::Error::from);
        // JSON leaves some control characters as they are. They stand only in strings here, where
        // an escape means the same and does nothing to a terminal.
        let escape = |c| format!("\\u{:04x}", c as u32);
        self.write(|stdout| writeln!(stdout, "{}", escaped(&json?, escape)))
    }

    /// Rows under headings. If a heading begins with `>`, its column is aligned to the right.
    pub fn table<const N: usize>(
        &mut self,
        headings: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Result<(), Failure> {
        let mut table = Table::new();
        table.load_style(match self.terminal {
            true => presets::UTF8_FULL_CONDENSED,
            false => presets::NOTHING,
        });
        table.set_header(headings.map(|heading| heading.trim_start_matches('>')));
        table.add_rows(
            rows.into_iter()
                .map(|row| row.map(|cell| printable(&cell).into_owned())),
        );
        for (column, heading) in table.column_iter_mut().zip(headings) {
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.write(|stdout| writeln!(stdout, "{}", table.trim_fmt()))
    }

    /// Writes the buffered results, so that the user sees them now.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.write(BufWriter::flush)
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<Stdout>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        if self.reader_gone {
            return Ok(());
        }
        match write(&mut self.stdout) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.reader_gone = true;
                Ok(())
            }
            written => {
                written.map_err(|error| Failure::Unwritten(format!("standard output: {error}")))
            }
        }
    }

    /// A failure after which the verb goes on with the rest. The exit code will be 1.
    pub fn failed(&mut self, failure: Failure) {
        self.incomplete = true;
        let (Failure::Said(why) | Failure::Unwritten(why)) = failure;
        // If standard error is gone too, nobody is left to read an error.
        let _ = writeln!(io::stderr(), "larder: {}", printable(&why));
    }

    /// Ends the command: writes the buffered results and the failure, and gives the exit code.
    pub fn finish(mut self, outcome: Result<(), Failure>) -> ExitCode {
        // Standard output that failed once would fail again, with the same message.
        let flushed = match &outcome {
            Err(Failure::Unwritten(_)) => Ok(()),
            Err(Failure::Said(_)) | Ok(()) => self.flush(),
        };
        for outcome in [flushed, outcome] {
            if let Err(failure) = outcome {
                self.failed(failure);
            }
        }
        match self.incomplete {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        }
    }
}

// The functions below show progress on standard error, if it is a terminal, until the bar is
// dropped.

/// Shows a spinner, for work of unknown length.
pub fn working(what: &str) -> ProgressBar {
    shown(
        ProgressBar::new_spinner(),
        "{spinner} {msg} ({elapsed})",
        what,
    )
}

/// Shows how many lines were read, of an unknown number.
pub fn going_on(what: &str) -> ProgressBar {
    shown(
        ProgressBar::new_spinner(),
        "{spinner} {msg} {human_pos} lines ({elapsed})",
        what,
    )
}

/// Shows how many of so many bytes were read.
pub fn measuring(what: &str, of: u64) -> ProgressBar {
    shown(
        ProgressBar::new(of),
        "{msg} {wide_bar} {bytes}/{total_bytes}",
        what,
    )
}

/// Shows how many of so many items are done.
pub fn counting(what: &str, of: u64) -> ProgressBar {
    shown(
        ProgressBar::new(of),
        "{msg} {wide_bar} {human_pos}/{human_len}",
        what,
    )
}

fn shown(bar: ProgressBar, template: &str, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    let bar = bar
        .with_style(style)
        .with_finish(ProgressFinish::AndClear)
        .with_message(printable(what).into_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A number with its noun: `1 entry`, `2,000 entries`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{} {word}", HumanCount(number))
}

/// Text that does nothing to a terminal: each control character is written as an escape.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.escape_default().to_string())
}

/// Text with escapes for control characters, and for characters that change the text direction.
fn escaped(text: &str, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match acts(c) {
            true => safe.push_str(&escape(c)),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}
