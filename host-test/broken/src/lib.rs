//! A backend in memory that breaks the promise that `LARDER_FAULT` names, to test that the kit
//! notices. Without `LARDER_FAULT`, it keeps all promises.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package larder:broken;

            world broken {
                include larder:cache/backend@0.1.0;
                export larder:cache/cache-updates@0.1.0;
                import wasi:clocks/monotonic-clock@0.2.6;
                import wasi:filesystem/preopens@0.2.6;
                import wasi:filesystem/types@0.2.6;
            }
        ",
        world: "larder:broken/broken",
        generate_all,
    });
}
bindings::export!(Broken with_types_in bindings);

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::time::Duration;
use std::{env, fs, hint, io, mem, process, thread};

use bindings::exports::larder::cache::cache_backend::{self, Contents, Entry, Error};
use bindings::exports::larder::cache::cache_updates::{self, Change};
use bindings::exports::larder::cache::types::LiveEntry;
use bindings::wasi::clocks::monotonic_clock::now;
use bindings::wasi::filesystem::preopens::get_directories;
use bindings::wasi::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

struct Broken;

/// Value and deadline of each key.
type Cache = HashMap<String, (Vec<u8>, Option<u64>)>;

thread_local! {
    static CACHES: RefCell<HashMap<String, Cache>> = RefCell::default();
}

/// Whether this is the promise to break.
fn is_broken(fault: &str) -> bool {
    env::var("LARDER_FAULT").is_ok_and(|broken| broken == fault)
}

impl cache_backend::Guest for Broken {
    fn load(cache: String) -> Result<Contents, Error> {
        let cache = checked(cache)?;
        let now = now();
        let live = |expires_at: Option<u64>| expires_at.is_none_or(|at| at > now);
        let entries = CACHES.with_borrow(|caches| {
            let cache = caches.get(&cache).into_iter().flatten();
            let entries = cache
                .filter(|(_, (_, expires_at))| live(*expires_at) || is_broken("keeps-the-expired"));
            let entries = entries.map(|(key, (value, expires_at))| LiveEntry {
                key: key.clone(),
                value: value.clone(),
                expires_at: *expires_at,
            });
            entries.collect()
        });
        Ok(Contents { entries, lost: 0 })
    }

    fn save(cache: String, mut entries: Vec<Entry>) -> Result<(), Error> {
        let cache = checked(cache)?;
        if is_broken("drops-an-entry") && entries.len() > 1000 {
            entries.pop();
        }
        if is_broken("first-duplicate-wins") {
            let mut keys = HashSet::new();
            entries.retain(|entry| keys.insert(entry.key.clone()));
        }
        if is_broken("eats-memory") && entries.is_empty() {
            loop {
                mem::forget(hint::black_box(Vec::<u8>::with_capacity(1 << 20)));
            }
        }
        if is_broken("passes-values-in-one-piece") {
            let values: Vec<_> = entries.iter().map(|entry| entry.value.as_slice()).collect();
            pass(&values.concat())?;
        }
        locked(|| {
            CACHES.with_borrow_mut(|caches| {
                let saved = caches.entry(cache).or_default();
                if !is_broken("save-merges") {
                    saved.clear();
                }
                for entry in entries {
                    put(saved, entry);
                }
            });
        })
    }

    fn clear(cache: String) -> Result<(), Error> {
        let cache = checked(cache)?;
        CACHES.with_borrow_mut(|caches| {
            let is_there = caches.contains_key(&cache);
            if is_broken("loops") && !is_there {
                loop {
                    hint::spin_loop();
                }
            }
            if is_broken("sleeps") && !is_there {
                thread::sleep(Duration::from_secs(1_000_000));
            }
            if !is_broken("clear-does-nothing") {
                caches.remove(&cache);
            }
        });
        Ok(())
    }
}

impl cache_updates::Guest for Broken {
    fn apply(cache: String, changes: Vec<Change>) -> Result<(), Error> {
        let cache = checked(cache)?;
        if changes.is_empty() && is_broken("apply-of-nothing-fails") {
            return Err(Error::InvalidArgument("there are no changes".into()));
        }
        CACHES.with_borrow_mut(|caches| {
            let changed = caches.entry(cache).or_default();
            if is_broken("apply-forgets-the-rest") {
                changed.clear();
            }
            for change in changes {
                match change {
                    Change::Put(entry) => put(changed, entry),
                    Change::Remove(_) if is_broken("apply-forgets-removes") => {}
                    Change::Remove(key) => drop(changed.remove(&key)),
                }
            }
        });
        Ok(())
    }
}

/// Does something while the file `lock` is there. An instance that is killed leaves it.
fn locked(act: impl FnOnce()) -> Result<(), Error> {
    let failed = |error: io::Error| Error::Unavailable(format!("the lock: {error}"));
    let locks = is_broken("leaves-its-lock");
    if locks {
        File::create_new("/lock").map_err(failed)?;
    }
    act();
    if locks {
        fs::remove_file("/lock").map_err(failed)?;
    }
    Ok(())
}

/// Writes values to a file in one call to the host.
fn pass(values: &[u8]) -> Result<(), Error> {
    let create = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    for (folder, _) in get_directories() {
        let file = folder.open_at(PathFlags::empty(), "values", create, DescriptorFlags::WRITE);
        let written = file.and_then(|file| file.write(values, 0));
        written.map_err(|code| Error::Unavailable(format!("writing the values: {code:?}")))?;
    }
    Ok(())
}

/// Stores an entry in place of any earlier entry with its key. With a ttl of zero, it only removes
/// that.
fn put(cache: &mut Cache, mut entry: Entry) {
    if is_broken("traps-on-empty-keys") && entry.key.is_empty() {
        process::abort();
    }
    if is_broken("shortens-values") {
        entry.value.truncate(1 << 20);
    }
    if is_broken("lengthens-ttls") {
        entry.ttl = entry.ttl.map(|ttl| ttl.saturating_add(1));
    }
    let now = now();
    let expires_at = entry.ttl.map(|ttl| match is_broken("long-ttls-overflow") {
        true => now.wrapping_add(ttl),
        false => now.saturating_add(ttl),
    });
    match entry.ttl {
        Some(0) if is_broken("zero-ttl-is-stored") => {
            cache.insert(entry.key, (entry.value, None));
        }
        Some(0) => drop(cache.remove(&entry.key)),
        _ => drop(cache.insert(entry.key, (entry.value, expires_at))),
    }
}

/// The name of the cache to use, or the rule that the name breaks.
fn checked(mut name: String) -> Result<String, Error> {
    if is_broken("takes-any-name") {
        return Ok(name);
    }
    larder_names::check(&name).map_err(|rule| {
        let silent = is_broken("refuses-without-a-reason");
        Error::InvalidName(if silent { String::new() } else { rule.into() })
    })?;
    if is_broken("names-are-cut") {
        name = name.chars().take(1).collect();
    }
    Ok(name)
}
