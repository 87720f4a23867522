//! The write protocol: how a version is published, and how the versions that it supersedes are
//! deleted.
//!
//! Nothing is changed in place. A writer creates a temporary under a random name, writes it and
//! syncs it. Only then it lists the folder, and links the temporary to the name of the next
//! version. The link fails if another writer already has that version. So a version exists whole or
//! not at all, and no two writers publish the same version.
//!
//! Deleting a version frees its name. A writer that listed the folder before could take that name
//! and publish into the past. Therefore a temporary stays in the folder for as long as its writer
//! acts on a listing. A version is deleted only while there is no other temporary. If writers never
//! pause, the temporaries of the others are deleted first. Their link then finds no file, and they
//! start over.

use std::cell::Cell;

use crate::abi::Error;
use crate::clock;

use super::dir::{Dir, File, Linked, Modified};
use super::listing::{Listing, TEMPORARY, file_name};
use super::settings::Durability;

/// A temporary is stale if it was not written for this long, in nanoseconds: its writer died. If
/// its writer lives, the writer starts over. So the length affects only cost.
const STALE_AFTER: u64 = 600 * 1_000_000_000;

/// A stale temporary that cannot be deleted counts as deleted after this long, in nanoseconds.
/// Otherwise superseded versions would pile up for ever.
const DEAD_AFTER: u64 = 24 * 3600 * 1_000_000_000;

/// How many superseded snapshots may wait for a moment without other writers, or for a write that
/// syncs.
pub const MOST_SUPERSEDED: usize = 8;

/// How many superseded change files may wait. Change files are small.
pub const MOST_COMPACTED: usize = 64;

/// How many bytes of changes may be published without a sync, if the durability is `atomic`. Every
/// writer that builds on them has to read them all.
pub const MOST_UNSYNCED: u64 = 64 * 1024;

/// How often an operation starts over because other writers change the cache.
pub const ATTEMPTS: usize = 1000;

/// Writes a temporary and returns its name.
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
        // If this fails, a later write reaps the temporary.
        let _ = folder.remove(file.name());
    }
    written.map(|()| file.name().into())
}

/// The version that a file may become.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The next version, with any number. For a file that builds on no other file.
    Next,
    /// The next version, directly after a published version. For changes. The version given is
    /// settled.
    OnTop(u64),
    /// Only this version.
    Only(u64),
}

/// Publishes a file as the next version and returns its number. Returns none if `target` does not
/// allow that version.
///
/// `temporary` returns the name of a temporary that holds the file. It is called again if another
/// writer removed the temporary. `id` is the id of the file. `durability` applies to this file,
/// `setting` to all that use the store.
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
        // The temporary is not needed any more, published or not. If this fails, a later write
        // reaps it.
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
    /// The id of the file that this instance last published and synced.
    static SYNCED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Makes sure that the name of a published file survives a power cut, before a writer builds on the
/// file or deletes others for it. The publisher may have died before its sync. `id` is the id of
/// the file.
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
            // With `atomic`, a version that was published since may be torn.
            Target::OnTop(settled) => {
                listing.versions.contains(&listing.highest)
                    && (setting == Durability::Full || settled == listing.highest)
            }
            Target::Only(only) => only == version,
        };
        if !fits {
            return Ok(Link::Misplaced);
        }
        // Changes must not survive the version that they build on. With `atomic`, no version may
        // survive the only version to fall back to. The writer of that version may not have synced
        // it yet.
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

/// The error for a cache that other writers change all the time.
pub fn busy() -> Error {
    Error::Unavailable("other writers change the cache all the time".into())
}

/// Deletes temporaries and drafts whose writers died. Returns the temporaries whose writers may be
/// at work. Temporaries that cannot be examined or deleted count among them for a day.
pub fn reap<'a>(folder: &Dir, listing: &'a Listing) -> Vec<&'a String> {
    let is_gone = |name: &&String| match folder.modified(name) {
        Ok(Modified::At(time)) => {
            let age = time.abs_diff(clock::wall_now());
            age >= STALE_AFTER && (folder.remove(name).is_ok() || age >= DEAD_AFTER)
        }
        Ok(Modified::Unknown) | Err(_) => false,
        Ok(Modified::Gone) => true,
    };
    for draft in &listing.drafts {
        // A writer whose draft is gone copies it.
        is_gone(&draft);
    }
    let temporaries = listing.temporaries.iter();
    temporaries.filter(|name| !is_gone(name)).collect()
}

/// Deletes the versions between `base` and `version`, both excluded. `version` must cover them, and
/// must be as durable as required. Up to `most` superseded versions stay for later while others
/// write.
pub fn delete_superseded(folder: &Dir, base: u64, version: u64, most: usize) -> Result<(), Error> {
    let listing = Listing::of(folder)?;
    let superseded = listing.superseded(base, version);
    let mut writing = reap(folder, &listing);
    if superseded.len() > most {
        for temporary in writing.drain(..) {
            folder.remove(temporary)?;
        }
    }
    match writing.is_empty() {
        true => remove_versions(folder, superseded),
        false => Ok(()),
    }
}

/// Removes versions, oldest first, and stops at the first failure. So a version that exists was
/// never superseded by a version that is gone.
fn remove_versions(folder: &Dir, versions: impl IntoIterator<Item = u64>) -> Result<(), Error> {
    for version in versions {
        folder.remove(&file_name(version))?;
    }
    Ok(())
}

/// Removes all temporaries and drafts. One that cannot be removed does not protect the others.
fn remove_unpublished(folder: &Dir, listing: &Listing) -> Result<(), Error> {
    let unpublished = listing.temporaries.iter().chain(&listing.drafts);
    let mut outcome = Ok(());
    for name in unpublished {
        outcome = outcome.and(folder.remove(name).map(drop));
    }
    outcome
}

/// Deletes every version before `version`, and all temporaries and drafts of all writers.
pub fn delete_all(folder: &Dir, version: u64) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        let listing = Listing::of(folder)?;
        remove_unpublished(folder, &listing)?;
        if listing.temporaries.is_empty() {
            return remove_versions(folder, listing.superseded(0, version));
        }
    }
    Err(busy())
}

/// Deletes everything, and then publishes a file that builds on no other. On a full disk, this
/// works where nothing else does. If it fails, nothing may be left. Returns the version of the
/// file.
pub fn replace_everything(
    folder: &Dir,
    write: &dyn Fn(&File) -> Result<(), Error>,
) -> Result<u64, Error> {
    let listing = Listing::of(folder)?;
    let version = listing.next()?;
    remove_unpublished(folder, &listing)?;
    for older in listing.versions {
        folder.remove(&file_name(older))?;
        // After a power cut, no version may be left without those before it that it changes.
        folder.sync()?;
    }
    let temporary = temporary(folder, Durability::Full, write)?;
    // There may be no room for a second name, so there is no link. If another writer publishes this
    // version at the same moment, its change happens before this one.
    let renamed = folder.rename(&temporary, &file_name(version));
    if !matches!(renamed, Ok(Linked::Done)) {
        // If this fails, a later write reaps the temporary.
        let _ = folder.remove(&temporary);
        renamed?;
        return Err(busy());
    }
    folder.sync()?;
    Ok(version)
}
