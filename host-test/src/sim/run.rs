//! The events on a simulated disk, as a list to read.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use super::undecided::PowerCut;
use crate::call::Call;

/// The operations and calls of all instances on a disk with their outcomes, and the power cuts, all
/// in their order.
#[derive(Default)]
pub struct Run(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    /// The lines that forks share.
    before: Vec<Arc<Vec<Line>>>,
    lines: Vec<Line>,
}

enum Line {
    Note(String),
    Operation(usize, String),
    Call(usize, Call, String, &'static str),
    Cut(PowerCut),
}

impl Run {
    /// A run that begins with these lines and goes on by itself.
    pub(super) fn fork(&self) -> Run {
        let mut lines = self.lines();
        if !lines.lines.is_empty() {
            let recent = mem::take(&mut lines.lines);
            lines.before.push(Arc::new(recent));
        }
        Run(Mutex::new(Lines {
            before: lines.before.clone(),
            lines: Vec::new(),
        }))
    }

    /// Adds a line of text.
    pub(crate) fn note(&self, what: String) {
        self.add(Line::Note(what));
    }

    /// Adds the begin or the end of an instance's operation.
    pub(crate) fn operation(&self, instance: usize, what: String) {
        self.add(Line::Operation(instance, what));
    }

    /// Adds a call of an instance and its outcome.
    pub(crate) fn call(&self, instance: usize, call: Call, path: String, outcome: &'static str) {
        self.add(Line::Call(instance, call, path, outcome));
    }

    /// Adds a power cut.
    pub(super) fn cut(&self, cut: PowerCut) {
        self.add(Line::Cut(cut));
    }

    fn add(&self, line: Line) {
        self.lines().lines.push(line);
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().expect("taking a note does not panic")
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines();
        let before = lines.before.iter().flat_map(|lines| lines.iter());
        for (n, line) in (1..).zip(before.chain(&lines.lines)) {
            match line {
                Line::Note(what) => writeln!(f, "{n:>4} {what}"),
                Line::Operation(instance, what) => writeln!(f, "{n:>4} #{instance} {what}"),
                Line::Call(instance, call, path, outcome) => {
                    writeln!(f, "{n:>4} #{instance}   {call:?} {path:?} {outcome}")
                }
                Line::Cut(cut) => writeln!(f, "{n:>4} {cut}"),
            }?;
        }
        Ok(())
    }
}
