//! Calls on the runtime's threads for blocking work.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use crate::{Error, ErrorKind};

/// Makes a call on a thread for blocking work.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let call = spawn_blocking(call);
    call.await.unwrap_or_else(|error| Err(unmade(error)))
}

/// A value that goes from one call to the next. If a future is dropped during a call, the next one
/// waits for that call.
pub(super) enum Turns<T, R> {
    /// No call has the value.
    Idle(T),
    /// This call has the value, and gives it back with the result.
    Busy(JoinHandle<(T, R)>),
    /// The value is gone: with a call that was not made or that panicked, or since it has no use.
    Gone,
}

impl<T: Send + 'static, R: Send + 'static> Turns<T, R> {
    /// Begins a call, if the value is idle.
    pub(super) fn begin(&mut self, call: impl FnOnce(&mut T) -> R + Send + 'static) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Idle(mut value) => Self::Busy(spawn_blocking(move || {
                let result = call(&mut value);
                (value, result)
            })),
            other => other,
        };
    }

    /// Waits for the call that has begun. None: no call has begun.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<R, Error>>> {
        let Self::Busy(call) = self else {
            return Poll::Ready(None);
        };
        let result = match ready!(Pin::new(call).poll(cx)) {
            Ok((value, result)) => {
                *self = Self::Idle(value);
                Ok(result)
            }
            Err(error) => {
                *self = Self::Gone;
                Err(unmade(error))
            }
        };
        Poll::Ready(Some(result))
    }
}

/// The error of a call that was not made. A panic of the call goes on.
fn unmade(error: JoinError) -> Error {
    if let Ok(panic) = error.try_into_panic() {
        resume_unwind(panic);
    }
    let why = "the runtime was shut down before the call began";
    Error::new(ErrorKind::Unavailable(why.into())).during("call")
}
