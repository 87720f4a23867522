//! The checks of the fuzz targets, over their corpus and over some damage to it. This shows that
//! the checks hold; to find something new is the fuzzer's work.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use larder_fuzz_checks::{decode, import};
use larder_host_test::Effort;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};

/// The files of a target's corpus, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let files = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let files = paths.iter().map(|path| fs::read(path).unwrap());
    files.collect()
}

/// Checks the corpus, and so many files that are made by damaging it.
fn check(target: &str, check: fn(&[u8]), effort: &Effort, mutants: usize) {
    let corpus = corpus(target);
    assert!(corpus.len() > 100, "the corpus is there");
    corpus.iter().for_each(|file| check(file));
    let mut random = Xoshiro256PlusPlus::seed_from_u64(effort.seed);
    for number in 0..mutants {
        let mutant = mutant(&corpus, &mut random);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&mutant))) {
            eprintln!(
                "mutant {number}: {}\n{}",
                mutant.escape_ascii(),
                effort.replay()
            );
            resume_unwind(panic);
        }
    }
    println!(
        "{target}: {} files of the corpus and {mutants} mutants, seed {}",
        corpus.len(),
        effort.seed
    );
}

fn mutant(corpus: &[Vec<u8>], random: &mut impl Rng) -> Vec<u8> {
    let pick = |random: &mut _| corpus.choose(random).expect("it is not empty");
    let mut file = pick(random).clone();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=file.len());
        let end = random.random_range(at..=file.len());
        match random.random_range(0..6) {
            0 if at < file.len() => file[at] ^= 1 << random.random_range(0..8),
            1 if at < file.len() => file[at] = random.random(),
            2 => file.truncate(at),
            3 => drop(file.drain(at..end)),
            // A part of another file, or of this one, replaces a part of this one.
            4 => {
                let other = pick(random);
                let from = random.random_range(0..=other.len());
                let to = random.random_range(from..=other.len());
                file.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                let part = file[at..end].to_vec();
                file.splice(at..at, part);
            }
        }
    }
    file
}

#[test]
fn whatever_the_bytes_of_files_are_they_are_decoded_and_merged_as_promised() {
    check("decode", decode::check, &Effort::ordinary(), 10_000);
}

#[test]
fn whatever_the_bytes_of_an_import_are_they_are_read_within_bounds() {
    check("import", import::check, &Effort::ordinary(), 30_000);
}

#[test]
#[ignore = "takes minutes"]
fn many_more_bytes_of_files_are_decoded_and_merged_as_promised() {
    check("decode", decode::check, &Effort::nightly(), 200_000);
}

#[test]
#[ignore = "takes minutes"]
fn many_more_bytes_of_imports_are_read_within_bounds() {
    check("import", import::check, &Effort::nightly(), 1_000_000);
}
