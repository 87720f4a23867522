//! No crash, and no power cut after it, loses or invents an entry.

use larder_host_test::crash::{self, Durability};
use larder_host_test::{Effort, SimDisk, Subject};

fn subject() -> Subject {
    Subject::disk_on(&SimDisk::new(0))
}

fn every_crash_point(durability: Durability, effort: &Effort) {
    let tally = crash::every_crash_point(&subject(), durability, effort);
    println!("every crash point, {}: {tally}", durability.name());
}

fn crashes_after_crashes(durability: Durability, effort: &Effort) {
    let tally = crash::crashes_after_crashes(&subject(), durability, effort);
    println!("crashes after crashes, {}: {tally}", durability.name());
}

#[test]
fn full_durability_survives_every_crash_point() {
    every_crash_point(Durability::Full, &Effort::ordinary());
}

#[test]
fn atomic_durability_stays_whole_at_every_crash_point() {
    every_crash_point(Durability::Atomic, &Effort::ordinary());
}

#[test]
fn full_durability_survives_crashes_after_crashes() {
    crashes_after_crashes(Durability::Full, &Effort::ordinary());
}

#[test]
fn atomic_durability_stays_whole_after_crashes_after_crashes() {
    crashes_after_crashes(Durability::Atomic, &Effort::ordinary());
}

#[test]
#[should_panic = "full: "]
fn what_is_atomic_does_not_pass_for_full() {
    // The backend takes the first setting.
    let subject = subject().env("LARDER_DURABILITY", "atomic");
    crash::every_crash_point(&subject, Durability::Full, &Effort::ordinary());
}

#[test]
#[ignore = "takes minutes"]
fn full_durability_survives_every_crash_point_nightly() {
    every_crash_point(Durability::Full, &Effort::nightly());
}

#[test]
#[ignore = "takes minutes"]
fn atomic_durability_stays_whole_at_every_crash_point_nightly() {
    every_crash_point(Durability::Atomic, &Effort::nightly());
}

#[test]
#[ignore = "takes minutes"]
fn full_durability_survives_crashes_after_crashes_nightly() {
    crashes_after_crashes(Durability::Full, &Effort::nightly());
}

#[test]
#[ignore = "takes minutes"]
fn atomic_durability_stays_whole_after_crashes_after_crashes_nightly() {
    crashes_after_crashes(Durability::Atomic, &Effort::nightly());
}
