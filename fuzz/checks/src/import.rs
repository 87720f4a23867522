//! What holds of an imported file, whatever its bytes are.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use larder_pickle::{Import, PickleError, read};

/// When the files of `tests/data/pickle` say that they were saved.
const SAVE_TIME: Duration = Duration::from_millis(1_700_000_000_250);

/// Checks these bytes as a file, and as the one value in a file.
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

/// However a file is made, its entries are no larger than 64 times the file and a mebibyte, and what is said of those that
/// are skipped adds little to that.
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
