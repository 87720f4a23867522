//! The concurrent changes and loads of several instances on one cache look as if made in some
//! order.

use larder_host_test::Durability;
use larder_host_test::{Effort, SimDisk, Subject, races};

fn races(durability: Durability, effort: &Effort) {
    let subject = Subject::disk_on(&SimDisk::new(0));
    let tally = races::races(&subject, durability, effort, effort.of(1_000, 10_000));
    println!("{}: {tally}", durability.name());
    assert!(tally.runs() >= effort.of(1_000, 10_000));
}

#[test]
fn every_race_is_explained_by_one_order() {
    races(Durability::Full, &Effort::ordinary());
}

#[test]
fn every_race_is_explained_by_one_order_with_atomic() {
    races(Durability::Atomic, &Effort::ordinary());
}

#[test]
#[ignore = "takes minutes"]
fn every_race_is_explained_by_one_order_nightly() {
    races(Durability::Full, &Effort::nightly());
}

#[test]
#[ignore = "takes minutes"]
fn every_race_is_explained_by_one_order_with_atomic_nightly() {
    races(Durability::Atomic, &Effort::nightly());
}
