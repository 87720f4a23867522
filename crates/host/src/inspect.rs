//! The size, age, state and versions of caches.

use std::fmt;
use std::time::SystemTime;

/// The size and age of a cache. For a cache that does not exist, all numbers are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStat {
    /// How many entries are stored, including expired and lost ones.
    pub entries: u64,
    /// How many bytes of storage the cache takes.
    pub bytes: u64,
    /// How many files the cache has, or other separate objects of the backend.
    pub files: u64,
    /// Goes up with every change to the cache. 0: the cache does not exist.
    pub version: u64,
    /// When the last change was made; none if that is not known.
    pub saved_at: Option<SystemTime>,
}

/// A version of a cache that is whole: nothing that it consists of is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// Its number, as in [`CacheStat`].
    pub number: u64,
    /// When it was stored; none if that is not known.
    pub saved_at: Option<SystemTime>,
    /// How many entries and removals the files of newer versions hold, as far as they can be read.
    /// [`Backend::recover`] undoes them. A backend may count one twice that it stores twice.
    ///
    /// [`Backend::recover`]: crate::Backend::recover
    pub newer_changes: u64,
}

/// The result of a check. For a cache that does not exist, it has no files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many files the cache has.
    pub files: u64,
    /// How many blocks of entries were checked.
    pub blocks: u64,
    /// How many bytes were read and checked.
    pub bytes: u64,
    /// The damaged places. Empty: the cache is intact.
    pub damage: Vec<Damage>,
}

/// A damaged place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The path of the file from the root of the storage.
    pub file: String,
    /// The damaged part of the file.
    pub part: Part,
    /// Where the part begins in the file, in bytes.
    pub offset: u64,
    /// The length of the part, in bytes.
    pub length: u64,
    /// How many entries, or records of removed entries, are lost because of it. 0: none, or the
    /// number is not known.
    pub entries: u64,
}

/// A part of a file. Its `Display` is one word in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The whole file: nothing in it can be read.
    File,
    /// The beginning of the file, which describes its contents.
    Header,
    /// A block of entries: these entries are lost.
    Block,
    /// The end of the file, which says where each block is.
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
