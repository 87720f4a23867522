//! Claims: the keys whose missing value a caller is computing, each until its lease is over.

use crate::keys::{Keys, MOST_KEY_BYTES, MOST_KEYS};

/// Up to this many claims, a search for ended ones is not worth its time.
const FEW: usize = 16;

/// The claims to keys of one cache.
pub struct Claims {
    /// When each claim ends.
    ends: Keys<u64>,
    /// At this number of claims, the ended ones are removed.
    limit: usize,
}

impl Claims {
    /// Makes no claims; `seed` is a random number.
    pub fn new(seed: u64) -> Claims {
        Claims {
            ends: Keys::new(seed),
            limit: FEW,
        }
    }

    /// When the claim to a key ends; none if nobody holds one now.
    pub fn end(&self, key: &str, now: u64) -> Option<u64> {
        self.ends.get(key).copied().filter(|end| *end > now)
    }

    /// Claims a key.
    pub fn claim(&mut self, key: &str, end: u64, now: u64) {
        if self.ends.len() >= self.limit {
            // The limit follows the number of claims, so that a claim costs constant time on
            // average.
            self.ends.retain(|end| *end > now);
            self.limit = FEW.max(2 * self.ends.len());
        }
        if self.ends.len() >= MOST_KEYS || self.ends.bytes() >= MOST_KEY_BYTES {
            // At worst, several callers compute the same value then.
            self.ends.clear();
        }
        self.ends.insert(key.into(), end);
    }

    /// Ends the claim to a key, if there is one.
    pub fn remove(&mut self, key: &str) {
        self.ends.remove(key);
    }

    /// Ends all claims.
    pub fn clear(&mut self) {
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_that_nobody_fulfils_do_not_pile_up() {
        let mut claims = Claims::new(7);
        for n in 0..100_000 {
            claims.claim(&n.to_string(), n + 1, n);
        }
        assert!(claims.ends.len() <= FEW);
    }

    #[test]
    fn claims_that_are_never_over_do_not_pile_up() {
        let mut claims = Claims::new(7);
        for n in 0..100_000 {
            claims.claim(&n.to_string(), u64::MAX, 0);
            assert!(claims.ends.len() <= MOST_KEYS);
        }
        for n in 0..1000 {
            claims.claim(&format!("{n:10000}"), u64::MAX, 0);
            assert!(claims.ends.bytes() <= MOST_KEY_BYTES + 10_000);
        }
    }
}
