//! The operations list, stat and verify.

use crate::abi::Error;
use crate::abi::bindings::exports::larder::cache::cache_inspect::{
    CacheStat, Damage, Datetime, Part, Report,
};
use crate::abi::wasi::random::random::get_random_u64;
use crate::folder::{Chain, Dir, Published, file_name, legacy};
use crate::format::{self, Keys, Reader};
use crate::records::HashSet;
use crate::store::{Cache, Stored};
use larder_names::LEGACY_SUFFIX;

/// Lists the names of caches that hold anything, sorted.
pub fn list_caches(root: &Dir) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::new();
    for listed in root.list()? {
        let name = match listed.name.strip_suffix(LEGACY_SUFFIX) {
            Some(name) if listed.is_file => name,
            None if listed.is_dir => &listed.name,
            _ => continue,
        };
        let cache = match Cache::new(root, name) {
            Ok(cache) => cache,
            Err(Error::InvalidName(_)) => continue,
            Err(error) => return Err(error),
        };
        // Such a folder belongs to others, as `lost+found` does.
        if let Err(Error::AccessDenied) = root.open_dir(name) {
            continue;
        }
        let stored = cache.open();
        match stored.and_then(|stored| holds_anything(&cache, &stored)) {
            Ok(false) => {}
            // A call for this cache tells the error.
            Ok(true) | Err(_) => {
                // A folder and a legacy file may belong to the same cache.
                if let Err(at) = names.binary_search_by(|other| other.as_str().cmp(name)) {
                    names.insert(at, name.into());
                }
            }
        }
    }
    Ok(names)
}

fn holds_anything(cache: &Cache, stored: &Stored) -> Result<bool, Error> {
    match stored {
        Stored::Nothing => Ok(false),
        Stored::Legacy(bytes) => Ok(!legacy::decode(cache.name, bytes)?.is_empty()),
        Stored::Published(chain) => Ok(entries(chain)? > 0),
    }
}

/// Returns the size and age of a cache.
pub fn stat(cache: &Cache) -> Result<CacheStat, Error> {
    match cache.open()? {
        Stored::Nothing => Ok(CacheStat {
            entries: 0,
            bytes: 0,
            files: 0,
            version: 0,
            saved_at: None,
        }),
        Stored::Legacy(bytes) => Ok(CacheStat {
            entries: legacy::decode(cache.name, &bytes)?.len() as u64,
            bytes: bytes.len() as u64,
            files: 1,
            version: 0,
            saved_at: None,
        }),
        Stored::Published(chain) => {
            chain.check_readable()?;
            let newest = chain
                .files
                .first()
                .and_then(|file| file.header.as_ref().ok());
            Ok(CacheStat {
                entries: entries(&chain)?,
                bytes: chain.bytes(),
                files: chain.files.len() as u64,
                version: chain.version(),
                saved_at: newest.map(|header| Datetime {
                    seconds: header.saved_at / 1_000_000_000,
                    nanoseconds: (header.saved_at % 1_000_000_000) as u32,
                }),
            })
        }
    }
}

/// Counts the keys that hold an entry, from the indexes.
fn entries(chain: &Chain) -> Result<u64, Error> {
    let mut entries = chain.cut_off;
    let mut seen = HashSet::new(get_random_u64());
    for (at, file) in chain.files.iter().enumerate() {
        let Ok(header) = &file.header else { continue };
        entries = entries.saturating_add(header.lost);
        // A single file has each key once, so its header suffices.
        if chain.files.len() == 1 {
            entries = entries.saturating_add(header.puts);
            continue;
        }
        let is_oldest = at + 1 == chain.files.len();
        let mut is_newest = |hash| match is_oldest {
            true => Ok(!seen.contains(hash)),
            false => seen.insert(hash),
        };
        let Ok(mut reader) = Reader::open(file.bytes.clone())? else {
            continue;
        };
        while let Some(keys) = reader.next_keys()? {
            match keys {
                Keys::Known(keys) => {
                    for (hash, is_put) in keys.puts_and_removes() {
                        let counts = is_newest(hash)? && is_put;
                        entries = entries.saturating_add(counts.into());
                    }
                }
                Keys::Unknown { puts } => entries = entries.saturating_add(puts),
            }
        }
    }
    Ok(entries)
}

/// Reads and checks the whole cache.
pub fn verify(cache: &Cache) -> Result<Report, Error> {
    let mut report = Report {
        files: 0,
        blocks: 0,
        bytes: 0,
        damage: Vec::new(),
    };
    match cache.open()? {
        Stored::Nothing => {}
        Stored::Legacy(bytes) => {
            report.files = 1;
            report.bytes = bytes.len() as u64;
            if legacy::decode(cache.name, &bytes).is_err() {
                report.damaged_file(legacy::file_name(cache.name), report.bytes);
            }
        }
        Stored::Published(chain) => {
            if let Err(newer @ Error::UnsupportedVersion(_)) = chain.check_readable() {
                return Err(newer);
            }
            for file in chain.files {
                report.check(cache.name, file)?;
            }
            for file in chain.unusable {
                report.damaged_file(format!("{}/{file}", cache.name), 0);
            }
        }
    }
    Ok(report)
}

impl Report {
    fn check(&mut self, cache: &str, published: Published) -> Result<(), Error> {
        let path = format!("{cache}/{}", file_name(published.version));
        self.files += 1;
        self.bytes += published.size();
        let Ok((blocks, damage)) = format::check(published.bytes.clone())? else {
            self.damaged_file(path, published.size());
            return Ok(());
        };
        self.blocks += blocks;
        self.damage.extend(damage.iter().map(|damage| Damage {
            file: path.clone(),
            part: match damage.part {
                format::Part::Header => Part::Header,
                format::Part::Block => Part::Block,
                format::Part::Index => Part::Index,
            },
            offset: damage.offset,
            length: damage.length,
            entries: damage.records,
        }));
        Ok(())
    }

    fn damaged_file(&mut self, file: String, length: u64) {
        self.damage.push(Damage {
            file,
            part: Part::File,
            offset: 0,
            length,
            entries: 0,
        });
    }
}
