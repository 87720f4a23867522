//! Output, errors, exit codes and help of the command.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};

use crate::place::{Place, damage, ended, lines};

#[test]
fn a_name_cannot_act_on_the_terminal() {
    let place = Place::new();
    let name = "a\u{202e}b";
    place
        .feed(&["save", name], r#"{"key": "k", "value": "v"}"#)
        .done();
    for args in [
        ["ls"].as_slice(),
        &["ls", "--json"],
        &["verify"],
        &["clear", name],
    ] {
        let shown = place.run(args).done();
        assert!(
            !shown.contains('\u{202e}') && shown.contains("202e"),
            "{shown}"
        );
    }
    let shown = place.run(&["load", "a\u{1b}[31m"]);
    assert!(!shown.stderr.contains('\u{1b}'));
    shown.failed(&["\\u{1b}[31m", "invalid name"]);
}

#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let place = Place::new();
    // Far more than a pipe holds.
    let entries = (0..20).map(|n| (format!("{n}"), "x".repeat(100_000)));
    place
        .feed(&["save", "big"], lines(&entries.collect()))
        .done();
    let mut load = place
        .command(&["load", "big"])
        .spawn()
        .expect("larder runs");
    let mut line = String::new();
    BufReader::new(load.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("a line");
    assert!(line.starts_with('{'));
    let mut complaints = String::new();
    let mut stderr = load.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut complaints).expect("text");
    assert_eq!(complaints, "");
    assert_eq!(load.wait().expect("larder ends").code(), Some(0));
}

#[test]
fn a_verb_does_all_of_its_work_after_its_reader_is_gone() {
    let place = Place::new();
    let unread = |args: &[&str]| {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let output = place.command(args).stdout(writer).output();
        ended(output.expect("larder runs"))
    };
    place.save_many("a");
    unread(&["verify"]).done();
    damage(&place, "a");
    unread(&["verify"]).failed(&["verify of cache \"a\" in larder-data: 1 place damaged"]);
    // More output than the buffer holds, before the work on the cache.
    let mut clear = vec!["clear".to_owned()];
    clear.extend((0..700).map(|n| format!("{n:0120}")));
    clear.push("a".to_owned());
    unread(&clear.iter().map(String::as_str).collect::<Vec<_>>()).done();
    assert_eq!(place.run(&["ls", "--json"]).done(), "");
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    place
        .feed(&["save", "a"], r#"{"key": "k", "value": "v"}"#)
        .done();
    for args in [["load", "a"].as_slice(), &["ls"], &["ls", "--json"]] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("a full device");
        let output = place
            .command(args)
            .stdout(full)
            .output()
            .expect("larder runs");
        let ended = ended(output);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        ended.failed(&["larder: standard output: "]);
    }
    // More than the buffer holds, so that a write fails before the end.
    place.save_many("many");
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let mut load = place.command(&["load", "many"]);
    let output = load.stdout(full.expect("a full device")).output();
    let ended = ended(output.expect("larder runs"));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    ended.failed(&["larder: standard output: "]);
}

#[test]
fn a_command_line_that_cannot_be_understood_is_told_apart() {
    let place = Place::new();
    for args in [
        [].as_slice(),
        &["sav", "a"],
        &["save"],
        &["stat"],
        &["clear"],
        &["load", "a", "b"],
        &["load", "a", "--durability", "some"],
        &["--dir"],
    ] {
        let refused = place.run(args);
        assert_eq!(refused.code, 2, "{args:?}");
        assert!(
            refused.stderr.contains("--help"),
            "{args:?}: {}",
            refused.stderr
        );
    }
    assert!(
        place.run(&["sav", "a"]).stderr.contains("save"),
        "a suggestion"
    );
}

#[test]
fn every_verb_is_documented_with_an_example() {
    let place = Place::new();
    let help = place.run(&["--help"]).done();
    assert!(help.contains("Exit codes"));
    let verbs = [
        "save",
        "load",
        "apply",
        "clear",
        "ls",
        "stat",
        "verify",
        "import",
        "conformance",
        "components",
        "demo",
    ];
    for verb in verbs {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(verb)),
            "{verb}"
        );
        let help = place.run(&[verb, "--help"]).done();
        assert!(help.contains(&format!("Usage: larder {verb}")), "{help}");
        let (_, example) = help.split_once("Example").expect("an example");
        assert!(example.contains("larder "), "{help}");
    }
}
