//! A process that reaches a limit of the operating system says which one, and stores nothing by
//! halves.

use std::process::{Command, Stdio};

use crate::place::{Ended, Place, ended, entries};

/// Runs the command under `ulimit` with this option and value.
fn limited(place: &Place, option: &str, value: u32, args: &[&str]) -> Ended {
    let larder = place.command(args);
    let mut command = Command::new("bash");
    command
        .args(["-c", "ulimit \"$0\" \"$1\" && shift && exec \"$@\"", option])
        .arg(value.to_string())
        .arg(larder.get_program())
        .args(larder.get_args())
        .current_dir(place.0.path())
        .stdin(Stdio::null());
    for (name, value) in larder.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    ended(command.output().expect("bash runs"))
}

#[test]
fn a_process_without_address_space_says_so() {
    let place = Place::new();
    place.save_many("a");
    for kib in [1_000_000, 3_000_000] {
        let failed = limited(&place, "-v", kib, &["load", "a"]);
        assert!(!failed.stderr.contains("trapped"), "{}", failed.stderr);
        failed.failed(&[
            "load of cache \"a\" in larder-data: ",
            "no address space left",
        ]);
    }
}

#[test]
fn a_process_without_file_descriptors_says_so() {
    let place = Place::new();
    place.save_many("a");
    place.write("entry.jsonl", r#"{"key": "k", "value": "v"}"#);
    for args in [["load", "a"].as_slice(), &["save", "b", "entry.jsonl"]] {
        let codes = (8..40).map(|descriptors| {
            let ended = limited(&place, "-n", descriptors, args);
            let (code, stderr) = (ended.code, &ended.stderr);
            let said = [
                "Too many open files",
                &format!("larder: {} of cache", args[0]),
            ]
            .iter()
            .all(|part| stderr.contains(part));
            let is_right = code == 0 && stderr.is_empty() || code == 1 && said;
            assert!(
                is_right && !stderr.contains("trapped"),
                "{descriptors}: {code}: {stderr}"
            );
            code
        });
        let codes: Vec<_> = codes.collect();
        assert_eq!((codes.first(), codes.last()), (Some(&1), Some(&0)));
    }
}

#[test]
fn a_file_beyond_the_size_limit_is_an_error_and_nothing_is_lost() {
    let place = Place::new();
    place.save_many("a");
    let loaded = place.run(&["load", "a"]).done();
    place.write("a.jsonl", &loaded);
    let failed = limited(&place, "-f", 8, &["save", "a", "a.jsonl"]);
    failed.failed(&["save of cache \"a\" in larder-data: ", "too large"]);
    assert_eq!(entries(&place.run(&["load", "a"]).done()), entries(&loaded));
    place.run(&["verify"]).done();
}
