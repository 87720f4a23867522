//! A handle to a cache, and the calls that it takes.

use std::borrow::Borrow;
use std::time::Duration;
use std::{fmt, vec};

use super::caches::Quota;
use super::instance::Call;
use super::{Found, Layer, Metrics, Options};
use crate::bindings::nanoseconds;
use crate::{Entry, Error, ErrorKind};

/// How many bytes of entries go to the instance in one go, or one entry that is larger.
const GROUP: usize = 1 << 20;
/// How many keys are listed in one go.
const PAGE: u32 = 1000;

/// A cache that is open; see [`Layer::open`].
///
/// Keys may be any strings and values any bytes, the empty ones included. An entry that takes more than a
/// quarter of the layer's memory is treated as one that is beyond `capacity_bytes`. Any number of
/// threads may share a handle, and clones of it are further handles to the same cache; calls happen
/// one after the other.
///
/// Calls do not fail, as the [`Layer`] says; [`metrics`](Self::metrics) and [`flush`](Self::flush) tell
/// what went wrong.
pub struct Cache {
    layer: Layer,
    name: String,
    place: usize,
    largest: usize,
    is_guests: bool,
}

impl Cache {
    pub(super) fn open(
        layer: &Layer,
        name: &str,
        options: Options,
        quota: Option<Quota<'_>>,
    ) -> Result<Self, ErrorKind> {
        let mut caches = layer.caches();
        let largest = quota.map_or(usize::MAX, |quota| quota.largest);
        let largest = largest.min(caches.largest());
        Ok(Self {
            layer: layer.clone(),
            name: name.to_owned(),
            place: caches.open(name, options, quota)?,
            largest,
            is_guests: quota.is_some(),
        })
    }

    /// The value of a key; none where it is missing or has expired. It counts as used.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.call(key.len(), |cache, store, this| {
            cache.call_get(store, this, key)
        })?
    }

    /// Those of several keys, in their order; of a key that comes twice, twice.
    pub fn get_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Vec<Option<Vec<u8>>> {
        let keys = keys.into_iter();
        // One by one: how much several would be is not known before.
        keys.map(|key| self.get(key.as_ref())).collect()
    }

    /// As [`get`](Self::get); but where there is no value, one caller claims the key for this long, to
    /// make one, so that not all do so at once. Others are told to wait, until the key is set or deleted,
    /// or the time is up. After no time at all, the next caller claims it.
    pub fn get_or_claim(&self, key: &str, lease: Duration) -> Found {
        let found = self.call(key.len(), |cache, store, this| {
            cache.call_get_or_claim(store, this, key, nanoseconds(lease))
        });
        found.map_or(Found::Claimed, Found::from)
    }

    /// Stores a value in place of what the key held, for its time to live or the default one; with a time
    /// to live of zero it removes the key.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) {
        let (value, ttl) = (value.as_ref(), ttl.map(nanoseconds));
        let size = key.len().saturating_add(value.len());
        if size > self.largest {
            self.delete(key);
            return;
        }
        self.call(size, |cache, store, this| {
            cache.call_set(store, this, key, value, ttl)
        });
    }

    /// Stores several, in their order: of a key that comes twice, the last counts. They may come from a
    /// list or from any iterator. Other callers may see some of them before all are stored.
    pub fn set_many<E: Borrow<Entry>>(&self, entries: impl IntoIterator<Item = E>) {
        let most = GROUP.min(self.largest);
        let (mut group, mut size) = (Vec::new(), 0_usize);
        for entry in entries {
            let more = entry.borrow().size();
            if size.saturating_add(more) > most {
                self.set_group(&group);
                group.clear();
                size = 0;
            }
            size = size.saturating_add(more);
            group.push(entry);
        }
        self.set_group(&group);
    }

    /// Removes a key; false where there was none that lives.
    pub fn delete(&self, key: &str) -> bool {
        let deleted = self.call(key.len(), |cache, store, this| {
            cache.call_delete(store, this, key)
        });
        deleted.unwrap_or(false)
    }

    /// Whether a key has a value that lives. That does not count as used, nor as a hit or a miss.
    pub fn contains(&self, key: &str) -> bool {
        let contained = self.call(key.len(), |cache, store, this| {
            cache.call_contains(store, this, key)
        });
        contained.unwrap_or(false)
    }

    /// The keys that live, in no order, some at a time. Keys that are there all the while come once
    /// each; of those that come or go meanwhile, some.
    pub fn keys(&self) -> Keys<'_> {
        Keys {
            cache: self,
            page: Vec::new().into_iter(),
            next: Some(0),
        }
    }

    /// Removes everything, from the backend too, now.
    ///
    /// # Errors
    ///
    /// What the backend gives, or what the instance broke down over. The cache is empty all the same;
    /// if it was the backend, a later group tries again.
    pub fn clear(&self) -> Result<(), Error> {
        let cleared = self.try_clear();
        cleared.map_err(|kind| Error::new(kind).during("clear").on_cache(&self.name))
    }

    /// Hands what changed to the backend, now. With no error, all that was set before is there, unless
    /// an error told otherwise since.
    ///
    /// # Errors
    ///
    /// What the backend gives: nothing is lost by it, and a later group tries again. Or what the instance
    /// broke down over since the last flush, once: what changed before that is lost.
    pub fn flush(&self) -> Result<(), Error> {
        let flushed = self.try_flush();
        flushed.map_err(|kind| Error::new(kind).during("flush").on_cache(&self.name))
    }

    /// What became of the cache since it was opened, or since the instance broke down.
    pub fn metrics(&self) -> Metrics {
        self.layer.caches().metrics(self.place)
    }

    pub(super) fn try_clear(&self) -> Result<(), ErrorKind> {
        let mut caches = self.layer.caches();
        Ok(caches.call(self.place, |cache, store, this| {
            cache.call_clear(store, this)
        })??)
    }

    pub(super) fn try_flush(&self) -> Result<(), ErrorKind> {
        self.layer.caches().flush(self.place)
    }

    /// Some of the keys that live, and where the next page begins.
    pub(super) fn page(&self, after: Option<u64>, limit: u32) -> (Vec<String>, Option<u64>) {
        let page = self.call(0, |cache, store, this| {
            cache.call_keys(store, this, after, limit.min(PAGE))
        });
        page.map_or((Vec::new(), None), |page| (page.keys, page.next))
    }

    fn set_group<E: Borrow<Entry>>(&self, group: &[E]) {
        match group {
            [] => {}
            // It may be too large by itself.
            [entry] => {
                let Entry { key, value, ttl } = entry.borrow();
                self.set(key, value, *ttl);
            }
            group => {
                let entries: Vec<_> = group.iter().map(|entry| entry.borrow().into()).collect();
                self.call(0, |cache, store, this| {
                    cache.call_set_many(store, this, &entries)
                });
            }
        }
    }

    /// Makes a call with so many bytes of keys and values; none where it failed, or takes too many.
    fn call<T>(&self, size: usize, call: impl Call<T>) -> Option<T> {
        let fits = size <= self.largest;
        fits.then(|| self.layer.caches().call(self.place, call).ok())?
    }
}

impl Clone for Cache {
    fn clone(&self) -> Self {
        self.layer.caches().share(self.place);
        Self {
            layer: self.layer.clone(),
            name: self.name.clone(),
            ..*self
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.layer.caches().close(self.place, self.is_guests);
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The keys of a cache that live; see [`Cache::keys`].
pub struct Keys<'a> {
    cache: &'a Cache,
    page: vec::IntoIter<String>,
    /// Where the next page begins.
    next: Option<u64>,
}

impl Iterator for Keys<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            if let Some(key) = self.page.next() {
                return Some(key);
            }
            let (page, next) = self.cache.page(Some(self.next?), PAGE);
            (self.page, self.next) = (page.into_iter(), next);
        }
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("cache", self.cache)
            .finish_non_exhaustive()
    }
}
