//! Caches from before the store's own format. Such a cache is one bare postcard file beside the
//! folders: `<cache>.postcard`, a list of key, value and time to live in nanoseconds.
//!
//! The file does not say when it was saved, so the times to live begin when it is read. It has no
//! checksums, so it is read as a whole or not at all.

use serde::{Deserialize, Serialize};

use crate::abi::Error;
use crate::abi::memory::reserve;
use larder_names::LEGACY_SUFFIX;

use super::dir::Dir;

/// One entry of such a file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyEntry<'a> {
    /// The key.
    pub key: &'a str,
    /// The value.
    #[serde(with = "serde_bytes")]
    pub value: &'a [u8],
    /// Nanoseconds to live, from the moment when the file is read.
    pub ttl: Option<u64>,
}

/// The name of the file of a cache.
pub fn file_name(cache: &str) -> String {
    format!("{cache}{LEGACY_SUFFIX}")
}

/// Reads the file of a cache. Returns none if there is no such file.
pub fn read(root: &Dir, cache: &str) -> Result<Option<Vec<u8>>, Error> {
    let name = file_name(cache);
    // Only a regular file is opened: opening anything else could wait without end.
    let file = match root.has_file(&name)? {
        true => root.open(&name)?,
        false => None,
    };
    file.map(|file| file.read_all()).transpose()
}

/// Decodes the file of a cache. If a key occurs twice, the last entry counts.
pub fn decode<'a>(cache: &str, bytes: &'a [u8]) -> Result<Vec<LegacyEntry<'a>>, Error> {
    // The length that the list claims. No entry takes less than 3 bytes.
    let claimed = postcard::take_from_bytes(bytes).map_or(0, |(count, _): (u64, _)| count);
    reserve(claimed.min(bytes.len() as u64 / 3), bytes.len() as u64)?;
    match postcard::take_from_bytes(bytes) {
        Ok((entries, [])) => Ok(entries),
        Ok(_) | Err(_) => {
            let name = file_name(cache);
            let reason = format!("{name} is not a complete list of entries in postcard");
            Err(Error::Corrupt(reason))
        }
    }
}
