//! The kit that certifies any backend of Larder: cases that use nothing but the contract, each about one promise.
//!
//! `larder conformance BACKEND.wasm` runs them from a shell. A backend's author runs them in a test:
//!
//! ```no_run
//! use larder_conformance::{Component, Verdict, certify};
//!
//! let component = std::fs::read("my_backend.wasm").expect("it was built");
//! let backend = Component::new(&component).expect("it is a backend");
//! for (case, verdict) in certify(|| backend.subject()) {
//!     if let Verdict::Broken(why) = verdict {
//!         panic!("{}: {why}", case.promise);
//!     }
//! }
//! ```
//!
//! [`Component::volatile`] and [`Component::alone`] say what a backend does not promise.
//!
//! [`conformance!`] makes a test of each case instead. A [`Component`] is the usual [`Subject`]; whatever else can be
//! opened, called, and given a [`Clock`] is one if it says how.

mod case;
mod cases;
mod clock;
mod component;
pub mod contract;
mod exports;
mod folder;
mod instance;

use std::fmt;
use std::path::Path;

pub use case::{CASES, Case, Verdict, certify, prove};
pub use clock::Clock;
pub use component::{Component, ComponentSubject, NotABackend};
pub use exports::{Exports, Functions};
pub use folder::tree;
pub use instance::{Instance, Reader, Writer};

/// A backend with storage of its own, which is empty at first.
pub trait Subject: Sync {
    /// Starts an instance, beside those that run: it knows nothing but what is in storage. Of a backend whose storage
    /// is the instance, another hold on the one that runs.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    fn open(&self) -> Box<dyn Instance>;

    /// The clocks of all instances.
    fn clock(&self) -> &Clock;

    /// Whether the backend has what not every backend has. Of [`Feature::Files`] it is seen besides whether there are any.
    fn offers(&self, feature: Feature) -> bool;

    /// The folder in which the backend keeps what it stores, where it is one.
    fn folder(&self) -> Option<&Path>;
}

/// What a backend may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// `cache-updates`
    Updates,
    /// `cache-bulk`
    Bulk,
    /// `cache-inspect`
    Inspect,
    /// Storage that outlives an instance.
    Durability,
    /// Storage that several instances may use at once.
    Concurrency,
    /// Files in a folder of the host's, damage to which is survived.
    Files,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Feature::Updates => "cache-updates",
            Feature::Bulk => "cache-bulk",
            Feature::Inspect => "cache-inspect",
            Feature::Durability => "storage that outlives an instance",
            Feature::Concurrency => "storage for several instances at once",
            Feature::Files => "files in a folder",
        })
    }
}

/// Makes a test of every case: `conformance!(backend.subject());`. The expression is evaluated for each of them and has
/// to give a [`Subject`] with empty storage. What that does not offer is not tested, and passes.
#[macro_export]
macro_rules! conformance {
    ($subject:expr) => {
        $crate::__cases! { ($crate::__tests) [$subject] }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ([$subject:expr] $($module:ident { $($case:ident [$($need:ident)*] $promise:literal)* })*) => {
        $($(
            #[test]
            fn $case() {
                $crate::prove(stringify!($case), &$subject);
            }
        )*)*
    };
}
