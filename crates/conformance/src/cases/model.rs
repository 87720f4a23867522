//! The case that compares random calls with a model.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{live, loaded};
use crate::contract::{Change, Entry, LiveEntry, put, remove, sorted};
use crate::{Feature, Instance, Subject};

/// The length of a value, and its ttl in nanoseconds.
type Value = (u16, Option<u64>);

/// A call, or an event between calls.
#[derive(Clone, Debug)]
enum Step {
    Save(Vec<(u8, Value)>),
    /// Puts keys with a value, and removes keys without.
    Apply(Vec<(u8, Option<Value>)>),
    Clear,
    Advance(u64),
    Restart,
    Reboot,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few keys, so that they come again. Ttls are as long as the steps of time, so that some
    // expire.
    let key = || 0_u8..12;
    let stored = || (0_u16..2000, proptest::option::of(0_u64..50));
    let saved = (key(), stored());
    let changed = (key(), proptest::option::of(stored()));
    let step = prop_oneof![
        2 => proptest::collection::vec(saved, 0..15).prop_map(Step::Save),
        12 => proptest::collection::vec(changed, 0..5).prop_map(Step::Apply),
        1 => Just(Step::Clear),
        4 => (0_u64..20).prop_map(Step::Advance),
        2 => Just(Step::Restart),
        1 => Just(Step::Reboot),
    ];
    proptest::collection::vec(step, 1..60)
}

/// After each call, the cache is compared with a map.
pub(crate) fn any_sequence_of_calls_gives_what_a_model_gives(s: &dyn Subject) {
    let config = Config {
        cases: 32,
        failure_persistence: None,
        // If a call runs into the time limit, each attempt to shorten the sequence does too.
        max_shrink_time: 2_000,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let cases = std::cell::Cell::new(0);
    TestRunner::new_with_rng(config, rng)
        .run(&steps(), |steps| {
            cases.set(cases.get() + 1);
            follow(s, &format!("case {}", cases.get()), &steps)
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// Gets every key that a step may name, and scans all keys.
fn look_up(
    backend: &mut dyn Instance,
    cache: &str,
    expected: &[LiveEntry],
    n: usize,
) -> Result<(), TestCaseError> {
    let names: Vec<String> = (0..12).map(|key| format!("key:{key}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = backend.get_many(cache, &names).unwrap();
    let found = names.iter().zip(found).filter_map(|(key, found)| {
        let found = found?;
        Some(live(*key, found.value, found.expires_at))
    });
    let found = sorted(found.collect());
    prop_assert_eq!(&found, expected, "got after step {}", n);
    let mut keys = backend.keys(cache, 5).unwrap();
    keys.sort();
    let expected: Vec<&String> = expected.iter().map(|entry| &entry.key).collect();
    prop_assert_eq!(
        keys.iter().collect::<Vec<_>>(),
        expected,
        "scanned after step {}",
        n
    );
    Ok(())
}

fn follow(s: &dyn Subject, cache: &str, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut backend = s.open();
    // The value, and its expiry by the wall clock.
    let mut model: HashMap<String, (Vec<u8>, Option<u128>)> = HashMap::new();
    for (n, step) in steps.iter().enumerate() {
        let now = s.clock().wall().as_nanos();
        let mut store = |key: u8, change: Option<Value>| {
            let key = format!("key:{key}");
            let Some((length, ttl)) = change else {
                model.remove(&key);
                return remove(&key);
            };
            let value = vec![n as u8; usize::from(length)];
            let expires = ttl.map(|ttl| now + u128::from(ttl));
            model.insert(key.clone(), (value.clone(), expires));
            put(key, value, ttl)
        };
        match step {
            Step::Save(saved) => {
                let stored = saved.iter().map(|(key, value)| store(*key, Some(*value)));
                let entries: Vec<Entry> = stored
                    .filter_map(|change| match change {
                        Change::Put(entry) => Some(entry),
                        Change::Remove(_) => None,
                    })
                    .collect();
                model.retain(|key, _| entries.iter().any(|entry| entry.key == *key));
                backend.save(cache, &entries).unwrap();
            }
            Step::Apply(changed) => {
                let changes: Vec<Change> = changed
                    .iter()
                    .map(|(key, change)| store(*key, *change))
                    .collect();
                backend.apply(cache, &changes).unwrap();
            }
            Step::Clear => {
                backend.clear(cache).unwrap();
                model.clear();
            }
            Step::Advance(by) => s.clock().advance(Duration::from_nanos(*by)),
            Step::Restart | Step::Reboot if !s.offers(Feature::Durability) => {}
            Step::Restart => backend = s.open(),
            Step::Reboot => {
                s.clock().reboot();
                // No instance outlives a boot.
                backend = s.open();
            }
        }
        let now = s.clock().wall().as_nanos();
        let instant = u128::from(s.clock().instant());
        let expected: Vec<LiveEntry> = model
            .iter()
            .filter(|(_, (_, expires))| expires.is_none_or(|expires| expires > now))
            .map(|(key, (value, expires))| {
                let deadline = expires.map(|expires| (expires - now + instant) as u64);
                live(key, value.clone(), deadline)
            })
            .collect();
        let expected = sorted(expected);
        if s.offers(Feature::Lookup) {
            look_up(&mut *backend, cache, &expected, n)?;
        }
        prop_assert_eq!(loaded(&mut backend, cache), expected, "after step {}", n);
    }
    Ok(())
}
