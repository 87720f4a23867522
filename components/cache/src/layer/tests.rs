//! The rules of one cache, above a backend that keeps entries in a map.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::*;
use crate::bindings::larder::cache::types::LiveEntry;

const SECOND: u64 = 1_000_000_000;

const UNLIMITED: Options = Options {
    capacity: None,
    capacity_bytes: None,
    default_ttl: None,
    flush_every: None,
    flush_after: None,
};

fn options(set: impl FnOnce(&mut Options)) -> Options {
    let mut options = UNLIMITED;
    set(&mut options);
    options
}

/// A backend in memory that counts calls and fails on request.
#[derive(Default)]
struct State {
    stored: BTreeMap<String, (Vec<u8>, Option<u64>)>,
    lost: u64,
    fails: Option<Error>,
    /// The number of changes in each call of `apply`.
    applied: Vec<usize>,
    /// The number of calls of `clear`.
    cleared: usize,
}

#[derive(Clone, Default)]
struct Fake(Rc<RefCell<State>>);

impl Fake {
    /// A backend that has this key.
    fn with(key: &str, ttl: Option<u64>) -> Fake {
        let fake = Fake::default();
        let value = (b"value".to_vec(), ttl);
        fake.state().stored.insert(key.into(), value);
        fake
    }

    fn state(&self) -> RefMut<'_, State> {
        self.0.borrow_mut()
    }

    fn keys(&self) -> Vec<String> {
        self.state().stored.keys().cloned().collect()
    }

    fn open(&self) -> Layer<Fake> {
        self.open_with(|_| {})
    }

    fn open_with(&self, set: impl FnOnce(&mut Options)) -> Layer<Fake> {
        Layer::open(self.clone(), "cache", options(set), 7, 0).unwrap()
    }

    fn outcome(&self) -> Result<(), Error> {
        self.state().fails.clone().map_or(Ok(()), Err)
    }
}

impl Backend for Fake {
    fn load(&self, _: &str) -> Result<Contents, Error> {
        self.outcome()?;
        let state = self.state();
        let entries = state.stored.iter().map(|(key, (value, ttl))| LiveEntry {
            key: key.clone(),
            value: value.clone(),
            expires_at: *ttl,
        });
        Ok(Contents {
            entries: entries.collect(),
            lost: state.lost,
        })
    }

    fn clear(&self, _: &str) -> Result<(), Error> {
        self.outcome()?;
        self.state().stored.clear();
        self.state().cleared += 1;
        Ok(())
    }

    fn apply(&self, _: &str, changes: &[Change]) -> Result<(), Error> {
        self.outcome()?;
        let mut state = self.state();
        state.applied.push(changes.len());
        for change in changes {
            match change {
                Change::Put(entry) => {
                    let value = (entry.value.clone(), entry.ttl);
                    state.stored.insert(entry.key.clone(), value);
                }
                Change::Remove(key) => drop(state.stored.remove(key)),
            }
        }
        Ok(())
    }
}

/// Sets a key to itself.
fn set(layer: &mut Layer<Fake>, key: &str, now: u64) {
    layer.set(key.into(), key.into(), None, now);
}

fn down() -> Error {
    Error::Unavailable("down".into())
}

fn damaged() -> Error {
    Error::Corrupt("damaged".into())
}

#[test]
fn what_was_set_is_found_and_what_was_not_is_missed() {
    let mut layer = Fake::default().open();
    assert_eq!(layer.metrics().hit_rate, 0.0);
    set(&mut layer, "", 0);
    layer.set("empty".into(), Vec::new(), None, 0);
    assert_eq!(layer.get("", 1), Some(&b""[..]));
    assert_eq!(layer.get("empty", 1), Some(&b""[..]));
    assert_eq!(layer.get("missing", 1), None);
    let metrics = layer.metrics();
    assert_eq!((metrics.hits, metrics.misses), (2, 1));
    assert!((metrics.hit_rate - 2.0 / 3.0).abs() < 1e-9);
}

#[test]
fn an_entry_is_gone_at_its_deadline_and_not_before() {
    let mut layer = Fake::default().open_with(|options| options.default_ttl = Some(2 * SECOND));
    layer.set("own".into(), b"v".to_vec(), Some(SECOND), 0);
    set(&mut layer, "default", 0);
    layer.set("never".into(), b"v".to_vec(), Some(NEVER), 0);
    assert!(layer.get("own", SECOND - 1).is_some());
    assert!(!layer.contains("own", SECOND) && layer.get("own", SECOND).is_none());
    assert!(layer.get("default", 2 * SECOND - 1).is_some());
    assert!(layer.get("default", 2 * SECOND).is_none());
    assert!(layer.get("never", NEVER - 1).is_some());
    let metrics = layer.metrics();
    assert_eq!((metrics.expirations, metrics.evictions), (2, 0));
    assert_eq!(metrics.entries, 1);
}

#[test]
fn entries_that_have_expired_do_not_pile_up() {
    let mut layer = Fake::default().open();
    for n in 0..100_000 {
        layer.set(n.to_string(), Vec::new(), Some(10), n);
        assert!(layer.metrics().entries <= 40);
    }
    assert!(layer.metrics().expirations > 99_000);
}

#[test]
fn a_time_to_live_of_zero_removes_the_key() {
    let fake = Fake::default();
    let mut layer = fake.open();
    set(&mut layer, "key", 0);
    layer.flush(0).unwrap();
    layer.set("key".into(), b"new".to_vec(), Some(0), 1);
    assert_eq!(layer.get("key", 1), None);
    layer.flush(1).unwrap();
    assert!(fake.keys().is_empty());
}

#[test]
fn the_least_recently_used_is_evicted_and_removed_from_the_backend() {
    let fake = Fake::default();
    let mut layer = fake.open_with(|options| options.capacity = Some(2));
    set(&mut layer, "a", 0);
    set(&mut layer, "b", 0);
    layer.flush(0).unwrap();
    layer.get("a", 1);
    assert!(layer.contains("b", 1));
    set(&mut layer, "c", 1);
    assert!(layer.get("b", 1).is_none() && layer.get("a", 1).is_some());
    layer.flush(1).unwrap();
    assert_eq!(fake.keys(), ["a", "c"]);
    assert_eq!(layer.metrics().evictions, 1);
}

#[test]
fn keys_and_values_never_take_more_than_their_bytes() {
    let mut layer = Fake::default().open_with(|options| options.capacity_bytes = Some(10));
    for key in ["aaa", "bbb"] {
        layer.set(key.into(), b"1".to_vec(), None, 0);
    }
    layer.set("c".into(), b"123456".to_vec(), None, 0);
    assert_eq!(layer.metrics().bytes, 7);
    // An entry that is too large is not stored, and the old value goes too.
    layer.set("c".into(), b"1234567890".to_vec(), None, 0);
    assert!(!layer.contains("c", 0));
    assert_eq!(layer.metrics().entries, 0);
}

#[test]
fn a_capacity_of_zero_stores_nothing() {
    let fake = Fake::default();
    let mut layer = fake.open_with(|options| options.capacity = Some(0));
    set(&mut layer, "key", 0);
    assert_eq!(layer.get("key", 0), None);
    layer.flush(0).unwrap();
    assert!(fake.keys().is_empty());
}

#[test]
fn the_options_are_those_of_the_last_open() {
    let fake = Fake::default();
    let mut layer = fake.open();
    for key in ["a", "b", "c"] {
        set(&mut layer, key, 0);
    }
    layer.adopt(options(|options| options.capacity = Some(1)), 0);
    assert_eq!(layer.metrics().entries, 1);
    assert!(fake.keys().is_empty());
    layer.adopt(options(|options| options.flush_every = Some(1)), 0);
    assert_eq!(fake.keys(), ["c"]);
}

#[test]
fn what_the_backend_has_is_there_after_opening_as_far_as_there_is_room() {
    let fake = Fake::with("a", None);
    fake.state().lost = 3;
    let brief = (b"value".to_vec(), Some(SECOND));
    fake.state().stored.insert("b".into(), brief);
    let mut layer = fake.open();
    assert_eq!(layer.get("b", SECOND - 1), Some(&b"value"[..]));
    assert_eq!(layer.get("b", SECOND), None);
    let metrics = layer.metrics();
    assert_eq!((metrics.entries, metrics.unflushed), (1, 0));
    assert_eq!(metrics.lost, 3);
    let layer = fake.open_with(|options| options.capacity = Some(1));
    assert_eq!(layer.metrics().entries, 1);
}

#[test]
fn an_invalid_name_is_an_error() {
    let fake = Fake::default();
    let invalid = Error::InvalidName("rule".into());
    fake.state().fails = Some(invalid.clone());
    let opened = Layer::open(fake, "", UNLIMITED, 7, 0);
    assert_eq!(opened.err(), Some(invalid));
}

#[test]
fn changes_go_in_groups_of_as_many_keys_as_were_asked_for() {
    let fake = Fake::default();
    let mut layer = fake.open_with(|options| options.flush_every = Some(3));
    for key in ["a", "a", "b", "a"] {
        set(&mut layer, key, 0);
    }
    assert_eq!(layer.metrics().unflushed, 2);
    layer.delete("b", 0);
    assert!(fake.state().applied.is_empty());
    set(&mut layer, "c", 0);
    assert_eq!(fake.state().applied, [3]);
    assert_eq!(fake.keys(), ["a", "c"]);
    assert_eq!(layer.metrics().unflushed, 0);
    layer.flush(0).unwrap();
    assert_eq!(fake.state().applied, [3], "no change is left");
}

#[test]
fn every_change_lasts_at_once_where_each_is_a_group() {
    for every in [0, 1] {
        let fake = Fake::default();
        let mut layer = fake.open_with(|options| options.flush_every = Some(every));
        set(&mut layer, "a", 0);
        set(&mut layer, "b", 0);
        layer.delete("a", 0);
        assert_eq!(fake.state().applied, [1, 1, 1]);
        assert_eq!(fake.keys(), ["b"]);
    }
}

#[test]
fn the_first_call_after_the_time_is_up_flushes() {
    let fake = Fake::default();
    let mut layer = fake.open_with(|options| options.flush_after = Some(SECOND));
    set(&mut layer, "a", 5);
    set(&mut layer, "b", SECOND);
    layer.get("a", SECOND + 4);
    assert!(fake.keys().is_empty());
    layer.get("missing", SECOND + 5);
    assert_eq!(fake.keys(), ["a", "b"]);
}

#[test]
fn a_flush_stores_what_is_left_of_a_time_to_live() {
    let fake = Fake::default();
    let mut layer = fake.open();
    layer.set("a".into(), b"v".to_vec(), Some(3 * SECOND), 0);
    layer.set("b".into(), b"v".to_vec(), Some(SECOND), 0);
    layer.flush(2 * SECOND).unwrap();
    assert_eq!(fake.keys(), ["a"], "b has expired");
    assert_eq!(fake.state().stored["a"].1, Some(SECOND));
}

#[test]
fn very_many_changes_are_flushed_in_pieces() {
    let fake = Fake::default();
    let mut layer = fake.open();
    for n in 0..30 {
        layer.set(n.to_string(), vec![n; 1 << 20], None, 0);
    }
    layer.flush(0).unwrap();
    assert_eq!(fake.state().applied, [8, 8, 8, 6]);
    assert_eq!((fake.keys().len(), layer.metrics().unflushed), (30, 0));
}

#[test]
fn a_backend_that_fails_fails_no_get_and_no_set_and_is_told_later() {
    let fake = Fake::default();
    let mut layer = fake.open_with(|options| options.flush_every = Some(2));
    fake.state().fails = Some(down());
    for key in ["a", "b", "c"] {
        set(&mut layer, key, 0);
        assert!(layer.get(key, 0).is_some());
    }
    let metrics = layer.metrics();
    assert_eq!(metrics.unflushed, 3);
    assert_eq!(metrics.backend_error, Some(down()));
    assert_eq!(layer.flush(0), Err(down()));
    fake.state().fails = None;
    // The next try comes after as many changes as make a group. Their keys may be the same.
    set(&mut layer, "d", 0);
    assert!(fake.keys().is_empty());
    layer.set("d".into(), b"again".to_vec(), None, 0);
    assert_eq!(fake.keys(), ["a", "b", "c", "d"]);
    assert_eq!(fake.state().stored["d"].0, b"again");
    assert_eq!(layer.metrics().backend_error, None);
}

#[test]
fn a_backend_that_was_away_at_first_keeps_what_it_has() {
    let fake = Fake::with("old", None);
    fake.state().fails = Some(down());
    let mut layer = fake.open();
    fake.state().fails = None;
    set(&mut layer, "new", 0);
    layer.flush(0).unwrap();
    assert_eq!(fake.keys(), ["new", "old"]);
    // A deleted key does not come back, though it never was in memory.
    assert!(!layer.delete("old", 0));
    layer.flush(0).unwrap();
    assert_eq!(fake.keys(), ["new"]);
}

#[test]
fn a_cache_of_which_nothing_can_be_read_is_replaced() {
    let fake = Fake::with("old", None);
    fake.state().fails = Some(damaged());
    let mut layer = fake.open();
    assert_eq!(layer.metrics().backend_error, Some(damaged()));
    fake.state().fails = None;
    // Without a change, nothing is removed.
    layer.flush(0).unwrap();
    assert_eq!(fake.keys(), ["old"]);
    set(&mut layer, "new", 0);
    layer.flush(0).unwrap();
    assert_eq!(fake.keys(), ["new"]);
    assert_eq!(fake.state().cleared, 1);
}

#[test]
fn a_cache_that_is_damaged_while_it_is_open_is_replaced_by_the_entries_in_memory() {
    let fake = Fake::default();
    let mut layer = fake.open();
    set(&mut layer, "old", 0);
    layer.flush(0).unwrap();
    fake.state().fails = Some(damaged());
    set(&mut layer, "new", 0);
    assert_eq!(layer.flush(0), Err(damaged()));
    fake.state().stored.clear();
    fake.state().fails = None;
    layer.flush(0).unwrap();
    assert_eq!(fake.keys(), ["new", "old"]);
    assert_eq!(fake.state().cleared, 1);
}

#[test]
fn a_cache_of_a_newer_larder_is_left_alone() {
    let fake = Fake::default();
    fake.state().fails = Some(Error::UnsupportedVersion(9));
    let mut layer = fake.open();
    fake.state().fails = None;
    for n in 0..2 * MOST_KEYS {
        set(&mut layer, &n.to_string(), 0);
        layer.delete(&n.to_string(), 0);
    }
    set(&mut layer, "key", 0);
    assert!(layer.contains("key", 0));
    for _ in 0..2 {
        assert_eq!(layer.flush(0), Err(Error::UnsupportedVersion(9)));
    }
    assert_eq!(fake.state().applied, []);
    assert_eq!(fake.state().cleared, 0);
}

#[test]
fn clear_removes_everything_now_or_with_a_later_flush() {
    let fake = Fake::with("old", None);
    let mut layer = fake.open_with(|options| options.flush_after = Some(SECOND));
    set(&mut layer, "new", 0);
    fake.state().fails = Some(down());
    assert_eq!(layer.clear(0), Err(down()));
    assert!(!layer.contains("old", 0));
    assert_eq!(layer.metrics().unflushed, 0);
    fake.state().fails = None;
    layer.get("old", SECOND);
    assert_eq!((fake.keys().len(), fake.state().cleared), (0, 1));
    set(&mut layer, "new", SECOND);
    layer.flush(SECOND).unwrap();
    layer.clear(SECOND).unwrap();
    layer.flush(SECOND).unwrap();
    assert_eq!((fake.keys().len(), fake.state().cleared), (0, 2));
}

#[test]
fn keys_that_were_evicted_do_not_pile_up() {
    for fails in [None, Some(down())] {
        let fake = Fake::with("old", None);
        let mut layer = fake.open_with(|options| options.capacity = Some(10));
        fake.state().fails = fails;
        for n in 0..100_000 {
            set(&mut layer, &n.to_string(), 0);
            assert!(layer.changed.len() <= MOST_KEYS + 11);
        }
        for n in 0..1000 {
            set(&mut layer, &format!("{n:10000}"), 0);
            assert!(layer.changed.bytes() <= MOST_KEY_BYTES + 11 * 20_000);
        }
        fake.state().fails = None;
        layer.flush(0).unwrap();
        let keys: Vec<_> = (990..1000).map(|n| format!("{n:10000}")).collect();
        assert_eq!(fake.keys(), keys);
    }
}

#[test]
fn one_caller_makes_a_value_and_the_others_wait() {
    let mut layer = Fake::default().open();
    let claim = |layer: &mut Layer<_>, key, now| layer.get_or_claim(key, SECOND, now);
    assert_eq!(claim(&mut layer, "key", 0), Found::Claimed);
    assert_eq!(claim(&mut layer, "key", 1), Found::Wait(SECOND - 1));
    assert_eq!(claim(&mut layer, "other", 1), Found::Claimed);
    set(&mut layer, "key", 2);
    assert_eq!(claim(&mut layer, "key", 2), Found::Hit(b"key".into()));
    // A removed key has neither a value nor a claim.
    layer.delete("key", 3);
    assert_eq!(claim(&mut layer, "key", 3), Found::Claimed);
    // The claim ends with its lease.
    assert_eq!(claim(&mut layer, "key", 2 + SECOND), Found::Wait(1));
    assert_eq!(claim(&mut layer, "key", 3 + SECOND), Found::Claimed);
}

#[test]
fn those_who_wait_are_given_what_has_expired() {
    let mut layer = Fake::default().open();
    layer.set("key".into(), b"old".to_vec(), Some(1), 0);
    assert_eq!(layer.get_or_claim("key", 10, 1), Found::Claimed);
    assert_eq!(layer.get("key", 10), None, "get gives only live values");
    let stale = Found::Stale(b"old".into());
    assert_eq!(layer.get_or_claim("key", 10, 10), stale);
    // The expired entry goes with the claim.
    assert_eq!(layer.metrics().entries, 1);
    assert_eq!(layer.get("key", 11), None);
    let metrics = layer.metrics();
    assert_eq!((metrics.entries, metrics.expirations), (0, 1));
}

#[test]
fn pages_give_every_key_that_lives_once() {
    let mut layer = Fake::default().open();
    for n in 0..10 {
        set(&mut layer, &n.to_string(), 0);
    }
    layer.set("gone".into(), Vec::new(), Some(1), 0);
    for limit in [0, 1, 3, 10, 100] {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = layer.keys(after, limit, 5);
            assert!(page.keys.len() <= limit.max(1) as usize);
            keys.extend(page.keys);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        keys.sort();
        assert_eq!(keys.join(""), "0123456789");
    }
}
