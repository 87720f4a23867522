//! One cache above a backend: its entries, its claims, and the changes that wait for a flush.

use crate::bindings::exports::larder::cache::cache::{Found, Metrics, Options, Page};
use crate::bindings::larder::cache::cache_updates::Change;
use crate::bindings::larder::cache::types::{self, Contents, Error};
use crate::claims::Claims;
use crate::entries::{Entries, Entry, Limits, NEVER};
use crate::keys::{Keys, MOST_KEY_BYTES, MOST_KEYS};

/// A group of changes is complete at this many bytes of keys and values. During the flush they are
/// in memory twice more: here and in the backend.
const GROUP_BYTES: u64 = 8 << 20;

/// Stores the entries for the next process.
pub trait Backend {
    /// `cache-backend.load`
    fn load(&self, cache: &str) -> Result<Contents, Error>;
    /// `cache-backend.clear`
    fn clear(&self, cache: &str) -> Result<(), Error>;
    /// `cache-updates.apply`
    fn apply(&self, cache: &str, changes: &[Change]) -> Result<(), Error>;
}

/// An open cache. Each call takes the time as `now`, in nanoseconds of the monotonic clock.
pub struct Layer<B: Backend> {
    backend: B,
    name: String,
    options: Options,
    entries: Entries,
    claims: Claims,
    /// Keys that were set, removed or evicted since the backend was last told of them.
    changed: Keys<()>,
    stored: Stored,
    /// Whether the backend may hold entries that are not in memory.
    is_incomplete: bool,
    /// Since when the oldest change has waited.
    waiting_since: Option<u64>,
    /// After a failed flush: the number of changes until the next try.
    retry_in: Option<u64>,
    metrics: Metrics,
}

/// The state of the cache in the backend.
enum Stored {
    /// It takes changes.
    Good,
    /// Nothing of it can be read. The first flush that has changes clears it.
    Unreadable,
    /// The next flush clears it.
    ToBeCleared,
    /// A newer Larder stored it, in this version of the format. It is left alone.
    Newer(u32),
}

impl<B: Backend> Layer<B> {
    /// Opens a cache and loads its contents from the backend. Fails only for an invalid name.
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
            claims: Claims::new(seed),
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
                layer.evict(now);
                if !layer.changed.is_empty() {
                    layer.waiting_since = Some(now);
                }
            }
            Err(error @ Error::InvalidName(_)) => return Err(error),
            Err(error) => {
                // A cache that cannot be read takes no changes either.
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

    /// Replaces the options of the open cache.
    pub fn adopt(&mut self, options: Options, now: u64) {
        self.options = options;
        self.retry_in = None;
        self.evict(now);
        self.flush_if_due(now);
    }

    /// The value of a key, unless it has expired.
    pub fn get(&mut self, key: &str, now: u64) -> Option<&[u8]> {
        self.flush_in_time(now);
        if !self.drop_expired(key, now) {
            self.metrics.misses += 1;
            return None;
        }
        self.metrics.hits += 1;
        self.entries.get(key).map(|entry| entry.value.as_slice())
    }

    /// The value of a key, or the claim to compute it.
    pub fn get_or_claim(&mut self, key: &str, lease: u64, now: u64) -> Found {
        self.flush_in_time(now);
        if let Some(entry) = self.entries.get(key)
            && entry.is_live(now)
        {
            self.metrics.hits += 1;
            return Found::Hit(entry.value.clone());
        }
        self.metrics.misses += 1;
        match self.claims.end(key, now) {
            // An expired entry stays for as long as its key is claimed.
            Some(end) => match self.entries.peek(key) {
                Some(entry) => Found::Stale(entry.value.clone()),
                None => Found::Wait(end - now),
            },
            None => {
                self.claims.claim(key, now.saturating_add(lease), now);
                Found::Claimed
            }
        }
    }

    /// Whether a key has a value that has not expired.
    pub fn contains(&mut self, key: &str, now: u64) -> bool {
        self.flush_in_time(now);
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
            self.evict(now);
        } else if self.entries.remove(&entry.key).is_some() || self.is_incomplete {
            self.changed.insert(entry.key, ());
        }
        self.flush_if_due(now);
    }

    /// Removes a key; false if it had no value, or an expired one.
    pub fn delete(&mut self, key: &str, now: u64) -> bool {
        self.claims.remove(key);
        let removed = self.entries.remove(key);
        if removed.is_some() || self.is_incomplete {
            self.changed.insert(key.into(), ());
        }
        self.flush_if_due(now);
        removed.is_some_and(|entry| entry.is_live(now))
    }

    /// Some of the keys whose entries have not expired.
    pub fn keys(&mut self, after: Option<u64>, limit: u32, now: u64) -> Page {
        self.flush_in_time(now);
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

    /// Removes everything. If the backend fails, a later flush clears it.
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
        self.note(cleared)
    }

    /// Hands all changed entries to the backend.
    pub fn flush(&mut self, now: u64) -> Result<(), Error> {
        match self.stored {
            Stored::Newer(version) => {
                self.changed.clear();
                self.waiting_since = None;
                return self.note(Err(Error::UnsupportedVersion(version)));
            }
            Stored::ToBeCleared => {}
            Stored::Good | Stored::Unreadable if self.changed.is_empty() => return Ok(()),
            Stored::Good | Stored::Unreadable => {}
        }
        let outcome = self.flush_groups(now);
        if outcome.is_ok() {
            self.waiting_since = None;
            self.retry_in = None;
        } else {
            // The next try comes after as many more changes as make a group.
            self.waiting_since = Some(now);
            self.retry_in = Some(flush_every(&self.options));
        }
        if matches!(outcome, Err(Error::Corrupt(_))) {
            // The cache was damaged while it was open: the entries in memory replace it.
            self.start_over();
        }
        self.note(outcome)
    }

    /// The metrics of the cache since it was opened.
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

    fn flush_groups(&mut self, now: u64) -> Result<(), Error> {
        if !matches!(self.stored, Stored::Good) {
            self.backend.clear(&self.name)?;
            self.stored = Stored::Good;
        }
        while !self.changed.is_empty() {
            let (mut keys, mut changes, mut bytes) = (Vec::new(), Vec::new(), 0);
            for key in self.changed.iter() {
                if bytes >= GROUP_BYTES {
                    break;
                }
                let entry = self.entries.peek(key).filter(|entry| entry.is_live(now));
                bytes += entry.map_or(key.len() as u64, Entry::bytes);
                changes.push(match entry {
                    Some(entry) => Change::Put(to_store(entry, now)),
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

    /// Flushes if a group is complete, if the oldest change has waited long enough, or if very
    /// many keys have changed.
    fn flush_if_due(&mut self, now: u64) {
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
            // The error is in the metrics.
            let _ = self.flush(now);
        }
        self.flush_in_time(now);
        if self.has_too_many_changes() && self.flush(now).is_err() && self.has_too_many_changes() {
            self.start_over();
        }
    }

    /// Flushes if the oldest change has waited long enough.
    fn flush_in_time(&mut self, now: u64) {
        if let (Some(since), Some(wait)) = (self.waiting_since, self.options.flush_after)
            && now.saturating_sub(since) >= wait
        {
            // The error is in the metrics.
            let _ = self.flush(now);
        }
    }

    /// Whether very many changed keys have no entry in memory: it was evicted or removed.
    fn has_too_many_changes(&self) -> bool {
        let (keys, bytes) = (self.entries.len(), self.entries.bytes());
        self.changed.len() > keys + MOST_KEYS || self.changed.bytes() > bytes + MOST_KEY_BYTES
    }

    /// Makes the next flush store the entries in memory in place of the whole cache. Then the
    /// removed keys need not be remembered.
    fn start_over(&mut self) {
        self.stored = Stored::ToBeCleared;
        self.is_incomplete = false;
        self.changed.clear();
        for entry in self.entries.iter() {
            self.changed.insert(entry.key.clone(), ());
        }
    }

    /// Notes the backend's outcome in the metrics.
    fn note(&mut self, outcome: Result<(), Error>) -> Result<(), Error> {
        self.metrics.backend_error = outcome.clone().err();
        outcome
    }

    fn limits(&self) -> Limits {
        Limits {
            count: self.options.capacity.unwrap_or(u64::MAX),
            bytes: self.options.capacity_bytes.unwrap_or(u64::MAX),
        }
    }

    /// Removes the least recently used entries until the rest is within the limits.
    fn evict(&mut self, now: u64) {
        let limits = self.limits();
        while let Some(evicted) = self.entries.evict(limits) {
            match evicted.is_live(now) {
                true => self.metrics.evictions += 1,
                false => self.metrics.expirations += 1,
            }
            self.changed.insert(evicted.key, ());
        }
    }

    /// Removes the entry of a key if it has expired and the key is not claimed. Returns whether
    /// the key has an entry that has not expired. The backend forgets expired entries by itself.
    fn drop_expired(&mut self, key: &str, now: u64) -> bool {
        let Some(entry) = self.entries.peek(key) else {
            return false;
        };
        let is_live = entry.is_live(now);
        if !is_live && self.claims.end(key, now).is_none() {
            self.entries.remove(key);
            self.metrics.expirations += 1;
        }
        is_live
    }

    /// Removes a few expired entries, in case nobody asks for them again.
    fn drop_some_expired(&mut self, now: u64) {
        let claims = &self.claims;
        let is_over = |entry: &Entry| !entry.is_live(now) && claims.end(&entry.key, now).is_none();
        self.metrics.expirations += self.entries.drop_some(is_over);
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

/// The number of changed keys that makes a group.
fn flush_every(options: &Options) -> u64 {
    let every = options.flush_every.map(|every| every.max(1));
    every.map_or(u64::MAX, u64::from)
}

/// The entry with the rest of its time to live.
fn to_store(entry: &Entry, now: u64) -> types::Entry {
    types::Entry {
        key: entry.key.to_string(),
        value: entry.value.clone(),
        ttl: (entry.deadline != NEVER).then(|| entry.deadline - now),
    }
}

#[cfg(test)]
mod tests;
