//! Cases and verdicts: each case tests one promise of the contract.

use std::path::Path;
use std::{fs, io};

use crate::contract::entry;
use crate::{Feature, Subject, panics};

/// A promise of the contract, and its test.
#[non_exhaustive]
pub struct Case {
    /// The name of the case, which is also the name of its test.
    pub name: &'static str,
    /// The promise, in a sentence.
    pub promise: &'static str,
    /// The features that a backend needs for this case.
    pub needs: &'static [Feature],
    /// Panics if the promise is broken.
    run: fn(&dyn Subject),
}

/// The result of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The backend keeps the promise.
    Kept,
    /// The backend breaks the promise. The text says what the case saw.
    Broken(String),
    /// The backend does not make the promise, since it does not have this feature.
    NotOffered(Feature),
}

macro_rules! table {
    ([] $($module:ident { $($case:ident [$($need:ident)*] $promise:literal)* })*) => {
        /// All cases.
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
crate::cases::__cases! { (table) [] }

/// Judges a backend by every case. The function gives a subject with empty storage for each case.
///
/// Nothing that the backend does ends the kit. The first call sets a panic hook, which keeps the
/// messages of judged cases. It leaves all other panics to the previous hook.
pub fn certify<S: Subject>(subject: impl Fn() -> S) -> Vec<(&'static Case, Verdict)> {
    let judged = CASES.iter().map(|case| (case, case.judge(&subject)));
    judged.collect()
}

/// Runs the case of this name as a test.
///
/// # Panics
///
/// If the promise is broken, or if there is no case of this name.
pub fn prove(name: &str, subject: &dyn Subject) {
    let case = CASES.iter().find(|case| case.name == name);
    case.expect("there is no case of this name")
        .run_if_offered(subject);
}

impl Case {
    /// Judges a backend by this case, as [`certify`] does.
    pub fn judge<S: Subject>(&self, subject: impl FnOnce() -> S) -> Verdict {
        panics::catch(|| self.run_if_offered(&subject())).unwrap_or_else(Verdict::Broken)
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

/// Whether the folder has files after a save.
fn keeps_files(subject: &dyn Subject, folder: &Path) -> bool {
    let mut backend = subject.open();
    let saved = backend.save("probe", &[entry("key", "value", None)]);
    saved.expect("a save fails");
    let kept = has_files(folder).expect("the folder of the storage cannot be read");
    backend.clear("probe").expect("a clear fails");
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
