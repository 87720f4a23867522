//! A simulated disk that knows the disks that a power cut may leave.
//!
//! Programs see their writes, as on any disk. A power cut leaves less. The bytes of a file are
//! durable only after a sync of the file, and a name only after a sync of its folder. A cut may
//! keep any part of the unsynced changes. Clocks and random numbers belong to the disk too, so that
//! a run on it depends only on its seed.

mod disk;
mod filesystem;
mod listing;
/// Public for the tests of this crate.
#[doc(hidden)]
pub mod nodes;
/// Public for the tests of this crate.
#[doc(hidden)]
pub mod path;
mod power_cut;
mod random;
mod run;
mod undecided;

pub use disk::SimDisk;
pub(crate) use filesystem::{HasSimFilesystem, SimFilesystem};
pub use power_cut::PowerCuts;
pub use run::Run;
