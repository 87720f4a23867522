//! A case: one promise, what it takes to keep it, and the judgement.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::{fs, io};

use crate::contract::entry;
use crate::{Feature, Subject};

/// One promise of the contract, and how it is put to the test.
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    /// The promise, for people.
    pub promise: &'static str,
    /// What a backend has to have for the promise to be about it.
    pub needs: &'static [Feature],
    /// Panics where the promise is broken.
    pub(crate) run: fn(&dyn Subject),
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The promise was kept.
    Kept,
    /// It was not; says what was seen.
    Broken(String),
    /// The promise is not about this backend, which does not have this.
    NotOffered(Feature),
}

/// The most bytes of what is said about a broken promise.
const LONGEST: usize = 2000;

macro_rules! table {
    ([] $($module:ident { $($case:ident [$($need:ident)*] $promise:literal)* })*) => {
        /// All cases there are.
        pub static CASES: &[Case] = &[$($(
            Case {
                name: stringify!($case),
                promise: $promise,
                needs: &[$(Feature::$need),*],
                run: crate::cases::$module::$case,
            },
        )*)*];
    };
}
crate::__cases! { (table) [] }

/// Judges a backend by every case, each with what this gives: a subject with empty storage.
///
/// Nothing that the backend does ends the kit. While a case is judged, panics of its threads are not reported, for which
/// a hook is put before the one of the process.
pub fn certify<S: Subject>(subject: impl Fn() -> S) -> Vec<(&'static Case, Verdict)> {
    let judged = CASES.iter().map(|case| (case, case.judge(&subject)));
    judged.collect()
}

/// Runs the case of this name, as a test: panics where the promise is broken.
///
/// # Panics
///
/// There, and where there is no such case.
pub fn prove(name: &str, subject: &dyn Subject) {
    let case = CASES.iter().find(|case| case.name == name);
    case.expect("there is such a case").run_if_offered(subject);
}

impl Case {
    /// Judges a backend by this case, as [`certify`] does.
    pub fn judge<S: Subject>(&self, subject: impl FnOnce() -> S) -> Verdict {
        silence();
        let why = Why::default();
        let before = WHY.replace(Some(why.clone()));
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run_if_offered(&subject())));
        WHY.set(before);
        outcome.unwrap_or_else(|_| Verdict::Broken(lock(&why).clone()))
    }

    fn run_if_offered(&self, subject: &dyn Subject) -> Verdict {
        let has = |feature: &Feature| {
            let folder = || subject.folder().is_some_and(|at| keeps_files(subject, at));
            subject.offers(*feature) && (*feature != Feature::Files || folder())
        };
        if let Some(missing) = self.needs.iter().find(|feature| !has(feature)) {
            return Verdict::NotOffered(*missing);
        }
        (self.run)(subject);
        Verdict::Kept
    }
}

/// Whether something is in the folder when something is stored.
fn keeps_files(subject: &dyn Subject, folder: &Path) -> bool {
    let mut backend = subject.open();
    let saved = backend.save("probe", &[entry("key", "value", None)]);
    saved.expect("a save to see whether there are files");
    let kept = has_files(folder).expect("the folder of the storage can be read");
    backend.clear("probe").expect("a clear of what was saved");
    kept
}

fn has_files(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || has_files(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What was last said by a panic in the threads of a case.
type Why = Arc<Mutex<String>>;

thread_local! {
    /// In the threads of a case that is judged.
    static WHY: RefCell<Option<Why>> = const { RefCell::new(None) };
}

/// Keeps what threads of cases say when they panic, in place of reporting it.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            match WHY.with_borrow(Option::clone) {
                Some(why) => *lock(&why) = what_it_says(panic),
                None => before(panic),
            }
        }));
    });
}

fn lock(why: &Why) -> MutexGuard<'_, String> {
    why.lock().unwrap_or_else(PoisonError::into_inner)
}

fn what_it_says(panic: &PanicHookInfo<'_>) -> String {
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

/// Starts a thread of the case that runs on this one.
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
