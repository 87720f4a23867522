//! A handle to a cache of the layer, and its calls.

use std::borrow::Borrow;
use std::time::Duration;
use std::{fmt, vec};

use super::caches::{Quota, Shared};
use super::contract::{Found, Metrics, Options};
use super::instance::Call;
use crate::bindings::nanoseconds;
use crate::{Entry, Error, ErrorKind};

/// How many bytes of entries go to the instance in one call. A larger entry goes alone.
const GROUP: usize = 1 << 20;
/// How many keys a page of a listing has.
const PAGE: u32 = 1000;

/// A handle to an open cache; [`Layer::open`](crate::Layer::open) gives it.
///
/// Keys may be any strings and values any bytes; both may be empty. An entry that takes more than a
/// quarter of the layer's memory is treated like an entry beyond `capacity_bytes`. Any number of
/// threads may share a handle, and a clone is another handle to the same cache. Calls run one after
/// the other.
///
/// ```
/// use std::time::Duration;
///
/// use larder_host::{Backend, Found, Layer, Options};
///
/// # fn main() -> Result<(), larder_host::Error> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let layer = Layer::new(Backend::disk(folder.path())?)?;
/// let pages = layer.open("pages", &Options::default().capacity(10_000))?;
///
/// // Of several callers, one computes the missing value.
/// if let Found::Claimed = pages.get_or_claim("/", Duration::from_secs(5)) {
///     pages.set("/", "<html>", None);
/// }
/// assert_eq!(pages.get("/").unwrap(), b"<html>");
///
/// // The last handle flushes too, but only a flush reports an error.
/// pages.flush()?;
/// # Ok(())
/// # }
/// ```
///
/// Most calls cannot fail, as [`Layer`](crate::Layer) says. [`metrics`](Self::metrics) and
/// [`flush`](Self::flush) report errors.
pub struct Cache {
    caches: Shared,
    name: String,
    place: usize,
    largest: usize,
    is_tenants: bool,
}

impl Cache {
    pub(super) fn open(
        caches: &Shared,
        name: &str,
        options: Options,
        quota: Option<Quota<'_>>,
    ) -> Result<Self, ErrorKind> {
        let mut locked = caches.lock();
        let largest = quota.map_or(usize::MAX, |quota| quota.largest);
        let largest = largest.min(locked.largest());
        Ok(Self {
            caches: caches.clone(),
            name: name.to_owned(),
            place: locked.open(name, options, quota)?,
            largest,
            is_tenants: quota.is_some(),
        })
    }

    /// Gives the value of a key; none if the key is missing or expired. The key counts as used.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.call(key.len(), |cache, store, this| {
            cache.call_get(store, this, key)
        })?
    }

    /// Gives the values of several keys, in their order.
    pub fn get_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Vec<Option<Vec<u8>>> {
        let keys = keys.into_iter();
        // One by one, since the size of all values together is not known before.
        keys.map(|key| self.get(key.as_ref())).collect()
    }

    /// Gives the value of a key, or lets one caller compute a missing value. The first caller
    /// claims the key for the time of the lease. Other callers are told to wait, until the key is
    /// set or deleted, or the lease ends. With a lease of zero, the next caller claims the key
    /// again.
    pub fn get_or_claim(&self, key: &str, lease: Duration) -> Found {
        let found = self.call(key.len(), |cache, store, this| {
            cache.call_get_or_claim(store, this, key, nanoseconds(lease))
        });
        found.map_or(Found::Claimed, Found::from)
    }

    /// Stores a value, and replaces the earlier value of the key. Without a ttl, the default ttl of
    /// the [`Options`] counts. With a ttl of zero, it removes the key.
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

    /// Stores several entries in their order. If a key comes twice, the last entry counts. The
    /// entries may come from a list or from any iterator. Other callers may see some of them before
    /// all are stored.
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

    /// Removes a key. Gives whether the key had a live value.
    pub fn delete(&self, key: &str) -> bool {
        let deleted = self.call(key.len(), |cache, store, this| {
            cache.call_delete(store, this, key)
        });
        deleted.unwrap_or(false)
    }

    /// Whether a key has a live value. The key does not count as used, and the call counts neither
    /// as a hit nor as a miss.
    pub fn contains(&self, key: &str) -> bool {
        let contained = self.call(key.len(), |cache, store, this| {
            cache.call_contains(store, this, key)
        });
        contained.unwrap_or(false)
    }

    /// Iterates over the keys with live values, in no order. It asks for some keys at a time. Keys
    /// that exist all the time come exactly once. Keys that are added or removed during the
    /// iteration may come or not.
    pub fn keys(&self) -> Keys<'_> {
        Keys {
            cache: self,
            page: Vec::new().into_iter(),
            next: Some(0),
        }
    }

    /// Removes all entries at once, from memory and from the backend.
    ///
    /// # Errors
    ///
    /// The error of the backend, or the error that ended the instance. The cache is empty in any
    /// case. After an error of the backend, a later flush tries again.
    pub fn clear(&self) -> Result<(), Error> {
        let cleared = self.try_clear();
        cleared.map_err(|kind| Error::new(kind).during("clear").on_cache(&self.name))
    }

    /// Hands all changes to the backend now. Without an error, the backend has everything that was
    /// set before, unless an earlier call reported a loss.
    ///
    /// # Errors
    ///
    /// - The error of the backend. Nothing is lost, and a later flush tries again.
    /// - The error that ended the instance since the last flush. Changes before it that were not
    ///   flushed are lost. Only one flush reports it.
    pub fn flush(&self) -> Result<(), Error> {
        let flushed = self.try_flush();
        flushed.map_err(|kind| Error::new(kind).during("flush").on_cache(&self.name))
    }

    /// Counts of the cache since it was opened, or since the instance was started again.
    pub fn metrics(&self) -> Metrics {
        self.caches.lock().metrics(self.place)
    }

    pub(super) fn try_clear(&self) -> Result<(), ErrorKind> {
        let mut caches = self.caches.lock();
        Ok(caches.call(self.place, |cache, store, this| {
            cache.call_clear(store, this)
        })??)
    }

    pub(super) fn try_flush(&self) -> Result<(), ErrorKind> {
        self.caches.lock().flush(self.place)
    }

    /// A page of keys with live values, and where the next page begins.
    pub(super) fn page(&self, after: Option<u64>, limit: u32) -> (Vec<String>, Option<u64>) {
        let page = self.call(0, |cache, store, this| {
            cache.call_keys(store, this, after, limit.min(PAGE))
        });
        page.map_or((Vec::new(), None), |page| (page.keys, page.next))
    }

    fn set_group<E: Borrow<Entry>>(&self, group: &[E]) {
        match group {
            [] => {}
            // A single entry may be too large. `set` checks that.
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

    /// Makes a call with this many bytes of keys and values. None: the call failed, or there are
    /// too many bytes.
    fn call<T>(&self, size: usize, call: impl Call<T>) -> Option<T> {
        let fits = size <= self.largest;
        fits.then(|| self.caches.lock().call(self.place, call).ok())?
    }
}

impl Clone for Cache {
    fn clone(&self) -> Self {
        self.caches.lock().share(self.place);
        Self {
            caches: self.caches.clone(),
            name: self.name.clone(),
            ..*self
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.caches.lock().close(self.place, self.is_tenants);
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Iterates over the keys of a cache; [`Cache::keys`] gives it.
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
