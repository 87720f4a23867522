//! Reads the cache files of Larder's predecessor, a Python module that pickled a dict.
//!
//! A pickle is a program, and Python runs whatever it names. This reader builds the plain data in a
//! file (text, bytes, numbers, bools, `None`, lists, tuples, sets and dicts) and never runs, imports
//! or looks up anything: an entry that needs more is skipped, and the rest are read. Protocols 0 to
//! 5 are known.
//!
//! It is written by hand because the crate for the format does not fit: `serde-pickle` either
//! refuses the whole file or puts `None` in place of an object that it does not know, which can't
//! be told from data; and it copies what a file refers to again, so that a small file can grow
//! without bound.
//!
//! Whatever the bytes are, [`read`] returns, after time and with memory in proportion to their
//! number.

use std::fmt;
use std::mem;
use std::time::{Duration, SystemTime};

use node::{Id, Node, Nodes};
use writer::{Flaw, Item, Reason, Writer};

#[cfg(test)]
mod bounds;
mod literal;
mod machine;
mod node;
mod writer;

/// How much may be written for each byte of a file, and for any file.
const ROOM_PER_BYTE: usize = 64;
const ROOM: usize = 1 << 20;

/// The longest time to live that the contract can express.
const MAX_TTL: Duration = Duration::from_nanos(u64::MAX);

/// An entry of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The key: text as it is, other plain data as JSON.
    pub key: String,
    /// The value: bytes as they are, text in UTF-8, other plain data as JSON.
    pub value: Vec<u8>,
    /// The time that the entry has left; none where it does not expire.
    pub ttl: Option<Duration>,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// The live entries in the order of the file, no key twice, each with the time that it has left.
    pub entries: Vec<Entry>,
    /// How many entries expired before now.
    pub expired: u64,
    /// The entries that can't be represented.
    pub skipped: Vec<Skipped>,
}

/// An entry that can't be represented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The entry's key, or where it stands in the file if it is the key that can't be represented.
    pub key: String,
    /// Why, to follow the words "the entry": `is nested too deeply`.
    pub reason: String,
}

/// Why a file can't be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PickleError {
    /// The file is damaged, cut short, or no pickle.
    Malformed {
        /// Where in the file the instruction begins that is wrong.
        offset: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is a pickle, but not of a cache.
    NotACache(String),
}

impl fmt::Display for PickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { offset, reason } => {
                write!(f, "not a readable pickle file: {reason}, at byte {offset}")
            }
            Self::NotACache(reason) => write!(f, "not a pickled cache: {reason}"),
        }
    }
}

impl std::error::Error for PickleError {}

/// Reads a file as of a time.
///
/// Both payloads are known: `{"save_time": seconds, "entries": {key: (value, ttl)}}`,
/// whose ttls have been running since, and the older `{key: (value, ttl)}`, whose ttls start now.
/// A clock that is behind the file's time makes no ttl longer.
///
/// - **Values.** Text and bytes are taken as they are, other plain data as compact JSON:
///   tuples and sets as arrays, bytes inside as `{"base64":"..."}`, keys of dicts as here.
/// - **Keys.** Text is taken as it is, anything else as JSON.
/// - **Ttls.** Seconds, or `None` or infinity for none. What has run out is
///   counted as expired; more than 2^64 nanoseconds counts as that.
/// - **Skipped.** An entry that is not a pair of value and ttl; whose key or value is not plain
///   data, or holds what JSON can't express (a NaN, half of a surrogate pair, a dict with
///   different keys that are written alike); that contains itself, is nested more than 128 levels
///   deep, has an integer of more than 4096 bits, or refers to the same data so often that it
///   would be some 64 times as large as the file; or whose key is written like an earlier,
///   different one. Of a key that the file sets twice the last value counts, as in Python.
/// - Bytes after the end of the pickle are ignored, as in Python.
pub fn read(bytes: &[u8], now: SystemTime) -> Result<Import, PickleError> {
    let (nodes, root) = machine::run(bytes)?;
    let room = bytes
        .len()
        .saturating_mul(ROOM_PER_BYTE)
        .saturating_add(ROOM);
    extract(&nodes, root, room, now)
}

/// The cache that an object stands for.
fn extract(
    nodes: &Nodes<'_>,
    root: Id,
    room: usize,
    now: SystemTime,
) -> Result<Import, PickleError> {
    let payload = Payload::of(nodes, root)?;
    let elapsed = payload
        .save_time
        .map_or(Duration::ZERO, |time| elapsed(time, now));
    let mut writer = Writer::new(nodes, room);
    let mut import = Import::default();
    for mut item in writer.items(payload.entries) {
        match entry(nodes, &mut writer, &mut item, elapsed) {
            Ok(Some(entry)) => import.entries.push(entry),
            Ok(None) => import.expired += 1,
            Err(reason) => import.skipped.push(Skipped {
                key: item.key,
                reason: writer.reason(reason),
            }),
        }
    }
    Ok(import)
}

/// The two payloads as one.
struct Payload<'a> {
    entries: &'a [(Id, Id)],
    /// In seconds since 1970.
    save_time: Option<f64>,
}

impl<'a> Payload<'a> {
    fn of(nodes: &'a Nodes<'_>, root: Id) -> Result<Self, PickleError> {
        let payload = dict(nodes, root, "the payload")?;
        let field = |name| {
            let last = payload
                .iter()
                .rfind(|item| nodes.text(item.0) == Some(name));
            last.map(|item| item.1)
        };
        let (Some(save_time), Some(entries)) = (field("save_time"), field("entries")) else {
            return Ok(Self {
                entries: payload,
                save_time: None,
            });
        };
        let save_time = nodes.get(save_time).number();
        if !save_time.is_some_and(f64::is_finite) {
            return Err(PickleError::NotACache("its save_time is not a time".into()));
        }
        Ok(Self {
            entries: dict(nodes, entries, "the dict of entries")?,
            save_time,
        })
    }
}

fn dict<'a>(nodes: &'a Nodes<'_>, id: Id, what: &str) -> Result<&'a [(Id, Id)], PickleError> {
    match nodes.get(id) {
        Node::Dict(items) => Ok(items),
        Node::Global { .. } | Node::Object { .. } | Node::Unfit(_) => {
            let objection = nodes.objection(id);
            Err(PickleError::NotACache(format!("{what} {objection}")))
        }
        _ => Err(PickleError::NotACache(format!("{what} is not a dict"))),
    }
}

/// How long before `now` a time was, in seconds since 1970; no time at all if it is yet to come.
fn elapsed(seconds: f64, now: SystemTime) -> Duration {
    let distance = Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::MAX);
    let before = seconds < 0.0;
    let time = if before {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    match time {
        Some(time) => now.duration_since(time).unwrap_or_default(),
        None if before => Duration::MAX,
        None => Duration::ZERO,
    }
}

/// An entry with the time that it has left; `None` if it expired.
fn entry(
    nodes: &Nodes<'_>,
    writer: &mut Writer<'_>,
    item: &mut Item,
    elapsed: Duration,
) -> Result<Option<Entry>, Reason> {
    let (value, ttl) = match nodes.get(item.value) {
        Node::Tuple(pair) if let &[value, ttl] = pair.as_slice() => (value, nodes.get(ttl)),
        _ => return Err("is not a pair of value and ttl".into()),
    };
    let ttl = match ttl {
        Node::None => None,
        ttl => remaining(ttl.number().unwrap_or(f64::NAN), elapsed)?,
    };
    if ttl == Some(Duration::ZERO) {
        return Ok(None);
    }
    match &item.flaw {
        None => {}
        Some(Flaw::Unfit(reason)) => return Err(format!("has a key that {reason}")),
        Some(Flaw::Clash) => {
            return Err("has a key that is written like an earlier, different one".into());
        }
    }
    Ok(Some(Entry {
        value: writer.value(value)?,
        key: mem::take(&mut item.key),
        ttl,
    }))
}

/// What is left of a ttl, nothing if it has run out; `None` for one without end.
fn remaining(seconds: f64, elapsed: Duration) -> Result<Option<Duration>, Reason> {
    if seconds.is_nan() {
        return Err("has a ttl that is not a number".into());
    }
    if seconds == f64::INFINITY {
        return Ok(None);
    }
    let ttl = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    Ok(Some(ttl.saturating_sub(elapsed).min(MAX_TTL)))
}
