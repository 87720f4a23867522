//! Two backends as one: a fast backend in front of a durable one. The world `tiered` says which of
//! them is right when.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "tiered",
        generate_all,
        merge_structurally_equal_types: true,
        additional_derives: [PartialEq],
    });
}
bindings::export!(Tiered with_types_in bindings);

use std::cell::RefCell;
use std::collections::HashMap;

use bindings::exports::larder::cache::cache_updates::{self, Change};
use bindings::exports::larder::cache::{cache_backend, types};
use bindings::larder::cache::durable_inspect::{CacheStat, stat};
use bindings::larder::cache::{durable_backend, durable_updates, fast_backend, fast_updates};
use bindings::wasi::clocks::{monotonic_clock, wall_clock};
use types::{Contents, Entry, Error};

struct Tiered;

/// A cache that the fast backend has.
struct InFront {
    /// The answer of the durable backend when the fast backend got the cache.
    stat: CacheStat,
    /// How many entries the durable backend had lost then.
    lost: u64,
    /// The time then, on both clocks.
    at: Time,
}

/// One moment, in nanoseconds.
#[derive(Clone, Copy)]
struct Time {
    wall: i128,
    monotonic: i128,
}

thread_local! {
    /// The caches that the fast backend has.
    static IN_FRONT: RefCell<HashMap<String, InFront>> = RefCell::default();
}

impl cache_backend::Guest for Tiered {
    fn load(cache: String) -> Result<Contents, Error> {
        let before = stat(&cache).ok();
        if let Some(lost) = in_front(&cache, &before)
            && let Ok(contents) = fast_backend::load(&cache)
            && contents.lost == 0
        {
            return Ok(Contents { lost, ..contents });
        }
        let contents = durable_backend::load(&cache)?;
        Ok(put_in_front(cache, before, contents))
    }

    fn save(cache: String, entries: Vec<Entry>) -> Result<(), Error> {
        change(
            cache,
            entries,
            |cache, entries| durable_backend::save(cache, entries),
            |cache, mut entries, _, passed| {
                entries.iter_mut().for_each(|entry| age(entry, passed));
                fast_backend::save(cache, &entries).is_ok()
            },
        )
    }

    fn clear(cache: String) -> Result<(), Error> {
        // If there was nothing to clear, no version tells whether somebody has stored something
        // since.
        IN_FRONT.with_borrow_mut(|caches| caches.remove(&cache));
        durable_backend::clear(&cache)?;
        fast_backend::clear(&cache)
    }
}

impl cache_updates::Guest for Tiered {
    fn apply(cache: String, changes: Vec<Change>) -> Result<(), Error> {
        if changes.is_empty() {
            return durable_updates::apply(&cache, &changes);
        }
        change(
            cache,
            changes,
            |cache, changes| durable_updates::apply(cache, changes),
            |cache, mut changes, before, passed| {
                for change in &mut changes {
                    if let Change::Put(entry) = change {
                        age(entry, passed);
                    }
                }
                // A change may replace a lost entry, and then fewer are lost. So `lost` must be
                // zero.
                in_front(cache, before) == Some(0) && fast_updates::apply(cache, &changes).is_ok()
            },
        )
    }
}

/// Changes a cache in the durable backend, and then in the fast one if nobody else changed the
/// cache in the meantime. `fast` gets the stat before the change, and how many nanoseconds
/// `durable` took.
fn change<T>(
    cache: String,
    changed: T,
    durable: impl FnOnce(&str, &T) -> Result<(), Error>,
    fast: impl FnOnce(&str, T, &Option<CacheStat>, u64) -> bool,
) -> Result<(), Error> {
    let before = stat(&cache).ok();
    let start = monotonic_clock::now();
    let outcome = durable(&cache, &changed);
    let after = stat(&cache).ok();
    // Every change increases the version. So if it increased by one, only this change was made.
    let is_ours = match (&outcome, &before, &after) {
        (Ok(()), Some(before), Some(after)) => Some(after.version) == before.version.checked_add(1),
        _ => false,
    };
    let passed = monotonic_clock::now().saturating_sub(start);
    let is_known = is_ours && fast(&cache, changed, &before, passed);
    IN_FRONT.with_borrow_mut(|caches| match after {
        Some(stat) if is_known => {
            let known = InFront {
                stat,
                lost: 0,
                at: Time::now(),
            };
            caches.insert(cache, known);
        }
        _ => {
            caches.remove(&cache);
        }
    });
    outcome
}

/// Shortens the ttl of an entry by the time that has passed, so that the entry does not live longer
/// in the fast backend.
fn age(entry: &mut Entry, passed: u64) {
    entry.ttl = entry.ttl.map(|ttl| ttl.saturating_sub(passed));
}

/// How many entries of a cache are lost, if the fast backend has its current version; none if not.
fn in_front(cache: &str, stat: &Option<CacheStat>) -> Option<u64> {
    IN_FRONT.with_borrow(|caches| {
        let known = caches.get(cache)?;
        let is_current = Some(&known.stat) == stat.as_ref() && known.at.agrees_with(Time::now());
        is_current.then_some(known.lost)
    })
}

/// Stores loaded contents in the fast backend if they are still current, and returns them.
fn put_in_front(cache: String, before: Option<CacheStat>, contents: Contents) -> Contents {
    IN_FRONT.with_borrow_mut(|caches| caches.remove(&cache));
    // Without a version, nothing tells whether the cache has changed.
    let is_known =
        |before: &CacheStat| before.version > 0 && stat(&cache).is_ok_and(|after| after == *before);
    let Some(before) = before.filter(is_known) else {
        return contents;
    };
    let now = monotonic_clock::now();
    let mut deadlines = Vec::with_capacity(contents.entries.len());
    let entries = contents.entries.into_iter().map(|entry| {
        deadlines.push(entry.expires_at);
        Entry {
            key: entry.key,
            value: entry.value,
            ttl: entry.expires_at.map(|at| at.saturating_sub(now)),
        }
    });
    let entries: Vec<_> = entries.collect();
    let lost = contents.lost;
    if fast_backend::save(&cache, &entries).is_ok() {
        let known = InFront {
            stat: before,
            lost,
            at: Time::now(),
        };
        IN_FRONT.with_borrow_mut(|caches| caches.insert(cache, known));
    }
    let entries = entries.into_iter().zip(deadlines);
    let entries = entries.map(|(entry, expires_at)| types::LiveEntry {
        key: entry.key,
        value: entry.value,
        expires_at,
    });
    Contents {
        entries: entries.collect(),
        lost,
    }
}

impl Time {
    fn now() -> Time {
        let wall = wall_clock::now();
        Time {
            wall: i128::from(wall.seconds) * 1_000_000_000 + i128::from(wall.nanoseconds),
            monotonic: monotonic_clock::now().into(),
        }
    }

    /// Whether the same time has passed on both clocks. The durable backend counts by the wall
    /// clock. The fast one may count by the monotonic clock, which stands still while a machine
    /// sleeps.
    fn agrees_with(self, later: Time) -> bool {
        let passed = (later.wall - self.wall) - (later.monotonic - self.monotonic);
        passed.abs() < 1_000_000_000
    }
}
