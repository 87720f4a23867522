//! No crash, and no power cut after it, loses or invents an entry.

use larder_host_test::{
    Call, Durability, Effort, Killed, SimDisk, Subject, Values, When, Write, crash, entry, put,
    values,
};

use crate::CACHE;

fn subject() -> Subject {
    Subject::disk_on(&SimDisk::new(0))
}

fn every_crash_point(durability: Durability, effort: &Effort) {
    let tally = crash::every_crash_point(&subject(), durability, effort);
    println!("every crash point, {}: {tally}", durability.name());
    assert!(tally.images() >= effort.of(4_000, 25_000));
}

fn crashes_after_crashes(durability: Durability, effort: &Effort) {
    let tally = crash::crashes_after_crashes(&subject(), durability, effort);
    println!("crashes after crashes, {}: {tally}", durability.name());
    assert!(tally.images() >= effort.of(4_000, 25_000));
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
    // The backend takes the first setting of a variable.
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

/// A new disk, or one with a cache from before the format.
fn disk(is_old: bool) -> SimDisk {
    let disk = SimDisk::new(0);
    if is_old {
        let old = include_bytes!("../data/golden/bare.postcard");
        disk.put_file("sessions.postcard", old.to_vec());
    }
    disk
}

/// The disks that a writer leaves when it dies before each of its calls, and at last the disk where
/// it returns.
fn deaths(s: &Subject, disk: &SimDisk, write: &Write) -> Vec<SimDisk> {
    let mut disks = Vec::new();
    for nth in 1.. {
        let disk = disk.fork();
        let mut instance = s.on_simulated(&disk).open();
        instance.faults().kill(When::any().nth(nth));
        let outcome = instance.write(CACHE, write);
        disks.push(disk);
        if let Ok(returned) = outcome {
            returned.unwrap();
            break;
        }
    }
    disks
}

/// Two writers die one after the other; a third one returns; then the power is cut.
fn two_deaths(durability: Durability, is_old: bool, writes: [&Write; 3]) -> u64 {
    let s = subject().env("LARDER_DURABILITY", durability.name());
    let mut images = 0;
    for disk in deaths(&s, &disk(is_old), writes[0]) {
        for disk in deaths(&s, &disk, writes[1]) {
            let s = s.on_simulated(&disk);
            let before = values(s.open().load(CACHE).unwrap());
            s.open().write(CACHE, writes[2]).unwrap().unwrap();
            for image in disk.power_cuts(20, 0) {
                images += 1;
                let loaded = s.on_simulated(&image).open().load(CACHE);
                let is_right = loaded.is_ok_and(|contents| {
                    let full = durability == Durability::Full;
                    contents.lost == 0 && (!full || values(contents) == writes[2].on(&before))
                });
                assert!(is_right, "{}", image.run());
            }
        }
    }
    images
}

#[test]
fn what_returned_after_two_deaths_survives_a_power_cut() {
    let (save, apply, clear) = (saved(), changed(0), Write::Clear);
    for durability in [Durability::Full, Durability::Atomic] {
        let images = two_deaths(durability, true, [&save, &clear, &apply])
            + two_deaths(durability, false, [&save, &clear, &save]);
        println!("two deaths, {}: {images} disks", durability.name());
    }
}

#[test]
#[ignore = "takes minutes"]
fn whatever_returned_after_two_deaths_survives_a_power_cut_nightly() {
    let writes = [saved(), changed(0), Write::Clear];
    for durability in [Durability::Full, Durability::Atomic] {
        let mut images = 0;
        for is_old in [false, true] {
            for triple in 0..27 {
                let triple = [triple / 9, triple / 3 % 3, triple % 3].map(|n| &writes[n]);
                images += two_deaths(durability, is_old, triple);
            }
        }
        println!("two deaths, {}: {images} disks", durability.name());
    }
}

#[test]
fn a_clear_that_returned_leaves_nothing_of_the_data_after_a_power_cut() {
    for durability in [Durability::Full, Durability::Atomic] {
        let s = subject().env("LARDER_DURABILITY", durability.name());
        for (is_old, first) in [(true, saved()), (true, Write::Clear), (false, saved())] {
            for disk in deaths(&s, &disk(is_old), &first) {
                s.on_simulated(&disk).open().clear(CACHE).unwrap();
                for image in disk.power_cuts(50, 0) {
                    for (path, bytes) in image.tree() {
                        let is_data = bytes.windows(5).any(|part| part == b"saved");
                        let is_old = path.extension().is_some_and(|what| what == "postcard");
                        assert!(!is_data && !is_old, "{path:?}\n{}", image.run());
                    }
                }
            }
        }
    }
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

/// Every disk that a power cut leaves has one of these contents.
fn assert_a_cut_leaves_one_of(s: &Subject, disk: &SimDisk, allowed: &[Values]) {
    let cuts = disk.power_cuts(2_000, 0);
    assert!(cuts.is_exhaustive());
    for image in cuts {
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

/// Stops this write before each of its calls, and at last lets it return. A power cut then leaves
/// one of these states, or the state that the write makes of the last one. Once the write has
/// returned, the cut leaves the state that the write makes.
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
