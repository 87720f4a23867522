//! The write protocol: how a version comes to be, and how what it supersedes
//! goes.
//!
//! Nothing is changed in place. A writer creates a temporary under a random
//! name, writes and syncs it, and only then lists the folder and links the
//! temporary to the next version's name, which fails if another writer has
//! that version. So a version is there whole or not at all, and no two writers
//! have the same.
//!
//! Deleting a version frees its name, and a writer that listed the folder
//! before might take it and publish into the past. Therefore a temporary is in
//! the folder for as long as its writer acts on a listing, and a version is
//! deleted only while no other temporary is there. Where writers never pause,
//! the temporaries of the others are deleted first: their link then finds
//! nothing to link, and they start over.

use std::cell::Cell;

use crate::abi::Error;
use crate::clock;

use super::dir::{Dir, File, Linked, Modified};
use super::durability::Durability;
use super::listing::{Listing, TEMPORARY, file_name};

/// A temporary that was not written for this long is from a writer that died.
/// Where it is not, the writer starts over, so the time is a matter of cost.
const STALE_AFTER: u64 = 600 * 1_000_000_000;

/// How many superseded snapshots may wait: for a moment without other writers,
/// or for a write that syncs.
pub const MOST_SUPERSEDED: usize = 8;

/// How many superseded changes may, which are small.
pub const MOST_COMPACTED: usize = 64;

/// How many bytes of changes may be published without a sync, where that is
/// asked for: whoever builds upon them has to read them all.
pub const MOST_UNSYNCED: u64 = 64 * 1024;

/// How often an operation begins anew because others change the cache.
pub const ATTEMPTS: usize = 1000;

/// Writes a temporary, and gives its name.
pub fn temporary(
    folder: &Dir,
    durability: Durability,
    write: &dyn Fn(&File) -> Result<(), Error>,
) -> Result<String, Error> {
    let file = folder.create(TEMPORARY)?;
    let written = write(&file).and_then(|()| match durability {
        Durability::Full => file.sync_data(),
        Durability::Atomic => Ok(()),
    });
    if written.is_err() {
        // One that cannot be removed is left for a later write, which reaps it.
        let _ = folder.remove(file.name());
    }
    written.map(|()| file.name().into())
}

/// Which version a file may become.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Whichever is next: for a file that stands for itself.
    Next,
    /// Whichever is next, directly after a published version: for changes. The
    /// version given is settled.
    OnTop(u64),
    /// This one, or none.
    Only(u64),
}

/// Publishes a file as the next version, and gives its number; none where that
/// is not a place for it.
///
/// `temporary` gives the name of a temporary that holds the file, and may be
/// asked again for one that another writer removed; `id` is the file's. `durability`
/// is that of the file, `setting` that of all who use the store.
pub fn publish(
    folder: &Dir,
    setting: Durability,
    durability: Durability,
    target: Target,
    id: u64,
    temporary: &mut dyn FnMut() -> Result<String, Error>,
) -> Result<Option<u64>, Error> {
    for _ in 0..ATTEMPTS {
        let temporary = temporary()?;
        let linked = link(folder, setting, &temporary, target);
        // What failed, or was published, needs the temporary no more. One that
        // cannot be removed is left for a later write, which reaps it.
        let _ = folder.remove(&temporary);
        match linked? {
            Link::Published(version) => {
                if durability == Durability::Full {
                    folder.sync()?;
                    SYNCED.set(Some(id));
                }
                return Ok(Some(version));
            }
            Link::Misplaced => return Ok(None),
            Link::Gone => {}
        }
    }
    Err(busy())
}

thread_local! {
    /// The id of the file that this instance published last and synced.
    static SYNCED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Makes sure that the name of a published file lasts, given the file's id,
/// before anything is built upon it or deleted for it: whoever published it may
/// have died before it came to the sync.
pub fn settle(folder: &Dir, id: Option<u64>) -> Result<(), Error> {
    match id.is_some() && id == SYNCED.get() {
        true => Ok(()),
        false => folder.sync(),
    }
}

enum Link {
    Published(u64),
    Misplaced,
    Gone,
}

fn link(folder: &Dir, setting: Durability, temporary: &str, target: Target) -> Result<Link, Error> {
    for _ in 0..ATTEMPTS {
        let listing = Listing::of(folder)?;
        let version = listing.next()?;
        let fits = match target {
            Target::Next => true,
            // One that came since may be torn, with atomic.
            Target::OnTop(settled) => {
                listing.versions.contains(&listing.highest)
                    && (setting == Durability::Full || settled == listing.highest)
            }
            Target::Only(only) => only == version,
        };
        if !fits {
            return Ok(Link::Misplaced);
        }
        // What changes build upon, or, with atomic, what there is to fall back
        // to, must not be outlasted: its writer may not have come to the sync.
        let is_in_doubt = match (setting, target) {
            (Durability::Full, Target::OnTop(settled)) => settled != listing.highest,
            (Durability::Full, _) => false,
            (Durability::Atomic, _) => listing.versions.len() == 1,
        };
        if is_in_doubt {
            folder.sync()?;
        }
        match folder.link(temporary, &file_name(version))? {
            Linked::Done => return Ok(Link::Published(version)),
            Linked::Taken => {}
            Linked::Gone => return Ok(Link::Gone),
        }
    }
    Err(busy())
}

/// The error for a cache that others change all the time.
pub fn busy() -> Error {
    Error::Unavailable("others changed the cache too often meanwhile".into())
}

/// Deletes temporaries and drafts of writers that died, and gives the temporaries
/// of writers that may be at work; so may whoever has one that cannot be looked
/// at or deleted.
pub fn reap<'a>(folder: &Dir, listing: &'a Listing) -> Vec<&'a String> {
    let is_gone = |name: &&String| match folder.modified(name) {
        Ok(Modified::At(time)) if time.abs_diff(clock::wall_now()) >= STALE_AFTER => {
            folder.remove(name).is_ok()
        }
        Ok(Modified::At(_) | Modified::Unknown) | Err(_) => false,
        Ok(Modified::Gone) => true,
    };
    for draft in &listing.drafts {
        // Whoever finds that its own is gone copies it.
        is_gone(&draft);
    }
    let temporaries = listing.temporaries.iter();
    temporaries.filter(|name| !is_gone(name)).collect()
}

/// Deletes the versions between `base` and `version`, both excluded, which
/// `version` covers and which must be as durable as it is to be. Up to `most`
/// superseded versions stay for later while others write.
pub fn delete_superseded(folder: &Dir, base: u64, version: u64, most: usize) -> Result<(), Error> {
    let listing = Listing::of(folder)?;
    let superseded = listing.superseded(base, version);
    let mut writing = reap(folder, &listing);
    if superseded.len() > most {
        for temporary in writing.drain(..) {
            folder.remove(temporary)?;
        }
    }
    if writing.is_empty() {
        for version in superseded {
            folder.remove(&file_name(version))?;
        }
    }
    Ok(())
}

/// Deletes every version before this one and every temporary and draft, whosoever.
pub fn delete_all(folder: &Dir, version: u64) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        let listing = Listing::of(folder)?;
        for unpublished in listing.temporaries.iter().chain(&listing.drafts) {
            folder.remove(unpublished)?;
        }
        if listing.temporaries.is_empty() {
            for version in listing.superseded(0, version) {
                folder.remove(&file_name(version))?;
            }
            return Ok(());
        }
    }
    Err(busy())
}
