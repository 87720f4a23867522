//! What is in the folder of a cache, and what its files are called.

use std::collections::BTreeSet;

use crate::abi::Error;

use super::dir::Dir;

const VERSION_SUFFIX: &str = ".larder";

/// What the names of temporaries end with.
pub const TEMPORARY: &str = ".tmp";

/// What the name of a file ends with that is written over several calls, before
/// it becomes a temporary: until then its writer acts on no listing, and holds
/// nobody up.
pub const DRAFT: &str = ".draft";

/// The last version that there can be.
const LAST: u64 = u64::MAX - 1;

/// The files of a cache's folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The published versions.
    pub versions: BTreeSet<u64>,
    /// The highest version whose name is taken, by whatever.
    pub(super) highest: u64,
    pub(super) temporaries: Vec<String>,
    pub(super) drafts: Vec<String>,
}

impl Listing {
    /// Lists a cache's folder.
    pub fn of(folder: &Dir) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        for listed in folder.list()? {
            if let Some(version) = version_of(&listed.name) {
                listing.highest = listing.highest.max(version);
                if listed.is_file {
                    listing.versions.insert(version);
                }
            } else if listed.is_file && is_temporary(&listed.name) {
                listing.temporaries.push(listed.name);
            } else if listed.is_file && is_random(&listed.name, DRAFT) {
                listing.drafts.push(listed.name);
            }
        }
        Ok(listing)
    }

    /// The version that comes next.
    pub fn next(&self) -> Result<u64, Error> {
        if self.highest < LAST {
            return Ok(self.highest + 1);
        }
        let name = file_name(self.highest);
        let reason = format!("{name} leaves no version to come after it");
        Err(Error::Other(reason))
    }

    /// Whether the newest version is still there. A name that goes while a
    /// folder is listed may be seen or not; but of what is superseded together
    /// the newest goes last.
    pub fn is_current(&self, folder: &Dir) -> Result<bool, Error> {
        let newest = self.versions.last().map(|version| file_name(*version));
        newest.map_or(Ok(true), |newest| folder.has_file(&newest))
    }

    /// The versions between these, from the oldest.
    pub(super) fn superseded(&self, base: u64, version: u64) -> Vec<u64> {
        let older = self.versions.range(..version).copied();
        older.filter(|older| *older > base).collect()
    }

    /// Whether the name after this version's is free, and so are all others.
    pub fn is_on_top(&self, version: u64) -> bool {
        self.highest == version
    }
}

/// The name of a version's file.
pub fn file_name(version: u64) -> String {
    format!("{version:020}{VERSION_SUFFIX}")
}

fn version_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(VERSION_SUFFIX)?;
    let is_number = digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let version = is_number.then(|| digits.parse().ok())??;
    // Versions begin at 1, and there is always a next.
    (0 < version && version <= LAST).then_some(version)
}

/// Whether this is the name of a temporary.
pub fn is_temporary(name: &str) -> bool {
    is_random(name, TEMPORARY)
}

fn is_random(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|random| {
        random.len() == 16 && random.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}
