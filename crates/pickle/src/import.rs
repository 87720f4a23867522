//! The import: from the bytes of a file to the entries of a cache.

use std::mem;
use std::time::{Duration, SystemTime};

use crate::error::PickleError;
use crate::format::other_format;
use crate::machine;
use crate::node::{Id, Node, Nodes};
use crate::writer::{Flaw, Item, Reason, Writer};

/// An import may write this many bytes for each byte of the file, and this many more for any file.
pub const ROOM_PER_BYTE: usize = 64;
pub const ROOM: usize = 1 << 20;

/// The longest time to live that the contract can express.
const MAX_TTL: Duration = Duration::from_nanos(u64::MAX);

/// An entry of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The key: text as it is, other plain data as JSON.
    pub key: String,
    /// The value: bytes as they are, text in UTF-8, other plain data as JSON.
    pub value: Vec<u8>,
    /// The time that the entry has left; none if it does not expire.
    pub ttl: Option<Duration>,
}

/// The contents of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// The entries that have not expired, in the order of the file. No two have the same key.
    pub entries: Vec<Entry>,
    /// How many entries have expired.
    pub expired: u64,
    /// The entries that cannot be represented.
    pub skipped: Vec<Skipped>,
}

/// An entry that cannot be represented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The key of the entry. If the key cannot be represented, its position in the file: `item 3`.
    pub key: String,
    /// The reason, as a text that continues "the entry": `is nested too deeply`.
    pub reason: String,
}

/// Reads a file. `now` is the time from which each ttl of the result counts.
///
/// Two forms of a file are known. The newer form is `{"save_time": seconds, "entries": {key:
/// (value, ttl)}}`: its ttls have been running since `save_time`. The older form is `{key: (value,
/// ttl)}`: its ttls start now. If the clock is behind the `save_time`, no ttl becomes longer.
///
/// Each of the dicts may also be an `OrderedDict`, a `defaultdict` or a `Counter`. The pair of
/// value and ttl may also be a list, a deque or a namedtuple. The file does not have the code of a
/// namedtuple. So any object that Python would make from a class and these two alone counts as one.
///
/// - **Values.** Text and bytes are taken as they are. Other plain data becomes compact JSON:
///   tuples, deques and sets become arrays, bytes inside become `{"base64":"..."}`, and keys of
///   dicts follow the rule for keys. A `defaultdict` loses its factory, a deque its limit.
/// - **Keys.** Text is taken as it is. Any other key becomes JSON. If the file sets a key twice,
///   the last value counts, as in Python.
/// - **Ttls.** A ttl is a number of seconds; `None` and infinity mean no ttl. An entry whose ttl is
///   over counts as expired. A ttl of more than 2^64 nanoseconds becomes that maximum.
/// - **Skipped.** The reader skips an entry in these cases:
///   - It is not a pair of value and ttl.
///   - Its key or value is not plain data. Objects of other classes are not: a namedtuple as a
///     value, a `datetime`, a `Decimal`, a `UUID`, an `array`, and all classes of the user.
///   - It holds data that JSON cannot express: a NaN, half of a surrogate pair, or a dict in which
///     two different keys are written alike.
///   - It contains itself, or is nested more than 128 levels deep.
///   - It has an integer of more than 4096 bits.
///   - It refers to the same data so often that it would be about 64 times as large as the file.
///   - Its key is written like an earlier, different key.
/// - Bytes after the end of the pickle are ignored, as in Python.
///
/// # Errors
///
/// [`PickleError::Malformed`] if the file is not a whole pickle, [`PickleError::NotACache`] if it
/// is a pickle of other data, [`PickleError::OtherFormat`] if it is gzip, zlib, SQLite or JSON.
pub fn read(bytes: &[u8], now: SystemTime) -> Result<Import, PickleError> {
    let (nodes, root) = machine::run(bytes).map_err(|error| match other_format(bytes) {
        Some(format) => PickleError::OtherFormat(format.into()),
        None => error,
    })?;
    let room = bytes
        .len()
        .saturating_mul(ROOM_PER_BYTE)
        .saturating_add(ROOM);
    extract(&nodes, root, room, now)
}

/// Makes entries of the object that the whole file stands for, with room for so many bytes.
pub fn extract(
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

/// The fields that both forms of a file have.
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

/// The time that has passed since `seconds` after 1970; zero if that is in the future.
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

/// The entry with the time that it has left; `None` if it has expired.
fn entry(
    nodes: &Nodes<'_>,
    writer: &mut Writer<'_>,
    item: &mut Item,
    elapsed: Duration,
) -> Result<Option<Entry>, Reason> {
    let (value, ttl) = pair(nodes, item.value)?;
    let ttl = match nodes.get(ttl) {
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
            return Err("has a key that is written like an earlier, different key".into());
        }
    }
    Ok(Some(Entry {
        value: writer.value(value)?,
        key: mem::take(&mut item.key),
        ttl,
    }))
}

/// The value and the ttl of an entry. A namedtuple is a class of the user; the file has its items.
fn pair(nodes: &Nodes<'_>, id: Id) -> Result<(Id, Id), Reason> {
    let items = match *nodes.get(id) {
        Node::Object { items, .. } => items.unwrap_or(id),
        _ => id,
    };
    nodes
        .pair(items)
        .ok_or_else(|| match nodes.get(id).is_plain() {
            true => "is not a pair of value and ttl".into(),
            false => nodes.objection(id),
        })
}

/// The rest of a ttl, zero if it is over; `None` for a ttl without end.
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
