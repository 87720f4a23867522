//! The files of one cache in its folder: their names, how a file is published, and which of them
//! make up the cache.

mod bytes;
mod chain;
mod compaction;
mod dir;
mod draft;
pub mod legacy;
mod listing;
mod publish;
mod settings;
mod whole;

pub use bytes::Bytes;
pub use chain::{Chain, Published};
pub use compaction::{files_to_compact, is_compaction_due};
pub use dir::{Dir, File};
pub use draft::{Draft, Written};
pub use listing::{DRAFT, Listing, TEMPORARY, file_name};
pub use publish::{
    ATTEMPTS, MOST_COMPACTED, MOST_SUPERSEDED, MOST_UNSYNCED, Target, busy, delete_all,
    delete_superseded, publish, reap, replace_everything, settle, temporary,
};
pub use settings::{Durability, durability};
pub use whole::WholeVersion;
