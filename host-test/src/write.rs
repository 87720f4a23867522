//! The operations that change a cache, as data, and what they make of its contents.

use std::collections::BTreeMap;

use crate::{Change, Entry};

/// The contents of a cache whose entries live for ever: values by their keys.
pub type Values = BTreeMap<String, Vec<u8>>;

/// An operation that changes a cache.
#[derive(Clone, Debug)]
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

fn pair(entry: &Entry) -> (String, Vec<u8>) {
    (entry.key.clone(), entry.value.clone())
}
