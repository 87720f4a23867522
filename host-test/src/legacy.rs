//! Files from before the store's own format.

use crate::{Entry, SimDisk};

/// Adds such a file to a disk: a plain list of entries in postcard.
pub(crate) fn put(disk: &SimDisk, cache: &str, entries: &[Entry]) {
    let records = entries
        .iter()
        .map(|entry| (&entry.key, &entry.value, entry.ttl));
    let records: Vec<_> = records.collect();
    let bytes = postcard::to_allocvec(&records).expect("it fits in memory");
    disk.put_file(format!("{cache}.postcard"), bytes);
}
