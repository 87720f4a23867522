//! Keeps the messages of panics in the threads of a case, instead of printing them.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

/// The longest message, in bytes.
const LONGEST: usize = 2000;

/// The last message of a panic in the threads of a case.
type Why = Arc<Mutex<String>>;

thread_local! {
    /// Set in the threads of a case that is judged.
    static WHY: RefCell<Option<Why>> = const { RefCell::new(None) };
}

/// Runs a case. If it panics, gives the message.
pub(crate) fn catch<T>(case: impl FnOnce() -> T) -> Result<T, String> {
    silence();
    let why = Why::default();
    let before = WHY.replace(Some(why.clone()));
    let outcome = catch_unwind(AssertUnwindSafe(case));
    WHY.set(before);
    outcome.map_err(|_| lock(&why).clone())
}

/// Starts a thread of the case that runs on this thread.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let why = WHY.with_borrow(Option::clone);
    scope.spawn(move || {
        WHY.set(why);
        work()
    })
}

/// Sets a panic hook, once. It keeps the messages of cases, and leaves other panics to the previous
/// hook.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            match WHY.with_borrow(Option::clone) {
                Some(why) => *lock(&why) = message(panic),
                None => before(panic),
            }
        }));
    });
}

fn lock(why: &Why) -> MutexGuard<'_, String> {
    why.lock().unwrap_or_else(PoisonError::into_inner)
}

fn message(panic: &PanicHookInfo<'_>) -> String {
    let mut says = panic.payload_as_str().unwrap_or("it panicked").to_owned();
    if says.len() > LONGEST {
        says.truncate(says.floor_char_boundary(LONGEST));
        says.push_str("...");
    }
    match panic.location() {
        Some(at) => format!("{says} ({}:{})", at.file(), at.line()),
        None => says,
    }
}
