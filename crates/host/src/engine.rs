//! What all backends of a process share: the compiler, the interfaces that a component may import,
//! and the way to run a call against the clock.

use std::future::pending;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;
use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio::time::{sleep_until, timeout_at};
use wasmtime::component::Linker;
use wasmtime::{Config, Engine};

use crate::instance::State;

pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.epoch_interruption(true);
    Engine::new(&config).expect("wasmtime compiles for the machine that it runs on")
});

/// All of WASI 0.2. What a component reaches with it is up to the settings of its backend.
pub(crate) static LINKER: LazyLock<Linker<State>> = LazyLock::new(|| {
    let mut linker = Linker::new(&ENGINE);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("no interface is defined twice");
    linker
});

/// For timers and sockets. A runtime of the caller would not do: it may have neither, and the call
/// may be blocking the only thread that it has.
fn runtime() -> io::Result<Handle> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    let mut shared = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*shared {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    // On a thread of our own: tokio panics where the operating system has none to spare for it.
    let forever = move || runtime.block_on(pending::<()>());
    thread::Builder::new()
        .name("larder".into())
        .spawn(forever)?;
    Ok(shared.insert(handle).clone())
}

/// Runs a call into a component on this thread, whatever thread it is, and stops it at the deadline:
/// then there is no result. Fails, without a call, where the operating system has no thread or event
/// queue to spare.
///
/// A component that waits for something in the host is left waiting. One that computes is woken by a
/// new epoch, and its instance stops it.
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
    // Where the caller is a tokio task, what is left of its budget must not count: it would not be
    // renewed for as long as this thread waits.
    pollster::block_on(tokio::task::unconstrained(call))
}
