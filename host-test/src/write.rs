//! The operations that change a cache, as data, and what they make of its contents.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Change, Entry};

/// The contents of a cache whose entries live for ever: values by their keys.
pub type Values = BTreeMap<String, Vec<u8>>;

/// An operation that changes a cache.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// `save`
    Save(Vec<Entry>),
    /// `apply`
    Apply(Vec<Change>),
    /// `clear`
    Clear,
}

impl Write {
    /// What a cache with these contents holds after it, where no entry has a time to live.
    pub fn on(&self, values: &Values) -> Values {
        match self {
            Write::Save(entries) => entries.iter().map(pair).collect(),
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

/// For people to read: values are cut short.
impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let put = |entry: &Entry| format!("{}={}", entry.key, start_of(&entry.value));
        let (operation, what): (_, Vec<String>) = match self {
            Write::Save(entries) => ("save", entries.iter().map(put).collect()),
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

/// The contents of a cache, for people to read: values are cut short.
pub(crate) fn shown(values: &Values) -> String {
    let values = values.iter();
    let values = values.map(|(key, value)| format!("{key}={}", start_of(value)));
    format!("{{{}}}", values.collect::<Vec<_>>().join(" "))
}

fn start_of(value: &[u8]) -> String {
    String::from_utf8_lossy(&value[..value.len().min(12)]).into_owned()
}

fn pair(entry: &Entry) -> (String, Vec<u8>) {
    (entry.key.clone(), entry.value.clone())
}
