//! Processes that are killed while they write to a real file system. Each change that they reported
//! is there; an unreported change is there as a whole, or not at all.

mod steps;
mod storage;
mod tally;
mod writer;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use crate::contents::{CACHE, Values, load};
use crate::place;
use steps::{STEPS, Step, after, begun};
use storage::{Storage, files};
use tally::Tally;
use writer::{Pace, SEED, Writer, is_writer, seed};

const DURABILITIES: [&str; 2] = ["full", "atomic"];

/// Prints how to repeat a failure. The moments of the kills differ from run to run all the same.
fn begin(test: &str) -> Xoshiro256PlusPlus {
    let seed = seed();
    println!("{SEED}={seed} cargo test --test cli -- --exact {test} --include-ignored --nocapture");
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

fn one_writer_is_killed(test: &str, kills: u64) {
    let mut random = begin(test);
    let mut tally = Tally::default();
    let storages = DURABILITIES.map(|durability| (durability, Storage::new(durability)));
    let paces = storages.each_ref().map(|(durability, storage)| {
        let folder = storage.folder.path();
        Pace::of(Writer::start(test, folder, durability, "alone", seed()))
    });
    for round in 0..kills {
        let kind = (round % 2) as usize;
        let (durability, storage) = &storages[kind];
        tally.temporaries += storage.begin_anew();
        let steps = seed().wrapping_add(round);
        let writer = Writer::start(test, storage.folder.path(), durability, "alone", steps);
        let killed = writer.kill(&paces[kind].moment(&mut random));

        let found = load(&storage.backend);
        let state = |done| after(begun(), done, |n| Step::alone(steps, n));
        let is_done = found == state(killed.done);
        let is_made = !is_done && killed.done < STEPS && found == state(killed.done + 1);
        assert!(
            is_done || is_made,
            "{durability}, after {} steps of {steps}: {:?}",
            killed.done,
            found.keys()
        );
        tally.count(killed.ended, killed.done > 0 || is_made, is_made);
    }
    for (_, storage) in &storages {
        tally.temporaries += storage.begin_anew();
    }
    println!("{test}: {tally}");
    assert!(tally.within() > 0, "no kill hit a writer at work");
}

#[test]
fn a_killed_writer_leaves_what_it_had_done() {
    let test = "kill::a_killed_writer_leaves_what_it_had_done";
    if !is_writer() {
        one_writer_is_killed(test, 30);
    }
}

#[test]
#[ignore = "takes minutes"]
fn a_writer_killed_a_thousand_times_leaves_what_it_had_done() {
    let test = "kill::a_writer_killed_a_thousand_times_leaves_what_it_had_done";
    if !is_writer() {
        one_writer_is_killed(test, 1000);
    }
}

const WRITERS: [&str; 2] = ["a", "b"];

fn two_writers_are_killed(test: &str, rounds: u64) {
    let mut random = begin(test);
    let mut tally = Tally::default();
    let storages = DURABILITIES.map(|durability| (durability, Storage::new(durability)));
    let (durability, storage) = &storages[0];
    let folder = storage.folder.path();
    let pace = Pace::of(Writer::start(test, folder, durability, "a", seed()));
    for round in 0..rounds {
        let (durability, storage) = &storages[(round % 2) as usize];
        tally.temporaries += storage.begin_anew();
        let writers = WRITERS.map(|name| {
            let writer = Writer::start(test, storage.folder.path(), durability, name, seed());
            (writer, pace.moment(&mut random))
        });
        let killed = thread::scope(|scope| {
            writers
                .map(|(writer, moment)| scope.spawn(move || writer.kill(&moment)))
                .map(|thread| thread.join().expect("a writer that was killed"))
        });

        let mut found = load(&storage.backend);
        for (name, killed) in WRITERS.into_iter().zip(killed) {
            let mut of_writer = found.clone();
            of_writer.retain(|key, _| key.starts_with(name));
            found.retain(|key, _| !key.starts_with(name));
            let state = |done| after(Values::new(), done, |n| Step::beside_others(name, n));
            let is_done = of_writer == state(killed.done);
            let is_made = !is_done && killed.done < STEPS && of_writer == state(killed.done + 1);
            assert!(
                is_done || is_made,
                "{durability}, {name} after {} steps: {:?}",
                killed.done,
                of_writer.keys()
            );
            tally.count(killed.ended, killed.done > 0 || is_made, is_made);
        }
        assert_eq!(found, begun(), "what nobody changed");
    }
    for (_, storage) in &storages {
        tally.temporaries += storage.begin_anew();
    }
    println!("{test}: {tally}");
    assert!(tally.within() > 0, "no kill hit a writer at work");
}

#[test]
fn killed_writers_leave_what_each_had_done() {
    let test = "kill::killed_writers_leave_what_each_had_done";
    if !is_writer() {
        two_writers_are_killed(test, 6);
    }
}

#[test]
#[ignore = "takes minutes"]
fn writers_killed_a_thousand_times_leave_what_each_had_done() {
    let test = "kill::writers_killed_a_thousand_times_leave_what_each_had_done";
    if !is_writer() {
        two_writers_are_killed(test, 400);
    }
}

/// The command, with lines in a file to read.
fn larder(storage: &Storage, durability: &str, verb: &str, lines: &Path) -> Child {
    place::larder()
        .arg("--dir")
        .arg(storage.folder.path())
        .args(["--durability", durability, verb, CACHE])
        .arg(lines)
        .stdout(Stdio::null())
        .spawn()
        .expect("larder runs")
}

/// Lines of several blocks.
fn lines() -> String {
    let line = |n| format!("{{\"key\": \"line {n}\", \"value\": \"{n:0100}\"}}\n");
    (0..5000).map(line).collect()
}

fn the_command_is_killed(test: &str, kills: u32) {
    let mut random = begin(test);
    let mut tally = Tally::default();
    let place = TempDir::new().expect("a temporary folder");
    let input = place.path().join("lines.jsonl");
    fs::write(&input, lines()).expect("a file can be written");
    // The first run compiles the component. The times below must not include that.
    let warm = place::larder().arg("ls").current_dir(place.path()).status();
    assert!(warm.is_ok_and(|status| status.success()));
    for verb in ["save", "apply"] {
        for durability in DURABILITIES {
            let storage = Storage::new(durability);
            storage.begin_anew();
            let start = Instant::now();
            let mut undisturbed = larder(&storage, durability, verb, &input);
            assert!(undisturbed.wait().is_ok_and(|status| status.success()));
            let took = start.elapsed();
            let after = load(&storage.backend);
            assert!(after.len() >= 5000);
            for round in 0..kills {
                tally.temporaries += storage.begin_anew();
                let before = load(&storage.backend);
                let files_before = files(&storage.folder.path().join(CACHE));
                let mut child = larder(&storage, durability, verb, &input);
                if round % 2 == 0 {
                    thread::sleep(took.mul_f64(random.random::<f64>() * 1.1));
                } else {
                    // As soon as the test sees it write, or a little later.
                    while files(&storage.folder.path().join(CACHE)) == files_before
                        && child.try_wait().is_ok_and(|status| status.is_none())
                    {
                        thread::yield_now();
                    }
                    thread::sleep(Duration::from_millis(10).mul_f64(random.random()));
                }
                child.kill().expect("the process is ours");
                let ended = child.wait().expect("it was killed").success();
                let found = load(&storage.backend);
                let is_made = found == after;
                assert!(
                    is_made || !ended && found == before,
                    "{durability} {verb}: {} entries",
                    found.len()
                );
                let begun = is_made || !storage.temporaries().is_empty();
                tally.count(ended, begun, is_made && !ended);
            }
            tally.temporaries += storage.begin_anew();
        }
    }
    println!("{test}: {tally}");
}

#[test]
fn a_command_that_is_killed_was_carried_out_or_not() {
    the_command_is_killed("kill::a_command_that_is_killed_was_carried_out_or_not", 4);
}

#[test]
#[ignore = "takes minutes"]
fn a_command_that_is_killed_hundreds_of_times_was_carried_out_or_not() {
    let test = "kill::a_command_that_is_killed_hundreds_of_times_was_carried_out_or_not";
    the_command_is_killed(test, 100);
}
