//! Checks that must hold for any bytes as a file of the Python module.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use larder_pickle::{Import, PickleError, read};

/// The save time in the files of `tests/data/pickle`.
const SAVE_TIME: Duration = Duration::from_millis(1_700_000_000_250);

/// Checks the bytes as a file, and as the only value in a file.
pub fn check(bytes: &[u8]) {
    check_file(bytes);
    check_file(&[b"}U\x01k", bytes, b"N\x86s."].concat());
}

fn check_file(file: &[u8]) {
    match read(file, SystemTime::UNIX_EPOCH + SAVE_TIME) {
        Ok(import) => {
            check_bounds(&import, file);
            let keys: HashSet<_> = import.entries.iter().map(|entry| &entry.key).collect();
            assert_eq!(keys.len(), import.entries.len(), "a key came out twice");
            let lives = |ttl| ttl != Some(Duration::ZERO);
            assert!(import.entries.iter().all(|entry| lives(entry.ttl)));
        }
        Err(PickleError::Malformed { offset, .. }) => assert!(offset <= file.len()),
        Err(_) => {}
    }
}

/// Checks the size of an import. Its entries have at most 64 times the bytes of the file, plus 1
/// MiB. Skipped entries with their reasons add at most 32 times the bytes of the file, and a reason
/// is shorter than 1000 bytes.
pub fn check_bounds(import: &Import, file: &[u8]) {
    let most = 64 * file.len() + (1 << 20);
    let entries = import.entries.iter();
    let written: usize = entries
        .map(|entry| entry.key.len() + entry.value.len())
        .sum();
    assert!(written <= most);
    let skipped = import.skipped.iter();
    let said: usize = skipped
        .map(|skipped| skipped.key.len() + skipped.reason.len())
        .sum();
    assert!(written + said <= most + 32 * file.len());
    let reasons = import.skipped.iter().map(|skipped| skipped.reason.len());
    assert!(reasons.max() < Some(1000));
}
