//! The operations that change a cache, as data, and the contents of the cache after them.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Change, Entry};

/// The contents of a cache without times to live: values by their keys.
pub type Values = BTreeMap<String, Vec<u8>>;

/// After the first snapshot, this many small changes have a file each. The next change compacts
/// them.
pub const UNCOMPACTED: usize = 22;

/// An operation that changes a cache.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// `save`
    Save(Vec<Entry>),
    /// `open-writer`, an `append` for each batch, and `commit`
    SaveInBatches(Vec<Vec<Entry>>),
    /// `apply`
    Apply(Vec<Change>),
    /// `clear`
    Clear,
}

impl Write {
    /// The contents after this operation, if no entry has a time to live.
    pub fn on(&self, values: &Values) -> Values {
        match self {
            Write::Save(entries) => entries.iter().map(pair).collect(),
            Write::SaveInBatches(batches) => batches.iter().flatten().map(pair).collect(),
            Write::Apply(changes) => {
                let mut values = values.clone();
                for change in changes {
                    match change {
                        Change::Put(entry) => values.extend([pair(entry)]),
                        Change::Remove(key) => drop(values.remove(key)),
                    }
                }
                values
            }
            Write::Clear => Values::new(),
        }
    }
}

/// A short text: of a long value, only the beginning.
impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let put = |entry: &Entry| format!("{}={}", entry.key, short(&entry.value));
        let (operation, what): (_, Vec<String>) = match self {
            Write::Save(entries) => ("save", entries.iter().map(put).collect()),
            Write::SaveInBatches(batches) => {
                let batches = batches.iter().map(|entries| {
                    let entries: Vec<String> = entries.iter().map(put).collect();
                    entries.join(" ")
                });
                (
                    "save in batches",
                    vec![batches.collect::<Vec<_>>().join(" | ")],
                )
            }
            Write::Apply(changes) => {
                let changes = changes.iter().map(|change| match change {
                    Change::Put(entry) => put(entry),
                    Change::Remove(key) => format!("-{key}"),
                });
                ("apply", changes.collect())
            }
            Write::Clear => ("clear", Vec::new()),
        };
        write!(f, "{operation}({})", what.join(" "))
    }
}

/// The contents of a cache as a short text: of a long value, only the beginning.
pub(crate) fn shown(values: &Values) -> String {
    let values = values.iter();
    let values = values.map(|(key, value)| format!("{key}={}", short(value)));
    format!("{{{}}}", values.collect::<Vec<_>>().join(" "))
}

/// How many bytes of a value are shown.
const SHOWN: usize = 12;

fn short(value: &[u8]) -> String {
    let start = String::from_utf8_lossy(&value[..value.len().min(SHOWN)]);
    match value.len() {
        ..=SHOWN => start.into_owned(),
        length => format!("{start}.. ({length} bytes)"),
    }
}

fn pair(entry: &Entry) -> (String, Vec<u8>) {
    (entry.key.clone(), entry.value.clone())
}
