//! `larder conformance`, run as people run it, on backends that keep their promises and on such as do not.

use std::fs;
use std::process::{Command, Stdio};

use larder_components::{MEMORY, TIERED};
use larder_conformance::CASES;
use larder_host_test::components::BROKEN;
use serde_json::Value;
use tempfile::TempDir;

struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the command on this file, with these arguments to follow.
fn conformance(file: &[u8], args: &[&str]) -> Ended {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("backend.wasm"), file).expect("a file can be written");
    run(&folder, &[&["backend.wasm"], args].concat())
}

fn run(folder: &TempDir, args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_larder"))
        .arg("conformance")
        .args(args)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("larder runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended {
        code: output.status.code().expect("no signal"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn objects(text: &str) -> Vec<Value> {
    let objects = text.lines().map(serde_json::from_str);
    objects.map(|object| object.expect("JSON")).collect()
}

#[test]
fn the_built_in_backend_keeps_every_promise_there_is() {
    let ended = conformance(larder_components::DISK, &["--json"]);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (0, ""),
        "{}",
        ended.stdout
    );
    let judged = objects(&ended.stdout);
    let names: Vec<_> = judged
        .iter()
        .map(|object| object["case"].as_str())
        .collect();
    let all: Vec<_> = CASES.iter().map(|case| Some(case.name)).collect();
    assert_eq!(names, all);
    for object in judged {
        assert_eq!(object["verdict"], "kept", "{object}");
    }
}

#[test]
fn a_broken_promise_is_told_with_what_was_seen_and_is_a_failure() {
    let args = [
        "--volatile",
        "--env",
        "LARDER_FAULT=lengthens-ttls",
        "a nanosecond before",
    ];
    let ended = conformance(BROKEN, &args);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let expected = "larder: conformance of backend.wasm: 1 promise is broken\n";
    assert_eq!(ended.stderr, expected);
    for part in [
        "an entry is gone when its ttl is over, and not a nanosecond before",
        "an_entry_is_dropped_when_its_ttl_has_run_out",
        "left == right",
        "0 kept, 1 broken, 0 not offered",
    ] {
        assert!(
            ended.stdout.contains(part),
            "no {part:?} in {}",
            ended.stdout
        );
    }

    let ended = conformance(BROKEN, &[&args[..], &["--json"]].concat());
    assert_eq!(ended.code, 1);
    let [object] = &objects(&ended.stdout)[..] else {
        panic!("one case: {}", ended.stdout);
    };
    assert_eq!(object["verdict"], "broken");
    let why = object["why"].as_str().expect("it says what was seen");
    assert!(why.contains("left == right"), "{why}");
}

#[test]
fn what_a_backend_does_not_have_is_not_offered_and_no_failure() {
    let ended = conformance(MEMORY, &["--volatile", "restart"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let missing = "not offered: no storage that outlives an instance";
    assert!(ended.stdout.contains(missing), "{}", ended.stdout);
    assert!(ended.stdout.contains("0 kept, 0 broken, 2 not offered"));

    let ended = conformance(MEMORY, &["--volatile", "--json", "a_reader"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    for object in objects(&ended.stdout) {
        assert_eq!(object["verdict"], "not offered", "{object}");
        assert_eq!(object["missing"], "cache-bulk", "{object}");
    }
}

#[test]
fn what_is_no_backend_is_said_to_be_none() {
    let module = b"\0asm\x01\0\0\0";
    let component = b"\0asm\x0d\0\x01\0";
    for (file, why) in [
        (&b"this is no component"[..], "is not a component"),
        (b"", "is not a component"),
        (module, "is not a component"),
        (
            component,
            "does not export larder:cache/cache-backend@0.1.0",
        ),
        (TIERED, "needs more than WASI 0.2"),
    ] {
        let ended = conformance(file, &[]);
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{why}");
        let says =
            ended.stderr.contains("conformance of backend.wasm") && ended.stderr.contains(why);
        assert!(says, "no {why:?} in {}", ended.stderr);
    }
    let empty = TempDir::new().expect("a temporary folder");
    let ended = run(&empty, &["missing.wasm"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(ended.stderr.contains("missing.wasm"), "{}", ended.stderr);
}

#[test]
fn a_command_line_that_cannot_be_understood_is_told_apart() {
    for (args, why) in [
        (&["--env", "NAME"][..], "a variable is NAME=VALUE"),
        (&["--env", "=value"], "a variable is NAME=VALUE"),
        (&["no such case"], "no case has this in its name or promise"),
        (&["ttl", "clear"], "unexpected argument"),
    ] {
        let ended = conformance(MEMORY, args);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ended.stderr.contains(why), "no {why:?} in {}", ended.stderr);
    }
    let empty = TempDir::new().expect("a temporary folder");
    let ended = run(&empty, &[]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("BACKEND.wasm"), "{}", ended.stderr);
}
