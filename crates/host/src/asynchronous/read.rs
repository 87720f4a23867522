//! Reads a cache entry by entry, for asynchronous callers.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::turns::Turns;
use crate::read::Batch;
use crate::{Entries, Error, LiveEntry};

/// Gives the live entries of a cache one by one; [`AsyncBackend::read`](crate::AsyncBackend::read)
/// gives it.
///
/// It is like [`Entries`], and asks for a batch at a time on a thread for blocking work. It is also
/// a `Stream` of the crate `futures-core`. It may be dropped at any time.
pub struct AsyncEntries {
    entries: Turns<Entries, Result<Option<Batch>, Error>>,
    batch: Option<Batch>,
    total: u64,
    /// How many entries are lost, after the last entry has come.
    lost: u64,
}

impl AsyncEntries {
    pub(super) fn new(entries: Entries) -> Self {
        Self {
            total: entries.total(),
            entries: Turns::Idle(entries),
            batch: None,
            lost: 0,
        }
    }

    /// The next entry; none after the last one, and after an error.
    ///
    /// If the future is dropped, no entry is lost: the next call gives it.
    ///
    /// # Errors
    ///
    /// As with [`Backend::read`](crate::Backend::read).
    pub async fn next(&mut self) -> Option<Result<LiveEntry, Error>> {
        poll_fn(|cx| self.poll_entry(cx)).await
    }

    /// The greatest number of entries that can come; see [`Entries::total`].
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many more entries damage to the storage took; see [`Entries::lost`].
    pub fn lost(&self) -> u64 {
        match &self.entries {
            Turns::Idle(entries) => entries.lost(),
            // The last entry has not come.
            Turns::Busy(_) => 0,
            Turns::Gone => self.lost,
        }
    }

    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<LiveEntry, Error>>> {
        loop {
            if let Some(entry) = self.batch.as_mut().and_then(Iterator::next) {
                return Poll::Ready(Some(Ok(entry)));
            }
            self.entries.begin(Entries::next_batch);
            let batch = match ready!(self.entries.poll(cx)) {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => Err(error),
                None => Ok(None),
            };
            match batch {
                Ok(Some(batch)) => self.batch = Some(batch),
                Ok(None) => {
                    // Later calls give none at once, and the number of lost entries stays.
                    if let Turns::Idle(entries) = mem::replace(&mut self.entries, Turns::Gone) {
                        self.lost = entries.lost();
                    }
                    return Poll::Ready(None);
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl Stream for AsyncEntries {
    type Item = Result<LiveEntry, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_entry(cx)
    }
}

impl fmt::Debug for AsyncEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncEntries").finish_non_exhaustive()
    }
}
