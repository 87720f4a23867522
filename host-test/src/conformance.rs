//! What every backend promises, as cases that use nothing but the contract.
//!
//! Each case takes a [`Subject`] with empty storage. [`conformance!`](crate::conformance!) makes tests of them
//! all. Cases about an interface that the backend does not export say so and prove nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::{
    Batch, Change, Entry, Error, Instance, Interface, LiveEntry, Subject, batch, entry, put,
    remove, sorted,
};

/// Makes a test of every conformance case: `conformance!(Subject::disk());`. The expression is evaluated for
/// each of them and has to give a [`Subject`] with empty storage.
#[macro_export]
macro_rules! conformance {
    ($subject:expr) => {
        $crate::conformance! { $subject =>
            a_cache_that_was_never_saved_is_empty
            a_cache_saved_with_no_entries_is_empty
            save_then_load_gives_the_same_entries
            saved_entries_outlive_a_restart
            save_replaces_all_that_the_cache_held
            keys_and_values_come_back_exactly
            a_value_of_several_mebibytes_comes_back
            twenty_thousand_entries_come_back
            the_last_of_several_entries_with_one_key_counts
            a_last_entry_that_lives_for_no_time_removes_the_ones_before
            a_ttl_goes_on_running_across_a_restart
            a_ttl_goes_on_running_when_the_monotonic_clock_starts_again
            an_entry_is_dropped_when_its_ttl_has_run_out
            a_wall_clock_set_back_never_lengthens_a_ttl
            an_entry_with_a_ttl_of_zero_is_not_saved
            the_longest_ttl_does_not_overflow
            clear_removes_every_entry_for_good
            clear_of_an_empty_or_unknown_cache_does_nothing
            caches_do_not_touch_each_other
            names_that_break_the_rules_are_refused_by_every_function
            unusual_names_within_the_rules_work
            apply_puts_replaces_and_removes
            apply_creates_a_cache
            apply_of_no_changes_does_nothing
            apply_counts_the_last_change_to_a_key
            apply_with_a_ttl_of_zero_removes
            apply_leaves_other_entries_and_their_deadlines_alone
            hundreds_of_applies_add_up
            what_lists_save_readers_give_and_what_writers_save_lists_give
            the_last_entry_of_a_key_counts_however_many_batches_ago_the_others_were
            a_batch_whose_columns_do_not_fit_adds_nothing_and_the_writer_goes_on
            an_entry_larger_than_a_batch_is_given_whole
            a_writer_that_is_dropped_has_done_nothing
            a_writer_saves_when_it_is_committed
            a_writer_without_entries_empties_the_cache
            a_reader_gives_the_cache_as_it_was_when_it_was_opened
            a_reader_leaves_out_what_has_expired_by_the_call
            a_reader_that_gave_everything_gives_nothing_more
            a_reader_counts_at_least_what_it_gives
            readers_and_writers_of_one_instance_do_not_touch_each_other
            any_sequence_of_calls_gives_what_a_model_gives
            list_names_caches_that_hold_something_in_order
            stat_of_an_unknown_cache_is_all_zeros
            stat_counts_and_dates_what_is_stored
            the_version_goes_up_with_every_change
            verify_finds_no_damage_in_what_was_stored
        }
    };
    ($subject:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::$case(&$subject);
            }
        )*
    };
}

const SECOND: u64 = 1_000_000_000;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn live(key: impl Into<String>, value: impl Into<Vec<u8>>, expires_at: Option<u64>) -> LiveEntry {
    LiveEntry {
        key: key.into(),
        value: value.into(),
        expires_at,
    }
}

/// What a cache that is whole holds, in the order of its keys.
fn loaded(instance: &mut Instance, cache: &str) -> Vec<LiveEntry> {
    let contents = instance.load(cache).expect("the cache can be loaded");
    assert_eq!(contents.lost, 0, "nothing was damaged");
    let entries = sorted(contents.entries);
    for pair in entries.windows(2) {
        assert_ne!(pair[0].key, pair[1].key, "a key comes back once");
    }
    entries
}

/// Nothing stored: no entries, which is not an error.
pub fn a_cache_that_was_never_saved_is_empty(s: &Subject) {
    assert_eq!(loaded(&mut s.open(), "sessions"), []);
}

/// A cache may be saved empty, over nothing and over something.
pub fn a_cache_saved_with_no_entries_is_empty(s: &Subject) {
    let mut backend = s.open();
    backend.save("sessions", &[]).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), []);
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    backend.save("sessions", &[]).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), []);
    assert_eq!(loaded(&mut s.open(), "sessions"), []);
}

/// The three things that an entry is come back.
pub fn save_then_load_gives_the_same_entries(s: &Subject) {
    let mut backend = s.open();
    let now = s.clock().instant();
    let entries = [
        entry("user:1", "one", None),
        entry("user:2", "two", Some(90 * SECOND)),
    ];
    backend.save("sessions", &entries).unwrap();
    assert_eq!(
        loaded(&mut backend, "sessions"),
        [
            live("user:1", "one", None),
            live("user:2", "two", Some(now + 90 * SECOND)),
        ]
    );
}

/// Another instance, later, sees what the first one saved.
pub fn saved_entries_outlive_a_restart(s: &Subject) {
    let entries = [entry("a", "1", None), entry("b", "2", None)];
    s.open().save("sessions", &entries).unwrap();
    s.clock().advance(seconds(100 * 365 * 24 * 3600));
    assert_eq!(
        loaded(&mut s.open(), "sessions"),
        [live("a", "1", None), live("b", "2", None)]
    );
}

/// Entries that are not saved again are gone.
pub fn save_replaces_all_that_the_cache_held(s: &Subject) {
    let mut backend = s.open();
    let before = [entry("a", "1", None), entry("b", "2", None)];
    let after = [entry("b", "3", None), entry("c", "4", None)];
    backend.save("sessions", &before).unwrap();
    backend.save("sessions", &after).unwrap();
    let expected = [live("b", "3", None), live("c", "4", None)];
    assert_eq!(loaded(&mut backend, "sessions"), expected);
    assert_eq!(loaded(&mut s.open(), "sessions"), expected);
}

/// Any string is a key and any bytes are a value.
pub fn keys_and_values_come_back_exactly(s: &Subject) {
    let long = "k".repeat(100_000);
    let keys = [
        "",
        " ",
        ".",
        "..",
        "/etc/passwd",
        "../../etc/passwd",
        "C:\\Windows\\System32",
        "\0",
        "a\0b",
        "line\nline\r\n",
        "\u{7f}\u{85}\u{2028}\u{feff}",
        "schlüssel",
        "schlu\u{308}ssel",
        "鍵🔑",
        "{\"json\": [1]}",
        &long,
    ];
    let every_byte: Vec<u8> = (0..=255).collect();
    let values: [&[u8]; 5] = [b"", b"\0", b"\xff\xfe\xfd", &every_byte, &[0; 5000]];
    let mut entries = Vec::new();
    let mut expected = Vec::new();
    for (key, value) in keys.iter().zip(values.iter().cycle()) {
        entries.push(entry(*key, *value, None));
        expected.push(live(*key, *value, None));
    }
    s.open().save("sessions", &entries).unwrap();
    assert_eq!(loaded(&mut s.open(), "sessions"), sorted(expected));
}

/// A value may be larger than any buffer on the way.
pub fn a_value_of_several_mebibytes_comes_back(s: &Subject) {
    let value: Vec<u8> = (0..5 << 18)
        .flat_map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let entries = [
        entry("before", "1", None),
        entry("large", value.clone(), None),
        entry("later", "2", None),
    ];
    s.open().save("sessions", &entries).unwrap();
    let found = loaded(&mut s.open(), "sessions");
    // Not assert_eq: nobody wants to read a difference of that size.
    assert!(
        found
            == [
                live("before", "1", None),
                live("large", value, None),
                live("later", "2", None),
            ]
    );
}

/// Many entries, each of which is itself.
pub fn twenty_thousand_entries_come_back(s: &Subject) {
    let ttl = |n: u64| n.is_multiple_of(3).then_some((n + 1) * SECOND);
    let entries: Vec<Entry> = (0..20_000)
        .map(|n| entry(format!("key:{n:05}"), format!("value {n}"), ttl(n)))
        .collect();
    s.open().save("sessions", &entries).unwrap();
    let now = s.clock().instant();
    let expected: Vec<LiveEntry> = (0..20_000)
        .map(|n| {
            let deadline = ttl(n).map(|ttl| now + ttl);
            live(format!("key:{n:05}"), format!("value {n}"), deadline)
        })
        .collect();
    assert!(loaded(&mut s.open(), "sessions") == expected);
}

/// The last one wins, with all that it has.
pub fn the_last_of_several_entries_with_one_key_counts(s: &Subject) {
    let mut backend = s.open();
    let entries = [
        entry("a", "first", Some(SECOND)),
        entry("b", "other", None),
        entry("a", "second", None),
        entry("a", "third", Some(5 * SECOND)),
    ];
    backend.save("sessions", &entries).unwrap();
    let deadline = s.clock().instant() + 5 * SECOND;
    assert_eq!(
        loaded(&mut backend, "sessions"),
        [live("a", "third", Some(deadline)), live("b", "other", None)]
    );
}

/// A ttl of zero replaces what its key held, within one save too.
pub fn a_last_entry_that_lives_for_no_time_removes_the_ones_before(s: &Subject) {
    let mut backend = s.open();
    let entries = [
        entry("a", "first", None),
        entry("b", "other", None),
        entry("a", "second", Some(0)),
    ];
    backend.save("sessions", &entries).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), [live("b", "other", None)]);
}

/// What remains of a ttl is what was saved less the time since, to the nanosecond.
pub fn a_ttl_goes_on_running_across_a_restart(s: &Subject) {
    let ttl = 90 * SECOND + 7;
    let saved = s.clock().instant();
    s.open()
        .save("sessions", &[entry("a", "1", Some(ttl))])
        .unwrap();
    for _ in 0..3 {
        s.clock().advance(Duration::new(20, 1));
        assert_eq!(
            loaded(&mut s.open(), "sessions"),
            [live("a", "1", Some(saved + ttl))]
        );
    }
}

/// Deadlines are on the monotonic clock of the load, ttls run by the wall clock.
pub fn a_ttl_goes_on_running_when_the_monotonic_clock_starts_again(s: &Subject) {
    let entries = [entry("a", "1", Some(90 * SECOND))];
    s.open().save("sessions", &entries).unwrap();
    s.clock().advance(seconds(30));
    s.clock().reboot();
    assert_eq!(
        loaded(&mut s.open(), "sessions"),
        [live("a", "1", Some(60 * SECOND))]
    );
}

/// Gone at zero, there one nanosecond before.
pub fn an_entry_is_dropped_when_its_ttl_has_run_out(s: &Subject) {
    let mut backend = s.open();
    let entries = [
        entry("a", "1", Some(10)),
        entry("b", "2", Some(11)),
        entry("c", "3", None),
    ];
    backend.save("sessions", &entries).unwrap();
    s.clock().advance(Duration::from_nanos(10));
    let now = s.clock().instant();
    assert_eq!(
        loaded(&mut backend, "sessions"),
        [live("b", "2", Some(now + 1)), live("c", "3", None)]
    );
    s.clock().advance(seconds(1));
    assert_eq!(loaded(&mut backend, "sessions"), [live("c", "3", None)]);
    assert_eq!(loaded(&mut s.open(), "sessions"), [live("c", "3", None)]);
}

/// Time that the wall clock says has not passed yet counts as no time.
pub fn a_wall_clock_set_back_never_lengthens_a_ttl(s: &Subject) {
    let mut backend = s.open();
    let ttl = 100 * SECOND;
    backend
        .save("sessions", &[entry("a", "1", Some(ttl))])
        .unwrap();
    s.clock().set_back(seconds(24 * 3600));
    let now = s.clock().instant();
    let expected = [live("a", "1", Some(now + ttl))];
    assert_eq!(loaded(&mut backend, "sessions"), expected);
    assert_eq!(loaded(&mut s.open(), "sessions"), expected);
    if s.has(Interface::Updates) {
        // Changes around it do not lengthen it either, however the backend stores them.
        for n in 0..100 {
            s.clock().set_back(seconds(3600));
            let changes = [put(format!("other:{n}"), "2", None)];
            backend.apply("sessions", &changes).unwrap();
            let found = loaded(&mut backend, "sessions");
            let deadline = found[0].expires_at.expect("it has a ttl");
            assert_eq!(found[0].key, "a");
            assert!(deadline <= s.clock().instant() + ttl, "after {n} changes");
        }
    }
}

/// Not there at any time.
pub fn an_entry_with_a_ttl_of_zero_is_not_saved(s: &Subject) {
    let mut backend = s.open();
    let entries = [entry("a", "1", Some(0)), entry("b", "2", Some(1))];
    backend.save("sessions", &entries).unwrap();
    let now = s.clock().instant();
    let expected = [live("b", "2", Some(now + 1))];
    assert_eq!(loaded(&mut backend, "sessions"), expected);
    // Nor when the clock goes back to before it was saved.
    s.clock().set_back(seconds(10));
    assert_eq!(loaded(&mut backend, "sessions"), expected);
    if s.has(Interface::Inspect) {
        assert_eq!(backend.stat("sessions").unwrap().entries, 1);
    }
}

/// 584 years and more: the deadline is the last instant there is. In columns, that stands for none at all.
pub fn the_longest_ttl_does_not_overflow(s: &Subject) {
    let mut backend = s.open();
    let entries = [
        entry("a", "1", Some(u64::MAX)),
        entry("b", "2", Some(u64::MAX - 1)),
    ];
    backend.save("sessions", &entries).unwrap();
    let expires = |backend: &mut Instance, deadlines: [u64; 2]| {
        let found = loaded(backend, "sessions");
        let found = found.iter().map(|entry| entry.expires_at);
        let found: Vec<u64> = found.map(|at| at.unwrap_or(u64::MAX)).collect();
        let without_end = [u64::MAX, deadlines[1]];
        assert!(found == deadlines || found == without_end, "{found:?}");
    };
    expires(&mut backend, [u64::MAX; 2]);
    let passed = s.clock().instant() + 10 * SECOND;
    s.clock().advance(seconds(10));
    s.clock().reboot();
    let later = u64::MAX - 10 * SECOND;
    expires(&mut s.open(), [later, later - 1]);
    s.clock().advance(Duration::from_nanos(passed));
    expires(&mut s.open(), [later, later - 1]);
}

/// Nothing comes back: not at once, not after a restart, not with later changes.
pub fn clear_removes_every_entry_for_good(s: &Subject) {
    let mut backend = s.open();
    let entries = [entry("a", "1", None), entry("b", "2", Some(SECOND))];
    backend.save("sessions", &entries).unwrap();
    backend.clear("sessions").unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), []);
    assert_eq!(loaded(&mut s.open(), "sessions"), []);
    if s.has(Interface::Updates) {
        backend.apply("sessions", &[put("c", "3", None)]).unwrap();
        assert_eq!(loaded(&mut s.open(), "sessions"), [live("c", "3", None)]);
        backend.clear("sessions").unwrap();
    }
    backend.save("sessions", &[entry("d", "4", None)]).unwrap();
    assert_eq!(loaded(&mut s.open(), "sessions"), [live("d", "4", None)]);
}

/// Clearing is the same done twice, and no cache comes of it.
pub fn clear_of_an_empty_or_unknown_cache_does_nothing(s: &Subject) {
    let mut backend = s.open();
    backend.clear("unknown").unwrap();
    backend.clear("unknown").unwrap();
    assert_eq!(loaded(&mut backend, "unknown"), []);
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    backend.clear("sessions").unwrap();
    backend.clear("sessions").unwrap();
    assert_eq!(loaded(&mut s.open(), "sessions"), []);
    if s.has(Interface::Inspect) {
        assert_eq!(backend.list_caches().unwrap(), [""; 0]);
    }
}

/// What is done to one cache shows in no other, whatever their names have in common.
pub fn caches_do_not_touch_each_other(s: &Subject) {
    let mut backend = s.open();
    let names = ["a", "aa", "a.b", "a b", "b", "postcard", "ä"];
    for name in names {
        backend.save(name, &[entry("key", name, None)]).unwrap();
    }
    for name in names {
        assert_eq!(loaded(&mut backend, name), [live("key", name, None)]);
    }
    backend.clear("a").unwrap();
    backend.save("aa", &[]).unwrap();
    for name in &names[2..] {
        assert_eq!(loaded(&mut s.open(), name), [live("key", *name, None)]);
    }
}

/// Refused as `invalid-name`, which says what is wrong, and nothing is touched.
pub fn names_that_break_the_rules_are_refused_by_every_function(s: &Subject) {
    let names = [
        "".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        "/".to_owned(),
        "/etc".to_owned(),
        "../sessions".to_owned(),
        "a/b".to_owned(),
        "a/".to_owned(),
        "a\\b".to_owned(),
        "a\0b".to_owned(),
        "\0".to_owned(),
        "a\nb".to_owned(),
        "a\tb".to_owned(),
        "a\u{1f}b".to_owned(),
        "a\u{7f}b".to_owned(),
        "a\u{85}b".to_owned(),
        "a:b".to_owned(),
        "*".to_owned(),
        "a?".to_owned(),
        "a\"b".to_owned(),
        "a<b".to_owned(),
        "a>b".to_owned(),
        "a|b".to_owned(),
        ".hidden".to_owned(),
        " a".to_owned(),
        "a ".to_owned(),
        "a.".to_owned(),
        "...".to_owned(),
        " ".to_owned(),
        "x.postcard".to_owned(),
        ".postcard".to_owned(),
        "n".repeat(201),
        "n".repeat(300),
        "é".repeat(100) + "n",
        "🔑".repeat(300),
    ];
    let mut backend = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    for name in &names {
        let refused = |function: &str, outcome: Result<(), Error>| match outcome {
            Err(Error::InvalidName(reason)) => {
                assert!(!reason.is_empty(), "{function} of {name:?} says why");
            }
            other => panic!("{function} of {name:?}: {other:?}"),
        };
        refused("load", backend.load(name).map(drop));
        refused("save", backend.save(name, &[entry("b", "2", None)]));
        refused("save of nothing", backend.save(name, &[]));
        refused("clear", backend.clear(name));
        if s.has(Interface::Bulk) {
            refused("open-reader", backend.open_reader(name).map(drop));
            refused("open-writer", backend.open_writer(name).map(drop));
        }
        if s.has(Interface::Updates) {
            refused("apply", backend.apply(name, &[put("b", "2", None)]));
            refused("apply of nothing", backend.apply(name, &[]));
        }
        if s.has(Interface::Inspect) {
            refused("stat", backend.stat(name).map(drop));
            refused("verify", backend.verify(name).map(drop));
        }
    }
    assert_eq!(loaded(&mut backend, "sessions"), [live("a", "1", None)]);
    if s.has(Interface::Inspect) {
        assert_eq!(backend.list_caches().unwrap(), ["sessions"]);
    }
}

/// The rules forbid no more than they say.
pub fn unusual_names_within_the_rules_work(s: &Subject) {
    let mut names = [
        "n".repeat(200),
        "é".repeat(100),
        "a".to_owned(),
        "0".to_owned(),
        "-".to_owned(),
        "-rf".to_owned(),
        "~".to_owned(),
        "$HOME".to_owned(),
        "a.b-c_d".to_owned(),
        "a..b".to_owned(),
        "a b  c".to_owned(),
        "it's; `this` & (that)".to_owned(),
        "#%!@+=,[]{}^".to_owned(),
        "postcard".to_owned(),
        "a.postcard.b".to_owned(),
        "00000000000000000001.larder".to_owned(),
        "0123456789abcdef.tmp".to_owned(),
        "lost+found".to_owned(),
        "キャッシュ🔑".to_owned(),
    ];
    names.sort();
    let mut backend = s.open();
    for name in &names {
        let entries = [entry("key", name.as_str(), None)];
        backend.save(name, &entries).unwrap();
    }
    let mut restarted = s.open();
    for name in &names {
        let expected = [live("key", name.as_str(), None)];
        assert_eq!(loaded(&mut restarted, name), expected, "cache {name:?}");
    }
    if s.has(Interface::Inspect) {
        assert_eq!(restarted.list_caches().unwrap(), names);
    }
    for name in &names {
        backend.clear(name).unwrap();
        assert_eq!(loaded(&mut restarted, name), [], "cache {name:?}");
    }
}

/// The three things that a change can do.
pub fn apply_puts_replaces_and_removes(s: &Subject) {
    if !s.has(Interface::Updates) {
        return;
    }
    let mut backend = s.open();
    let entries = [
        entry("kept", "1", None),
        entry("replaced", "2", None),
        entry("removed", "3", None),
    ];
    backend.save("sessions", &entries).unwrap();
    let changes = [
        put("new", "4", Some(SECOND)),
        put("replaced", "5", None),
        remove("removed"),
        remove("was never there"),
    ];
    backend.apply("sessions", &changes).unwrap();
    let deadline = s.clock().instant() + SECOND;
    let expected = [
        live("kept", "1", None),
        live("new", "4", Some(deadline)),
        live("replaced", "5", None),
    ];
    assert_eq!(loaded(&mut backend, "sessions"), expected);
    assert_eq!(loaded(&mut s.open(), "sessions"), expected);
}

/// A cache that does not exist, or was cleared, is created.
pub fn apply_creates_a_cache(s: &Subject) {
    if !s.has(Interface::Updates) {
        return;
    }
    let mut backend = s.open();
    for _ in 0..2 {
        let changes = [remove("b"), put("a", "1", None)];
        backend.apply("sessions", &changes).unwrap();
        assert_eq!(loaded(&mut s.open(), "sessions"), [live("a", "1", None)]);
        backend.clear("sessions").unwrap();
    }
}

/// No changes: nothing is done, and nothing is created.
pub fn apply_of_no_changes_does_nothing(s: &Subject) {
    if !s.has(Interface::Updates) {
        return;
    }
    let mut backend = s.open();
    backend.apply("unknown", &[]).unwrap();
    assert_eq!(loaded(&mut backend, "unknown"), []);
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    let stat = s
        .has(Interface::Inspect)
        .then(|| backend.stat("sessions").unwrap());
    s.clock().advance(seconds(1));
    backend.apply("sessions", &[]).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), [live("a", "1", None)]);
    if let Some(stat) = stat {
        assert_eq!(backend.stat("sessions").unwrap(), stat);
        assert_eq!(backend.list_caches().unwrap(), ["sessions"]);
    }
}

/// Changes are made in their order.
pub fn apply_counts_the_last_change_to_a_key(s: &Subject) {
    if !s.has(Interface::Updates) {
        return;
    }
    let mut backend = s.open();
    backend
        .save("sessions", &[entry("a", "0", None), entry("b", "0", None)])
        .unwrap();
    let changes = [
        put("a", "1", None),
        put("b", "1", None),
        put("c", "1", None),
        remove("a"),
        put("a", "2", None),
        put("b", "2", Some(SECOND)),
        remove("b"),
        put("c", "2", None),
        put("c", "3", Some(0)),
    ];
    backend.apply("sessions", &changes).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), [live("a", "2", None)]);
}

/// Putting what lives for no time is removing.
pub fn apply_with_a_ttl_of_zero_removes(s: &Subject) {
    if !s.has(Interface::Updates) {
        return;
    }
    let mut backend = s.open();
    backend
        .save("sessions", &[entry("a", "1", None), entry("b", "2", None)])
        .unwrap();
    backend
        .apply(
            "sessions",
            &[put("a", "3", Some(0)), put("c", "4", Some(0))],
        )
        .unwrap();
    assert_eq!(loaded(&mut s.open(), "sessions"), [live("b", "2", None)]);
}

/// Each entry lives from the call that stored it.
pub fn apply_leaves_other_entries_and_their_deadlines_alone(s: &Subject) {
    if !s.has(Interface::Updates) {
        return;
    }
    let start = s.clock().instant();
    let ttl = 100 * SECOND;
    s.open()
        .save(
            "sessions",
            &[entry("a", "1", Some(ttl)), entry("b", "2", Some(ttl))],
        )
        .unwrap();
    s.clock().advance(seconds(30));
    s.open()
        .apply("sessions", &[put("c", "3", Some(ttl))])
        .unwrap();
    s.clock().advance(seconds(30));
    s.open()
        .apply("sessions", &[put("b", "4", Some(ttl))])
        .unwrap();
    s.clock().advance(seconds(30));
    let expected = [
        live("a", "1", Some(start + ttl)),
        live("b", "4", Some(start + 60 * SECOND + ttl)),
        live("c", "3", Some(start + 30 * SECOND + ttl)),
    ];
    assert_eq!(loaded(&mut s.open(), "sessions"), expected);
    s.clock().advance(seconds(10));
    assert_eq!(loaded(&mut s.open(), "sessions"), expected[1..]);
}

/// However a backend keeps its changes, they add up, also when it puts them together.
pub fn hundreds_of_applies_add_up(s: &Subject) {
    if !s.has(Interface::Updates) {
        return;
    }
    let mut backend = s.open();
    let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for n in 0..100 {
        model.insert(format!("first:{n}"), vec![n; 100]);
    }
    let entries: Vec<Entry> = model
        .iter()
        .map(|(key, value)| entry(key, value.clone(), None))
        .collect();
    backend.save("sessions", &entries).unwrap();
    for n in 0..600_u32 {
        let changed = format!("key:{}", n % 37);
        let removed = format!("first:{}", n % 101);
        let value = n.to_string().repeat(1 + n as usize % 50).into_bytes();
        let changes = [put(&changed, value.clone(), None), remove(&removed)];
        backend.apply("sessions", &changes).unwrap();
        model.insert(changed, value);
        model.remove(&removed);
        if n % 20 == 7 {
            backend = s.open();
        }
        if n % 50 == 0 || n > 590 {
            let expected: Vec<LiveEntry> = model
                .iter()
                .map(|(key, value)| live(key, value.clone(), None))
                .collect();
            assert_eq!(loaded(&mut backend, "sessions"), expected, "apply {n}");
        }
    }
}

/// The length of a value, and its ttl.
type Value = (u16, Option<u64>);

/// A call, or something that happens between calls.
#[derive(Clone, Debug)]
enum Step {
    Save(Vec<(u8, Value)>),
    /// Puts where there is a value, and removes where there is none.
    Apply(Vec<(u8, Option<Value>)>),
    Clear,
    Advance(u64),
    Restart,
    Reboot,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few keys, so that they meet; ttls and times of the same size, so that some run out.
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

/// So many entries, some of which have a ttl; in the order of their keys.
fn numbered(count: u64) -> Vec<Entry> {
    let ttl = |n: u64| n.is_multiple_of(3).then_some((n + 1) * SECOND);
    (0..count)
        .map(|n| entry(format!("key:{n:05}"), format!("value {n}"), ttl(n)))
        .collect()
}

/// What entries are when they are loaded, where they were saved at this instant.
fn lived(entries: &[Entry], saved: u64) -> Vec<LiveEntry> {
    let live_entry = |entry: &Entry| {
        let deadline = entry.ttl.map(|ttl| saved + ttl);
        live(entry.key.clone(), entry.value.clone(), deadline)
    };
    sorted(entries.iter().map(live_entry).collect())
}

/// What a reader gives of a cache that is whole, in the order of its keys.
fn read(instance: &mut Instance, cache: &str) -> Vec<LiveEntry> {
    let contents = instance.load_in_batches(cache).expect("it can be read");
    assert_eq!(contents.lost, 0, "nothing was damaged");
    sorted(contents.entries)
}

/// They are two ways to the same.
pub fn what_lists_save_readers_give_and_what_writers_save_lists_give(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    let entries = numbered(5_000);
    let expected = lived(&entries, s.clock().instant());
    backend.save("by list", &entries).unwrap();
    let batches: Vec<Vec<Entry>> = entries.chunks(700).map(<[Entry]>::to_vec).collect();
    backend.save_in_batches("in batches", &batches).unwrap();
    for instance in [&mut backend, &mut s.open()] {
        for cache in ["by list", "in batches"] {
            assert!(loaded(instance, cache) == expected, "{cache}");
            assert!(read(instance, cache) == expected, "{cache}");
        }
        assert_eq!(read(instance, "never saved"), []);
    }
}

/// In one batch, in the next, and far away; with all that it has.
pub fn the_last_entry_of_a_key_counts_however_many_batches_ago_the_others_were(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    let first = vec![
        entry("twice", "first", None),
        entry("far", "first", Some(SECOND)),
        entry("gone", "first", None),
        entry("back", "first", Some(0)),
        entry("twice", "second", Some(9 * SECOND)),
    ];
    let between: Vec<Entry> = (0..20_000)
        .map(|n| entry(format!("key:{n}"), vec![7; 100], None))
        .collect();
    let last = vec![
        entry("back", "last", None),
        entry("gone", "", Some(0)),
        entry("far", "last", Some(5 * SECOND)),
    ];
    let mut batches = vec![first];
    batches.extend(between.chunks(999).map(<[Entry]>::to_vec));
    batches.push(last);
    let now = s.clock().instant();
    backend.save_in_batches("sessions", &batches).unwrap();
    let mut expected = lived(&between, now);
    expected.extend([
        live("back", "last", None),
        live("far", "last", Some(now + 5 * SECOND)),
        live("twice", "second", Some(now + 9 * SECOND)),
    ]);
    let expected = sorted(expected);
    assert!(read(&mut backend, "sessions") == expected);
    assert!(loaded(&mut s.open(), "sessions") == expected);
    if s.has(Interface::Inspect) {
        let stat = backend.stat("sessions").unwrap();
        assert_eq!(stat.entries, expected.len() as u64);
    }
}

/// Refused as `invalid-argument`, which says what is wrong.
pub fn a_batch_whose_columns_do_not_fit_adds_nothing_and_the_writer_goes_on(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let good = || batch(&[entry("é", "1", None), entry("", "", Some(SECOND))]);
    type Spoil = fn(&mut Batch);
    let spoiled: [(&str, Spoil); 14] = [
        ("a key length too few", |batch| {
            batch.key_lengths.pop();
        }),
        ("a key length too many", |batch| batch.key_lengths.push(0)),
        ("a value length too few", |batch| {
            batch.value_lengths.pop();
        }),
        ("a value length too many", |batch| {
            batch.value_lengths.push(0)
        }),
        ("a ttl too few", |batch| {
            batch.ttls.pop();
        }),
        ("a ttl too many", |batch| batch.ttls.push(1)),
        ("bytes of keys too many", |batch| batch.keys.push('x')),
        ("bytes of keys too few", |batch| batch.keys.clear()),
        ("bytes of values too many", |batch| batch.values.push(0)),
        ("bytes of values too few", |batch| batch.values.clear()),
        ("an end within a character", |batch| {
            batch.key_lengths = vec![1, 1];
        }),
        ("key lengths that overflow", |batch| {
            batch.key_lengths = vec![u32::MAX, 3];
        }),
        ("value lengths that overflow", |batch| {
            batch.value_lengths = vec![u32::MAX, 2];
        }),
        ("no entries, and bytes of one", |batch| {
            batch.key_lengths.clear();
            batch.value_lengths.clear();
            batch.ttls.clear();
        }),
    ];
    let mut backend = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    let writer = backend.open_writer("sessions").unwrap();
    backend.append(&writer, &good()).unwrap();
    for (what, spoil) in spoiled {
        let mut batch = good();
        batch.keys = batch.keys.replace('é', "ü");
        spoil(&mut batch);
        match backend.append(&writer, &batch) {
            Err(Error::InvalidArgument(why)) => assert!(!why.is_empty(), "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    let more = [entry("b", "2", None)];
    backend.append(&writer, &batch(&more)).unwrap();
    backend.append(&writer, &batch(&[])).unwrap();
    let deadline = s.clock().instant() + SECOND;
    backend.commit(writer).unwrap();
    let expected = [
        live("", "", Some(deadline)),
        live("b", "2", None),
        live("é", "1", None),
    ];
    assert_eq!(read(&mut backend, "sessions"), expected);
    assert_eq!(loaded(&mut backend, "sessions"), expected);
}

/// Wherever it is among small ones.
pub fn an_entry_larger_than_a_batch_is_given_whole(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    let large = |n: u32| {
        let value = (0..5 << 18).flat_map(|at: u32| at.wrapping_mul(n).to_le_bytes());
        entry(format!("large {n}"), value.collect::<Vec<u8>>(), None)
    };
    let long = entry("k".repeat(1 << 20), "of a long key", None);
    let mut entries = vec![large(2_654_435_761), long];
    entries.extend(numbered(3_000));
    entries.push(large(2_246_822_519));
    entries.extend([entry("z", "after all", None)]);
    let expected = lived(&entries, s.clock().instant());
    let batches = [entries[..1_000].to_vec(), entries[1_000..].to_vec()];
    backend.save_in_batches("sessions", &batches).unwrap();
    assert!(read(&mut backend, "sessions") == expected);
    assert!(loaded(&mut s.open(), "sessions") == expected);
}

/// Not even where there was no cache.
pub fn a_writer_that_is_dropped_has_done_nothing(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    for count in [0, 1, 20_000] {
        for cache in ["sessions", "other"] {
            let writer = backend.open_writer(cache).unwrap();
            backend.append(&writer, &batch(&numbered(count))).unwrap();
            backend.close_writer(writer);
        }
        assert_eq!(loaded(&mut backend, "sessions"), [live("a", "1", None)]);
        assert_eq!(loaded(&mut backend, "other"), []);
        if s.has(Interface::Inspect) {
            assert_eq!(backend.list_caches().unwrap(), ["sessions"]);
            assert_eq!(backend.stat("sessions").unwrap().entries, 1);
            assert_eq!(backend.verify("sessions").unwrap().damage, []);
        }
    }
}

/// Not before, and upon whatever came meanwhile. From then on, its ttls run.
pub fn a_writer_saves_when_it_is_committed(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    let mut other = s.open();
    backend.save("sessions", &[entry("a", "1", None)]).unwrap();
    let first = backend.open_writer("sessions").unwrap();
    let second = other.open_writer("sessions").unwrap();
    let third = backend.open_writer("sessions").unwrap();
    let one = |n: &str| batch(&[entry("b", n, Some(10 * SECOND))]);
    backend.append(&first, &one("first")).unwrap();
    other.append(&second, &one("second")).unwrap();
    backend.append(&third, &one("third")).unwrap();
    s.clock().advance(seconds(60));
    other.save("sessions", &[entry("c", "3", None)]).unwrap();
    assert_eq!(loaded(&mut backend, "sessions"), [live("c", "3", None)]);
    for (n, writer) in [("third", third), ("first", first)] {
        let deadline = s.clock().instant() + 10 * SECOND;
        backend.commit(writer).unwrap();
        s.clock().advance(seconds(1));
        assert_eq!(
            loaded(&mut other, "sessions"),
            [live("b", n, Some(deadline))]
        );
    }
    backend.clear("sessions").unwrap();
    let deadline = s.clock().instant() + 10 * SECOND;
    other.commit(second).unwrap();
    assert_eq!(
        loaded(&mut backend, "sessions"),
        [live("b", "second", Some(deadline))]
    );
}

/// As a save of no entries does; also where all that it got lives for no time.
pub fn a_writer_without_entries_empties_the_cache(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    let no_time = vec![entry("b", "2", Some(0)), entry("a", "3", Some(0))];
    for batches in [vec![], vec![vec![], vec![]], vec![no_time.clone(), no_time]] {
        for saved in [vec![entry("a", "1", None)], vec![]] {
            backend.save("sessions", &saved).unwrap();
            backend.save_in_batches("sessions", &batches).unwrap();
            assert_eq!(read(&mut backend, "sessions"), []);
            assert_eq!(loaded(&mut s.open(), "sessions"), []);
            if s.has(Interface::Inspect) {
                assert_eq!(backend.stat("sessions").unwrap().entries, 0);
                assert_eq!(backend.list_caches().unwrap(), [""; 0]);
            }
        }
    }
}

/// Whatever was done to the cache since, by whom, and how much of it was given already.
pub fn a_reader_gives_the_cache_as_it_was_when_it_was_opened(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    let entries: Vec<Entry> = (0..3_000)
        .map(|n| entry(format!("key:{n:05}"), vec![n as u8; 500], None))
        .collect();
    type Change = fn(&mut Instance, &Subject);
    let changes: [Change; 5] = [
        |backend, _| backend.save("sessions", &[entry("a", "1", None)]).unwrap(),
        |backend, _| {
            let batches = [vec![entry("b", "2", None)]];
            backend.save_in_batches("sessions", &batches).unwrap();
        },
        |backend, _| backend.clear("sessions").unwrap(),
        |backend, s| {
            if s.has(Interface::Updates) {
                for n in 0..100 {
                    let changes = [remove(format!("key:{n:05}")), put("key:02999", "3", None)];
                    backend.apply("sessions", &changes).unwrap();
                }
            }
        },
        |backend, _| {
            backend.clear("sessions").unwrap();
            for n in 0..20 {
                let saved = [entry(format!("{n}"), "4", None)];
                backend.save("sessions", &saved).unwrap();
            }
        },
    ];
    for change in changes {
        for by_another in [false, true] {
            backend.save("sessions", &entries).unwrap();
            if s.has(Interface::Updates) {
                let changes = [remove("key:00001"), put("key:00002", "new", None)];
                backend.apply("sessions", &changes).unwrap();
            }
            let expected = loaded(&mut backend, "sessions");
            let untouched = backend.open_reader("sessions").unwrap();
            let begun = backend.open_reader("sessions").unwrap();
            let first = backend.next(&begun).unwrap().expect("there are entries");
            match by_another {
                true => change(&mut s.open(), s),
                false => change(&mut backend, s),
            }
            let mut given = crate::entries(first);
            given.extend(backend.rest(&begun).unwrap().entries);
            assert!(sorted(given) == expected);
            let given = backend.rest(&untouched).unwrap();
            assert!(given.lost == 0 && sorted(given.entries) == expected);
            backend.close_reader(begun);
            backend.close_reader(untouched);
        }
    }
}

/// Of each call, not of the opening; and deadlines are instants of the clock.
pub fn a_reader_leaves_out_what_has_expired_by_the_call(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    let entries: Vec<Entry> = (0..3_000)
        .map(|n| {
            entry(
                format!("key:{n:05}"),
                vec![7; 500],
                Some((1 + n % 2) * SECOND),
            )
        })
        .collect();
    let now = s.clock().instant();
    backend.save("sessions", &entries).unwrap();
    let reader = backend.open_reader("sessions").unwrap();
    let first = backend.next(&reader).unwrap().expect("there are entries");
    let first = crate::entries(first);
    assert!(first.len() < entries.len(), "a batch is not the whole");
    let deadlines: BTreeSet<_> = first.iter().map(|entry| entry.expires_at).collect();
    let expected = [Some(now + SECOND), Some(now + 2 * SECOND)];
    assert_eq!(deadlines, BTreeSet::from(expected));
    s.clock().advance(seconds(1));
    let second = backend.next(&reader).unwrap().expect("there are more");
    let deadlines = crate::entries(second);
    let deadlines = deadlines.iter().map(|entry| entry.expires_at);
    assert_eq!(
        BTreeSet::from_iter(deadlines),
        BTreeSet::from([expected[1]])
    );
    s.clock().advance(seconds(1));
    assert_eq!(backend.next(&reader).unwrap(), None);
    assert_eq!(backend.lost(&reader), 0, "what expired is not lost");
    let count = backend.count(&reader);
    assert!(count >= entries.len() as u64, "it counts what expired");
}

/// However often it is asked.
pub fn a_reader_that_gave_everything_gives_nothing_more(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    for saved in [vec![], vec![entry("a", "1", None)]] {
        backend.save("sessions", &saved).unwrap();
        let reader = backend.open_reader("sessions").unwrap();
        let given = backend.rest(&reader).unwrap();
        assert_eq!(given.entries.len(), saved.len());
        backend.save("sessions", &[entry("b", "2", None)]).unwrap();
        for _ in 0..3 {
            assert_eq!(backend.next(&reader).unwrap(), None);
            assert_eq!(backend.lost(&reader), 0);
        }
        backend.close_reader(reader);
    }
}

/// From the beginning, and the same all the time.
pub fn a_reader_counts_at_least_what_it_gives(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    let mut expect = |given: usize, at_most: u64| {
        let reader = backend.open_reader("sessions").unwrap();
        let count = backend.count(&reader);
        let contents = backend.rest(&reader).unwrap();
        assert_eq!(contents.entries.len(), given);
        assert!(count >= given as u64 && count <= at_most, "{count}");
        assert_eq!(backend.count(&reader), count);
        backend.close_reader(reader);
    };
    expect(0, 0);
    s.open().save("sessions", &numbered(2_000)).unwrap();
    expect(2_000, 2_000);
    s.clock().advance(seconds(3_000));
    expect(1_333, 2_000);
    if s.has(Interface::Updates) {
        let changes = [remove("key:00001"), put("key:00002", "new", None)];
        s.open().apply("sessions", &changes).unwrap();
        expect(1_332, 2_001);
    }
    s.open().save("sessions", &[]).unwrap();
    expect(0, 0);
}

/// Many at once, of many caches and of one; a cache is copied while it is replaced.
pub fn readers_and_writers_of_one_instance_do_not_touch_each_other(s: &Subject) {
    if !s.has(Interface::Bulk) {
        return;
    }
    let mut backend = s.open();
    let entries = |cache: usize| -> Vec<Entry> {
        (0..2_000)
            .map(|n| entry(format!("key:{n:05}"), format!("{cache}").repeat(150), None))
            .collect()
    };
    let names = ["a", "b", "c"];
    for (cache, name) in names.iter().enumerate() {
        backend.save(name, &entries(cache)).unwrap();
    }
    // Every cache is read twice, and copied to the next one.
    let mut copies: Vec<_> = (0..6)
        .map(|n| {
            let reader = backend.open_reader(names[n % 3]).unwrap();
            let writer = backend.open_writer(names[(n + 1) % 3]).unwrap();
            (n, reader, writer)
        })
        .collect();
    while !copies.is_empty() {
        let mut going_on = Vec::new();
        for (n, reader, writer) in copies {
            match backend.next(&reader).unwrap() {
                Some(given) => {
                    let given = crate::entries(given).into_iter();
                    let given = given.map(|given| entry(given.key, given.value, None));
                    let given: Vec<Entry> = given.collect();
                    backend.append(&writer, &batch(&given)).unwrap();
                    going_on.push((n, reader, writer));
                }
                None => {
                    backend.close_reader(reader);
                    backend.commit(writer).unwrap();
                }
            }
        }
        copies = going_on;
    }
    let now = s.clock().instant();
    for (cache, name) in names.iter().enumerate() {
        let expected = lived(&entries((cache + 2) % 3), now);
        assert!(read(&mut backend, name) == expected, "{name}");
        assert!(loaded(&mut s.open(), name) == expected, "{name}");
    }
}

/// Random calls, compared with a map after each of them.
pub fn any_sequence_of_calls_gives_what_a_model_gives(s: &Subject) {
    if !s.has(Interface::Updates) {
        return;
    }
    let config = Config {
        cases: 32,
        failure_persistence: None,
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

fn follow(s: &Subject, cache: &str, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut backend = s.open();
    // The value, and when it expires by the wall clock.
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
            Step::Restart => backend = s.open(),
            Step::Reboot => s.clock().reboot(),
        }
        let now = s.clock().wall().as_nanos();
        let instant = u128::from(s.clock().instant());
        let expected = model
            .iter()
            .filter(|(_, (_, expires))| expires.is_none_or(|expires| expires > now))
            .map(|(key, (value, expires))| {
                let deadline = expires.map(|expires| (expires - now + instant) as u64);
                live(key, value.clone(), deadline)
            })
            .collect();
        prop_assert_eq!(
            loaded(&mut backend, cache),
            sorted(expected),
            "after step {}",
            n
        );
    }
    Ok(())
}

/// Sorted by name, with caches that have expired, without cleared and emptied ones.
pub fn list_names_caches_that_hold_something_in_order(s: &Subject) {
    if !s.has(Interface::Inspect) {
        return;
    }
    let mut backend = s.open();
    assert_eq!(backend.list_caches().unwrap(), [""; 0]);
    for name in ["zebra", "a", "b", "ä", "Z", "10", "9", "cleared", "emptied"] {
        backend.save(name, &[entry("key", "1", None)]).unwrap();
    }
    let entries = [entry("key", "1", Some(1))];
    backend.save("expired", &entries).unwrap();
    s.clock().advance(seconds(1));
    backend.clear("cleared").unwrap();
    backend.save("emptied", &[]).unwrap();
    backend.save("never filled", &[]).unwrap();
    backend
        .save("no time", &[entry("key", "1", Some(0))])
        .unwrap();
    if s.has(Interface::Updates) {
        backend.apply("applied", &[put("key", "1", None)]).unwrap();
        backend.apply("removed", &[put("key", "1", None)]).unwrap();
        backend.apply("removed", &[remove("key")]).unwrap();
    } else {
        backend.save("applied", &[entry("key", "1", None)]).unwrap();
    }
    let expected = ["10", "9", "Z", "a", "applied", "b", "expired", "zebra", "ä"];
    assert_eq!(backend.list_caches().unwrap(), expected);
    assert_eq!(s.open().list_caches().unwrap(), expected);
}

/// Nothing stored is not an error, and no cache comes of asking.
pub fn stat_of_an_unknown_cache_is_all_zeros(s: &Subject) {
    if !s.has(Interface::Inspect) {
        return;
    }
    let mut backend = s.open();
    let stat = backend.stat("unknown").unwrap();
    assert_eq!(
        (stat.entries, stat.bytes, stat.files, stat.version),
        (0, 0, 0, 0)
    );
    assert_eq!(stat.saved_at, None);
    let report = backend.verify("unknown").unwrap();
    assert_eq!((report.files, report.blocks, report.bytes), (0, 0, 0));
    assert_eq!(report.damage, []);
    assert_eq!(backend.list_caches().unwrap(), [""; 0]);
}

/// Expired entries count until they are replaced.
pub fn stat_counts_and_dates_what_is_stored(s: &Subject) {
    if !s.has(Interface::Inspect) {
        return;
    }
    let mut backend = s.open();
    let dated = |backend: &mut Instance, entries: u64| {
        let now = s.clock().wall();
        s.clock().advance(seconds(60));
        let stat = backend.stat("sessions").unwrap();
        assert_eq!(stat.entries, entries);
        if entries > 0 {
            assert!(stat.bytes > 0 && stat.files > 0, "{stat:?}");
        }
        if let Some(saved_at) = stat.saved_at {
            let saved_at = Duration::new(saved_at.seconds, saved_at.nanoseconds);
            assert_eq!(saved_at, now, "the time of the last change");
        }
    };
    let entries = [
        entry("a", "1", None),
        entry("b", "2", Some(SECOND)),
        entry("a", "3", None),
    ];
    backend.save("sessions", &entries).unwrap();
    dated(&mut backend, 2);
    if s.has(Interface::Updates) {
        let changes = [put("c", "4", None), put("a", "5", None)];
        backend.apply("sessions", &changes).unwrap();
        dated(&mut backend, 3);
        backend.apply("sessions", &[remove("a")]).unwrap();
        dated(&mut backend, 2);
    }
    backend.save("sessions", &[entry("d", "6", None)]).unwrap();
    dated(&mut backend, 1);
    backend.save("sessions", &[]).unwrap();
    dated(&mut backend, 0);
}

/// Also from one instance to the next, and through a clear.
pub fn the_version_goes_up_with_every_change(s: &Subject) {
    if !s.has(Interface::Inspect) {
        return;
    }
    let mut version = 0;
    let mut gone_up = |what: &str| {
        let stat = s.open().stat("sessions").unwrap();
        assert!(
            stat.version > version,
            "{what}: {} from {version}",
            stat.version
        );
        version = stat.version;
    };
    for n in 0..40 {
        let key = format!("key:{n}");
        s.open()
            .save("sessions", &[entry(&key, "1", None)])
            .unwrap();
        gone_up("save");
        if s.has(Interface::Updates) {
            s.open().apply("sessions", &[put(&key, "2", None)]).unwrap();
            gone_up("apply");
        }
        if n % 10 == 9 {
            s.open().clear("sessions").unwrap();
        }
    }
}

/// Whatever way it came there.
pub fn verify_finds_no_damage_in_what_was_stored(s: &Subject) {
    if !s.has(Interface::Inspect) {
        return;
    }
    let mut backend = s.open();
    let entries: Vec<Entry> = (0..500)
        .map(|n| entry(format!("key:{n}"), vec![7; n * 10], None))
        .collect();
    let whole = |backend: &mut Instance, what: &str| {
        let report = backend.verify("sessions").unwrap();
        assert_eq!(report.damage, [], "{what}");
        let stat = backend.stat("sessions").unwrap();
        assert_eq!(report.files, stat.files, "{what}");
        report
    };
    backend.save("sessions", &entries).unwrap();
    let report = whole(&mut backend, "saved");
    assert!(report.blocks > 0 && report.bytes > 0, "{report:?}");
    if s.has(Interface::Updates) {
        for n in 0..40 {
            let changes = [put(format!("key:{n}"), "new", None), remove("key:499")];
            backend.apply("sessions", &changes).unwrap();
            whole(&mut backend, "changed");
        }
    }
    backend.save("sessions", &[]).unwrap();
    whole(&mut backend, "saved empty");
    backend.clear("sessions").unwrap();
    whole(&mut backend, "cleared");
}

#[cfg(test)]
mod tests {
    /// A case that is not in the macro would be run for no backend.
    #[test]
    fn the_macro_names_every_case() {
        let source = include_str!("conformance.rs");
        let (listed, _) = source
            .split_once("$subject =>\n")
            .and_then(|(_, rest)| rest.split_once('}'))
            .expect("the macro has its list");
        let listed: Vec<&str> = listed.split_whitespace().collect();
        let cases: Vec<&str> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub fn ")?.split_once('('))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(listed, cases);
    }
}
