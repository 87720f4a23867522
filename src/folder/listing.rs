//! The names of the files in the folder of a cache.

use std::collections::BTreeSet;

use crate::abi::Error;
use crate::abi::memory::reserve;

use super::dir::Dir;

const VERSION_SUFFIX: &str = ".larder";

/// The suffix of temporaries.
pub const TEMPORARY: &str = ".tmp";

/// The suffix of a file that is written over several calls. It becomes a temporary later. Until
/// then its writer acts on no listing, and delays no other writer.
pub const DRAFT: &str = ".part";

/// The last possible version.
const LAST: u64 = u64::MAX - 1;

/// The files in the folder of a cache.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The published versions.
    pub versions: BTreeSet<u64>,
    /// The highest version whose name is taken, by a file or anything else.
    pub(super) highest: u64,
    pub(super) temporaries: Vec<String>,
    pub(super) drafts: Vec<String>,
}

impl Listing {
    /// Lists the folder of a cache.
    pub fn of(folder: &Dir) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        let names = folder.list()?;
        reserve(names.len() as u64, 0)?;
        for listed in names {
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

    /// The version that follows.
    pub fn next(&self) -> Result<u64, Error> {
        if self.highest < LAST {
            return Ok(self.highest + 1);
        }
        let name = file_name(self.highest);
        let reason = format!("no version can follow {name}");
        Err(Error::Other(reason))
    }

    /// Whether the newest version still exists. A listing may miss a name that is removed
    /// meanwhile. But of versions that are superseded together, the newest is removed last.
    pub fn is_current(&self, folder: &Dir) -> Result<bool, Error> {
        let newest = self.versions.last().map(|version| file_name(*version));
        newest.map_or(Ok(true), |newest| folder.has_file(&newest))
    }

    /// The versions between `base` and `version`, both excluded, oldest first.
    pub(super) fn superseded(&self, base: u64, version: u64) -> Vec<u64> {
        let older = self.versions.range(..version).copied();
        older.filter(|older| *older > base).collect()
    }

    /// Whether this version has the highest name that is taken.
    pub fn is_on_top(&self, version: u64) -> bool {
        self.highest == version
    }
}

/// The name of the file of a version.
pub fn file_name(version: u64) -> String {
    format!("{version:020}{VERSION_SUFFIX}")
}

fn version_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(VERSION_SUFFIX)?;
    let is_number = digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let version = is_number.then(|| digits.parse().ok())??;
    // Versions begin at 1, and every version has a next one.
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
