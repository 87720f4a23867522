//! One cache: its entries, who makes which of them, and what of them the backend does not have yet.

use crate::bindings::exports::larder::cache::cache::{Found, Metrics, Options, Page};
use crate::bindings::larder::cache::cache_updates::Change;
use crate::bindings::larder::cache::types::{self, Contents, Error};
use crate::entries::{Entries, Entry, Limits, NEVER};
use crate::keys::Keys;

/// How many bytes of keys and values are handed over in one go, or one entry that is larger: each of them is in memory
/// twice more then, here and in the backend.
const LARGEST_GROUP: u64 = 8 << 20;

/// How many claims are no burden.
const FEW_CLAIMS: usize = 16;

/// How many keys may be in memory that have no entry there: as many as these to be removed from the backend, and as
/// many that are claimed.
const MOST_KEYS: usize = 1 << 14;

/// How many bytes those may take.
const MOST_KEY_BYTES: u64 = 1 << 20;

/// What keeps the entries for the next process.
pub trait Backend {
    /// `cache-backend.load`
    fn load(&self, cache: &str) -> Result<Contents, Error>;
    /// `cache-backend.clear`
    fn clear(&self, cache: &str) -> Result<(), Error>;
    /// `cache-updates.apply`
    fn apply(&self, cache: &str, changes: &[Change]) -> Result<(), Error>;
}

/// A cache that is open.
pub struct Layer<B: Backend> {
    backend: B,
    name: String,
    options: Options,
    entries: Entries,
    /// Until when somebody makes the value of a key.
    claims: Keys<u64>,
    /// How many claims there may be before those that are over are looked for.
    most_claims: usize,
    /// Keys of which the backend has something else, or something that is no more.
    changed: Keys<()>,
    stored: Stored,
    /// Whether the backend may have entries that are not in memory.
    is_incomplete: bool,
    /// Since when changes have waited.
    waiting_since: Option<u64>,
    /// After how many changes it is tried again, where the backend failed.
    retry_in: Option<u64>,
    metrics: Metrics,
}

/// What the backend has, as far as changes go.
enum Stored {
    /// Changes are made to it.
    Good,
    /// Nothing of it can be read: it is removed before anything is changed, and left alone till then.
    Unreadable,
    /// It is to be removed.
    ToBeCleared,
    /// A newer Larder stored it, in this version: nothing is changed in it.
    Newer(u32),
}

impl<B: Backend> Layer<B> {
    /// Opens a cache and brings in what the backend has. Fails for a name that is none.
    pub fn open(
        backend: B,
        name: &str,
        options: Options,
        seed: u64,
        now: u64,
    ) -> Result<Layer<B>, Error> {
        let loaded = backend.load(name);
        let mut layer = Layer {
            backend,
            name: name.into(),
            options,
            entries: Entries::new(seed),
            claims: Keys::new(seed),
            most_claims: FEW_CLAIMS,
            changed: Keys::new(seed),
            stored: Stored::Good,
            is_incomplete: false,
            waiting_since: None,
            retry_in: None,
            metrics: NOTHING_YET,
        };
        match loaded {
            Ok(contents) => {
                layer.metrics.lost = contents.lost;
                for entry in contents.entries {
                    layer.entries.put(Entry {
                        key: entry.key.into(),
                        value: entry.value,
                        deadline: entry.expires_at.unwrap_or(NEVER),
                    });
                }
                layer.make_room(now);
                if !layer.changed.is_empty() {
                    layer.waiting_since = Some(now);
                }
            }
            Err(error @ Error::InvalidName(_)) => return Err(error),
            Err(error) => {
                // Of what cannot be read, nothing can be changed either.
                layer.stored = match error {
                    Error::Corrupt(_) => Stored::Unreadable,
                    Error::UnsupportedVersion(version) => Stored::Newer(version),
                    _ => Stored::Good,
                };
                layer.is_incomplete = matches!(layer.stored, Stored::Good);
                layer.metrics.backend_error = Some(error);
            }
        }
        Ok(layer)
    }

    /// Goes on with other options.
    pub fn adopt(&mut self, options: Options, now: u64) {
        self.options = options;
        self.retry_in = None;
        self.make_room(now);
        self.hand_over_if_due(now);
    }

    /// The value of a key that lives.
    pub fn get(&mut self, key: &str, now: u64) -> Option<&[u8]> {
        self.hand_over_in_time(now);
        if !self.drop_expired(key, now) {
            self.metrics.misses += 1;
            return None;
        }
        self.metrics.hits += 1;
        self.entries.get(key).map(|entry| entry.value.as_slice())
    }

    /// The value of a key, or who makes it.
    pub fn get_or_claim(&mut self, key: &str, lease: u64, now: u64) -> Found {
        self.hand_over_in_time(now);
        if let Some(entry) = self.entries.get(key)
            && entry.is_live(now)
        {
            self.metrics.hits += 1;
            return Found::Hit(entry.value.clone());
        }
        self.metrics.misses += 1;
        let until = self.claims.get(key).copied();
        match until.filter(|until| *until > now) {
            // One that has expired is kept for as long as somebody makes another.
            Some(until) => match self.entries.peek(key) {
                Some(entry) => Found::Stale(entry.value.clone()),
                None => Found::Wait(until - now),
            },
            None => {
                self.forget_claims(now);
                self.claims.insert(key.into(), now.saturating_add(lease));
                Found::Claimed
            }
        }
    }

    /// Whether a key has a value that lives.
    pub fn contains(&mut self, key: &str, now: u64) -> bool {
        self.hand_over_in_time(now);
        let entry = self.entries.peek(key);
        entry.is_some_and(|entry| entry.is_live(now))
    }

    /// Stores a value.
    pub fn set(&mut self, key: String, value: Vec<u8>, ttl: Option<u64>, now: u64) {
        let ttl = ttl.or(self.options.default_ttl);
        let entry = Entry {
            key: key.into(),
            value,
            deadline: ttl.map_or(NEVER, |ttl| now.saturating_add(ttl)),
        };
        let limits = self.limits();
        self.claims.remove(&entry.key);
        self.drop_some_expired(now);
        if entry.is_live(now) && entry.bytes() <= limits.bytes && limits.count > 0 {
            self.changed.insert(entry.key.clone(), ());
            let replaced = self.entries.put(entry);
            if replaced.is_some_and(|entry| !entry.is_live(now)) {
                self.metrics.expirations += 1;
            }
            self.make_room(now);
        } else if self.entries.remove(&entry.key).is_some() || self.is_incomplete {
            self.changed.insert(entry.key, ());
        }
        self.hand_over_if_due(now);
    }

    /// Removes a key; false where there was none that lives.
    pub fn delete(&mut self, key: &str, now: u64) -> bool {
        self.claims.remove(key);
        let removed = self.entries.remove(key);
        if removed.is_some() || self.is_incomplete {
            self.changed.insert(key.into(), ());
        }
        self.hand_over_if_due(now);
        removed.is_some_and(|entry| entry.is_live(now))
    }

    /// Some of the keys that live.
    pub fn keys(&mut self, after: Option<u64>, limit: u32, now: u64) -> Page {
        self.hand_over_in_time(now);
        let mut page = Page {
            keys: Vec::new(),
            next: None,
        };
        let mut last = 0;
        for (next, entry) in self.entries.from(after.unwrap_or(0)) {
            if page.keys.len() as u64 >= u64::from(limit.max(1)) {
                page.next = Some(last);
                break;
            }
            last = next;
            if entry.is_live(now) {
                page.keys.push(entry.key.to_string());
            }
        }
        page
    }

    /// Removes everything.
    pub fn clear(&mut self, now: u64) -> Result<(), Error> {
        self.entries.clear();
        self.claims.clear();
        self.changed.clear();
        let cleared = self.backend.clear(&self.name);
        self.waiting_since = cleared.is_err().then_some(now);
        self.stored = match cleared {
            Ok(()) => Stored::Good,
            Err(_) => Stored::ToBeCleared,
        };
        self.is_incomplete = false;
        self.heard(cleared)
    }

    /// Hands everything that changed to the backend.
    pub fn flush(&mut self, now: u64) -> Result<(), Error> {
        match self.stored {
            Stored::Newer(version) => {
                self.changed.clear();
                self.waiting_since = None;
                return self.heard(Err(Error::UnsupportedVersion(version)));
            }
            Stored::ToBeCleared => {}
            Stored::Good | Stored::Unreadable if self.changed.is_empty() => return Ok(()),
            Stored::Good | Stored::Unreadable => {}
        }
        let outcome = self.hand_over(now);
        if outcome.is_ok() {
            self.waiting_since = None;
            self.retry_in = None;
        } else {
            // It is tried again after as many changes as make a group.
            self.waiting_since = Some(now);
            self.retry_in = Some(flush_every(&self.options));
        }
        if matches!(outcome, Err(Error::Corrupt(_))) {
            // It was damaged meanwhile. What is in memory takes its place.
            self.start_over();
        }
        self.heard(outcome)
    }

    fn hand_over(&mut self, now: u64) -> Result<(), Error> {
        if !matches!(self.stored, Stored::Good) {
            self.backend.clear(&self.name)?;
            self.stored = Stored::Good;
        }
        while !self.changed.is_empty() {
            let (mut keys, mut changes, mut bytes) = (Vec::new(), Vec::new(), 0);
            for key in self.changed.iter() {
                if bytes >= LARGEST_GROUP {
                    break;
                }
                let entry = self.entries.peek(key).filter(|entry| entry.is_live(now));
                bytes += entry.map_or(key.len() as u64, Entry::bytes);
                changes.push(match entry {
                    Some(entry) => Change::Put(stored(entry, now)),
                    None => Change::Remove(key.to_string()),
                });
                keys.push(key.clone());
            }
            self.backend.apply(&self.name, &changes)?;
            match keys.len() == self.changed.len() {
                true => self.changed.clear(),
                false => keys.iter().for_each(|key| self.changed.remove(key)),
            }
        }
        Ok(())
    }

    /// What became of the cache.
    pub fn metrics(&self) -> Metrics {
        let asked = self.metrics.hits + self.metrics.misses;
        Metrics {
            hit_rate: match asked {
                0 => 0.0,
                asked => self.metrics.hits as f64 / asked as f64,
            },
            entries: self.entries.len() as u64,
            bytes: self.entries.bytes(),
            unflushed: self.changed.len() as u64,
            ..self.metrics.clone()
        }
    }

    fn heard(&mut self, outcome: Result<(), Error>) -> Result<(), Error> {
        self.metrics.backend_error = outcome.clone().err();
        outcome
    }

    fn limits(&self) -> Limits {
        Limits {
            count: self.options.capacity.unwrap_or(u64::MAX),
            bytes: self.options.capacity_bytes.unwrap_or(u64::MAX),
        }
    }

    /// Lets go of the least recently used.
    fn make_room(&mut self, now: u64) {
        let limits = self.limits();
        while let Some(evicted) = self.entries.evict(limits) {
            match evicted.is_live(now) {
                true => self.metrics.evictions += 1,
                false => self.metrics.expirations += 1,
            }
            self.changed.insert(evicted.key, ());
        }
    }

    /// Lets go of an entry that has expired, unless somebody makes another; false where there is none that lives. The
    /// backend knows by itself.
    fn drop_expired(&mut self, key: &str, now: u64) -> bool {
        let Some(entry) = self.entries.peek(key) else {
            return false;
        };
        let is_live = entry.is_live(now);
        let is_claimed = self.claims.get(key).is_some_and(|until| *until > now);
        if !is_live && !is_claimed {
            self.entries.remove(key);
            self.metrics.expirations += 1;
        }
        is_live
    }

    /// Lets go of a few entries that have expired. Nobody may ever ask for them again.
    fn drop_some_expired(&mut self, now: u64) {
        let claims = &self.claims;
        let is_claimed = |entry: &Entry| claims.get(&entry.key).is_some_and(|until| *until > now);
        let is_over = |entry: &Entry| !entry.is_live(now) && !is_claimed(entry);
        self.metrics.expirations += self.entries.drop_some(is_over);
    }

    /// Forgets claims that nobody fulfilled, when there are twice as many as were worth keeping.
    fn forget_claims(&mut self, now: u64) {
        if self.claims.len() >= self.most_claims {
            self.claims.retain(|until| *until > now);
            self.most_claims = FEW_CLAIMS.max(2 * self.claims.len());
        }
        if self.claims.len() >= MOST_KEYS || self.claims.bytes() >= MOST_KEY_BYTES {
            // Some values may be made twice then, and nothing else comes of it.
            self.claims.clear();
        }
    }

    fn hand_over_if_due(&mut self, now: u64) {
        if !self.changed.is_empty() && self.waiting_since.is_none() {
            self.waiting_since = Some(now);
        }
        let is_due = match &mut self.retry_in {
            None => self.changed.len() as u64 >= flush_every(&self.options),
            Some(changes) => {
                *changes = changes.saturating_sub(1);
                *changes == 0
            }
        };
        if is_due {
            // Whoever wants to know of an error asks for the metrics.
            let _ = self.flush(now);
        }
        self.hand_over_in_time(now);
        if self.has_too_many_changes() && self.flush(now).is_err() && self.has_too_many_changes() {
            self.start_over();
        }
    }

    /// Whether very many keys wait whose entries have made room for others, or were removed.
    fn has_too_many_changes(&self) -> bool {
        let (keys, bytes) = (self.entries.len(), self.entries.bytes());
        self.changed.len() > keys + MOST_KEYS || self.changed.bytes() > bytes + MOST_KEY_BYTES
    }

    /// Has the backend hold what is in memory and nothing else, instead of remembering every key that it is to
    /// remove.
    fn start_over(&mut self) {
        self.stored = Stored::ToBeCleared;
        self.is_incomplete = false;
        self.changed.clear();
        for entry in self.entries.iter() {
            self.changed.insert(entry.key.clone(), ());
        }
    }

    fn hand_over_in_time(&mut self, now: u64) {
        if let (Some(since), Some(wait)) = (self.waiting_since, self.options.flush_after)
            && now.saturating_sub(since) >= wait
        {
            // As above.
            let _ = self.flush(now);
        }
    }
}

const NOTHING_YET: Metrics = Metrics {
    hits: 0,
    misses: 0,
    hit_rate: 0.0,
    evictions: 0,
    expirations: 0,
    entries: 0,
    bytes: 0,
    unflushed: 0,
    lost: 0,
    backend_error: None,
};

/// How many keys have to have changed for a group.
fn flush_every(options: &Options) -> u64 {
    let every = options.flush_every.map(|every| every.max(1));
    every.map_or(u64::MAX, u64::from)
}

fn stored(entry: &Entry, now: u64) -> types::Entry {
    types::Entry {
        key: entry.key.to_string(),
        value: entry.value.clone(),
        ttl: (entry.deadline != NEVER).then(|| entry.deadline - now),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::*;
    use crate::bindings::larder::cache::types::LiveEntry;

    const SECOND: u64 = 1_000_000_000;

    const UNLIMITED: Options = Options {
        capacity: None,
        capacity_bytes: None,
        default_ttl: None,
        flush_every: None,
        flush_after: None,
    };

    /// What a backend was told, and what it answers.
    #[derive(Default)]
    struct Told {
        stored: BTreeMap<String, (Vec<u8>, Option<u64>)>,
        lost: u64,
        fails: Option<Error>,
        /// How many keys each call named.
        applied: Vec<usize>,
        cleared: usize,
    }

    #[derive(Clone, Default)]
    struct Fake(Rc<RefCell<Told>>);

    impl Fake {
        fn keys(&self) -> Vec<String> {
            self.0.borrow().stored.keys().cloned().collect()
        }

        fn fail(&self, error: Option<Error>) {
            self.0.borrow_mut().fails = error;
        }

        fn outcome(&self) -> Result<(), Error> {
            self.0.borrow().fails.clone().map_or(Ok(()), Err)
        }

        fn open(&self, options: Options) -> Layer<Fake> {
            Layer::open(self.clone(), "cache", options, 7, 0).unwrap()
        }
    }

    impl Backend for Fake {
        fn load(&self, _: &str) -> Result<Contents, Error> {
            self.outcome()?;
            let told = self.0.borrow();
            let entries = told.stored.iter().map(|(key, (value, ttl))| LiveEntry {
                key: key.clone(),
                value: value.clone(),
                expires_at: *ttl,
            });
            Ok(Contents {
                entries: entries.collect(),
                lost: told.lost,
            })
        }

        fn clear(&self, _: &str) -> Result<(), Error> {
            self.outcome()?;
            self.0.borrow_mut().stored.clear();
            self.0.borrow_mut().cleared += 1;
            Ok(())
        }

        fn apply(&self, _: &str, changes: &[Change]) -> Result<(), Error> {
            self.outcome()?;
            let mut told = self.0.borrow_mut();
            told.applied.push(changes.len());
            for change in changes {
                match change {
                    Change::Put(entry) => {
                        let value = (entry.value.clone(), entry.ttl);
                        told.stored.insert(entry.key.clone(), value);
                    }
                    Change::Remove(key) => drop(told.stored.remove(key)),
                }
            }
            Ok(())
        }
    }

    fn set(layer: &mut Layer<Fake>, key: &str, now: u64) {
        layer.set(key.into(), key.into(), None, now);
    }

    fn down() -> Option<Error> {
        Some(Error::Unavailable("down".into()))
    }

    #[test]
    fn what_was_set_is_found_and_what_was_not_is_missed() {
        let mut layer = Fake::default().open(UNLIMITED);
        set(&mut layer, "", 0);
        layer.set("empty".into(), Vec::new(), None, 0);
        assert_eq!(layer.get("", 1), Some(&b""[..]));
        assert_eq!(layer.get("empty", 1), Some(&b""[..]));
        assert_eq!(layer.get("missing", 1), None);
        let metrics = layer.metrics();
        assert_eq!((metrics.hits, metrics.misses), (2, 1));
        assert!((metrics.hit_rate - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(Fake::default().open(UNLIMITED).metrics().hit_rate, 0.0);
    }

    #[test]
    fn an_entry_is_gone_at_its_deadline_and_not_before() {
        let mut layer = Fake::default().open(Options {
            default_ttl: Some(2 * SECOND),
            ..UNLIMITED
        });
        layer.set("own".into(), b"v".to_vec(), Some(SECOND), 0);
        set(&mut layer, "default", 0);
        layer.set("never".into(), b"v".to_vec(), Some(NEVER), 0);
        assert!(layer.get("own", SECOND - 1).is_some());
        assert!(!layer.contains("own", SECOND) && layer.get("own", SECOND).is_none());
        assert!(layer.get("default", 2 * SECOND - 1).is_some());
        assert!(layer.get("default", 2 * SECOND).is_none());
        assert!(layer.get("never", NEVER - 1).is_some());
        let metrics = layer.metrics();
        assert_eq!(
            (metrics.expirations, metrics.evictions, metrics.entries),
            (2, 0, 1)
        );
    }

    #[test]
    fn a_time_to_live_of_zero_removes_the_key() {
        let fake = Fake::default();
        let mut layer = fake.open(UNLIMITED);
        set(&mut layer, "key", 0);
        layer.flush(0).unwrap();
        layer.set("key".into(), b"new".to_vec(), Some(0), 1);
        assert_eq!(layer.get("key", 1), None);
        layer.flush(1).unwrap();
        assert!(fake.keys().is_empty());
    }

    #[test]
    fn the_least_recently_used_makes_room_and_is_removed_from_the_backend() {
        let fake = Fake::default();
        let mut layer = fake.open(Options {
            capacity: Some(2),
            ..UNLIMITED
        });
        for key in ["a", "b"] {
            set(&mut layer, key, 0);
        }
        layer.flush(0).unwrap();
        layer.get("a", 1);
        assert!(layer.contains("b", 1));
        set(&mut layer, "c", 1);
        assert!(layer.get("b", 1).is_none() && layer.get("a", 1).is_some());
        layer.flush(1).unwrap();
        assert_eq!(fake.keys(), ["a", "c"]);
        assert_eq!(layer.metrics().evictions, 1);
    }

    #[test]
    fn keys_and_values_never_take_more_than_their_bytes() {
        let mut layer = Fake::default().open(Options {
            capacity_bytes: Some(10),
            ..UNLIMITED
        });
        for key in ["aaa", "bbb"] {
            layer.set(key.into(), b"1".to_vec(), None, 0);
        }
        layer.set("c".into(), b"123456".to_vec(), None, 0);
        assert_eq!(layer.metrics().bytes, 7);
        // It is not stored, and does not leave the old value behind either.
        layer.set("c".into(), b"1234567890".to_vec(), None, 0);
        assert!(!layer.contains("c", 0));
        assert_eq!(layer.metrics().entries, 0);
    }

    #[test]
    fn a_capacity_of_zero_stores_nothing() {
        let fake = Fake::default();
        let mut layer = fake.open(Options {
            capacity: Some(0),
            ..UNLIMITED
        });
        set(&mut layer, "key", 0);
        assert_eq!(layer.get("key", 0), None);
        layer.flush(0).unwrap();
        assert!(fake.keys().is_empty());
    }

    #[test]
    fn what_the_backend_has_is_there_after_opening_as_far_as_there_is_room() {
        let fake = Fake::default();
        fake.0.borrow_mut().lost = 3;
        for (key, ttl) in [("a", None), ("b", Some(SECOND)), ("c", None)] {
            let value = (b"value".to_vec(), ttl);
            fake.0.borrow_mut().stored.insert(key.into(), value);
        }
        let mut layer = fake.open(UNLIMITED);
        assert_eq!(layer.get("b", SECOND - 1), Some(&b"value"[..]));
        assert_eq!(layer.get("b", SECOND), None);
        let metrics = layer.metrics();
        assert_eq!(
            (metrics.entries, metrics.lost, metrics.unflushed),
            (2, 3, 0)
        );
        let layer = fake.open(Options {
            capacity: Some(1),
            ..UNLIMITED
        });
        assert_eq!(layer.metrics().entries, 1);
    }

    #[test]
    fn changes_go_in_groups_of_as_many_keys_as_were_asked_for() {
        let fake = Fake::default();
        let mut layer = fake.open(Options {
            flush_every: Some(3),
            ..UNLIMITED
        });
        for key in ["a", "a", "b", "a"] {
            set(&mut layer, key, 0);
        }
        assert_eq!(layer.metrics().unflushed, 2);
        layer.delete("b", 0);
        assert!(fake.0.borrow().applied.is_empty());
        set(&mut layer, "c", 0);
        assert_eq!(fake.0.borrow().applied, [3]);
        assert_eq!(
            (fake.keys(), layer.metrics().unflushed),
            (vec!["a".into(), "c".into()], 0)
        );
        layer.flush(0).unwrap();
        assert_eq!(
            fake.0.borrow().applied,
            [3],
            "there is nothing to hand over"
        );
    }

    #[test]
    fn every_change_lasts_at_once_where_each_is_a_group() {
        for every in [0, 1] {
            let fake = Fake::default();
            let mut layer = fake.open(Options {
                flush_every: Some(every),
                ..UNLIMITED
            });
            set(&mut layer, "a", 0);
            set(&mut layer, "b", 0);
            layer.delete("a", 0);
            assert_eq!(fake.0.borrow().applied, [1, 1, 1]);
            assert_eq!(fake.keys(), ["b"]);
        }
    }

    #[test]
    fn the_first_call_after_the_time_is_up_hands_changes_over() {
        let fake = Fake::default();
        let mut layer = fake.open(Options {
            flush_after: Some(SECOND),
            ..UNLIMITED
        });
        set(&mut layer, "a", 5);
        set(&mut layer, "b", SECOND);
        layer.get("a", SECOND + 4);
        assert!(fake.keys().is_empty());
        layer.get("missing", SECOND + 5);
        assert_eq!(fake.keys(), ["a", "b"]);
    }

    #[test]
    fn what_is_left_of_a_time_to_live_is_handed_over() {
        let fake = Fake::default();
        let mut layer = fake.open(UNLIMITED);
        layer.set("a".into(), b"v".to_vec(), Some(3 * SECOND), 0);
        layer.set("b".into(), b"v".to_vec(), Some(SECOND), 0);
        layer.flush(2 * SECOND).unwrap();
        let told = fake.0.borrow();
        assert_eq!(told.stored["a"].1, Some(SECOND));
        assert!(!told.stored.contains_key("b"), "it has expired");
    }

    #[test]
    fn a_backend_that_fails_fails_no_get_and_no_set_and_is_told_later() {
        let fake = Fake::default();
        let mut layer = fake.open(Options {
            flush_every: Some(2),
            ..UNLIMITED
        });
        fake.fail(down());
        for key in ["a", "b", "c"] {
            set(&mut layer, key, 0);
            assert!(layer.get(key, 0).is_some());
        }
        let metrics = layer.metrics();
        assert_eq!(metrics.unflushed, 3);
        assert!(matches!(metrics.backend_error, Some(Error::Unavailable(_))));
        assert!(matches!(layer.flush(0), Err(Error::Unavailable(_))));
        fake.fail(None);
        // It is tried again with the next group, and not with every change.
        set(&mut layer, "d", 0);
        assert!(fake.keys().is_empty());
        set(&mut layer, "e", 0);
        assert_eq!(fake.keys(), ["a", "b", "c", "d", "e"]);
        assert!(layer.metrics().backend_error.is_none());
    }

    #[test]
    fn keys_that_change_again_and_again_are_handed_over_once_the_backend_is_back() {
        let fake = Fake::default();
        let mut layer = fake.open(Options {
            flush_every: Some(1),
            ..UNLIMITED
        });
        fake.fail(down());
        set(&mut layer, "counter", 0);
        fake.fail(None);
        layer.set("counter".into(), b"2".to_vec(), None, 0);
        assert_eq!(fake.0.borrow().stored["counter"].0, b"2");
    }

    #[test]
    fn what_is_damaged_meanwhile_is_replaced_by_what_is_in_memory() {
        let fake = Fake::default();
        let mut layer = fake.open(UNLIMITED);
        set(&mut layer, "old", 0);
        layer.flush(0).unwrap();
        fake.fail(Some(Error::Corrupt("damaged".into())));
        set(&mut layer, "new", 0);
        assert!(layer.flush(0).is_err());
        fake.0.borrow_mut().stored.clear();
        fake.fail(None);
        layer.flush(0).unwrap();
        assert_eq!(
            (fake.keys(), fake.0.borrow().cleared),
            (vec!["new".into(), "old".into()], 1)
        );
    }

    #[test]
    fn a_clear_that_failed_is_tried_again_in_time() {
        let fake = Fake::default();
        let mut layer = fake.open(Options {
            flush_after: Some(SECOND),
            ..UNLIMITED
        });
        set(&mut layer, "key", 0);
        layer.flush(0).unwrap();
        fake.fail(down());
        assert!(layer.clear(0).is_err());
        fake.fail(None);
        layer.get("key", SECOND);
        assert!(fake.keys().is_empty());
    }

    #[test]
    fn what_has_expired_goes_with_the_claim_to_it() {
        let mut layer = Fake::default().open(UNLIMITED);
        layer.set("key".into(), b"old".to_vec(), Some(1), 0);
        assert!(matches!(layer.get_or_claim("key", 10, 1), Found::Claimed));
        assert!(layer.get("key", 10).is_none());
        assert_eq!(layer.metrics().entries, 1);
        assert!(layer.get("key", 11).is_none());
        let metrics = layer.metrics();
        assert_eq!((metrics.entries, metrics.expirations), (0, 1));
    }

    #[test]
    fn a_cache_of_which_nothing_can_be_read_is_replaced() {
        let fake = Fake::default();
        fake.0
            .borrow_mut()
            .stored
            .insert("old".into(), (Vec::new(), None));
        fake.fail(Some(Error::Corrupt("damaged".into())));
        let mut layer = fake.open(UNLIMITED);
        assert!(matches!(
            layer.metrics().backend_error,
            Some(Error::Corrupt(_))
        ));
        fake.fail(None);
        // Whoever only looked has removed nothing.
        layer.flush(0).unwrap();
        assert_eq!(fake.keys(), ["old"]);
        set(&mut layer, "new", 0);
        layer.flush(0).unwrap();
        assert_eq!(
            (fake.keys(), fake.0.borrow().cleared),
            (vec!["new".into()], 1)
        );
    }

    #[test]
    fn a_cache_of_a_newer_larder_is_left_alone() {
        let fake = Fake::default();
        let newer = Some(Error::UnsupportedVersion(9));
        fake.fail(newer);
        let mut layer = fake.open(UNLIMITED);
        fake.fail(None);
        for n in 0..2 * MOST_KEYS {
            set(&mut layer, &n.to_string(), 0);
            layer.delete(&n.to_string(), 0);
        }
        set(&mut layer, "key", 0);
        assert!(layer.contains("key", 0));
        for _ in 0..2 {
            let flushed = layer.flush(0);
            assert!(matches!(flushed, Err(Error::UnsupportedVersion(9))));
        }
        let told = fake.0.borrow();
        assert_eq!((told.applied.len(), told.cleared), (0, 0));
    }

    #[test]
    fn a_backend_that_was_away_at_first_keeps_what_it_has() {
        let fake = Fake::default();
        fake.0
            .borrow_mut()
            .stored
            .insert("old".into(), (Vec::new(), None));
        fake.fail(down());
        let mut layer = fake.open(UNLIMITED);
        fake.fail(None);
        set(&mut layer, "new", 0);
        layer.flush(0).unwrap();
        assert_eq!(fake.keys(), ["new", "old"]);
        // What was deleted does not come back, though it never was in memory.
        assert!(!layer.delete("old", 0));
        layer.flush(0).unwrap();
        assert_eq!(fake.keys(), ["new"]);
    }

    #[test]
    fn very_many_changes_are_handed_over_in_pieces() {
        let fake = Fake::default();
        let mut layer = fake.open(UNLIMITED);
        for n in 0..30 {
            layer.set(n.to_string(), vec![n; 1 << 20], None, 0);
        }
        layer.flush(0).unwrap();
        assert_eq!(fake.0.borrow().applied, [8, 8, 8, 6]);
        assert_eq!((fake.keys().len(), layer.metrics().unflushed), (30, 0));
    }

    #[test]
    fn entries_that_have_expired_do_not_pile_up() {
        let mut layer = Fake::default().open(UNLIMITED);
        for n in 0..100_000 {
            layer.set(n.to_string(), Vec::new(), Some(10), n);
            assert!(layer.metrics().entries <= 40);
        }
        assert!(layer.metrics().expirations > 99_000);
    }

    #[test]
    fn a_name_that_is_none_is_an_error() {
        let fake = Fake::default();
        fake.fail(Some(Error::InvalidName("rule".into())));
        let opened = Layer::open(fake, "", UNLIMITED, 7, 0);
        assert!(matches!(opened.err(), Some(Error::InvalidName(_))));
    }

    #[test]
    fn clear_removes_everything_now_or_with_a_later_group() {
        let fake = Fake::default();
        let mut layer = fake.open(UNLIMITED);
        set(&mut layer, "a", 0);
        layer.flush(0).unwrap();
        set(&mut layer, "b", 0);
        fake.fail(down());
        assert!(layer.clear(0).is_err());
        assert!(!layer.contains("a", 0) && layer.metrics().unflushed == 0);
        fake.fail(None);
        layer.flush(0).unwrap();
        assert!(fake.keys().is_empty());
        set(&mut layer, "c", 0);
        layer.clear(0).unwrap();
        layer.flush(0).unwrap();
        assert_eq!((fake.keys().len(), fake.0.borrow().cleared), (0, 2));
    }

    #[test]
    fn one_caller_makes_a_value_and_the_others_wait() {
        let mut layer = Fake::default().open(UNLIMITED);
        assert!(matches!(
            layer.get_or_claim("key", SECOND, 0),
            Found::Claimed
        ));
        assert!(
            matches!(layer.get_or_claim("key", SECOND, 1), Found::Wait(left) if left == SECOND - 1)
        );
        assert!(matches!(
            layer.get_or_claim("other", SECOND, 1),
            Found::Claimed
        ));
        set(&mut layer, "key", 2);
        assert!(
            matches!(layer.get_or_claim("key", SECOND, 2), Found::Hit(value) if value == b"key")
        );
        // The claim went with the value.
        layer.delete("key", 3);
        assert!(matches!(
            layer.get_or_claim("key", SECOND, 3),
            Found::Claimed
        ));
        // Whoever claimed it was too slow.
        assert!(matches!(
            layer.get_or_claim("key", SECOND, 3 + SECOND),
            Found::Claimed
        ));
    }

    #[test]
    fn those_who_wait_are_given_what_has_expired() {
        let mut layer = Fake::default().open(UNLIMITED);
        layer.set("key".into(), b"old".to_vec(), Some(SECOND), 0);
        assert!(matches!(
            layer.get_or_claim("key", SECOND, SECOND),
            Found::Claimed
        ));
        assert!(
            layer.get("key", SECOND).is_none(),
            "get gives only what lives"
        );
        assert!(
            matches!(layer.get_or_claim("key", SECOND, SECOND), Found::Stale(value) if value == b"old")
        );
        layer.set("key".into(), b"new".to_vec(), None, SECOND);
        assert!(
            matches!(layer.get_or_claim("key", SECOND, SECOND), Found::Hit(value) if value == b"new")
        );
    }

    #[test]
    fn claims_that_nobody_fulfils_do_not_pile_up() {
        let mut layer = Fake::default().open(UNLIMITED);
        for n in 0..100_000 {
            layer.get_or_claim(&n.to_string(), 1, n);
        }
        assert!(layer.claims.len() <= FEW_CLAIMS);
    }

    #[test]
    fn claims_that_are_never_over_do_not_pile_up() {
        let mut layer = Fake::default().open(UNLIMITED);
        for n in 0..100_000 {
            layer.get_or_claim(&n.to_string(), NEVER, 0);
            assert!(layer.claims.len() <= MOST_KEYS);
        }
        for n in 0..1000 {
            layer.get_or_claim(&format!("{n:10000}"), NEVER, 0);
            assert!(layer.claims.bytes() <= MOST_KEY_BYTES + 10_000);
        }
    }

    #[test]
    fn keys_that_made_room_do_not_pile_up() {
        for fails in [None, down()] {
            let fake = Fake::default();
            let old = ("old".into(), (Vec::new(), None));
            fake.0.borrow_mut().stored.extend([old]);
            let mut layer = fake.open(Options {
                capacity: Some(10),
                ..UNLIMITED
            });
            fake.fail(fails);
            for n in 0..100_000 {
                set(&mut layer, &n.to_string(), 0);
                assert!(layer.changed.len() <= MOST_KEYS + 11);
            }
            for n in 0..1000 {
                set(&mut layer, &format!("{n:10000}"), 0);
                assert!(layer.changed.bytes() <= MOST_KEY_BYTES + 11 * 20_000);
            }
            fake.fail(None);
            layer.flush(0).unwrap();
            let mut keys: Vec<_> = (990..1000).map(|n| format!("{n:10000}")).collect();
            keys.sort();
            assert_eq!(fake.keys(), keys);
        }
    }

    #[test]
    fn pages_give_every_key_that_lives_once() {
        let mut layer = Fake::default().open(UNLIMITED);
        for n in 0..10 {
            set(&mut layer, &n.to_string(), 0);
        }
        layer.set("gone".into(), Vec::new(), Some(1), 0);
        for limit in [0, 1, 3, 10, 100] {
            let (mut keys, mut after) = (Vec::new(), None);
            loop {
                let page = layer.keys(after, limit, 5);
                assert!(page.keys.len() <= limit.max(1) as usize);
                keys.extend(page.keys);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            keys.sort();
            assert_eq!(keys.join(""), "0123456789");
        }
    }
}
