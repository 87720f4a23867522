//! The harness that tests Larder components from outside, as a host sees them.
//!
//! A [`Subject`] is a component, the storage it works on and the time it lives in; [`Subject::open`] starts
//! it, and starting it again is a restart. Time is a [`Clock`] that only the test moves. [`Faults`] stand
//! between an instance and its file system: they fail calls, cut them short, kill the instance, or do something else
//! first. A [`SimDisk`] is storage that knows what a power cut leaves of it.
//!
//! The promises that every backend has to keep are those of [`larder_conformance`], made into tests by
//! [`conformance!`]. The disk backend is attacked besides: [`mod@crash`] stops it at every call, [`mod@failures`] fails
//! every call, [`mod@races`] lets instances overtake one another and [`mod@history`] judges what they saw, and
//! [`mod@metered`] counts what a call costs.

pub mod components;
pub mod compose;
pub mod crash;
mod effort;
pub mod failures;
mod faults;
pub mod history;
pub mod layered;
mod legacy;
pub mod metered;
pub mod races;
mod run;
mod schedule;
mod sim;
mod strategy;
mod subject;
pub mod surroundings;
mod write;

pub use effort::Effort;
pub use faults::{Call, ErrorCode, Faults, Killed, Made, When};
pub use larder_conformance::contract::{
    Batch, CacheStat, Change, Contents, Damage, Entry, Error, LiveBatch, LiveEntry, Part, Report,
    batch, entries, entry, put, remove, sorted, values,
};
pub use larder_conformance::{Clock, Reader, Writer, conformance, tree};
pub use run::Run;
pub use sim::{PowerCuts, SimDisk};
pub use subject::{Backend, Instance, Subject};
pub use write::{UNFOLDED, Values, Write};
