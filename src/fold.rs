//! When files are folded into one, as in a log-structured merge tree: few
//! files to read, and every byte rewritten few times.

/// How many files of one size are folded into one of the next.
const FAN_IN: usize = 16;

/// Up to how many bytes files count as of the smallest size, and changes never
/// outgrow a snapshot.
const SMALLEST: u64 = 4 * 1024;
const LEAST_OUTGROWN: u64 = 64 * 1024;

/// How many of the newest files to fold, given their sizes from the newest to
/// the oldest, which is the snapshot; 0 for none, all for a new snapshot.
pub fn files_to_fold(sizes: &[u64]) -> usize {
    let Some((snapshot, changes)) = sizes.split_last() else {
        return 0;
    };
    // Rewriting the snapshot costs at most twice what was changed since.
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
