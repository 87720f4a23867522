//! A race follows from its seed.

use larder_host_test::races::races;
use larder_host_test::{Durability, Effort, SimDisk, Subject};

#[test]
fn one_seed_gives_one_run() {
    let subject = Subject::disk_on(&SimDisk::new(0));
    let effort = Effort::ordinary();
    let run = || races(&subject, Durability::Full, &effort, 20);
    let first = run();
    assert!(first.runs() >= 20);
    assert_eq!(first, run());
}
