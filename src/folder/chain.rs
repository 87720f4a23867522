//! Finds the files that make up a cache. The chain begins at the newest file. A change file leads
//! to the file before its range of versions, and so on down to a snapshot.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::abi::Error;
use crate::abi::memory::push;
use crate::format::{self, Damage, GAP, Header, Kind, Part, Source as _, Unreadable};

use super::bytes::Bytes;
use super::dir::{Dir, READ_BYTES};
use super::listing::{Listing, file_name};
use super::publish::{ATTEMPTS, MOST_UNSYNCED, busy};
use super::settings::Durability;

/// How many files of a chain stay open. A process may have 1024 open files, and often fewer.
const MOST_OPEN: usize = 64;

/// The files of a cache, newest first. They can be read even if other writers supersede and
/// delete them meanwhile. Only large files beyond [`MOST_OPEN`] cannot: reading one that was
/// deleted fails.
pub struct Chain {
    /// The files.
    pub files: Vec<Published>,
    open_files: usize,
    /// The chain begins at the newest version, and the name of the next version is free. Changes
    /// may then be published on top of it.
    pub is_on_top: bool,
    /// How many entries are in older files that the chain does not reach, because a file between is
    /// unreadable or missing. At least 1 in that case, otherwise 0.
    pub cut_off: u64,
    /// The names of files that are damaged as a whole: a missing file, and newer files that are
    /// torn.
    pub unusable: Vec<String>,
}

/// A published file.
pub struct Published {
    /// The version of the file.
    pub version: u64,
    /// The header of the file, or the reason why the file is unreadable.
    pub header: Result<Header, Unreadable>,
    /// The content of the file. A file that one call can read is read at once. So a chain of very
    /// many files needs no more open files than a process may have.
    pub bytes: Bytes,
    /// With either durability, every writer syncs this file before it publishes the file.
    is_synced: bool,
}

/// The file that follows a file of a chain.
pub(super) enum Next {
    /// The file of this version follows.
    File(u64),
    /// No file follows: this file is a snapshot.
    End,
    /// A file should follow, but it is missing. Holds its version if that is known.
    Nothing(Option<u64>),
}

impl Chain {
    /// Opens the files of the cache as it is now. Returns none if nothing was published.
    ///
    /// With durability `atomic`, a power cut may leave the newest versions torn. Then the newest
    /// intact chain counts. A damaged chain is read only if no chain is intact.
    pub fn open(folder: &Rc<Dir>, durability: Durability) -> Result<Option<Chain>, Error> {
        let mut before = Listing::of(folder)?;
        for attempt in 0..ATTEMPTS {
            let chain = match durability {
                Durability::Full => Chain::of_newest(folder, &before)?,
                Durability::Atomic => Chain::of_newest_whole(folder, &before)?,
            };
            // While a folder is listed, one version can appear and another disappear, and the
            // listing may miss both. The open files belong to the newest version only if a second
            // listing equals the first, and the newest version still exists after it.
            let after = Listing::of(folder)?;
            let unchanged = after.versions == before.versions && after.is_current(folder)?;
            match chain {
                Some(chain) if unchanged => return Ok(Some(chain)),
                // The last case: a file is in every listing but cannot be opened.
                None if unchanged && after.versions.is_empty() => return Ok(None),
                None if unchanged && attempt + 1 == ATTEMPTS => return Err(busy()),
                _ => before = after,
            }
        }
        Err(busy())
    }

    /// Opens only the newest file, for a writer that builds on it. Returns none if there is no
    /// file, or if the file disappeared meanwhile.
    pub fn newest(folder: &Rc<Dir>, listing: &Listing) -> Result<Option<Chain>, Error> {
        let Some(newest) = listing.versions.last() else {
            return Ok(None);
        };
        let mut chain = Chain::at(listing, *newest);
        let is_there = chain.open_file(folder, listing, *newest)?.is_some();
        Ok(is_there.then_some(chain))
    }

    /// Returns none if there is no file, or if a file disappeared meanwhile.
    fn of_newest(folder: &Rc<Dir>, listing: &Listing) -> Result<Option<Chain>, Error> {
        match listing.versions.last() {
            Some(newest) => Chain::from(folder, listing, *newest),
            None => Ok(None),
        }
    }

    fn of_newest_whole(folder: &Rc<Dir>, listing: &Listing) -> Result<Option<Chain>, Error> {
        // Versions whose chain is known to be torn. So each file is read only once.
        let mut torn = BTreeSet::new();
        for version in listing.versions.iter().rev() {
            let mut chain = Chain::at(listing, *version);
            let mut next = Next::File(*version);
            while let Next::File(version) = next {
                if torn.contains(&version) {
                    next = Next::Nothing(None);
                    break;
                }
                let Some(published) = chain.open_file(folder, listing, version)? else {
                    return Ok(None);
                };
                next = match published.is_synced || published.is_intact()? {
                    true => published.next(listing),
                    false => Next::Nothing(None),
                };
            }
            // A newer format is not damage. The caller must hear of it.
            let last = chain.files.last().map(|file| &file.header);
            let is_newer = matches!(last, Some(Err(Unreadable::Version(_))));
            if matches!(next, Next::Nothing(_)) && !is_newer {
                torn.extend(chain.files.iter().map(|file| file.version));
                continue;
            }
            chain.cut_off = match is_newer {
                true => older_entries(folder, listing, chain.oldest())?.max(1),
                false => 0,
            };
            let newer = listing.versions.range(version.saturating_add(1)..);
            chain.unusable.extend(newer.copied().map(file_name));
            return Ok(Some(chain));
        }
        Chain::of_newest(folder, listing)
    }

    /// Opens the files of a version. Returns none if a file disappeared meanwhile.
    pub fn from(folder: &Rc<Dir>, listing: &Listing, newest: u64) -> Result<Option<Chain>, Error> {
        let mut chain = Chain::at(listing, newest);
        let mut next = Next::File(newest);
        while let Next::File(version) = next {
            let Some(published) = chain.open_file(folder, listing, version)? else {
                return Ok(None);
            };
            next = published.next(listing);
        }
        if let Next::Nothing(missing) = next {
            chain.unusable.extend(missing.map(file_name));
            chain.cut_off = older_entries(folder, listing, chain.oldest())?.max(1);
        }
        Ok(Some(chain))
    }

    fn at(listing: &Listing, newest: u64) -> Chain {
        Chain {
            files: Vec::new(),
            open_files: 0,
            is_on_top: listing.is_on_top(newest),
            cut_off: 0,
            unusable: Vec::new(),
        }
    }

    /// Opens the next older file. Returns none if it is gone.
    fn open_file(
        &mut self,
        folder: &Rc<Dir>,
        listing: &Listing,
        version: u64,
    ) -> Result<Option<&Published>, Error> {
        let stays_open = self.open_files < MOST_OPEN;
        let Some(mut published) = Published::open(folder, version, stays_open)? else {
            return Ok(None);
        };
        published.is_synced = published.is_always_synced(listing);
        self.open_files += usize::from(published.bytes.is_open());
        push(&mut self.files, published)?;
        Ok(self.files.last())
    }

    fn oldest(&self) -> u64 {
        self.files.last().map_or(0, |file| file.version)
    }

    /// Whether every writer syncs the last file of the chain, with either durability.
    pub fn is_settled(&self) -> bool {
        self.files.last().is_some_and(|file| file.is_synced)
    }

    /// The id of the newest file, or none if its header cannot be read.
    pub fn id(&self) -> Option<u64> {
        let header = self.files.first()?.header.as_ref();
        header.ok().map(|header| header.id)
    }

    /// The version of the newest file.
    pub fn version(&self) -> u64 {
        self.files.first().map_or(0, |file| file.version)
    }

    /// Whether the newest file is a snapshot without entries and without losses.
    pub fn is_empty(&self) -> bool {
        let header = self.files.first().map(|file| &file.header);
        header.is_some_and(|header| match header {
            Ok(header) => header.kind == Kind::Snapshot && header.puts == 0 && header.lost == 0,
            Err(_) => false,
        })
    }

    /// Whether it reaches a snapshot, and no byte of it is damaged.
    pub fn is_whole(&self) -> Result<bool, Error> {
        if self.cut_off > 0 {
            return Ok(false);
        }
        for file in &self.files {
            if !file.is_intact()? {
                return Ok(false);
            }
        }
        Ok(!self.files.is_empty())
    }

    /// The size of all files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(Published::size).sum()
    }

    /// Returns the reason as an error if nothing of the cache can be read.
    pub fn check_readable(&self) -> Result<(), Error> {
        let Some(Published {
            version,
            header: Err(why),
            ..
        }) = self.files.first()
        else {
            return Ok(());
        };
        Err(match why {
            Unreadable::Version(version) => Error::UnsupportedVersion(u32::from(*version)),
            Unreadable::Damaged => {
                let name = file_name(*version);
                Error::Corrupt(format!("header and directory of {name} are both damaged"))
            }
        })
    }
}

/// The number of entries that the files before a version claim to hold.
fn older_entries(folder: &Rc<Dir>, listing: &Listing, version: u64) -> Result<u64, Error> {
    let mut entries: u64 = 0;
    for older in listing.versions.range(..version) {
        let file = Published::open(folder, *older, false)?;
        if let Some(Ok(header)) = file.map(|file| file.header) {
            entries = entries.saturating_add(header.puts);
        }
    }
    Ok(entries)
}

impl Published {
    /// A file in memory that is not published.
    pub fn in_memory(bytes: Rc<Vec<u8>>) -> Published {
        Published {
            version: 0,
            header: format::decode_head(&bytes),
            bytes: Bytes::in_memory(bytes),
            is_synced: false,
        }
    }

    /// Opens a version. Returns none if it is gone.
    pub(super) fn open(
        folder: &Rc<Dir>,
        version: u64,
        stays_open: bool,
    ) -> Result<Option<Published>, Error> {
        let name = file_name(version);
        let Some(file) = folder.open(&name)? else {
            return Ok(None);
        };
        let size = file.size()?;
        let bytes = match size <= READ_BYTES {
            true => Bytes::in_memory(Rc::new(file.read(0, size)?)),
            false if stays_open => Bytes::in_file(Rc::new(file), size),
            false => Bytes::in_folder(folder.clone(), name, size),
        };
        Ok(Some(Published {
            version,
            header: format::header(&bytes)?,
            bytes,
            is_synced: true,
        }))
    }

    /// The size of the file, in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.size()
    }

    /// The size of the file, in bytes, without zeros that every file has.
    pub fn weight(&self) -> u64 {
        self.size().saturating_sub(GAP)
    }

    /// The file that this file builds on.
    pub(super) fn next(&self, listing: &Listing) -> Next {
        let Ok(header) = &self.header else {
            return Next::Nothing(None);
        };
        let Kind::Changes { covers } = header.kind else {
            return Next::End;
        };
        let base = self.version.checked_sub(covers);
        match base.filter(|base| *base < self.version) {
            Some(base) if listing.versions.contains(&base) => Next::File(base),
            missing => Next::Nothing(missing),
        }
    }

    /// Whether every writer syncs such a file, even with durability `atomic`. Writers sync the
    /// first version, every file for which older files are deleted, and change files that are
    /// compacted or large.
    fn is_always_synced(&self, listing: &Listing) -> bool {
        match &self.header {
            Ok(header) => match header.kind {
                Kind::Snapshot => listing.versions.first() == Some(&self.version),
                Kind::Changes { covers } => covers > 1 || self.size() > MOST_UNSYNCED,
            },
            Err(Unreadable::Version(_)) => true,
            Err(Unreadable::Damaged) => false,
        }
    }

    /// Whether every byte of the file is as it was written.
    pub(super) fn is_intact(&self) -> Result<bool, Error> {
        // Entries that were lost before are not damage of this file. They are a block without
        // bytes. A file that is cut short behind a frame has damage without bytes at its end.
        let checked = format::check(self.bytes.clone())?;
        let was_lost_before = |damage: &Damage| damage.part == Part::Block && damage.length == 0;
        Ok(checked.is_ok_and(|(_, damage)| damage.iter().all(was_lost_before)))
    }
}
