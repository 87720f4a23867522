//! What a backend tells about its caches: their size and age, and whether they are whole.

use std::fmt;
use std::time::SystemTime;

/// The size and age of a cache: zeros and none where nothing is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStat {
    /// How many entries are stored, expired and lost ones included.
    pub entries: u64,
    /// How many bytes of storage they take.
    pub bytes: u64,
    /// In how many files, or whatever the backend keeps apart.
    pub files: u64,
    /// Goes up with every change to the cache; 0 where nothing is stored.
    pub version: u64,
    /// When the last change was made; none where that is not known.
    pub saved_at: Option<SystemTime>,
}

/// The outcome of a check: nothing stored is a report of no files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many files the cache consists of.
    pub files: u64,
    /// How many blocks of entries were checked.
    pub blocks: u64,
    /// How many bytes were read and checked.
    pub bytes: u64,
    /// What is damaged; nothing where the cache is whole.
    pub damage: Vec<Damage>,
}

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file, by its path from the root of the storage.
    pub file: String,
    /// What is damaged.
    pub part: Part,
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// How many bytes it takes.
    pub length: u64,
    /// How many entries, or records of removed ones, cannot be read because of it; 0 where none
    /// are, or where that is not known.
    pub entries: u64,
}

/// What a piece of damage hit. Its `Display` is one word in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The whole file: nothing in it can be read.
    File,
    /// The beginning of the file, which says what it holds.
    Header,
    /// A block of entries: these are lost.
    Block,
    /// The end of the file, which says what is where.
    Index,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Part::File => "file",
            Part::Header => "header",
            Part::Block => "block",
            Part::Index => "index",
        })
    }
}
