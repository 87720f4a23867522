//! The list of all cases, and functions that the cases share. They use only the contract.

pub(crate) mod atomics;
pub(crate) mod bulk;
pub(crate) mod concurrency;
pub(crate) mod entries;
pub(crate) mod files;
pub(crate) mod inspect;
pub(crate) mod kill;
pub(crate) mod lookup;
pub(crate) mod model;
pub(crate) mod names;
pub(crate) mod ttl;
pub(crate) mod updates;

use std::time::Duration;

use crate::Instance;
use crate::contract::{LiveEntry, sorted};

/// Gives all cases to a macro: for each its module, the features that it needs, and its promise.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    (($($callback:tt)*) $argument:tt) => { $($callback)* ! { $argument
        entries {
            a_cache_that_was_never_saved_is_empty []
                "a cache that was never saved has no entries, and that is not an error"
            a_cache_saved_with_no_entries_is_empty []
                "a save without entries empties the cache"
            save_then_load_gives_the_same_entries []
                "a load gives the saved entries"
            saved_entries_outlive_a_restart [Durability]
                "saved entries outlive a restart, until they expire"
            save_replaces_all_that_the_cache_held []
                "a save replaces all entries of the cache"
            keys_and_values_come_back_exactly []
                "a key may be any string, and a value any bytes"
            a_value_of_several_mebibytes_comes_back []
                "a value of several MiB comes back"
            a_key_of_a_mebibyte_comes_back []
                "a key of one MiB comes back"
            a_value_is_kept_whole_or_refused_as_too_large []
                "a very large value comes back, or is refused as too large, and then nothing changes"
            a_value_larger_than_a_host_takes_at_once_is_stored_or_refused []
                "a value of more than 128 MiB is stored, or refused as too large, and nothing traps"
            twenty_thousand_entries_come_back []
                "many entries come back, each with its value and its deadline"
            the_last_of_several_entries_with_one_key_counts []
                "if a save has a key several times, the last entry counts"
            a_last_entry_that_lives_for_no_time_removes_the_ones_before []
                "if the last entry of a key has a ttl of zero, the key is removed"
            clear_removes_every_entry_for_good []
                "cleared entries never come back"
            clear_of_an_empty_or_unknown_cache_does_nothing []
                "a clear of an empty or unknown cache is no error, and creates nothing"
            caches_do_not_touch_each_other []
                "a change to a cache does not change other caches"
        }
        ttl {
            a_ttl_goes_on_running_across_a_restart [Durability]
                "a ttl goes on across a restart, to the nanosecond"
            a_ttl_goes_on_running_when_the_monotonic_clock_starts_again [Durability]
                "a ttl goes on when the machine boots again"
            an_entry_is_dropped_when_its_ttl_has_run_out []
                "an entry is gone when its ttl is over, and not a nanosecond before"
            a_wall_clock_set_back_lengthens_no_ttl_by_more_than_the_step []
                "a wall clock that is set back by less than a minute lengthens no ttl by more"
            a_wall_clock_set_back_far_lengthens_no_ttl_by_more_than_a_minute []
                "a wall clock that is set back by more than a minute lengthens no ttl by more than that"
            a_wall_clock_set_back_ends_nothing_early []
                "a wall clock that is set back by less than a minute ends no entry early"
            an_entry_with_a_ttl_of_zero_is_not_saved []
                "an entry with a ttl of zero is not stored"
            the_longest_ttl_does_not_overflow []
                "the longest possible ttl does not overflow"
        }
        names {
            names_that_break_the_rules_are_refused_by_every_function []
                "every function refuses an invalid name, says why, and changes nothing"
            unusual_names_within_the_rules_work []
                "every valid name works"
        }
        updates {
            apply_puts_replaces_and_removes [Updates]
                "changes put, replace and remove entries"
            apply_creates_a_cache [Updates]
                "changes to an unknown cache create it"
            apply_of_no_changes_does_nothing [Updates]
                "an apply without changes does nothing, and creates nothing"
            apply_counts_the_last_change_to_a_key [Updates]
                "if an apply has a key several times, the last change counts"
            apply_with_a_ttl_of_zero_removes [Updates]
                "a put with a ttl of zero removes the key"
            apply_leaves_other_entries_and_their_deadlines_alone [Updates]
                "changes leave other entries and their deadlines alone"
            apply_takes_any_key [Updates]
                "changes may have any key"
            apply_takes_values_of_several_mebibytes [Updates]
                "changes may have values of several MiB, beside small ones"
            hundreds_of_applies_add_up [Updates]
                "hundreds of changes add up"
        }
        lookup {
            get_many_gives_values_with_their_deadlines [Lookup]
                "a look-up gives the live values of its keys, in their order, with their deadlines"
            get_many_sees_every_change_that_returned [Lookup Updates Concurrency]
                "a look-up sees every change that has returned, by any instance"
            scan_gives_every_key_once [Lookup]
                "a scan gives every live key once, whatever its limit is"
            a_scan_among_changes_skips_and_repeats_no_key_that_stays [Lookup Updates]
                "a scan in several instances, among changes, skips and repeats no key that stays"
            a_key_among_very_many_is_found [Lookup]
                "a key among very many is found, and a missing one is not"
            a_scan_with_a_limit_of_zero_is_refused [Lookup]
                "a scan with a limit of zero is refused"
        }
        atomics {
            changes_are_made_if_every_condition_holds_and_otherwise_none [Atomics]
                "changes under conditions are made if all hold; otherwise none, and the others are named"
            conditions_without_changes_only_look [Atomics]
                "conditions without changes change nothing"
            a_condition_of_no_value_holds_after_the_value_has_expired [Atomics]
                "a key with an expired value counts as a key without a value"
            counters_of_instances_at_once_lose_no_increment [Atomics Lookup Concurrency]
                "of several increments at once, none is lost"
        }
        bulk {
            what_lists_save_readers_give_and_what_writers_save_lists_give [Bulk]
                "a cache that was saved in batches can be loaded as a list, and the other way round"
            the_last_entry_of_a_key_counts_however_many_batches_ago_the_others_were [Bulk]
                "the last entry of a key counts, even if the others are many batches earlier"
            a_batch_whose_columns_do_not_fit_adds_nothing_and_the_writer_goes_on [Bulk]
                "a batch whose columns do not fit each other is refused, and the writer goes on"
            an_entry_larger_than_a_batch_is_given_whole [Bulk]
                "an entry that is larger than a batch comes back whole"
            a_writer_that_is_dropped_has_done_nothing [Bulk]
                "a writer that is dropped has done nothing"
            a_writer_saves_when_it_is_committed [Bulk]
                "a writer saves when it is committed, and not before"
            a_writer_without_entries_empties_the_cache [Bulk]
                "a writer without entries empties the cache"
            a_reader_gives_the_cache_as_it_was_when_it_was_opened [Bulk]
                "a reader gives the cache as it was when it was opened"
            a_reader_leaves_out_what_has_expired_by_the_call [Bulk]
                "a reader leaves out entries that expire during the reading"
            a_reader_that_gave_everything_gives_nothing_more [Bulk]
                "a reader that gave all entries gives nothing more"
            a_reader_counts_at_least_what_it_gives [Bulk]
                "a reader counts at least as many entries as it gives"
            readers_and_writers_of_one_instance_do_not_touch_each_other [Bulk]
                "readers and writers that are open at once do not disturb each other"
        }
        model {
            any_sequence_of_calls_gives_what_a_model_gives [Updates]
                "any sequence of calls gives the same as a model of a cache"
        }
        inspect {
            list_names_caches_that_hold_something_in_order [Inspect]
                "the list of caches has the names of all caches with entries, in order"
            stat_of_an_unknown_cache_is_all_zeros [Inspect]
                "an unknown cache has no size, and asking for it creates nothing"
            stat_counts_and_dates_what_is_stored [Inspect]
                "stat counts the stored entries, and gives the time of the last change"
            the_version_goes_up_with_every_change [Inspect]
                "the version goes up with every change"
            verify_finds_no_damage_in_what_was_stored [Inspect]
                "verify finds no damage in an intact cache"
        }
        concurrency {
            saves_at_once_leave_one_whole_version [Concurrency]
                "of several saves at once, one counts as a whole, and a load gives one save as a whole"
            applies_at_once_all_count [Updates Concurrency]
                "of several applies at once, none is lost, and a load gives each as a whole or not at all"
        }
        kill {
            an_instance_that_is_killed_leaves_no_lock [Durability Kill]
                "after an instance was killed in the midst of a call, all functions work in another"
        }
        files {
            a_flipped_byte_gives_no_wrong_value [Files]
                "after a flipped byte, a load gives the intact entries, and counts the lost ones"
            a_truncated_file_gives_no_wrong_value [Files]
                "after a truncated file, a load gives the intact entries, and counts the lost ones"
            verify_finds_damage_that_a_load_finds [Inspect Files]
                "after damage to a file, verify reports it if a load misses entries"
            a_save_replaces_a_damaged_cache [Files]
                "a save works in spite of damage, and replaces it"
            a_save_leaves_other_caches_in_a_damaged_file_as_they_were [Files]
                "after damage, a save of one cache leaves other caches as they were"
            clear_leaves_nothing_of_the_data_in_the_folder [Files]
                "a clear leaves nothing of the data in storage"
        }
    } };
}

// So that the path says which module has the list.
pub(crate) use __cases;

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

/// Loads an intact cache, and sorts its entries by their keys.
fn loaded(instance: &mut Box<dyn Instance>, cache: &str) -> Vec<LiveEntry> {
    let contents = instance.load(cache).expect("the load fails");
    assert_eq!(contents.lost, 0, "the load reports lost entries");
    let entries = sorted(contents.entries);
    for pair in entries.windows(2) {
        assert_ne!(pair[0].key, pair[1].key, "a key comes twice");
    }
    entries
}
