//! The harness that tests Larder components from outside, as a host sees them.
//!
//! A [`Subject`] is a component with its storage and clock. [`Subject::open`] starts an instance;
//! starting it again is a restart. Only the test moves the [`Clock`]. Files of this crate:
//!
//! The component under test:
//! - `subject`: its storage, environment and clock. [`conformance!`] makes a test of each case of
//!   the conformance kit for a subject.
//! - `backend`: the component, compiled and linked.
//! - `instance`: a running component, and the calls to it.
//!
//! Its file system:
//! - `call`: a call to the file system: which function, which calls a fault selects.
//! - `faults`: errors, short reads, a kill or an action before, which a test injects into these
//!   calls.
//! - `faulty_filesystem`: the file system that obeys the faults.
//! - `sim`: a simulated disk ([`SimDisk`]) that knows the disks that a power cut may leave.
//! - `legacy`: files from before the store's own format.
//!
//! Attacks on the disk backend:
//! - [`mod@crash`]: an operation is stopped at every call, and the power is cut there.
//! - [`mod@failing_calls`]: each call of an operation fails.
//! - [`mod@races`]: instances use one cache at once; `schedule` and `strategy` choose who runs.
//!
//! For these attacks:
//! - `write`: the operations that change a cache, as data.
//! - `scenarios`: the caches and the operations that are attacked.
//! - `world`: a simulated disk, and the contents that its cache may have.
//! - [`mod@history`]: whether one order of operations explains what instances saw.
//! - `effort`: how much an attack tries, and the command that repeats it.
//!
//! Other components:
//! - [`mod@components`]: components that only tests use.
//! - [`mod@compose`]: composes components.
//! - [`mod@surroundings`]: the host of a component that is not a backend.
//! - [`mod@metered`]: the cost of a call, in instructions and memory.

mod backend;
mod call;
pub mod components;
pub mod compose;
pub mod crash;
mod effort;
pub mod failing_calls;
mod faults;
mod faulty_filesystem;
pub mod history;
mod instance;
pub mod layered;
mod legacy;
pub mod metered;
pub mod races;
mod scenarios;
mod schedule;
pub mod sim;
mod strategy;
mod subject;
pub mod surroundings;
mod world;
mod write;

pub use backend::Backend;
pub use call::{Call, ErrorCode, Killed, Made, When};
pub use effort::Effort;
pub use faults::Faults;
pub use instance::Instance;
pub use larder_conformance::contract::{
    Batch, CacheStat, Change, Condition, Contents, Damage, Entry, Error, LiveBatch, LiveEntry,
    Part, Report, batch, condition, entries, entry, put, remove, sorted, values,
};
pub use larder_conformance::{Clock, Reader, Writer, conformance, tree};
pub use sim::{PowerCuts, Run, SimDisk};
pub use subject::Subject;
pub use world::Durability;
pub use write::{UNCOMPACTED, Values, Write};
