//! What every backend promises, as cases that use nothing but the contract, and what they share.

pub(crate) mod bulk;
pub(crate) mod concurrency;
pub(crate) mod entries;
pub(crate) mod files;
pub(crate) mod inspect;
pub(crate) mod model;
pub(crate) mod names;
pub(crate) mod ttl;
pub(crate) mod updates;

use std::time::Duration;

use crate::Instance;
use crate::contract::{LiveEntry, sorted};

/// Hands all cases to a macro: the module that each is in, what it needs, and its promise.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    (($($callback:tt)*) $argument:tt) => { $($callback)* ! { $argument
        entries {
            a_cache_that_was_never_saved_is_empty []
                "a cache that was never saved has no entries, which is no error"
            a_cache_saved_with_no_entries_is_empty []
                "a save of no entries empties the cache"
            save_then_load_gives_the_same_entries []
                "what is loaded is what was saved"
            saved_entries_outlive_a_restart [Durability]
                "what was saved outlives a restart, for as long as it is to live"
            save_replaces_all_that_the_cache_held []
                "a save replaces all that the cache held"
            keys_and_values_come_back_exactly []
                "any string is a key, and any bytes are a value"
            a_value_of_several_mebibytes_comes_back []
                "a value of several MiB comes back"
            a_key_of_a_mebibyte_comes_back []
                "a key of a MiB comes back"
            a_value_is_kept_whole_or_refused_as_too_large []
                "a very large value comes back, or is too large, and then nothing has changed"
            twenty_thousand_entries_come_back []
                "many entries come back, each with its value and its deadline"
            the_last_of_several_entries_with_one_key_counts []
                "of several entries with one key the last counts"
            a_last_entry_that_lives_for_no_time_removes_the_ones_before []
                "a last entry with a ttl of zero removes those before it"
            clear_removes_every_entry_for_good []
                "what was cleared never comes back"
            clear_of_an_empty_or_unknown_cache_does_nothing []
                "a clear of nothing is no error, and creates nothing"
            caches_do_not_touch_each_other []
                "what is done to a cache shows in no other"
        }
        ttl {
            a_ttl_goes_on_running_across_a_restart [Durability]
                "a ttl goes on across a restart, to the nanosecond"
            a_ttl_goes_on_running_when_the_monotonic_clock_starts_again [Durability]
                "a ttl goes on when the machine is booted again"
            an_entry_is_dropped_when_its_ttl_has_run_out []
                "an entry is gone when its ttl is over, and not a nanosecond before"
            a_wall_clock_set_back_never_lengthens_a_ttl []
                "a wall clock that is set back never lengthens a ttl"
            an_entry_with_a_ttl_of_zero_is_not_saved []
                "an entry with a ttl of zero is not stored"
            the_longest_ttl_does_not_overflow []
                "the longest ttl there is does not overflow"
        }
        names {
            names_that_break_the_rules_are_refused_by_every_function []
                "every function refuses a bad name, says why, and touches nothing"
            unusual_names_within_the_rules_work []
                "every name within the rules works"
        }
        updates {
            apply_puts_replaces_and_removes [Updates]
                "changes put, replace and remove"
            apply_creates_a_cache [Updates]
                "changes to a cache that is not there create it"
            apply_of_no_changes_does_nothing [Updates]
                "no changes do nothing, and create nothing"
            apply_counts_the_last_change_to_a_key [Updates]
                "of several changes to one key the last counts"
            apply_with_a_ttl_of_zero_removes [Updates]
                "putting with a ttl of zero is removing"
            apply_leaves_other_entries_and_their_deadlines_alone [Updates]
                "changes leave other entries alone, and their deadlines"
            apply_takes_large_values_and_odd_keys [Updates]
                "changes take any key, and values of several MiB"
            hundreds_of_applies_add_up [Updates]
                "hundreds of changes add up"
        }
        bulk {
            what_lists_save_readers_give_and_what_writers_save_lists_give [Bulk]
                "what is saved in batches is loaded as a list, and the other way round"
            the_last_entry_of_a_key_counts_however_many_batches_ago_the_others_were [Bulk]
                "the last entry with a key counts, however many batches ago the others were"
            a_batch_whose_columns_do_not_fit_adds_nothing_and_the_writer_goes_on [Bulk]
                "a batch whose columns do not fit is refused, and the writer goes on"
            an_entry_larger_than_a_batch_is_given_whole [Bulk]
                "an entry that is larger than a batch is given whole"
            a_writer_that_is_dropped_has_done_nothing [Bulk]
                "a writer that is dropped has done nothing"
            a_writer_saves_when_it_is_committed [Bulk]
                "a writer saves when it is committed, and not before"
            a_writer_without_entries_empties_the_cache [Bulk]
                "a writer without entries empties the cache"
            a_reader_gives_the_cache_as_it_was_when_it_was_opened [Bulk]
                "a reader gives the cache as it was when it was opened"
            a_reader_leaves_out_what_has_expired_by_the_call [Bulk]
                "a reader leaves out what has expired meanwhile"
            a_reader_that_gave_everything_gives_nothing_more [Bulk]
                "a reader that gave everything gives nothing more"
            a_reader_counts_at_least_what_it_gives [Bulk]
                "a reader counts at least what it gives"
            readers_and_writers_of_one_instance_do_not_touch_each_other [Bulk]
                "readers and writers that are open at once do not touch each other"
        }
        model {
            any_sequence_of_calls_gives_what_a_model_gives [Updates]
                "any sequence of calls gives what a model of a cache gives"
        }
        inspect {
            list_names_caches_that_hold_something_in_order [Inspect]
                "the list of caches names those that hold something, in order"
            stat_of_an_unknown_cache_is_all_zeros [Inspect]
                "a cache that is not there has no size, and none comes of asking"
            stat_counts_and_dates_what_is_stored [Inspect]
                "what is stored is counted and dated"
            the_version_goes_up_with_every_change [Inspect]
                "the version goes up with every change"
            verify_finds_no_damage_in_what_was_stored [Inspect]
                "a check finds no damage where there is none"
        }
        concurrency {
            saves_at_once_leave_one_whole_version [Concurrency]
                "of saves at once one counts, whole, and readers see whole ones"
            applies_at_once_all_count [Updates Concurrency]
                "of changes made at once none is lost, and readers see whole ones"
        }
        files {
            a_flipped_byte_gives_no_wrong_value [Files]
                "a flipped byte is survived: what is intact is given, what is not is counted"
            a_truncated_file_gives_no_wrong_value [Files]
                "a truncated file is survived in the same way"
            clear_leaves_nothing_of_the_data_in_the_folder [Files]
                "a clear leaves nothing of the data in storage"
        }
    } };
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
fn loaded(instance: &mut Box<dyn Instance>, cache: &str) -> Vec<LiveEntry> {
    let contents = instance.load(cache).expect("the cache can be loaded");
    assert_eq!(contents.lost, 0, "nothing was damaged");
    let entries = sorted(contents.entries);
    for pair in entries.windows(2) {
        assert_ne!(pair[0].key, pair[1].key, "a key comes back once");
    }
    entries
}
