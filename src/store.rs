//! Load, save, apply and clear.

use crate::answer::Loaded;
use crate::bindings::exports::larder::cache::cache_updates::Change;
use crate::bindings::exports::larder::cache::types::Entry;
use crate::chain::{Chain, Published};
use crate::clock::{Deadlines, wall_now};
use crate::dir::{Dir, File};
use crate::draft::{Draft, rebased};
use crate::fold::files_to_fold;
use crate::format::{self, Block, Decoded, Kind, Put, Record};
use crate::keys::last_occurrences;
use crate::memory::make_room;
use crate::merge::{Lost, merge};
use crate::publish::{
    ATTEMPTS, Listing, MOST_FOLDED, MOST_SUPERSEDED, MOST_UNSYNCED, Place, busy, publish, reap,
    settle, sweep, sweep_all,
};
use crate::settings::{Durability, durability};
use crate::wasi::random::random;
use crate::{Error, legacy, name};

/// One cache of the store.
pub struct Cache<'a> {
    root: &'a Dir,
    /// Its name.
    pub name: &'a str,
    durability: Durability,
}

/// What is stored of a cache.
pub enum Stored {
    /// Nothing.
    Nothing,
    /// A file from before the store's own format.
    Legacy(Vec<u8>),
    /// Published files.
    Published(Chain),
}

impl<'a> Cache<'a> {
    /// Checks the name and the settings, and touches nothing.
    pub fn new(root: &'a Dir, name: &'a str) -> Result<Cache<'a>, Error> {
        name::check(name).map_err(|rule| Error::InvalidName(rule.into()))?;
        Ok(Cache {
            root,
            name,
            durability: durability()?,
        })
    }

    /// Opens what is stored.
    pub fn open(&self) -> Result<Stored, Error> {
        // A file from before is removed only after a version was published, so
        // whoever misses both sees the version at the second look.
        for _ in 0..2 {
            if let Some(folder) = self.root.open_dir(self.name)?
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

    /// Gives the live entries.
    pub fn load(&self) -> Result<Loaded, Error> {
        let (files, cut_off) = self.read(self.open()?)?;
        Loaded::from_files(files, |files, entries| {
            let decoded = decode(files);
            let count = record_count(&decoded);
            make_room(count, 0)?;
            entries.reserve(usize::try_from(count).unwrap_or_default());
            let now = Deadlines::now();
            let lost = merge(&decoded, random::get_random_u64(), |header, record| {
                let Some(put) = record.put else { return };
                if let Some(expires_at) = now.of(put.ttl, header.saved_at) {
                    entries.push(record.key, put.value, expires_at);
                }
            });
            Ok(lost.count().saturating_add(cut_off))
        })
    }

    /// Stores these entries as the whole cache.
    pub fn save(&self, entries: &[Entry]) -> Result<(), Error> {
        make_room_to_write(entries.iter().map(put_record))?;
        let keys = entries.iter().map(|entry| entry.key.as_str());
        let last = last_occurrences(keys, random::get_random_u64());
        let records = entries.iter().zip(last).filter(|(_, last)| *last);
        let records = records.map(|(entry, _)| put_record(entry));
        let records = records.filter(|record| record.put.is_some()).collect();
        let draft = Draft::new(Kind::Snapshot, wall_now(), records, Lost::default());

        let (folder, listing) = self.folder()?;
        let durability = self.durability_of_save(&listing)?;
        self.publish_snapshot(&folder, durability, Place::Next, &draft)?;
        Ok(())
    }

    /// Makes these changes.
    pub fn apply(&self, changes: &[Change]) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        make_room_to_write(changes.iter().map(change_record))?;
        let bytes: u64 = changes.iter().map(change_bytes).sum();
        // They are encoded in memory, in a buffer that grows.
        make_room(changes.len() as u64, bytes.saturating_mul(3))?;
        let records: Vec<Record> = changes.iter().map(change_record).collect();
        let keys = records.iter().map(|record| record.key);
        let last = last_occurrences(keys, random::get_random_u64());
        let records = records.into_iter().zip(last);
        let records = records.filter_map(|(record, last)| last.then_some(record));
        let kind = Kind::Changes { covers: 1 };
        let draft = Draft::new(kind, wall_now(), records.collect(), Lost::default());
        let (id, changes) = (draft.id(), draft.to_bytes());

        let durability = match changes.len() as u64 > MOST_UNSYNCED {
            true => Durability::Full,
            false => self.durability,
        };

        let (folder, _) = self.folder()?;
        for _ in 0..ATTEMPTS {
            let next = Listing::of(&folder)?.next()?;
            let stored = self.open()?;
            if let Stored::Published(chain) = &stored
                && chain.is_on_top
                && (chain.is_settled() || self.durability == Durability::Full)
            {
                chain.check_readable()?;
                if self.durability == Durability::Full {
                    settle(&folder, chain.id())?;
                }
                let write = |file: &File| file.write(&changes, 0);
                let place = Place::OnTop(chain.version());
                if publish(&folder, self.durability, durability, place, id, write)?.is_none() {
                    continue;
                }
                let mut sizes = vec![changes.len() as u64];
                sizes.extend(chain.files.iter().map(|file| file.size));
                if files_to_fold(&sizes) > 0 {
                    // The changes are made, whatever becomes of this; where it
                    // fails, a later change tries again.
                    let _ = self.fold(&folder);
                }
                return Ok(());
            }
            // There is nothing to publish changes upon, or nothing that lasts,
            // or something foreign is in the way: a snapshot with the changes
            // made takes its place.
            let (older, cut_off) = self.read(stored)?;
            let mut files = vec![changes.clone()];
            files.extend(older);
            let (draft, _) = folded(&decode(&files), Kind::Snapshot, cut_off)?;
            let full = Durability::Full;
            if self.publish_snapshot(&folder, full, Place::Only(next), &draft)? {
                return Ok(());
            }
        }
        Err(busy())
    }

    /// Removes everything.
    pub fn clear(&self) -> Result<(), Error> {
        let legacy = legacy::file_name(self.name);
        if self.root.open_dir(self.name)?.is_none() && !self.root.has_file(&legacy)? {
            return Ok(());
        }
        let (folder, _) = self.folder()?;
        let version = match self.open() {
            // Without syncs, it is not known to last.
            Ok(Stored::Published(chain))
                if chain.is_empty() && chain.is_on_top && self.durability == Durability::Full =>
            {
                settle(&folder, chain.id())?;
                chain.version()
            }
            Ok(Stored::Nothing) => 0,
            Ok(Stored::Legacy(_) | Stored::Published(_)) | Err(Error::TooLarge(_)) => {
                let draft = Draft::new(Kind::Snapshot, wall_now(), Vec::new(), Lost::default());
                let version = self.publish(&folder, Durability::Full, Place::Next, &draft)?;
                version.ok_or_else(busy)?
            }
            Err(error) => return Err(error),
        };
        sweep_all(&folder, version)?;
        folder.sync()?;
        if self.root.has_file(&legacy)? {
            self.root.remove(&legacy)?;
        }
        // Whoever removed it before may not have come to that.
        self.root.sync()
    }

    /// Opens the cache's folder, and creates it if need be.
    fn folder(&self) -> Result<(Dir, Listing), Error> {
        for _ in 0..ATTEMPTS {
            if let Some(folder) = self.root.open_dir(self.name)? {
                let listing = Listing::of(&folder)?;
                if listing.versions.is_empty() {
                    // Whoever created it may not have come to that, and a
                    // version is there only where its folder lasts.
                    self.root.sync()?;
                }
                // What cannot be removed is in the way of nothing.
                reap(&folder, &listing);
                return Ok((folder, listing));
            }
            self.root.create_dir(self.name)?;
        }
        Err(busy())
    }

    /// Reads what is stored, newest first; and how many entries cannot be.
    fn read(&self, stored: Stored) -> Result<(Vec<Vec<u8>>, u64), Error> {
        match stored {
            Stored::Nothing => Ok((Vec::new(), 0)),
            Stored::Legacy(bytes) => {
                let entries = legacy::decode(self.name, &bytes)?;
                let last = last_occurrences(
                    entries.iter().map(|entry| entry.key),
                    random::get_random_u64(),
                );
                let records = entries.iter().zip(last).filter(|(_, last)| *last);
                let records = records.map(|(entry, _)| put(entry.key, entry.value, entry.ttl));
                let records = records.filter(|record| record.put.is_some()).collect();
                // Such a file does not say when it was saved.
                let draft = Draft::new(Kind::Snapshot, wall_now(), records, Lost::default());
                Ok((vec![draft.to_bytes()], 0))
            }
            Stored::Published(chain) => {
                chain.check_readable()?;
                let files = chain.files.into_iter().map(Published::read);
                Ok((files.collect::<Result<_, _>>()?, chain.cut_off))
            }
        }
    }

    /// Publishes a snapshot and removes what it supersedes. False where the
    /// place is taken.
    fn publish_snapshot(
        &self,
        folder: &Dir,
        durability: Durability,
        place: Place,
        draft: &Draft,
    ) -> Result<bool, Error> {
        let Some(version) = self.publish(folder, durability, place, draft)? else {
            return Ok(false);
        };
        if durability == Durability::Full {
            // The cache is saved, whatever becomes of this; what stays is not
            // read any more, and a later write tries again.
            let _ = sweep(folder, 0, version, MOST_SUPERSEDED);
            self.remove_legacy();
        }
        Ok(true)
    }

    fn publish(
        &self,
        folder: &Dir,
        durability: Durability,
        place: Place,
        draft: &Draft,
    ) -> Result<Option<u64>, Error> {
        let write = |file: &File| draft.write(file);
        publish(
            folder,
            self.durability,
            durability,
            place,
            draft.id(),
            write,
        )
    }

    /// Removes a file from before the store's own format that a snapshot
    /// supersedes.
    fn remove_legacy(&self) {
        let legacy = legacy::file_name(self.name);
        if let Ok(true) = self.root.has_file(&legacy) {
            // Where it stays, a later snapshot tries again.
            let _ = self.root.remove(&legacy);
        }
    }

    /// What is not synced must not be the only copy, nor may copies pile up:
    /// the first save syncs, and every so often one does and removes them.
    fn durability_of_save(&self, listing: &Listing) -> Result<Durability, Error> {
        let few = 1..=MOST_SUPERSEDED;
        let legacy = legacy::file_name(self.name);
        let may_wait = self.durability == Durability::Atomic
            && few.contains(&listing.versions.len())
            && !self.root.has_file(&legacy)?;
        Ok(match may_wait {
            true => Durability::Atomic,
            false => Durability::Full,
        })
    }

    /// Folds the newest files into one, if they are still those that there
    /// were.
    fn fold(&self, folder: &Dir) -> Result<(), Error> {
        let Some(mut chain) = Chain::open(folder, self.durability)? else {
            return Ok(());
        };
        let sizes: Vec<u64> = chain.files.iter().map(|file| file.size).collect();
        let run = files_to_fold(&sizes);
        let version = chain.version().saturating_add(1);
        // What the run is folded upon; none where it is all there is.
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
        let files = chain.files.into_iter().map(Published::read);
        let files: Vec<Vec<u8>> = files.collect::<Result<_, _>>()?;
        let (draft, blind) = folded(&decode(&files), kind, cut_off)?;
        if blind && kind != Kind::Snapshot {
            // Which keys were lost is not known, and a fold could not tell.
            return Ok(());
        }
        let place = Place::Only(version);
        if let Some(version) = self.publish(folder, Durability::Full, place, &draft)? {
            sweep(folder, base, version, MOST_FOLDED)?;
            if kind == Kind::Snapshot {
                self.remove_legacy();
            }
        }
        Ok(())
    }
}

fn decode(files: &[Vec<u8>]) -> Vec<Decoded<'_>> {
    // One that cannot be read ends a chain, which counts what it cuts off.
    let decoded = files.iter().filter_map(|file| format::decode(file).ok());
    decoded.collect()
}

/// How many records can be read.
fn record_count(files: &[Decoded]) -> u64 {
    let blocks = files.iter().flat_map(|file| &file.blocks);
    blocks.map(Block::record_count).sum()
}

/// Makes sure that there is memory for writing these records.
fn make_room_to_write<'a>(records: impl Iterator<Item = Record<'a>>) -> Result<(), Error> {
    let (count, largest) = records.fold((0, 0), |(count, largest), record| {
        let value = record.put.map_or(0, |put| put.value.len());
        (count + 1, (record.key.len() + value).max(largest))
    });
    // A block is gathered, encoded, and put where it is written from; as it
    // grows, it is there a second time.
    make_room(count, 6 * largest as u64)
}

/// One file of what these say together, as of now; and whether any of them is
/// damaged so that it is not known which keys were lost.
fn folded<'a>(files: &[Decoded<'a>], kind: Kind, cut_off: u64) -> Result<(Draft<'a>, bool), Error> {
    let blocks = files.iter().flat_map(|file| &file.blocks);
    make_room_to_write(blocks.filter_map(Block::records).flatten())?;
    let now = wall_now();
    let mut records = Vec::new();
    let mut lost = merge(files, random::get_random_u64(), |header, record| {
        let record = rebased(record, header.saved_at, now);
        if record.put.is_some() || kind != Kind::Snapshot {
            records.push(record);
        }
    });
    lost.unknown = lost.unknown.saturating_add(cut_off);
    let blind = lost.blind;
    Ok((Draft::new(kind, now, records, lost), blind))
}

/// The record of an entry; one that lives for no time at all is a removal.
fn put<'a>(key: &'a str, value: &'a [u8], ttl: Option<u64>) -> Record<'a> {
    let put = (ttl != Some(0)).then_some(Put { value, ttl });
    Record { key, put }
}

fn put_record(entry: &Entry) -> Record<'_> {
    put(&entry.key, &entry.value, entry.ttl)
}

fn change_bytes(change: &Change) -> u64 {
    match change {
        Change::Put(entry) => (entry.key.len() + entry.value.len()) as u64,
        Change::Remove(key) => key.len() as u64,
    }
}

fn change_record(change: &Change) -> Record<'_> {
    match change {
        Change::Put(entry) => put_record(entry),
        Change::Remove(key) => Record { key, put: None },
    }
}
