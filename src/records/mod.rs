//! Records across blocks and files: finds the records that count.

mod compact;
mod deduplicate;
mod find;
mod keys;
mod merge;
mod stream;

pub(crate) use compact::compacted;
pub(crate) use deduplicate::deduplicate;
pub(crate) use find::find;
pub(crate) use keys::{HashSet, last_occurrences};
pub use merge::{Lost, Merge, Share};
pub(crate) use stream::Stream;
