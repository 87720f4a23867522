//! The tests can fail: each of these deliberate faults in the storage code is caught by the test
//! that is named for it. A mutant is a change to a copy of the source: none is ever in what ships.
//!
//! `cargo test --test mutants -- --ignored --nocapture` builds every mutant, runs its test against
//! it, and prints the table. It does so only when the storage code or its tests changed since all
//! mutants were last caught. `passed.rs` names the files that count. `LARDER_MUTANTS=all` runs all
//! of them in any case, and `LARDER_MUTANTS=no-fence` only that one.

mod passed;
mod table;
mod workshop;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Instant;
use std::{env, fs, io, thread};

use table::{MUTANTS, Mutant};
use workshop::{Tests, Workshop};

const WORKSPACE: &str = env!("CARGO_MANIFEST_DIR");

/// Which mutants to run, where not all of them when it is due.
const CHOICE: &str = "LARDER_MUTANTS";
const ALL: &str = "all";

impl Mutant {
    /// The source with the fault in it.
    fn mutate(&self, source: &str) -> String {
        let replace = |source: String, (from, to): &(&str, &str)| {
            let count = source.matches(from).count();
            assert_eq!(count, 1, "{}: {from:?} is once in {}", self.name, self.file);
            source.replacen(from, to, 1)
        };
        self.edits.iter().fold(source.to_owned(), replace)
    }
}

/// Builds the mutants and runs their tests, one while the next is built. Gives the names of the
/// mutants that no test catches.
fn missed(mutants: &[&'static Mutant]) -> Vec<&'static str> {
    let workshop = Workshop::new();
    let tests = Tests::new();
    let caught_by: BTreeSet<_> = mutants.iter().map(|mutant| mutant.caught_by).collect();
    let sound = workshop.build(None);
    let mut missed = Vec::new();
    let (send, receive) = sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            for &mutant in mutants {
                let component = workshop.build(Some(mutant));
                // The thread that would test it has given up, and says why.
                if send.send((mutant, component)).is_err() {
                    return;
                }
            }
        });
        for (test, passes) in tests.run(&caught_by, &sound) {
            assert!(passes, "{test} fails without any fault");
        }
        println!("| mutant | what it does | caught by | seconds |\n| --- | --- | --- | ---: |");
        for (mutant, component) in receive {
            let start = Instant::now();
            let [(test, passes)] = tests.run(&[mutant.caught_by].into(), &component)[..] else {
                panic!("one test has one outcome");
            };
            if passes {
                missed.push(mutant.name);
            }
            let (name, fault) = (mutant.name, mutant.fault);
            let not = if passes { "**not** " } else { "" };
            let seconds = start.elapsed().as_secs_f64();
            println!("| `{name}` | {fault} | {not}`{test}` | {seconds:.1} |");
        }
    });
    println!("{} mutants, {} missed", mutants.len(), missed.len());
    missed
}

#[test]
fn every_mutant_is_a_change_of_the_source_as_it_is() {
    for mutant in MUTANTS {
        let source = fs::read_to_string(Path::new(WORKSPACE).join(mutant.file)).unwrap();
        assert_ne!(mutant.mutate(&source), source, "{}", mutant.name);
    }
}

/// The table of `docs/durability.md`.
fn table_for_docs() -> String {
    let mut table = String::from("| mutant | fault | caught by |\n| --- | --- | --- |\n");
    for mutant in MUTANTS {
        let (name, fault, test) = (mutant.name, mutant.fault, mutant.caught_by);
        table += &format!("| `{name}` | {fault} | `{test}` |\n");
    }
    table
}

#[test]
fn the_docs_have_the_table_of_all_mutants() {
    const MARKERS: [&str; 2] = ["<!-- mutants -->\n", "<!-- /mutants -->"];
    let path = Path::new(WORKSPACE).join("docs/durability.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MARKERS[0]).expect("the marker is there");
    let (table, after) = rest.split_once(MARKERS[1]).expect("the marker is there");
    if env::var_os("LARDER_WRITE_DOCS").is_some() {
        let [begin, end] = MARKERS;
        let page = [before, begin, &table_for_docs(), end, after].concat();
        fs::write(&path, page).unwrap();
    } else {
        let how = "LARDER_WRITE_DOCS=1 cargo test --test mutants docs";
        assert!(table == table_for_docs(), "write the table anew: {how}");
    }
}

#[test]
#[ignore = "builds the component for every mutant, which takes minutes"]
fn every_mutant_is_caught() {
    let choice = env::var(CHOICE).ok();
    let digest = passed::digest(&passed::files(Path::new(WORKSPACE)));
    let mutants: Vec<_> = match choice.as_deref() {
        None if passed::read() == Some(digest) => {
            let why = "all mutants were caught in just this source";
            return writeln!(
                io::stderr(),
                "SKIPPED: {why}; {CHOICE}={ALL} runs them again"
            )
            .expect("standard error takes it");
        }
        None | Some(ALL) => MUTANTS.iter().collect(),
        Some(name) => MUTANTS
            .iter()
            .filter(|mutant| mutant.name == name)
            .collect(),
    };
    assert!(!mutants.is_empty(), "there is no mutant {choice:?}");
    assert_eq!(missed(&mutants), [""; 0], "no test catches these");
    if mutants.len() == MUTANTS.len() {
        passed::write(digest);
    }
}
