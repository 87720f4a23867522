//! The backend in memory, and the smallest example of a backend. Its entries are gone when the
//! instance ends.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "memory",
        generate_all,
    });
}
#[cfg(target_arch = "wasm32")] // A native linker rejects the names of these exports.
bindings::export!(Memory with_types_in bindings);

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use bindings::exports::larder::cache::cache_atomics::{self, Condition};
use bindings::exports::larder::cache::cache_backend::{self, Contents, Entry, Error};
use bindings::exports::larder::cache::cache_lookup::{self, Found, Page};
use bindings::exports::larder::cache::cache_updates::{self, Change};
use bindings::exports::larder::cache::types::LiveEntry;
use bindings::wasi::clocks::monotonic_clock::now;

struct Memory;

/// The entries of one cache.
#[derive(Default)]
struct Cache {
    /// Value and deadline of each key.
    entries: BTreeMap<String, (Vec<u8>, Option<u64>)>,
    /// How many bytes the entries take.
    size: usize,
}

thread_local! {
    static CACHES: RefCell<HashMap<String, Cache>> = RefCell::default();
}

/// The most bytes that all caches take. An instance has at most 4 GiB of memory, and also needs
/// room for the arguments and the result of a call.
const LARGEST: usize = 1 << 30;

/// How many bytes an entry takes besides its key and its value, rounded up a little.
const ENTRY: usize = 128;

impl cache_backend::Guest for Memory {
    fn load(cache: String) -> Result<Contents, Error> {
        check(&cache)?;
        let now = now();
        let entries = CACHES.with_borrow_mut(|caches| {
            let Some(cache) = caches.get_mut(&cache) else {
                return Vec::new();
            };
            cache.drop_expired(now);
            let entries = cache.entries.iter();
            let entries = entries.map(|(key, (value, expires_at))| LiveEntry {
                key: key.clone(),
                value: value.clone(),
                expires_at: *expires_at,
            });
            entries.collect()
        });
        Ok(Contents { entries, lost: 0 })
    }

    fn save(cache: String, entries: Vec<Entry>) -> Result<(), Error> {
        check(&cache)?;
        let now = now();
        CACHES.with_borrow_mut(|caches| {
            let added = entries.iter().map(|entry| size(&entry.key, &entry.value));
            make_room(caches, now, |caches| {
                let replaced = caches.get(&cache).map_or(0, |cache| cache.size);
                (added.clone().sum(), replaced)
            })?;
            let mut saved = Cache::default();
            for entry in entries {
                saved.put(entry, now);
            }
            caches.insert(cache, saved);
            Ok(())
        })
    }

    fn clear(cache: String) -> Result<(), Error> {
        check(&cache)?;
        CACHES.with_borrow_mut(|caches| caches.remove(&cache));
        Ok(())
    }
}

impl cache_updates::Guest for Memory {
    fn apply(cache: String, changes: Vec<Change>) -> Result<(), Error> {
        check(&cache)?;
        let now = now();
        CACHES.with_borrow_mut(|caches| {
            // The last change to a key counts.
            let named: HashMap<_, _> = changes.iter().map(named).collect();
            make_room(caches, now, |caches| {
                let replaced = caches
                    .get(&cache)
                    .map_or(0, |cache| named.keys().map(|key| cache.size_of(key)).sum());
                (named.values().sum(), replaced)
            })?;
            let cache = caches.entry(cache).or_default();
            for change in changes {
                match change {
                    Change::Put(entry) => cache.put(entry, now),
                    Change::Remove(key) => cache.remove(&key),
                }
            }
            Ok(())
        })
    }
}

impl cache_lookup::Guest for Memory {
    fn get_many(cache: String, keys: Vec<String>) -> Result<Vec<Option<Found>>, Error> {
        check(&cache)?;
        let now = now();
        CACHES.with_borrow(|caches| {
            let cache = caches.get(&cache);
            let found = |key: &String| {
                let (value, expires_at) = cache?.live(key, now)?;
                Some(Found {
                    value: value.clone(),
                    expires_at: *expires_at,
                })
            };
            Ok(keys.iter().map(found).collect())
        })
    }

    /// Keys are in their own order. A cursor is the last key of a page.
    fn scan(cache: String, after: Option<String>, limit: u32) -> Result<Page, Error> {
        check(&cache)?;
        if limit == 0 {
            return Err(Error::InvalidArgument(
                "the limit must be at least 1".into(),
            ));
        }
        let now = now();
        CACHES.with_borrow(|caches| {
            let first = after.map_or(Bound::Unbounded, Bound::Excluded);
            let entries = caches
                .get(&cache)
                .map(|cache| cache.entries.range((first, Bound::Unbounded)));
            let live = entries.into_iter().flatten();
            let mut live = live.filter(|(_, (_, expires_at))| is_live(expires_at, now));
            let keys = live.by_ref().take(limit as usize);
            let keys: Vec<String> = keys.map(|(key, _)| key.clone()).collect();
            let next = live.next().and(keys.last().cloned());
            Ok(Page { keys, next })
        })
    }
}

impl cache_atomics::Guest for Memory {
    fn apply_if(
        cache: String,
        conditions: Vec<Condition>,
        changes: Vec<Change>,
    ) -> Result<Vec<u32>, Error> {
        check(&cache)?;
        let now = now();
        let unmet: Vec<u32> = CACHES.with_borrow(|caches| {
            let cache = caches.get(&cache);
            let holds = |condition: &Condition| {
                let found = cache.and_then(|cache| cache.live(&condition.key, now));
                found.map(|(value, _)| value) == condition.value.as_ref()
            };
            let unmet = (0..).zip(&conditions);
            let unmet = unmet.filter(|(_, condition)| !holds(condition));
            unmet.map(|(position, _)| position).collect()
        });
        if unmet.is_empty() && !changes.is_empty() {
            // Nothing comes between: an instance makes one call at a time.
            <Memory as cache_updates::Guest>::apply(cache, changes)?;
        }
        Ok(unmet)
    }
}

impl Cache {
    /// The value and the deadline of a key.
    fn live(&self, key: &str, now: u64) -> Option<&(Vec<u8>, Option<u64>)> {
        let entry = self.entries.get(key);
        entry.filter(|(_, expires_at)| is_live(expires_at, now))
    }

    /// Stores an entry in place of any earlier entry with its key. With a ttl of zero, it only
    /// removes that.
    fn put(&mut self, entry: Entry, now: u64) {
        self.remove(&entry.key);
        if entry.ttl != Some(0) {
            let expires_at = entry.ttl.map(|ttl| now.saturating_add(ttl));
            self.size += size(&entry.key, &entry.value);
            self.entries.insert(entry.key, (entry.value, expires_at));
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some((value, _)) = self.entries.remove(key) {
            self.size -= size(key, &value);
        }
    }

    fn drop_expired(&mut self, now: u64) {
        self.entries
            .retain(|_, (_, expires_at)| is_live(expires_at, now));
        let sizes = self
            .entries
            .iter()
            .map(|(key, (value, _))| size(key, value));
        self.size = sizes.sum();
    }

    fn size_of(&self, key: &str) -> usize {
        let entry = self.entries.get(key);
        entry.map_or(0, |(value, _)| size(key, value))
    }
}

fn is_live(expires_at: &Option<u64>, now: u64) -> bool {
    expires_at.is_none_or(|at| at > now)
}

/// Refuses a change that needs too much memory, before anything is changed. If memory is short,
/// expired entries are removed first. `change` tells how many bytes the change adds and how many it
/// replaces.
fn make_room(
    caches: &mut HashMap<String, Cache>,
    now: u64,
    change: impl Fn(&HashMap<String, Cache>) -> (usize, usize),
) -> Result<(), Error> {
    let size = |caches: &HashMap<String, Cache>| {
        let (added, replaced) = change(caches);
        let there: usize = caches.values().map(|cache| cache.size).sum();
        there.saturating_sub(replaced).saturating_add(added)
    };
    if size(caches) > LARGEST {
        caches
            .values_mut()
            .for_each(|cache| cache.drop_expired(now));
    }
    match size(caches) {
        size if size > LARGEST => Err(Error::TooLarge(size as u64)),
        _ => Ok(()),
    }
}

/// The key of a change, and how many bytes its entry takes after the change.
fn named(change: &Change) -> (&str, usize) {
    match change {
        Change::Put(entry) => (&entry.key, size(&entry.key, &entry.value)),
        Change::Remove(key) => (key, 0),
    }
}

fn size(key: &str, value: &[u8]) -> usize {
    ENTRY + key.len() + value.len()
}

fn check(cache: &str) -> Result<(), Error> {
    larder_names::check(cache).map_err(|rule| Error::InvalidName(rule.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry of zeros. The system provides no memory for zeros that nobody writes to.
    fn entry(key: &str, mebibytes: usize, ttl: Option<u64>) -> Entry {
        Entry {
            key: key.into(),
            value: vec![0; mebibytes << 20],
            ttl,
        }
    }

    /// Caches of one entry each.
    fn caches(entries: Vec<(&str, Entry)>) -> HashMap<String, Cache> {
        let mut caches = HashMap::<_, Cache>::new();
        for (cache, entry) in entries {
            caches.entry(cache.into()).or_default().put(entry, 0);
        }
        caches
    }

    fn is_room(caches: &mut HashMap<String, Cache>, now: u64, added: usize, old: usize) -> bool {
        make_room(caches, now, |_| (added << 20, old << 20)).is_ok()
    }

    #[test]
    fn all_caches_together_take_no_more_than_they_may() {
        let one = entry("key", 400, None);
        let mut caches = caches(vec![("one", one), ("other", entry("key", 400, None))]);
        assert!(is_room(&mut caches, 0, 200, 0));
        assert!(!is_room(&mut caches, 0, 300, 0));
        assert_eq!(caches.len(), 2, "nothing has changed");
    }

    #[test]
    fn what_is_replaced_makes_room_for_what_replaces_it() {
        let mut caches = caches(vec![("one", entry("key", 800, None))]);
        assert!(is_room(&mut caches, 0, 800, 800));
        assert!(!is_room(&mut caches, 0, 800, 0));
    }

    #[test]
    fn what_has_expired_makes_room_in_any_cache() {
        let lasting = entry("lasting", 300, None);
        let mut caches = caches(vec![("one", entry("key", 600, Some(10))), ("two", lasting)]);
        assert!(!is_room(&mut caches, 9, 500, 0));
        assert!(is_room(&mut caches, 10, 500, 0));
        assert!(caches["one"].entries.is_empty() && caches["two"].entries.len() == 1);
    }

    #[test]
    fn entries_without_keys_and_values_take_room_too() {
        let mut cache = Cache::default();
        for key in ["", "", "a"] {
            cache.put(entry(key, 0, None), 0);
        }
        assert_eq!(cache.size, 2 * ENTRY + 1);
        cache.remove("");
        cache.remove("none");
        assert_eq!(cache.size, ENTRY + 1);
    }
}
