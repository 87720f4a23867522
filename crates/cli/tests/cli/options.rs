//! The options that every verb takes, and the environment that replaces them.

use std::fs;
use std::process::Command;

use crate::place::{Place, ended, entries, fed, objects};

#[test]
fn the_folder_is_the_one_named_or_that_of_the_environment() {
    let place = Place::new();
    let entry = br#"{"key": "k", "value": "v"}"#;
    let in_environment = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("LARDER_DIR", "from environment");
        command
    };
    fed(in_environment(&["save", "a"]), entry).done();
    fed(
        in_environment(&["--dir", "named/below", "save", "b"]),
        entry,
    )
    .done();
    place.feed(&["save", "c"], entry).done();
    for (dir, cache) in [
        ("from environment", "a"),
        ("named/below", "b"),
        ("larder-data", "c"),
    ] {
        assert!(place.path(dir).join(cache).is_dir(), "{dir}");
        let caches = objects(&place.run(&["--dir", dir, "ls", "--json"]).done());
        assert_eq!(caches.len(), 1);
        assert_eq!(caches[0]["cache"], cache);
    }
}

#[test]
fn another_component_is_run_when_it_is_named() {
    let place = Place::new();
    place.write("backend.wasm", larder_components::DISK);
    let entry = r#"{"key": "k", "value": "v"}"#;
    place
        .feed(&["--backend", "backend.wasm", "save", "a"], entry)
        .done();
    assert_eq!(entries(&place.run(&["load", "a"]).done()).len(), 1);

    place.write("no component.wasm", "this is no component");
    for file in ["no component.wasm", "missing.wasm"] {
        for args in [["save", "b"], ["load", "b"]] {
            place
                .feed(&[&["--backend", file], args.as_slice()].concat(), entry)
                .failed(&[
                    &format!("{} of cache \"b\" in larder-data: ", args[0]),
                    file,
                ]);
        }
    }
    assert!(!place.path("larder-data/b").exists());
}

#[test]
fn a_component_is_compiled_once_and_kept_for_its_user_unless_that_is_turned_off() {
    let place = Place::new();
    let run = |name: &str, value: &str| {
        let mut command = place.command(&["ls", "--json"]);
        command
            .env_remove("LARDER_CODE_CACHE")
            .env("HOME", place.path("home"));
        command.env_remove("XDG_CACHE_HOME").env(name, value);
        ended(command.output().expect("larder runs")).done();
    };
    let files = |folder: &str| match fs::read_dir(place.path(folder)) {
        Ok(files) => files.count(),
        Err(_) => 0,
    };
    run("LARDER_CODE_CACHE", "");
    // A home that does not exist is not created.
    run("XDG_CACHE_HOME", "");
    assert!(!place.path("home").exists());
    for _ in 0..2 {
        run("LARDER_CODE_CACHE", "code");
        assert_eq!(files("code"), 1);
    }
    let caches = place.path("caches");
    run("XDG_CACHE_HOME", caches.to_str().expect("text"));
    assert_eq!(files("caches/larder"), 1);
    assert!(!place.path("home").exists());
    fs::create_dir(place.path("home")).expect("a folder");
    // The variable counts only if it is a path from the root.
    run("XDG_CACHE_HOME", "caches");
    assert_eq!(files("home/.cache/larder"), 1);
}

#[test]
fn durability_is_a_setting_of_the_command_and_of_the_environment() {
    let place = Place::new();
    let entry = br#"{"key": "k", "value": "v"}"#;
    for level in ["full", "atomic"] {
        place
            .feed(&["--durability", level, "save", "a"], entry)
            .done();
        let mut command = place.command(&["save", "a"]);
        command.env("LARDER_DURABILITY", level);
        fed(command, entry).done();
    }
    let with_bad_environment = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("LARDER_DURABILITY", "sometimes");
        fed(command, entry)
    };
    with_bad_environment(&["save", "b"]).failed(&["LARDER_DURABILITY", "sometimes"]);
    with_bad_environment(&["save", "b", "--durability", "full"]).done();
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_nothing_is_lost() {
    let place = Place::new();
    place.write("file", "");
    let entry = r#"{"key": "k", "value": "v"}"#;
    for dir in ["file", "file/below"] {
        place
            .feed(&["--dir", dir, "save", "a"], entry)
            .failed(&[&format!("larder: save of cache \"a\" in {dir}: ")]);
    }
    place
        .run(&["--dir", "file", "load", "a"])
        .failed(&["load of cache \"a\" in file: "]);

    let made = Command::new("mkfifo").arg(place.path("pipe")).status();
    assert!(made.expect("mkfifo runs").success());
    for args in [
        ["--dir", "pipe", "ls"].as_slice(),
        &["--dir", "pipe", "load", "a"],
    ] {
        place.run(args).failed(&["in pipe: ", "not a directory"]);
    }

    place.feed(&["save", "a"], entry).done();
    let read_only = place.path("larder-data");
    let permissions = |writable: bool| {
        for folder in [read_only.join("a"), read_only.clone()] {
            let mut permissions = fs::metadata(&folder).expect("a folder").permissions();
            permissions.set_readonly(!writable);
            fs::set_permissions(&folder, permissions).expect("permissions can be set");
        }
    };
    permissions(false);
    if fs::write(read_only.join("probe"), "").is_ok() {
        eprintln!("skipped the rest: this user may write to read-only folders, as root may");
        return permissions(true);
    }
    let refused = place.feed(&["save", "a"], r#"{"key": "other", "value": "v"}"#);
    let loaded = place.run(&["load", "a"]);
    permissions(true);
    refused.failed(&["save of cache \"a\" in larder-data: access denied"]);
    assert!(entries(&loaded.done()).contains_key("k"));
}
