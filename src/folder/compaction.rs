//! Decides when several files are compacted into one, as in a log-structured merge tree. The goals:
//! few files to read, and few rewrites of each byte.

/// How many files of one size class are compacted into one file of the next class.
const FAN_IN: usize = 16;

/// Limits, in bytes. Files up to `SMALLEST` are of the smallest size class. Changes up to
/// `LEAST_OUTGROWN` never outgrow a snapshot.
const SMALLEST: u64 = 4 * 1024;
const LEAST_OUTGROWN: u64 = 64 * 1024;

/// The search for files to compact opens all files of a chain. So it runs only every so many
/// versions, and after large changes.
const LOOK_EVERY: u64 = 8;

/// Whether to search for files to compact, after `bytes` bytes of changes became this version.
pub fn is_compaction_due(version: u64, bytes: u64) -> bool {
    version.is_multiple_of(LOOK_EVERY) || bytes > LEAST_OUTGROWN
}

/// How many of the newest files to compact: 0 for none, all for a new snapshot. `sizes` are the
/// weights of the files from the newest to the oldest; the oldest is the snapshot.
pub fn files_to_compact(sizes: &[u64]) -> usize {
    let Some((snapshot, changes)) = sizes.split_last() else {
        return 0;
    };
    // Rewriting the snapshot costs at most twice the bytes that changed since.
    if changes.iter().sum::<u64>() > (*snapshot).max(LEAST_OUTGROWN) {
        return sizes.len();
    }
    let level = |size: &u64| {
        (*size / SMALLEST)
            .checked_ilog(FAN_IN as u64)
            .map_or(0, |log| log + 1)
    };
    let highest = changes.iter().map(level).max().unwrap_or(0);
    for at in (0..=highest).rev() {
        let run = changes.iter().take_while(|size| level(size) <= at);
        if run.clone().filter(|size| level(size) == at).count() >= FAN_IN {
            return run.count();
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::GAP;

    /// Applies changes of these weights. Returns how many bytes were written, and the highest
    /// number of files at any time.
    fn simulate(snapshot: u64, changes: impl Iterator<Item = u64>) -> (u64, usize) {
        let (mut sizes, mut written, mut most) = (vec![snapshot], 0, 0);
        let mut version = 1;
        for change in changes {
            sizes.insert(0, change);
            written += change + GAP;
            version += 1;
            let run = files_to_compact(&sizes);
            if is_compaction_due(version, change) && run > 0 {
                let compacted = sizes.drain(..run).sum();
                sizes.insert(0, compacted);
                written += compacted + GAP;
                version += 1;
            }
            most = most.max(sizes.len());
        }
        (written, most)
    }

    #[test]
    fn the_cost_follows_the_changes_and_not_the_cache() {
        let (written, most) = simulate(1 << 30, (0..10_000).map(|_| 1000));
        assert!(written < 10_000 * 1000 * 9, "{written} bytes written");
        assert!(most < 60, "{most} files");
    }

    #[test]
    fn changes_never_outgrow_the_cache_for_long() {
        for change in [30_000, 100_000] {
            let mut sizes = vec![100_000];
            for version in 2..1000 {
                sizes.insert(0, change);
                let run = files_to_compact(&sizes);
                if is_compaction_due(version, change) && run > 0 {
                    assert_eq!(run, sizes.len());
                    sizes = vec![100_000];
                }
                assert!(sizes.iter().sum::<u64>() <= 500_000);
            }
        }
    }

    #[test]
    fn few_changes_are_not_compacted() {
        assert_eq!(files_to_compact(&[]), 0);
        assert_eq!(files_to_compact(&[100]), 0);
        assert_eq!(files_to_compact(&[200, 200, 200, 100]), 0);
        assert_eq!(
            files_to_compact(&[[200; 16].as_slice(), &[100]].concat()),
            16
        );
    }
}
