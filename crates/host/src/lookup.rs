//! Single keys: look-ups, scans, and changes under conditions.

use crate::bindings::{CACHE_ATOMICS, CACHE_LOOKUP, cache_atomics};
use crate::instance::{Failure, present};
use crate::{Backend, Change, Error, LiveEntry};

/// A condition on one key, for [`Backend::apply_if`].
// Exhaustive: programs build it, and the contract fixes its fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The key.
    pub key: String,
    /// The value that the key must have. None: the key must have no live value.
    pub value: Option<Vec<u8>>,
}

impl Condition {
    /// The key must have exactly this value.
    pub fn is(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// The key must have no live value.
    pub fn absent(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: None,
        }
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// Keys of a cache, as [`Backend::scan`] gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// Keys with a live value. There may be none although more pages follow.
    pub keys: Vec<String>,
    /// The cursor of the next page. None: this is the last page.
    pub next: Option<String>,
}

/// Single keys. All of these calls give [`ErrorKind::MissingInterface`] if the component does not
/// have the interface.
///
/// [`ErrorKind::MissingInterface`]: crate::ErrorKind::MissingInterface
impl Backend {
    /// Gives the entry of a key, if it is live. The cache is not loaded.
    ///
    /// ```
    /// # use larder_host::{Backend, Entry};
    /// # fn main() -> Result<(), larder_host::Error> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let disk = Backend::disk(folder.path())?;
    /// disk.save("sessions", [Entry::new("user:1", "alice")])?;
    /// assert_eq!(disk.get("sessions", "user:1")?.unwrap().value, b"alice");
    /// assert_eq!(disk.get("sessions", "user:2")?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As with [`load`](Self::load).
    pub fn get(&self, cache: &str, key: &str) -> Result<Option<LiveEntry>, Error> {
        let found = self.look_up("get", cache, &[key])?;
        Ok(found.into_iter().next().flatten())
    }

    /// Gives the live entries of these keys, in their order, all of one moment. A key without a
    /// live entry gives none. If damage took an entry, its key gives none too.
    ///
    /// # Errors
    ///
    /// As with [`load`](Self::load).
    pub fn get_many<K: AsRef<str>>(
        &self,
        cache: &str,
        keys: impl AsRef<[K]>,
    ) -> Result<Vec<Option<LiveEntry>>, Error> {
        let keys: Vec<&str> = keys.as_ref().iter().map(AsRef::as_ref).collect();
        self.look_up("get_many", cache, &keys)
    }

    fn look_up(
        &self,
        operation: &'static str,
        cache: &str,
        keys: &[&str],
    ) -> Result<Vec<Option<LiveEntry>>, Error> {
        self.call(operation, cache, async |instance| {
            let lookup = present(&instance.lookup, CACHE_LOOKUP)?;
            let sizes = keys.iter().map(|key| size_of::<&str>() + key.len());
            let size = sizes.fold(0, usize::saturating_add);
            self.pool().check_size(size).map_err(Failure::Answered)?;
            let store = &mut instance.store;
            let found = lookup.call_get_many(store, cache, keys).await??;
            let clocks = instance.clocks()?;
            let found = keys.iter().zip(found).map(|(key, found)| {
                found.map(|found| LiveEntry {
                    key: (*key).to_owned(),
                    value: found.value,
                    expires_at: found.expires_at.and_then(|at| clocks.instant(at)),
                })
            });
            Ok(found.collect())
        })
    }

    /// Gives about `limit` keys that follow a cursor, or the first ones. A cursor holds for other
    /// backends and programs, and after changes to the cache. A key that has a live entry from the
    /// first page to the last is in exactly one page.
    ///
    /// ```
    /// # use larder_host::{Backend, Entry};
    /// # fn main() -> Result<(), larder_host::Error> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let disk = Backend::disk(folder.path())?;
    /// # disk.save("pages", (0..50).map(|n| Entry::new(format!("{n}"), "")))?;
    /// let (mut keys, mut after) = (Vec::new(), None);
    /// loop {
    ///     let page = disk.scan("pages", after.as_deref(), 20)?;
    ///     keys.extend(page.keys);
    ///     after = page.next;
    ///     if after.is_none() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(keys.len(), 50);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As with [`load`](Self::load). [`ErrorKind::InvalidArgument`] for a limit of zero, and for a
    /// text that cannot be a cursor.
    ///
    /// [`ErrorKind::InvalidArgument`]: crate::ErrorKind::InvalidArgument
    pub fn scan(&self, cache: &str, after: Option<&str>, limit: u32) -> Result<Page, Error> {
        self.call("scan", cache, async |instance| {
            let lookup = present(&instance.lookup, CACHE_LOOKUP)?;
            let store = &mut instance.store;
            let page = lookup.call_scan(store, cache, after, limit).await??;
            Ok(Page {
                keys: page.keys,
                next: page.next,
            })
        })
    }

    /// Makes all of these changes, as [`apply`](Self::apply) does, if every condition holds at that
    /// moment. Otherwise it changes nothing. The result has the positions of the conditions that do
    /// not hold: without items, the changes were made. Nobody, in any program, changes the cache
    /// between the conditions and the changes.
    ///
    /// ```
    /// # use larder_host::{Backend, Change, Condition, Entry};
    /// # fn main() -> Result<(), larder_host::Error> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let disk = Backend::disk(folder.path())?;
    /// let free = [Condition::absent("lock")];
    /// let take = [Change::Put(Entry::new("lock", "mine"))];
    /// assert!(disk.apply_if("locks", &free, &take)?.is_empty());
    /// assert_eq!(disk.apply_if("locks", &free, &take)?, [0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As with [`apply`](Self::apply).
    pub fn apply_if(
        &self,
        cache: &str,
        conditions: impl AsRef<[Condition]>,
        changes: impl AsRef<[Change]>,
    ) -> Result<Vec<usize>, Error> {
        let (conditions, changes) = (conditions.as_ref(), changes.as_ref());
        self.call("apply_if", cache, async |instance| {
            let atomics = present(&instance.atomics, CACHE_ATOMICS)?;
            let sizes = conditions.iter().map(Condition::size);
            let sizes = sizes.chain(changes.iter().map(Change::size));
            let size = sizes.fold(0, usize::saturating_add);
            self.pool().check_size(size).map_err(Failure::Answered)?;
            let conditions: Vec<_> = conditions
                .iter()
                .map(|one| cache_atomics::Condition {
                    key: &one.key,
                    value: one.value.as_deref(),
                })
                .collect();
            let changes: Vec<_> = changes.iter().map(Into::into).collect();
            let store = &mut instance.store;
            let unmet = atomics.call_apply_if(store, cache, &conditions, &changes);
            Ok(unmet.await??.into_iter().map(|at| at as usize).collect())
        })
    }
}
