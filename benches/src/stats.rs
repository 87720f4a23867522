//! Medians, and what becomes of the slowest.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long something took, time and again, in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Times {
    pub median: f64,
    pub p99: f64,
    pub min: f64,
    pub max: f64,
    /// How often it was measured.
    pub count: usize,
}

impl Times {
    /// None where nothing was measured.
    pub fn of(times: &[Duration]) -> Option<Self> {
        let mut sorted: Vec<f64> = times.iter().copied().map(millis).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Some(Self {
            median: percentile(&sorted, 0.5)?,
            p99: percentile(&sorted, 0.99)?,
            min: *sorted.first()?,
            max: *sorted.last()?,
            count: sorted.len(),
        })
    }
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The median of values in any order.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    percentile(values, 0.5)
}

/// The value that this share of the sorted values does not exceed; between two of them in proportion.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (below, above) = (sorted.get(below)?, sorted.get(above)?);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn the_99th_percentile_of_a_hundred_lies_just_below_the_slowest() {
        let times: Vec<_> = (1..=101).map(Duration::from_millis).collect();
        let times = Times::of(&times).expect("there are some");
        assert_eq!((times.median, times.p99, times.max), (51.0, 100.0, 101.0));
    }
}
