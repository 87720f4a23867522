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
use std::collections::BTreeSet;

use crate::Error;
use crate::clock;
use crate::dir::{Dir, File, Linked, Modified};
use crate::settings::Durability;

const VERSION_SUFFIX: &str = ".larder";

/// What the names of temporaries end with.
pub const TEMPORARY: &str = ".tmp";

/// What the name of a file ends with that is written over several calls, before
/// it becomes a temporary: until then its writer acts on no listing, and holds
/// nobody up.
pub const PART: &str = ".part";

/// The last version that there can be.
const LAST: u64 = u64::MAX - 1;

/// A temporary that was not written for this long is from a writer that died.
/// Where it is not, the writer starts over, so the time is a matter of cost.
const STALE_AFTER: u64 = 600 * 1_000_000_000;

/// How many superseded snapshots may wait: for a moment without other writers,
/// or for a write that syncs.
pub const MOST_SUPERSEDED: usize = 8;

/// How many superseded changes may, which are small.
pub const MOST_FOLDED: usize = 64;

/// How many bytes of changes may be published without a sync, where that is
/// asked for: whoever builds upon them has to read them all.
pub const MOST_UNSYNCED: u64 = 64 * 1024;

/// How often an operation begins anew because others change the cache.
pub const ATTEMPTS: usize = 1000;

/// The files of a cache's folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The published versions.
    pub versions: BTreeSet<u64>,
    /// The highest version whose name is taken, by whatever.
    highest: u64,
    temporaries: Vec<String>,
    parts: Vec<String>,
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
            } else if listed.is_file && is_random(&listed.name, PART) {
                listing.parts.push(listed.name);
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
    fn superseded(&self, base: u64, version: u64) -> Vec<u64> {
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
pub enum Place {
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
    place: Place,
    id: u64,
    temporary: &mut dyn FnMut() -> Result<String, Error>,
) -> Result<Option<u64>, Error> {
    for _ in 0..ATTEMPTS {
        let temporary = temporary()?;
        let linked = link(folder, setting, &temporary, place);
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

fn link(folder: &Dir, setting: Durability, temporary: &str, place: Place) -> Result<Link, Error> {
    for _ in 0..ATTEMPTS {
        let listing = Listing::of(folder)?;
        let version = listing.next()?;
        let fits = match place {
            Place::Next => true,
            // One that came since may be torn, with atomic.
            Place::OnTop(settled) => {
                listing.versions.contains(&listing.highest)
                    && (setting == Durability::Full || settled == listing.highest)
            }
            Place::Only(only) => only == version,
        };
        if !fits {
            return Ok(Link::Misplaced);
        }
        // What changes build upon, or, with atomic, what there is to fall back
        // to, must not be outlasted: its writer may not have come to the sync.
        let is_in_doubt = match (setting, place) {
            (Durability::Full, Place::OnTop(settled)) => settled != listing.highest,
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

/// Deletes temporaries and parts of writers that died, and gives the temporaries
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
    for part in &listing.parts {
        // Whoever finds that its own is gone copies it.
        is_gone(&part);
    }
    let temporaries = listing.temporaries.iter();
    temporaries.filter(|name| !is_gone(name)).collect()
}

/// Deletes the versions between `base` and `version`, both excluded, which
/// `version` covers and which must be as durable as it is to be. Up to `most`
/// superseded versions stay for later while others write.
pub fn sweep(folder: &Dir, base: u64, version: u64, most: usize) -> Result<(), Error> {
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

/// Deletes every version before this one and every temporary and part, whosoever.
pub fn sweep_all(folder: &Dir, version: u64) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        let listing = Listing::of(folder)?;
        for unpublished in listing.temporaries.iter().chain(&listing.parts) {
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
