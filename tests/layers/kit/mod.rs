//! The conformance kit tells backends that keep their promises from backends that break them.

mod plain;

use std::sync::LazyLock;
use std::time::Duration;

use larder_conformance::{Case, Component, Feature, Subject, Verdict, certify};
use larder_host_test::components;

use plain::{Fault, Plain};

// Each is compiled once for all tests.
static DISK: LazyLock<Component> = LazyLock::new(|| compiled(larder_components::DISK));
static MEMORY: LazyLock<Component> = LazyLock::new(|| compiled(larder_components::MEMORY));
static BROKEN: LazyLock<Component> = LazyLock::new(|| compiled(components::BROKEN));

fn compiled(bytes: &[u8]) -> Component {
    Component::new(bytes).expect("a backend")
}

/// The names of the promises that are broken. All others are kept, except promises that the backend
/// does not offer.
fn broken<S: Subject>(subject: impl Fn() -> S) -> Vec<&'static str> {
    let judged = certify(&subject).into_iter();
    let broken = judged.filter_map(|(case, verdict)| match verdict {
        Verdict::Broken(why) => {
            assert!(!why.is_empty(), "{} says why", case.name);
            println!("{}: {why}", case.name);
            Some(case.name)
        }
        Verdict::NotOffered(feature) => {
            assert!(case.needs.contains(&feature), "{}: {feature}", case.name);
            None
        }
        Verdict::Kept => None,
    });
    broken.collect()
}

#[test]
fn the_disk_backend_offers_everything_and_keeps_it() {
    for (case, verdict) in certify(|| DISK.subject()) {
        assert_eq!(verdict, Verdict::Kept, "{}", case.name);
    }
}

#[test]
fn the_backend_in_memory_keeps_all_that_it_offers() {
    let backend = MEMORY.clone().volatile();
    let has = [Feature::Updates, Feature::Lookup, Feature::Atomics];
    let offers = |case: &Case| case.needs.iter().all(|need| has.contains(need));
    for (case, verdict) in certify(|| backend.subject()) {
        match verdict {
            Verdict::Kept => assert!(offers(case), "{}", case.name),
            Verdict::NotOffered(_) => assert!(!offers(case), "{}", case.name),
            Verdict::Broken(why) => panic!("{}: {why}", case.name),
        }
    }
}

#[test]
fn a_backend_in_memory_that_is_not_said_to_be_one_does_not_outlive_a_restart() {
    let broken = broken(|| MEMORY.subject());
    assert!(
        broken.contains(&"saved_entries_outlive_a_restart"),
        "{broken:?}"
    );
    assert!(
        !broken.contains(&"save_then_load_gives_the_same_entries"),
        "{broken:?}"
    );
}

/// The names of the promises that a component with this fault breaks.
fn broken_with(fault: &str) -> Vec<&'static str> {
    let backend = BROKEN.clone().volatile().env("LARDER_FAULT", fault);
    // With some faults a call goes on without end. All others take milliseconds.
    let backend = backend.time_limit(Duration::from_secs(5));
    broken(|| backend.subject())
}

macro_rules! faults {
    ($($test:ident: $fault:literal breaks [$($case:ident)*])*) => {
        $(
            #[test]
            fn $test() {
                assert_eq!(broken_with($fault), [$(stringify!($case)),*] as [&str; _]);
            }
        )*
    };
}

faults! {
    without_a_fault_nothing_is_broken: "" breaks []
    expired_entries_that_stay_are_found: "keeps-the-expired" breaks [
        an_entry_is_dropped_when_its_ttl_has_run_out
        apply_leaves_other_entries_and_their_deadlines_alone
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    the_first_of_duplicates_counting_is_found: "first-duplicate-wins" breaks [
        the_last_of_several_entries_with_one_key_counts
        a_last_entry_that_lives_for_no_time_removes_the_ones_before
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    a_save_that_replaces_too_little_is_found: "save-merges" breaks [
        a_cache_saved_with_no_entries_is_empty
        save_replaces_all_that_the_cache_held
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    an_entry_that_is_missing_is_found: "drops-an-entry" breaks [
        twenty_thousand_entries_come_back
    ]
    values_that_are_cut_short_are_found: "shortens-values" breaks [
        a_value_of_several_mebibytes_comes_back
        a_value_is_kept_whole_or_refused_as_too_large
        apply_takes_values_of_several_mebibytes
    ]
    names_that_are_not_checked_are_found: "takes-any-name" breaks [
        names_that_break_the_rules_are_refused_by_every_function
    ]
    a_refusal_that_gives_no_reason_is_found: "refuses-without-a-reason" breaks [
        names_that_break_the_rules_are_refused_by_every_function
    ]
    names_that_are_taken_for_others_are_found: "names-are-cut" breaks [
        caches_do_not_touch_each_other
        unusual_names_within_the_rules_work
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    a_clear_that_does_nothing_is_found: "clear-does-nothing" breaks [
        clear_removes_every_entry_for_good
        unusual_names_within_the_rules_work
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    a_trap_is_found: "traps-on-empty-keys" breaks [
        keys_and_values_come_back_exactly
        apply_takes_any_key
    ]
    a_ttl_that_is_too_long_by_a_nanosecond_is_found: "lengthens-ttls" breaks [
        save_then_load_gives_the_same_entries
        twenty_thousand_entries_come_back
        the_last_of_several_entries_with_one_key_counts
        a_last_entry_that_lives_for_no_time_removes_the_ones_before
        an_entry_is_dropped_when_its_ttl_has_run_out
        an_entry_with_a_ttl_of_zero_is_not_saved
        apply_puts_replaces_and_removes
        apply_counts_the_last_change_to_a_key
        apply_with_a_ttl_of_zero_removes
        apply_leaves_other_entries_and_their_deadlines_alone
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    a_ttl_of_zero_that_is_stored_is_found: "zero-ttl-is-stored" breaks [
        a_last_entry_that_lives_for_no_time_removes_the_ones_before
        an_entry_with_a_ttl_of_zero_is_not_saved
        apply_counts_the_last_change_to_a_key
        apply_with_a_ttl_of_zero_removes
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    a_deadline_that_overflows_is_found: "long-ttls-overflow" breaks [
        the_longest_ttl_does_not_overflow
    ]
    removes_that_are_forgotten_are_found: "apply-forgets-removes" breaks [
        apply_puts_replaces_and_removes
        apply_counts_the_last_change_to_a_key
        apply_takes_any_key
        hundreds_of_applies_add_up
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    changes_that_take_the_rest_with_them_are_found: "apply-forgets-the-rest" breaks [
        apply_puts_replaces_and_removes
        apply_of_no_changes_does_nothing
        apply_with_a_ttl_of_zero_removes
        apply_leaves_other_entries_and_their_deadlines_alone
        hundreds_of_applies_add_up
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    an_error_in_place_of_doing_nothing_is_found: "apply-of-nothing-fails" breaks [
        apply_of_no_changes_does_nothing
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    computing_without_end_is_found: "loops" breaks [
        clear_of_an_empty_or_unknown_cache_does_nothing
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    sleeping_without_end_is_found: "sleeps" breaks [
        clear_of_an_empty_or_unknown_cache_does_nothing
        any_sequence_of_calls_gives_what_a_model_gives
    ]
    a_value_that_goes_to_the_host_in_one_piece_is_found: "passes-values-in-one-piece" breaks [
        a_value_larger_than_a_host_takes_at_once_is_stored_or_refused
    ]
    taking_memory_without_end_is_found: "eats-memory" breaks [
        a_cache_saved_with_no_entries_is_empty
        clear_of_an_empty_or_unknown_cache_does_nothing
        caches_do_not_touch_each_other
        any_sequence_of_calls_gives_what_a_model_gives
    ]
}

/// The names of the promises that a backend of files breaks, which is no component.
fn broken_files(fault: Option<Fault>) -> Vec<&'static str> {
    broken(|| Plain::new(fault))
}

#[test]
fn files_that_are_checked_and_locked_are_enough() {
    assert_eq!(broken_files(None), [""; 0]);
}

#[test]
fn damage_that_is_not_noticed_is_found() {
    let expected = ["a_flipped_byte_gives_no_wrong_value"];
    assert_eq!(broken_files(Some(Fault::ChecksNothing)), expected);
}

#[test]
fn damage_that_is_not_told_is_found() {
    let expected = [
        "a_flipped_byte_gives_no_wrong_value",
        "a_truncated_file_gives_no_wrong_value",
    ];
    assert_eq!(broken_files(Some(Fault::TakesDamageForNothing)), expected);
}

#[test]
fn a_damaged_cache_that_cannot_be_saved_anew_is_found() {
    let expected = ["a_save_replaces_a_damaged_cache"];
    assert_eq!(broken_files(Some(Fault::SavesUponNoDamage)), expected);
}

#[test]
fn data_that_a_clear_leaves_is_found() {
    let expected = ["clear_leaves_nothing_of_the_data_in_the_folder"];
    assert_eq!(broken_files(Some(Fault::ClearKeepsACopy)), expected);
}

#[test]
fn a_change_that_undoes_what_another_made_meanwhile_is_found() {
    assert_eq!(
        broken_files(Some(Fault::ChangesWhatItKnew)),
        ["applies_at_once_all_count"]
    );
}

#[test]
fn a_version_that_is_mixed_of_two_is_found() {
    let expected = [
        "any_sequence_of_calls_gives_what_a_model_gives",
        "saves_at_once_leave_one_whole_version",
    ];
    assert_eq!(broken_files(Some(Fault::MixesWithOthers)), expected);
}

#[test]
fn ttls_that_follow_a_wall_clock_far_back_are_found() {
    let expected = ["a_wall_clock_set_back_far_lengthens_no_ttl_by_more_than_a_minute"];
    assert_eq!(broken_files(Some(Fault::TrustsTheWallClock)), expected);
}

#[test]
fn ttls_that_end_when_the_wall_clock_is_set_back_are_found() {
    let expected = ["a_wall_clock_set_back_ends_nothing_early"];
    assert_eq!(broken_files(Some(Fault::EndsTheFuture)), expected);
}

#[test]
fn ttls_that_are_lost_when_the_wall_clock_is_set_back_are_found() {
    let expected = [
        "a_wall_clock_set_back_lengthens_no_ttl_by_more_than_the_step",
        "a_wall_clock_set_back_far_lengthens_no_ttl_by_more_than_a_minute",
    ];
    assert_eq!(broken_files(Some(Fault::KeepsTheFuture)), expected);
}

#[test]
fn damage_that_takes_other_caches_with_it_is_found() {
    let expected = ["a_save_leaves_other_caches_in_a_damaged_file_as_they_were"];
    assert_eq!(broken_files(Some(Fault::SharesAFile)), expected);
}

/// The names of the promises that a component with this fault breaks, with storage that is said to
/// outlive its instances.
fn broken_in_a_folder(fault: &str) -> Vec<&'static str> {
    broken(|| BROKEN.clone().env("LARDER_FAULT", fault).subject())
}

/// The component keeps its entries in memory, so it breaks promises of storage too.
#[test]
fn a_lock_that_a_killed_instance_leaves_is_found() {
    let case = "an_instance_that_is_killed_leaves_no_lock";
    let without = broken_in_a_folder("");
    assert!(!without.contains(&case), "{without:?}");
    let mut with = broken_in_a_folder("leaves-its-lock");
    with.retain(|name| !without.contains(name));
    assert_eq!(with, [case]);
}

#[test]
fn whatever_is_broken_the_kit_goes_on_and_says_nothing_by_itself() {
    // A subject that cannot even be made.
    let judged = certify(|| -> Plain { panic!("no storage") });
    assert_eq!(judged.len(), larder_conformance::CASES.len());
    for (case, verdict) in judged {
        let Verdict::Broken(why) = verdict else {
            panic!("{}: {verdict:?}", case.name);
        };
        assert!(why.starts_with("no storage"), "{why}");
    }
}
