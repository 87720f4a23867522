//! Finds the versions of a cache that are whole.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::abi::Error;
use crate::abi::memory::push;

use super::chain::{Next, Published};
use super::dir::Dir;
use super::listing::Listing;
use super::publish::{ATTEMPTS, busy};

/// A version of a cache whose files are all intact, down to a snapshot.
pub struct WholeVersion {
    /// The number of the version.
    pub number: u64,
    /// When it was published, in nanoseconds since 1970.
    pub saved_at: u64,
    /// How many records the files of newer versions have, as far as they can be read.
    pub newer_changes: u64,
}

impl WholeVersion {
    /// Reads every file, and returns the versions from the oldest to the newest. Begins again if
    /// somebody changes the cache meanwhile.
    pub fn all(folder: &Rc<Dir>) -> Result<Vec<WholeVersion>, Error> {
        let mut before = Listing::of(folder)?;
        for _ in 0..ATTEMPTS {
            let whole = WholeVersion::listed(folder, &before)?;
            let after = Listing::of(folder)?;
            if let Some(whole) = whole
                && after.versions == before.versions
                && after.is_current(folder)?
            {
                return Ok(whole);
            }
            before = after;
        }
        Err(busy())
    }

    /// Returns none if a file disappeared.
    fn listed(folder: &Rc<Dir>, listing: &Listing) -> Result<Option<Vec<WholeVersion>>, Error> {
        let mut whole: Vec<WholeVersion> = Vec::new();
        let mut numbers = BTreeSet::new();
        let mut total: u64 = 0;
        for number in &listing.versions {
            let Some(file) = Published::open(folder, *number, true)? else {
                return Ok(None);
            };
            let Ok(header) = file.header else {
                continue;
            };
            let records = header.puts.saturating_add(header.removes);
            total = total.saturating_add(records);
            let reaches_snapshot = match file.next(listing) {
                Next::End => true,
                Next::File(base) => numbers.contains(&base),
                Next::Nothing(_) => false,
            };
            if reaches_snapshot && file.is_intact()? {
                numbers.insert(*number);
                let version = WholeVersion {
                    number: *number,
                    saved_at: header.saved_at,
                    // For now, how many records there are up to this version.
                    newer_changes: total,
                };
                push(&mut whole, version)?;
            }
        }
        for version in &mut whole {
            version.newer_changes = total - version.newer_changes;
        }
        Ok(Some(whole))
    }
}
