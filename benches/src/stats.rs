//! A summary of values that were measured several times.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The summary, in the unit of the values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    pub median: f64,
    pub p99: f64,
    pub min: f64,
    pub max: f64,
    /// How many values there were.
    pub count: usize,
}

impl Spread {
    /// None if there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
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

/// The value that this share of the sorted values does not exceed, interpolated between two values.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (below, above) = (sorted.get(below)?, sorted.get(above)?);
    Some(below + (above - below) * place.fract())
}

#[test]
fn percentiles_between_two_values_are_interpolated() {
    let four = Spread::of([4.0, 1.0, 3.0, 2.0]).expect("there are values");
    assert_eq!((four.median, four.min, four.max), (2.5, 1.0, 4.0));
    let hundred = Spread::of((1..=101).map(f64::from)).expect("there are values");
    assert_eq!((hundred.median, hundred.p99), (51.0, 100.0));
    assert_eq!(Spread::of([]), None);
}
