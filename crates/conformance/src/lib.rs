//! The conformance kit: it judges any backend of Larder by the promises of the contract.
//!
//! Each case tests one promise, and uses only the contract. `larder conformance BACKEND.wasm` runs
//! the cases from a shell. The author of a backend can run them in a test:
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
//! [`conformance!`] makes a test of each case instead.
//!
//! Not every backend makes every promise. The kit finds missing interfaces by itself.
//! [`Component::volatile`] is for a backend that keeps its data in the instance, and
//! [`Component::alone`] for a backend that allows one instance at a time.
//!
//! A [`Component`] is the usual [`Subject`]. A type of your own can be one as well: it must open
//! instances, take calls, and use a [`Clock`] that the cases move. If it can also kill an instance
//! in the midst of a call, it offers [`Feature::Kill`].

mod case;
mod cases;
mod clock;
mod component;
pub mod contract;
mod exports;
mod folder;
mod inside;
mod instance;
mod panics;
mod running;
mod subject;
mod waiting;

pub use case::{CASES, Case, Verdict, certify, prove};
pub use clock::Clock;
pub use component::{Component, ComponentSubject, NotABackend};
pub use exports::{Exports, Functions};
pub use folder::tree;
pub use inside::Inside;
pub use instance::{Instance, Reader, Writer};
pub use subject::{Feature, Subject};

/// Makes a test of every case. The expression gives a [`Subject`] with empty storage, and is
/// evaluated for each test. The test of a promise that the subject does not make passes.
///
/// ```no_run
/// use std::sync::LazyLock;
///
/// use larder_conformance::{Component, conformance};
///
/// static BACKEND: LazyLock<Component> = LazyLock::new(|| {
///     let component = std::fs::read("my_backend.wasm").expect("it was built");
///     Component::new(&component).expect("it is a backend")
/// });
///
/// conformance!(BACKEND.subject());
/// # fn main() {}
/// ```
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

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
