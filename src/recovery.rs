//! The operations versions and recover: earlier versions of a cache.

use std::rc::Rc;

use crate::abi::Error;
use crate::abi::bindings::exports::larder::cache::cache_recovery::{Datetime, Version};
use crate::folder::{ATTEMPTS, Chain, Dir, Durability, Listing, Target, WholeVersion, busy};
use crate::format::Kind;
use crate::records::{Stream, compacted};
use crate::store::Cache;

/// Returns the versions that are whole, the newest first.
pub fn versions(cache: &Cache) -> Result<Vec<Version>, Error> {
    let whole = match cache.existing_folder()? {
        Some(folder) => WholeVersion::all(&folder)?,
        None => Vec::new(),
    };
    let versions = whole.into_iter().rev().map(|whole| Version {
        number: whole.number,
        saved_at: Datetime {
            seconds: whole.saved_at / 1_000_000_000,
            nanoseconds: (whole.saved_at % 1_000_000_000) as u32,
        },
        newer_changes: whole.newer_changes,
    });
    Ok(versions.collect())
}

/// Stores the entries of a whole version as the whole cache.
pub fn recover(cache: &Cache, number: u64) -> Result<(), Error> {
    let Some(folder) = cache.existing_folder()? else {
        return Err(not_there(number));
    };
    for _ in 0..ATTEMPTS {
        let listing = Listing::of(&folder)?;
        let Some(chain) = whole_chain(&folder, &listing, number)? else {
            continue;
        };
        let stream = Stream::new(chain.files, 0);
        let Some(mut snapshot) = compacted(&folder, stream, Kind::Snapshot)? else {
            return Err(not_there(number));
        };
        // What somebody changes meanwhile is not undone unseen, and a clear not at all.
        let target = Target::Only(listing.next()?);
        if cache.publish_snapshot(&folder, Durability::Full, target, &mut snapshot)? {
            return Ok(());
        }
    }
    Err(busy())
}

/// The files of a version, which must be whole. Returns none if a file disappeared meanwhile.
fn whole_chain(folder: &Rc<Dir>, listing: &Listing, number: u64) -> Result<Option<Chain>, Error> {
    if !listing.versions.contains(&number) {
        return Err(not_there(number));
    }
    let Some(newest) = Chain::newest(folder, listing)? else {
        return Ok(None);
    };
    if let Err(newer @ Error::UnsupportedVersion(_)) = newest.check_readable() {
        return Err(newer);
    }
    match Chain::from(folder, listing, number)? {
        Some(chain) if !chain.is_whole()? => Err(not_there(number)),
        chain => Ok(chain),
    }
}

fn not_there(number: u64) -> Error {
    Error::InvalidArgument(format!("there is no version {number} that is whole"))
}
