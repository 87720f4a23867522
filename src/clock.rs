//! Time: how long entries have left.

use crate::abi::wasi::clocks::monotonic_clock;
use crate::abi::wasi::clocks::wall_clock::{self, Datetime};

/// The wall clock, in nanoseconds since 1970.
pub fn wall_now() -> u64 {
    nanoseconds(wall_clock::now())
}

/// A time of the wall clock, in nanoseconds since 1970.
pub fn nanoseconds(time: Datetime) -> u64 {
    let seconds = time.seconds.saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::from(time.nanoseconds))
}

/// How far in the future a stamp may lie, in nanoseconds. The clocks of two hosts may differ by as
/// much, and a clock may be corrected by as much.
const MOST_AHEAD: u64 = 60 * 1_000_000_000;

/// The rest at `now` of a time to live that began at `saved_at`, all in nanoseconds. Returns none
/// if nothing is left.
///
/// If `saved_at` is in the future, the clock was set back since, and nobody knows how much time has
/// passed. Up to a minute, that is none. Beyond that, nothing is left until the clock gets there.
pub fn remaining(ttl: u64, saved_at: u64, now: u64) -> Option<u64> {
    let elapsed = match now.checked_sub(saved_at) {
        Some(elapsed) => elapsed,
        None if saved_at - now > MOST_AHEAD => return None,
        None => 0,
    };
    ttl.checked_sub(elapsed).filter(|remaining| *remaining > 0)
}

/// Translates times to live into deadlines, all as of one moment.
pub struct Deadlines {
    wall: u64,
    monotonic: u64,
}

impl Deadlines {
    /// Deadlines as of now.
    pub fn now() -> Deadlines {
        Deadlines {
            wall: wall_now(),
            monotonic: monotonic_clock::now(),
        }
    }

    /// The deadline of an entry. The outer option is none if the entry has expired, the inner one
    /// if it never expires.
    pub fn of(&self, ttl: Option<u64>, saved_at: u64) -> Option<Option<u64>> {
        let Some(ttl) = ttl else { return Some(None) };
        let remaining = remaining(ttl, saved_at, self.wall)?;
        Some(Some(self.monotonic.saturating_add(remaining)))
    }
}
