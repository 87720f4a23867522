//! Whatever several instances do to one cache at once looks as if it was done in some order.

use larder_host_test::crash::Durability;
use larder_host_test::{
    Call, Effort, Killed, SimDisk, Subject, Values, When, Write, entry, put, races, values,
};

const CACHE: &str = "sessions";

fn races(durability: Durability, effort: &Effort) {
    let subject = Subject::disk_on(&SimDisk::new(0));
    let tally = races::races(&subject, durability, effort);
    println!("{}: {tally}", durability.name());
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

fn saved() -> Write {
    Write::Save(vec![entry("a", "saved", None), entry("b", "saved", None)])
}

fn changed(n: usize) -> Write {
    Write::Apply(vec![put("a", format!("changed {n}"), None)])
}

/// Makes this write, and dies right before the folder of the cache is synced after it.
fn write_and_die_before_the_sync(s: &Subject, write: &Write) {
    let mut instance = s.open();
    let sync = When::call(Call::Sync).ending(CACHE);
    instance.faults().kill(sync.nth(1));
    assert_eq!(instance.write(CACHE, write), Err(Killed));
}

/// Whatever a power cut leaves of a disk is one of these.
fn assert_a_cut_leaves_one_of(s: &Subject, disk: &SimDisk, allowed: &[Values]) {
    for image in disk.power_cuts(2_000, 0) {
        let loaded = s.on_simulated(&image).open().load(CACHE);
        let contents = loaded.unwrap_or_else(|error| panic!("{error:?}:\n{}", image.run()));
        assert_eq!(contents.lost, 0, "{}", image.run());
        assert!(allowed.contains(&values(contents)), "{}", image.run());
    }
}

#[test]
fn atomic_changes_upon_a_first_version_that_was_not_synced_leave_the_cache_whole() {
    for second in [saved(), changed(0)] {
        let disk = SimDisk::new(0);
        let s = Subject::disk_on(&disk).env("LARDER_DURABILITY", "atomic");
        write_and_die_before_the_sync(&s, &saved());
        s.open().write(CACHE, &second).unwrap().unwrap();
        let first = saved().on(&Values::new());
        let allowed = [Values::new(), second.on(&first), first];
        assert_a_cut_leaves_one_of(&s, &disk, &allowed);
    }
}

/// Stops this write before each of its calls, and lets it return in the end: whatever a power cut leaves then is
/// one of these, or, once it has returned, what it makes of the last of them.
fn stop_at_every_call(s: &Subject, disk: &SimDisk, write: &Write, before: &[Values]) {
    let after = write.on(before.last().unwrap());
    for nth in 1.. {
        let disk = disk.fork();
        let s = s.on_simulated(&disk);
        let mut instance = s.open();
        instance.faults().kill(When::any().nth(nth));
        match instance.write(CACHE, write) {
            Err(Killed) => {
                let allowed = [before, std::slice::from_ref(&after)].concat();
                assert_a_cut_leaves_one_of(&s, &disk, &allowed);
            }
            Ok(outcome) => {
                outcome.unwrap();
                return assert_a_cut_leaves_one_of(&s, &disk, &[after]);
            }
        }
    }
}

#[test]
fn changes_never_outlast_the_version_that_they_build_upon() {
    let disk = SimDisk::new(0);
    let s = Subject::disk_on(&disk);
    s.open().write(CACHE, &changed(0)).unwrap().unwrap();
    let first = changed(0).on(&Values::new());
    write_and_die_before_the_sync(&s, &saved());
    let second = saved().on(&first);
    stop_at_every_call(&s, &disk, &changed(1), &[first, second]);
}

#[test]
fn a_clear_removes_nothing_before_the_clear_it_finds_is_synced() {
    let disk = SimDisk::new(0);
    let s = Subject::disk_on(&disk);
    let mut before = Values::new();
    for write in [saved(), changed(0), changed(1)] {
        s.open().write(CACHE, &write).unwrap().unwrap();
        before = write.on(&before);
    }
    write_and_die_before_the_sync(&s, &Write::Clear);
    stop_at_every_call(&s, &disk, &Write::Clear, &[before, Values::new()]);
}
