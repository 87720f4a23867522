//! The operations load, save, apply and clear.

use std::iter;
use std::rc::Rc;

use crate::abi::Error;
use crate::abi::bindings::exports::larder::cache::cache_atomics::Condition;
use crate::abi::bindings::exports::larder::cache::cache_updates::Change;
use crate::abi::bindings::exports::larder::cache::types::Entry;
use crate::abi::lower::Contents;
use crate::abi::memory::reserve;
use crate::abi::wasi::random::random::get_random_u64;
use crate::changes::{Size, change_record, encoded, put, put_record};
use crate::clock::{Deadlines, wall_now};
use crate::folder::{
    ATTEMPTS, Chain, Dir, Draft, Durability, File, Listing, MOST_COMPACTED, MOST_SUPERSEDED,
    MOST_UNSYNCED, Published, TEMPORARY, Target, Written, busy, delete_all, delete_superseded,
    durability, files_to_compact, is_compaction_due, legacy, publish, reap, replace_everything,
    settle, temporary,
};
use crate::format::{Columns, Kind, LostKeys};
use crate::records::{Stream, compacted, find, last_occurrences};

/// One cache of the store.
pub struct Cache<'a> {
    root: &'a Dir,
    /// The name of the cache.
    pub name: &'a str,
    durability: Durability,
}

/// The stored state of a cache.
pub enum Stored {
    /// Nothing.
    Nothing,
    /// A file from before the store's own format.
    Legacy(Vec<u8>),
    /// Published files.
    Published(Chain),
}

impl<'a> Cache<'a> {
    /// Checks the name and the settings. Touches no file.
    pub fn new(root: &'a Dir, name: &'a str) -> Result<Cache<'a>, Error> {
        larder_names::check(name).map_err(|rule| Error::InvalidName(rule.into()))?;
        Ok(Cache {
            root,
            name,
            durability: durability()?,
        })
    }

    /// Opens the stored files.
    pub fn open(&self) -> Result<Stored, Error> {
        // A legacy file is removed only after a version was published. So a reader that misses both
        // sees the version at the second attempt.
        for _ in 0..2 {
            if let Some(folder) = self.existing_folder()?
                && let Some(chain) = Chain::open(&folder, self.durability)?
            {
                return Ok(Stored::Published(chain));
            }
            if let Some(bytes) = legacy::read(self.root, self.name)? {
                return Ok(Stored::Legacy(bytes));
            }
        }
        Ok(Stored::Nothing)
    }

    /// Opens the stored files, to read them block by block.
    pub fn stream(&self) -> Result<Stream, Error> {
        let (files, cut_off) = self.files()?;
        Ok(Stream::new(files, cut_off))
    }

    /// Returns the live entries.
    pub fn load(&self) -> Result<Contents, Error> {
        let mut stream = self.stream()?;
        // A header may claim anything, but no entry takes less than 9 bytes.
        let count = stream.count().min(stream.bytes() / 9);
        reserve(count, stream.bytes())?;
        let mut loaded = Contents::with_capacity(usize::try_from(count).unwrap_or_default());
        let now = Deadlines::now();
        while let Some((header, block)) = stream.next()? {
            loaded.add(block.into_bytes(), |block, mut entries| {
                for record in Columns::of_block(block).records() {
                    if stream.is_newest(record.key)?
                        && let Some(put) = record.put
                        && let Some(expires_at) = now.of(put.ttl, header.saved_at)
                    {
                        entries.push(record.key, put.value, expires_at);
                    }
                }
                Ok::<_, Error>(())
            })?;
        }
        Ok(loaded.finish(stream.lost()))
    }

    /// Stores these entries as the whole cache.
    pub fn save(&self, entries: &[Entry]) -> Result<(), Error> {
        reserve(entries.len() as u64, 0)?;
        let keys: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let last = last_occurrences(&keys, get_random_u64());
        let folder = self.folder()?;
        let mut draft = Draft::create(&folder, Kind::Snapshot, TEMPORARY)?;
        for (entry, is_last) in entries.iter().zip(last) {
            let record = put_record(entry);
            if is_last && record.put.is_some() {
                draft.push(record)?;
            }
        }
        self.save_written(&folder, draft.finish(wall_now(), &LostKeys::default(), 0)?)
    }

    /// Stores a written snapshot as the whole cache.
    pub fn save_written(&self, folder: &Dir, mut snapshot: Written) -> Result<(), Error> {
        let durability = self.durability_of_save(folder)?;
        self.publish_snapshot(folder, durability, Target::Next, &mut snapshot)?;
        Ok(())
    }

    /// Makes these changes, if all conditions hold. Returns the positions of the others.
    pub fn apply(&self, conditions: &[Condition], changes: &[Change]) -> Result<Vec<u32>, Error> {
        if changes.is_empty() {
            return match conditions.is_empty() {
                true => Ok(Vec::new()),
                false => unmet(self.files()?, conditions),
            };
        }
        reserve(changes.len() as u64, 0)?;
        let keys: Vec<_> = changes
            .iter()
            .map(|change| change_record(change).key)
            .collect();
        let last = last_occurrences(&keys, get_random_u64());
        let records = changes.iter().zip(last);
        let records = records.filter(|(_, last)| *last);
        let mut records = records.map(|(change, _)| change_record(change));
        let size = Size::of(changes.iter().map(change_record));
        let (id, changes) = encoded(Kind::Changes { covers: 1 }, &mut records, size)?;

        let durability = match changes.len() as u64 > MOST_UNSYNCED {
            true => Durability::Full,
            false => self.durability,
        };

        let folder = self.folder()?;
        for _ in 0..ATTEMPTS {
            let listing = Listing::of(&folder)?;
            let base = match self.durability {
                // The older files need not be read.
                Durability::Full if conditions.is_empty() => {
                    match Chain::newest(&folder, &listing)? {
                        // The newest version was superseded meanwhile.
                        None if !listing.versions.is_empty() => continue,
                        newest => newest,
                    }
                }
                Durability::Full => Chain::open(&folder, self.durability)?,
                Durability::Atomic => {
                    Chain::open(&folder, self.durability)?.filter(Chain::is_settled)
                }
            };
            if let Some(base) = base.filter(|base| base.is_on_top) {
                base.check_readable()?;
                if self.durability == Durability::Full {
                    settle(&folder, base.id())?;
                }
                let target = match conditions.is_empty() {
                    true => Target::OnTop(base.version()),
                    // Nothing may come between the look and the changes.
                    false => Target::Only(base.version().saturating_add(1)),
                };
                let unmet = unmet((base.files, base.cut_off), conditions)?;
                if !unmet.is_empty() {
                    return Ok(unmet);
                }
                let published = publish(
                    &folder,
                    self.durability,
                    durability,
                    target,
                    id,
                    &mut || temporary(&folder, durability, &|file| file.write(&changes, 0)),
                );
                let Some(version) = published? else {
                    continue;
                };
                if is_compaction_due(version, changes.len() as u64) {
                    // The changes are made, even if this fails. A later change tries again.
                    let _ = self.compact(&folder);
                }
                return Ok(Vec::new());
            }
            // Changes cannot be published on top: nothing is stored, or nothing that survives a
            // power cut, or a foreign file is in the way. So a snapshot with these changes is
            // published instead.
            let (mut files, cut_off) = self.files()?;
            if !conditions.is_empty() {
                let unmet = unmet(self.files()?, conditions)?;
                if !unmet.is_empty() {
                    return Ok(unmet);
                }
            }
            files.insert(0, Published::in_memory(changes.clone()));
            let stream = Stream::new(files, cut_off);
            let Some(mut snapshot) = compacted(&folder, stream, Kind::Snapshot)? else {
                continue;
            };
            let full = Durability::Full;
            let target = Target::Only(listing.next()?);
            if self.publish_snapshot(&folder, full, target, &mut snapshot)? {
                return Ok(Vec::new());
            }
        }
        Err(busy())
    }

    /// Removes everything.
    pub fn clear(&self) -> Result<(), Error> {
        let legacy = legacy::file_name(self.name);
        if !self.has_folder()? && !self.root.has_file(&legacy)? {
            return Ok(());
        }
        let folder = match self.folder() {
            // The disk is full. There is no folder, so a legacy file is all that is stored.
            Err(Error::NoSpace | Error::Unavailable(_)) if !self.has_folder()? => {
                self.root.remove(&legacy)?;
                return self.root.sync();
            }
            folder => folder?,
        };
        let version = match self.open() {
            // With `atomic`, the snapshot may not be synced yet.
            Ok(Stored::Published(chain))
                if chain.is_empty() && chain.is_on_top && self.durability == Durability::Full =>
            {
                settle(&folder, chain.id())?;
                chain.version()
            }
            Ok(Stored::Nothing) => 0,
            Ok(Stored::Legacy(_) | Stored::Published(_)) | Err(Error::TooLarge(_)) => {
                let (id, empty) = encoded(Kind::Snapshot, &mut iter::empty(), Size::default())?;
                let full = Durability::Full;
                let write = |file: &File| file.write(&empty, 0);
                let published = publish(
                    &folder,
                    self.durability,
                    full,
                    Target::Next,
                    id,
                    &mut || temporary(&folder, full, &write),
                );
                match published {
                    // The disk is full, and people clear caches to free it.
                    Err(Error::NoSpace | Error::Unavailable(_)) if !self.is_empty()? => {
                        replace_everything(&folder, &write)?
                    }
                    version => version?.ok_or_else(busy)?,
                }
            }
            Err(error) => return Err(error),
        };
        delete_all(&folder, version)?;
        folder.sync()?;
        if self.root.has_file(&legacy)? {
            self.root.remove(&legacy)?;
        }
        // An earlier clear may have removed the file without a sync.
        self.root.sync()
    }

    /// Whether an empty snapshot is published.
    fn is_empty(&self) -> Result<bool, Error> {
        let stored = self.open()?;
        Ok(matches!(stored, Stored::Published(chain) if chain.is_empty()))
    }

    /// Opens the folder of the cache, if there is one.
    pub fn existing_folder(&self) -> Result<Option<Rc<Dir>>, Error> {
        Ok(self.root.open_dir(self.name)?.map(Rc::new))
    }

    fn has_folder(&self) -> Result<bool, Error> {
        Ok(self.existing_folder()?.is_some())
    }

    /// Opens the folder of the cache, and creates it if necessary.
    pub fn folder(&self) -> Result<Rc<Dir>, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(folder) = self.existing_folder()? {
                let listing = Listing::of(&folder)?;
                if listing.versions.is_empty() {
                    // The creator of the folder may not have synced it. A version may exist only in
                    // a folder that survives a power cut.
                    self.root.sync()?;
                }
                // A file that cannot be removed does no harm.
                reap(&folder, &listing);
                return Ok(folder);
            }
            self.root.create_dir(self.name)?;
        }
        Err(busy())
    }

    /// Opens the stored files, from the newest to the oldest. Also returns the number of entries
    /// that are cut off from them.
    pub fn files(&self) -> Result<(Vec<Published>, u64), Error> {
        match self.open()? {
            Stored::Nothing => Ok((Vec::new(), 0)),
            Stored::Legacy(bytes) => {
                let entries = legacy::decode(self.name, &bytes)?;
                let keys: Vec<_> = entries.iter().map(|entry| entry.key).collect();
                let last = last_occurrences(&keys, get_random_u64());
                let records = entries.iter().zip(last).filter(|(_, last)| *last);
                let records = records.map(|(entry, _)| put(entry.key, entry.value, entry.ttl));
                let mut records = records.filter(|record| record.put.is_some());
                let all = entries.iter();
                let size = Size::of(all.map(|entry| put(entry.key, entry.value, entry.ttl)));
                // Such a file does not say when it was saved.
                let (_, snapshot) = encoded(Kind::Snapshot, &mut records, size)?;
                Ok((vec![Published::in_memory(snapshot)], 0))
            }
            Stored::Published(chain) => {
                chain.check_readable()?;
                Ok((chain.files, chain.cut_off))
            }
        }
    }

    /// Publishes a snapshot and deletes the versions that it supersedes. Returns false if `target`
    /// does not allow the next version.
    pub fn publish_snapshot(
        &self,
        folder: &Dir,
        durability: Durability,
        target: Target,
        snapshot: &mut Written,
    ) -> Result<bool, Error> {
        let Some(version) = self.publish(folder, durability, target, snapshot)? else {
            return Ok(false);
        };
        if durability == Durability::Full {
            // The cache is saved, even if this fails. The remaining files are not read any more,
            // and a later write tries again.
            let _ = delete_superseded(folder, 0, version, MOST_SUPERSEDED);
            self.remove_legacy();
        }
        Ok(true)
    }

    fn publish(
        &self,
        folder: &Dir,
        durability: Durability,
        target: Target,
        file: &mut Written,
    ) -> Result<Option<u64>, Error> {
        let id = file.id();
        let temporary = &mut || file.temporary(durability);
        publish(folder, self.durability, durability, target, id, temporary)
    }

    /// Removes a legacy file that a snapshot supersedes.
    fn remove_legacy(&self) {
        let legacy = legacy::file_name(self.name);
        if let Ok(true) = self.root.has_file(&legacy) {
            // If this fails, a later snapshot tries again.
            let _ = self.root.remove(&legacy);
        }
    }

    /// An unsynced file must not be the only copy, and copies must not pile up. So the first save
    /// syncs, and later a save syncs from time to time and deletes the others.
    fn durability_of_save(&self, folder: &Dir) -> Result<Durability, Error> {
        if self.durability == Durability::Full {
            return Ok(Durability::Full);
        }
        let few = 1..=MOST_SUPERSEDED;
        let may_wait = few.contains(&Listing::of(folder)?.versions.len())
            && !self.root.has_file(&legacy::file_name(self.name))?;
        Ok(match may_wait {
            true => Durability::Atomic,
            false => Durability::Full,
        })
    }

    /// Compacts the newest files into one, if no other version was published meanwhile.
    fn compact(&self, folder: &Rc<Dir>) -> Result<(), Error> {
        let Some(mut chain) = Chain::open(folder, self.durability)? else {
            return Ok(());
        };
        let sizes: Vec<u64> = chain.files.iter().map(Published::weight).collect();
        let run = files_to_compact(&sizes);
        let version = chain.version().saturating_add(1);
        // The version that the compacted file builds on. 0 if all files are compacted.
        let base = chain.files.get(run).map_or(0, |file| file.version);
        let (kind, cut_off) = match base {
            0 => (Kind::Snapshot, chain.cut_off),
            base => (
                Kind::Changes {
                    covers: version - base,
                },
                0,
            ),
        };
        chain.files.truncate(run);
        if run == 0 || !chain.is_on_top {
            return Ok(());
        }
        let stream = Stream::new(chain.files, cut_off);
        let Some(mut file) = compacted(folder, stream, kind)? else {
            return Ok(());
        };
        let target = Target::Only(version);
        if let Some(version) = self.publish(folder, Durability::Full, target, &mut file)? {
            delete_superseded(folder, base, version, MOST_COMPACTED)?;
            if kind == Kind::Snapshot {
                self.remove_legacy();
            }
        }
        Ok(())
    }
}

/// The positions of the conditions that do not hold.
fn unmet(
    (files, cut_off): (Vec<Published>, u64),
    conditions: &[Condition],
) -> Result<Vec<u32>, Error> {
    let keys: Vec<_> = conditions.iter().map(|one| one.key.as_str()).collect();
    let found = find(files, cut_off, &keys)?;
    let unmet = (0..).zip(conditions.iter().zip(found));
    let unmet = unmet.filter(|(_, (condition, found))| {
        found.as_ref().map(|found| &found.value) != condition.value.as_ref()
    });
    Ok(unmet.map(|(position, _)| position).collect())
}
