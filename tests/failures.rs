//! Whatever call to the disk fails, for whatever reason: a typed error, and nothing that was stored is gone.

use larder_host_test::crash::Durability::{self, Atomic, Full};
use larder_host_test::failures::{self, Tally};
use larder_host_test::{Effort, SimDisk, Subject};

type Suite = fn(&Subject, Durability, &Effort) -> Tally;

fn run(what: &str, suite: Suite, effort: &Effort) {
    for durability in [Full, Atomic] {
        let tally = suite(&Subject::disk_on(&SimDisk::new(0)), durability, effort);
        println!("{what}, {}: {tally}", durability.name());
    }
}

#[test]
fn whichever_call_fails_an_operation_is_done_or_not_done() {
    let suite = failures::every_failing_call;
    run("every failing call", suite, &Effort::ordinary());
}

#[test]
fn whichever_two_calls_fail_an_operation_is_done_or_not_done() {
    let suite = failures::two_failing_calls;
    run("two failing calls", suite, &Effort::ordinary());
}

#[test]
fn short_reads_and_writes_are_gone_on_with() {
    let suite = failures::short_reads_and_writes;
    run("short reads and writes", suite, &Effort::ordinary());
}

#[test]
#[ignore = "takes minutes"]
fn whichever_call_fails_an_operation_is_done_or_not_done_nightly() {
    let suite = failures::every_failing_call;
    run("every failing call", suite, &Effort::nightly());
}

#[test]
#[ignore = "takes minutes"]
fn whichever_two_calls_fail_an_operation_is_done_or_not_done_nightly() {
    let suite = failures::two_failing_calls;
    run("two failing calls", suite, &Effort::nightly());
}
