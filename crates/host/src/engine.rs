//! The engine that all backends of a process share, and the way to run a call with a deadline.

use std::future::pending;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;
use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio::time::{sleep_until, timeout_at};
use wasmtime::{Config, Engine};

use crate::shortage;

pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.epoch_interruption(true);
    Engine::new(&config).expect("wasmtime compiles for the machine that it runs on")
});

/// The runtime for timers and sockets. The caller's runtime is not enough: it may have neither, and
/// the call may block the only thread of that runtime.
fn runtime() -> io::Result<Handle> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    let mut shared = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*shared {
        return Ok(handle.clone());
    }
    // tokio panics if the operating system refuses it a descriptor for signals.
    shortage::of_descriptors()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    // A thread of its own: tokio panics if the operating system refuses it a thread.
    let forever = move || runtime.block_on(pending::<()>());
    thread::Builder::new()
        .name("larder".into())
        .spawn(forever)?;
    Ok(shared.insert(handle).clone())
}

/// Runs a call into a component on this thread, which may be any thread. A call that is not over at
/// the deadline is stopped: then there is no result.
///
/// A component that waits in the host is left there. A component that computes is interrupted by a
/// new epoch, and its store stops it.
///
/// # Errors
///
/// If the operating system refuses a thread or an event queue; the call was not made.
pub(crate) fn run<T>(
    deadline: Option<Instant>,
    call: impl Future<Output = T>,
) -> io::Result<Option<T>> {
    let runtime = runtime()?;
    let _ambient = runtime.enter();
    let Some(deadline) = deadline.map(tokio::time::Instant::from_std) else {
        return Ok(Some(block_on(call)));
    };
    let _alarm = wasmtime_wasi::runtime::spawn(async move {
        sleep_until(deadline).await;
        ENGINE.increment_epoch();
    });
    Ok(block_on(timeout_at(deadline, call)).ok())
}

fn block_on<T>(call: impl Future<Output = T>) -> T {
    // The caller may be a tokio task with a budget. This thread waits without giving the budget a
    // chance to be renewed, so the call must not spend it.
    pollster::block_on(tokio::task::unconstrained(call))
}
