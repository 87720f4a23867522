//! What a run found out, as it is written to `results.json`.

use serde::Serialize;

use crate::contestant::Role;
use crate::goals::Goal;
use crate::process::Machine;
use crate::stats::Times;

/// All of a run. What was left out of it is not there.
#[derive(Serialize)]
pub struct Results {
    pub machine: Machine,
    pub places: Vec<PlaceKind>,
    pub stores: Vec<Store>,
    pub applies: Vec<Apply>,
    pub changes: Option<Changes>,
    pub streams: Vec<Stream>,
    pub start: Option<Start>,
    pub component_bytes: usize,
    pub goals: Vec<Goal>,
}

/// A file system that was measured on.
#[derive(Serialize)]
pub struct PlaceKind {
    pub name: &'static str,
    pub storage: String,
}

/// The same entries kept by everyone.
#[derive(Serialize)]
pub struct Store {
    pub place: &'static str,
    pub data: &'static str,
    /// A name for files.
    pub short: &'static str,
    pub entries: usize,
    pub bytes: usize,
    pub rows: Vec<Row>,
}

/// One of those who kept them.
#[derive(Serialize)]
pub struct Row {
    pub name: &'static str,
    pub role: Role,
    pub settings: &'static str,
    pub persist: Option<Times>,
    pub load: Option<Times>,
    /// Why it took no more turns, if so.
    pub failed: Option<String>,
}

/// Single changes to a large cache, each beside two fsyncs.
#[derive(Serialize)]
pub struct Apply {
    pub place: &'static str,
    pub cache: usize,
    pub apply: Times,
    /// A new file of 4 KiB: fsync of it, and of its folder.
    pub new_file: Times,
    /// A file of 4 KiB that is there: written and fsynced, twice.
    pub in_place: Times,
    /// How many bytes a call wrote.
    pub written_median: f64,
    pub written_max: u64,
}

/// Very many single changes to a large cache.
#[derive(Serialize)]
pub struct Changes {
    pub place: &'static str,
    pub cache: usize,
    pub calls: usize,
    pub times: Times,
    /// How many bytes of keys and values were changed.
    pub changed: u64,
    pub written: u64,
    /// Between two calls.
    pub most_files: usize,
    pub slowest: Call,
}

/// One call.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Call {
    /// Which one it was, counted from 0.
    pub number: usize,
    pub millis: f64,
    /// How much of that its thread was computing, rather than waiting for the disk or a processor.
    pub computing_millis: f64,
    pub written: u64,
    pub files_before: usize,
    pub files_after: usize,
}

/// A cache that nobody holds, written or read piece by piece by a process of its own.
#[derive(Serialize)]
pub struct Stream {
    pub place: &'static str,
    /// In batches, called by wasmtime alone, or entry by entry with `larder-host`.
    pub through: &'static str,
    pub what: &'static str,
    pub entries: u64,
    pub times: Times,
    /// How large the component's memory became, where that is known.
    pub guest_bytes: Option<u64>,
    /// How much more memory the process had at most than when it was ready.
    pub host_bytes: u64,
}

/// From a compiled component to the first entries.
#[derive(Serialize)]
pub struct Start {
    /// `larder-host`: a backend and a load of 100 entries.
    pub library: Times,
    /// wasmtime alone: an instance and the same load.
    pub component: Times,
    /// The library once more, with the machine code from its code cache.
    pub kept_code: Times,
}
