//! What all backends of a process share: the compiler, the interfaces that a component may import,
//! and the way to run a call against the clock.

use std::sync::LazyLock;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};
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
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("larder")
        .enable_all()
        .build()
        .expect("the operating system has a thread and an event queue to spare")
});

/// Runs a call into a component on this thread, whatever thread it is, and stops it at the deadline:
/// then there is no result.
///
/// A component that waits for something in the host is left waiting. One that computes is woken by a
/// new epoch, and its instance stops it.
pub(crate) fn run<T>(deadline: Option<Instant>, call: impl Future<Output = T>) -> Option<T> {
    let _ambient = RUNTIME.enter();
    let Some(deadline) = deadline.map(tokio::time::Instant::from_std) else {
        return Some(block_on(call));
    };
    let _alarm = wasmtime_wasi::runtime::spawn(async move {
        sleep_until(deadline).await;
        ENGINE.increment_epoch();
    });
    block_on(timeout_at(deadline, call)).ok()
}

fn block_on<T>(call: impl Future<Output = T>) -> T {
    // Where the caller is a tokio task, what is left of its budget must not count: it would not be
    // renewed for as long as this thread waits.
    pollster::block_on(tokio::task::unconstrained(call))
}
