//! A backend for asynchronous callers.

mod read;
mod turns;
mod write;

use std::borrow::Borrow;

use crate::{
    Backend, CacheStat, Change, Condition, Contents, Entry, Error, LiveEntry, Page, Report, Version,
};

pub use read::AsyncEntries;
use turns::blocking;
pub use write::AsyncWriter;

/// A [`Backend`] for tasks of tokio. Its calls run on the runtime's threads for blocking work.
///
/// ```
/// use larder_host::{Backend, Entry};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let disk = Backend::disk(folder)?.into_async();
/// disk.save("sessions", [Entry::new("user:1", "alice")]).await?;
///
/// let mut entries = disk.read("sessions").await?;
/// while let Some(entry) = entries.next().await {
///     println!("{}", entry?.key);
/// }
/// # Ok::<(), larder_host::Error>(())
/// # }).unwrap();
/// ```
///
/// Once its future was polled, a call is made even if the future is dropped. There is one
/// exception: the runtime is shut down before the call begins. Then the call is not made, and its
/// future gives [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable).
///
/// # Panics
///
/// The futures panic if they are polled outside of a tokio runtime.
#[derive(Clone, Debug)]
pub struct AsyncBackend {
    backend: Backend,
}

/// The way to asynchronous calls.
impl Backend {
    /// The same backend for asynchronous callers.
    pub fn into_async(self) -> AsyncBackend {
        AsyncBackend { backend: self }
    }
}

impl AsyncBackend {
    /// Gives the live entries of a cache, all at once; see [`Backend::load`].
    pub async fn load(&self, cache: impl Into<String>) -> Result<Contents, Error> {
        self.call(cache, Backend::load).await
    }

    /// Gives the live entries of a cache one by one; see [`Backend::read`].
    pub async fn read(&self, cache: impl Into<String>) -> Result<AsyncEntries, Error> {
        self.call(cache, Backend::read).await.map(AsyncEntries::new)
    }

    /// Replaces the whole cache by these entries; see [`Backend::save`].
    pub async fn save<E: Borrow<Entry>>(
        &self,
        cache: impl Into<String>,
        entries: impl IntoIterator<Item = E> + Send + 'static,
    ) -> Result<(), Error> {
        self.call(cache, move |backend, cache| backend.save(cache, entries))
            .await
    }

    /// Replaces the whole cache by entries that are put one by one; see [`Backend::write`].
    pub fn write(&self, cache: impl Into<String>) -> AsyncWriter {
        AsyncWriter::new(self.backend.write(&cache.into()))
    }

    /// Removes all entries of a cache; see [`Backend::clear`].
    pub async fn clear(&self, cache: impl Into<String>) -> Result<(), Error> {
        self.call(cache, Backend::clear).await
    }

    /// Makes all of these changes, or none of them; see [`Backend::apply`].
    pub async fn apply(
        &self,
        cache: impl Into<String>,
        changes: impl AsRef<[Change]> + Send + 'static,
    ) -> Result<(), Error> {
        self.call(cache, move |backend, cache| backend.apply(cache, changes))
            .await
    }

    /// Gives the entry of a key, if it is live; see [`Backend::get`].
    pub async fn get(
        &self,
        cache: impl Into<String>,
        key: impl Into<String>,
    ) -> Result<Option<LiveEntry>, Error> {
        let key = key.into();
        self.call(cache, move |backend, cache| backend.get(cache, &key))
            .await
    }

    /// Gives the live entries of these keys; see [`Backend::get_many`].
    pub async fn get_many<K: AsRef<str>>(
        &self,
        cache: impl Into<String>,
        keys: impl AsRef<[K]> + Send + 'static,
    ) -> Result<Vec<Option<LiveEntry>>, Error> {
        self.call(cache, move |backend, cache| backend.get_many(cache, keys))
            .await
    }

    /// Gives about `limit` keys that follow a cursor; see [`Backend::scan`].
    pub async fn scan(
        &self,
        cache: impl Into<String>,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page, Error> {
        self.call(cache, move |backend, cache| {
            backend.scan(cache, after.as_deref(), limit)
        })
        .await
    }

    /// Makes all of these changes if every condition holds; see [`Backend::apply_if`].
    pub async fn apply_if(
        &self,
        cache: impl Into<String>,
        conditions: impl AsRef<[Condition]> + Send + 'static,
        changes: impl AsRef<[Change]> + Send + 'static,
    ) -> Result<Vec<usize>, Error> {
        self.call(cache, move |backend, cache| {
            backend.apply_if(cache, conditions, changes)
        })
        .await
    }

    /// Lists the names of the caches that have entries; see [`Backend::list`].
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        let backend = self.backend.clone();
        blocking(move || backend.list()).await
    }

    /// Gives the size and age of a cache; see [`Backend::stat`].
    pub async fn stat(&self, cache: impl Into<String>) -> Result<CacheStat, Error> {
        self.call(cache, Backend::stat).await
    }

    /// Reads a whole cache and checks every byte; see [`Backend::verify`].
    pub async fn verify(&self, cache: impl Into<String>) -> Result<Report, Error> {
        self.call(cache, Backend::verify).await
    }

    /// Gives the versions of a cache that are whole; see [`Backend::versions`].
    pub async fn versions(&self, cache: impl Into<String>) -> Result<Vec<Version>, Error> {
        self.call(cache, Backend::versions).await
    }

    /// Goes back to a version of a cache; see [`Backend::recover`].
    pub async fn recover(&self, cache: impl Into<String>, number: u64) -> Result<(), Error> {
        self.call(cache, move |backend, cache| backend.recover(cache, number))
            .await
    }

    async fn call<T: Send + 'static>(
        &self,
        cache: impl Into<String>,
        call: impl FnOnce(&Backend, &str) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (backend, cache) = (self.backend.clone(), cache.into());
        blocking(move || call(&backend, &cache)).await
    }
}
