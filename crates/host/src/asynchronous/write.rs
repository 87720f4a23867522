//! Writes a cache entry by entry, for asynchronous callers.

use std::fmt;
use std::future::poll_fn;
use std::mem;

use tokio::runtime::Handle;

use super::turns::{Turns, blocking};
use crate::{Entry, Error, ErrorKind, Writer};

/// Writes a whole cache entry by entry; [`AsyncBackend::write`](crate::AsyncBackend::write) gives
/// it.
///
/// It is like [`Writer`], and hands over a batch at a time on a thread for blocking work. The cache
/// changes only in [`commit`](Self::commit). A writer that is dropped changes nothing.
///
/// ```
/// # use larder_host::{Backend, Entry};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// # let disk = Backend::disk(folder.path())?.into_async();
/// let mut writer = disk.write("pages");
/// for n in 0..10_000 {
///     writer.put(Entry::new(format!("page {n}"), "text")).await?;
/// }
/// writer.commit().await?;
/// # assert_eq!(disk.stat("pages").await?.entries, 10_000);
/// # Ok::<(), larder_host::Error>(())
/// # }).unwrap();
/// ```
pub struct AsyncWriter {
    writer: Turns<Writer, Result<(), Error>>,
}

impl AsyncWriter {
    pub(super) fn new(writer: Writer) -> Self {
        let writer = Turns::Idle(writer);
        Self { writer }
    }

    /// Adds an entry; see [`Writer::put`].
    ///
    /// If the future is dropped, the entry may have been added or not.
    ///
    /// # Errors
    ///
    /// As with [`Writer::put`].
    pub async fn put(&mut self, entry: Entry) -> Result<(), Error> {
        self.wait().await?;
        match &mut self.writer {
            // Most entries only go into the batch.
            Turns::Idle(writer) if !writer.calls_for(&entry) => writer.put(&entry),
            _ => {
                self.writer.begin(move |writer| writer.put(&entry));
                self.wait().await
            }
        }
    }

    /// Replaces the whole cache by the entries that were put; see [`Writer::commit`].
    ///
    /// If the future is dropped, the cache may have been replaced or not.
    ///
    /// # Errors
    ///
    /// As with [`Writer::commit`].
    pub async fn commit(mut self) -> Result<(), Error> {
        self.wait().await?;
        match mem::replace(&mut self.writer, Turns::Gone) {
            Turns::Idle(writer) => blocking(move || writer.commit()).await,
            Turns::Busy(_) | Turns::Gone => Err(gone()),
        }
    }

    /// Waits for a put whose future may have been dropped, and gives its error.
    async fn wait(&mut self) -> Result<(), Error> {
        let waited = poll_fn(|cx| self.writer.poll(cx)).await;
        match (waited, &self.writer) {
            (Some(put), _) => put.flatten(),
            (None, Turns::Gone) => Err(gone()),
            (None, _) => Ok(()),
        }
    }
}

/// The error of a writer that was lost with a call, which has given its own error.
fn gone() -> Error {
    let why = "an earlier call of this writer was not made";
    Error::new(ErrorKind::Unavailable(why.into())).during("write")
}

impl Drop for AsyncWriter {
    fn drop(&mut self) {
        // A writer that is dropped calls the component, which must not block a task.
        if let Turns::Idle(writer) = mem::replace(&mut self.writer, Turns::Gone)
            && writer.is_open()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(writer));
        }
    }
}

impl fmt::Debug for AsyncWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncWriter").finish_non_exhaustive()
    }
}
