//! A backend for asynchronous callers.

use std::borrow::Borrow;
use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

use crate::{Backend, CacheStat, Change, Contents, Entry, Error, ErrorKind, Report};

/// A [`Backend`] for tasks of tokio: its calls are made on the threads that the runtime of the
/// caller keeps for what blocks.
///
/// To drop a future does not stop its call. That is made all the same, or not at all if it had not
/// begun when the runtime was shut down: then the future, if anyone still asks, gives
/// [`ErrorKind::Unavailable`].
///
/// # Panics
///
/// The futures panic where they are polled outside of a tokio runtime.
#[derive(Clone, Debug)]
pub struct AsyncBackend {
    backend: Backend,
}

impl AsyncBackend {
    pub(crate) fn new(backend: Backend) -> Self {
        Self { backend }
    }

    /// See [`Backend::load`].
    pub async fn load(&self, cache: impl Into<String>) -> Result<Contents, Error> {
        self.call(cache, Backend::load).await
    }

    /// See [`Backend::save`].
    pub async fn save<E: Borrow<Entry>>(
        &self,
        cache: impl Into<String>,
        entries: impl IntoIterator<Item = E> + Send + 'static,
    ) -> Result<(), Error> {
        self.call(cache, move |backend, cache| backend.save(cache, entries))
            .await
    }

    /// See [`Backend::clear`].
    pub async fn clear(&self, cache: impl Into<String>) -> Result<(), Error> {
        self.call(cache, Backend::clear).await
    }

    /// See [`Backend::apply`].
    pub async fn apply(&self, cache: impl Into<String>, changes: Vec<Change>) -> Result<(), Error> {
        self.call(cache, move |backend, cache| backend.apply(cache, changes))
            .await
    }

    /// See [`Backend::list`].
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        self.blocking(Backend::list).await
    }

    /// See [`Backend::stat`].
    pub async fn stat(&self, cache: impl Into<String>) -> Result<CacheStat, Error> {
        self.call(cache, Backend::stat).await
    }

    /// See [`Backend::verify`].
    pub async fn verify(&self, cache: impl Into<String>) -> Result<Report, Error> {
        self.call(cache, Backend::verify).await
    }

    async fn call<T: Send + 'static>(
        &self,
        cache: impl Into<String>,
        call: impl FnOnce(&Backend, &str) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let cache = cache.into();
        self.blocking(move |backend| call(backend, &cache)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Backend) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let backend = self.backend.clone();
        let task = spawn_blocking(move || call(&backend));
        task.await.unwrap_or_else(|error| {
            if let Ok(panic) = error.try_into_panic() {
                resume_unwind(panic);
            }
            let why = "the runtime was shut down before the call began";
            Err(Error::new(ErrorKind::Unavailable(why.into())).during("call"))
        })
    }
}
