//! What the command writes: results on standard output, everything else on standard error.

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
    /// For this reason, which is still to be told.
    Said(String),
    /// Nobody reads standard output any more, as after `larder load big | head`.
    ReaderGone,
}

impl From<io::Error> for Failure {
    /// Writing to standard output failed; nothing else in the command is converted this way.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Said(format!("standard output: {error}")),
        }
    }
}

pub struct Output {
    /// Whether results are for programs.
    pub json: bool,
    /// Whether results are for a terminal.
    pub terminal: bool,
    incomplete: bool,
    stdout: BufWriter<Stdout>,
}

impl Output {
    pub fn new(json: bool) -> Self {
        let stdout = io::stdout();
        Self {
            json,
            terminal: stdout.is_terminal(),
            incomplete: false,
            stdout: BufWriter::with_capacity(1 << 16, stdout),
        }
    }

    /// One line for people.
    pub fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.stdout, "{}", printable(&text.to_string()))?)
    }

    /// One line for programs.
    pub fn object(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_string(object).map_err(io::Error::from)?;
        // JSON leaves some control characters as they are. They can only be within strings here, where
        // an escape means the same and does nothing to a terminal.
        Ok(writeln!(
            self.stdout,
            "{}",
            escaped(&json, |c| format!("\\u{:04x}", c as u32))
        )?)
    }

    /// Rows under headings; a heading that begins with `>` stands over numbers, on the right.
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
        Ok(writeln!(self.stdout, "{}", table.trim_fmt())?)
    }

    /// Writes out what is still in memory, for a verb whose user is to see it now.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.stdout.flush()?)
    }

    /// Something to know which does not make the outcome incomplete.
    pub fn note(&mut self, note: impl Display) {
        // Where standard error is gone too there is nobody left to tell.
        let _ = writeln!(io::stderr(), "larder: {}", printable(&note.to_string()));
    }

    /// Something that was asked for and was not done, where the verb goes on with the rest.
    pub fn failed(&mut self, failure: Failure) {
        self.incomplete = true;
        if let Failure::Said(why) = failure {
            self.note(why);
        }
    }

    /// Ends the command: what is left to write, what is left to say, and the exit code.
    pub fn finish(mut self, outcome: Result<(), Failure>) -> ExitCode {
        for outcome in [self.flush(), outcome] {
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

/// Shows on standard error what is being done, until it is dropped; where that is a terminal.
pub fn working(what: &str) -> ProgressBar {
    shown(
        ProgressBar::new_spinner(),
        "{spinner} {msg} ({elapsed})",
        what,
    )
}

/// Shows on standard error how many lines were taken of nobody knows how many, until it is dropped;
/// where that is a terminal.
pub fn going_on(what: &str) -> ProgressBar {
    shown(
        ProgressBar::new_spinner(),
        "{spinner} {msg} {human_pos} lines ({elapsed})",
        what,
    )
}

/// Shows on standard error how many of so many bytes were read, until it is dropped; where that is a
/// terminal.
pub fn measuring(what: &str, of: u64) -> ProgressBar {
    shown(
        ProgressBar::new(of),
        "{msg} {wide_bar} {bytes}/{total_bytes}",
        what,
    )
}

/// Shows on standard error how many of so many are done, until it is dropped; where that is a
/// terminal.
pub fn counting(what: &str, of: u64) -> ProgressBar {
    shown(
        ProgressBar::new(of),
        "{msg} {wide_bar} {human_pos}/{human_len}",
        what,
    )
}

fn shown(bar: ProgressBar, template: &str, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is one");
    let bar = bar
        .with_style(style)
        .with_finish(ProgressFinish::AndClear)
        .with_message(printable(what).into_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// How many of something: `1 entry`, `2,000 entries`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{} {word}", HumanCount(number))
}

/// Text that cannot do anything to a terminal: control characters are spelled out.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.escape_default().to_string())
}

/// Text with its control characters escaped, and those that change the direction of what follows.
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
