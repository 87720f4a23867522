//! The backend for callers on a tokio runtime.

use crate::{Backend, CacheStat, Change, Contents, Entry, Error, Report};

/// A [`Backend`] whose calls are made on the blocking pool of the caller's tokio runtime.
///
/// A future that is dropped does not stop its call, which is made whole or not at all.
#[derive(Clone)]
pub struct AsyncBackend {
    backend: Backend,
}

impl AsyncBackend {
    pub(crate) fn new(backend: Backend) -> Self {
        Self { backend }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Backend) -> T + Send + 'static,
    ) -> T {
        let backend = self.backend.clone();
        match tokio::task::spawn_blocking(move || call(&backend)).await {
            Ok(answer) => answer,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// See [`Backend::load`].
    pub async fn load(&self, cache: impl Into<String>) -> Result<Contents, Error> {
        let cache = cache.into();
        self.blocking(move |backend| backend.load(&cache)).await
    }

    /// See [`Backend::save`].
    pub async fn save(&self, cache: impl Into<String>, entries: Vec<Entry>) -> Result<(), Error> {
        let cache = cache.into();
        self.blocking(move |backend| backend.save(&cache, entries))
            .await
    }

    /// See [`Backend::clear`].
    pub async fn clear(&self, cache: impl Into<String>) -> Result<(), Error> {
        let cache = cache.into();
        self.blocking(move |backend| backend.clear(&cache)).await
    }

    /// See [`Backend::apply`].
    pub async fn apply(&self, cache: impl Into<String>, changes: Vec<Change>) -> Result<(), Error> {
        let cache = cache.into();
        self.blocking(move |backend| backend.apply(&cache, changes))
            .await
    }

    /// See [`Backend::list`].
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        self.blocking(Backend::list).await
    }

    /// See [`Backend::stat`].
    pub async fn stat(&self, cache: impl Into<String>) -> Result<CacheStat, Error> {
        let cache = cache.into();
        self.blocking(move |backend| backend.stat(&cache)).await
    }

    /// See [`Backend::verify`].
    pub async fn verify(&self, cache: impl Into<String>) -> Result<Report, Error> {
        let cache = cache.into();
        self.blocking(move |backend| backend.verify(&cache)).await
    }
}
