//! If any call to the file system fails, for any reason, the error is typed, and no stored entry is
//! gone.

use larder_host_test::Durability::{self, Atomic, Full};
use larder_host_test::failing_calls::{
    every_failing_call, short_reads_and_writes, two_failing_calls,
};
use larder_host_test::{Effort, SimDisk, Subject};

fn every_one(durability: Durability, effort: &Effort) {
    let tally = every_failing_call(&Subject::disk_on(&SimDisk::new(0)), durability, effort);
    println!("every failing call, {}: {tally}", durability.name());
    assert!(tally.faults() >= effort.of(2_000, 20_000));
}

fn every_two(durability: Durability, effort: &Effort) {
    let tally = two_failing_calls(&Subject::disk_on(&SimDisk::new(0)), durability, effort);
    println!("two failing calls, {}: {tally}", durability.name());
    assert!(tally.faults() >= effort.of(900, 9_000));
}

#[test]
fn whichever_call_fails_an_operation_is_done_or_not_done() {
    every_one(Full, &Effort::ordinary());
}

#[test]
fn whichever_call_fails_an_operation_is_done_or_not_done_with_atomic() {
    every_one(Atomic, &Effort::ordinary());
}

#[test]
fn whichever_two_calls_fail_an_operation_is_done_or_not_done() {
    for durability in [Full, Atomic] {
        every_two(durability, &Effort::ordinary());
    }
}

#[test]
fn short_reads_and_writes_are_gone_on_with() {
    for durability in [Full, Atomic] {
        let subject = Subject::disk_on(&SimDisk::new(0));
        let tally = short_reads_and_writes(&subject, durability, &Effort::ordinary());
        println!("short reads and writes, {}: {tally}", durability.name());
        assert!(tally.faults() >= 500);
    }
}

#[test]
#[ignore = "takes minutes"]
fn whichever_call_fails_an_operation_is_done_or_not_done_nightly() {
    every_one(Full, &Effort::nightly());
}

#[test]
#[ignore = "takes minutes"]
fn whichever_call_fails_an_operation_is_done_or_not_done_with_atomic_nightly() {
    every_one(Atomic, &Effort::nightly());
}

#[test]
#[ignore = "takes minutes"]
fn whichever_two_calls_fail_an_operation_is_done_or_not_done_nightly() {
    for durability in [Full, Atomic] {
        every_two(durability, &Effort::nightly());
    }
}
