//! The command over functions of the C library that a test replaces.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::place::{Place, ended, entries, fed};

/// A wall clock that shows a day before 1970.
const CLOCK: &str = "
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, clock, time);
    if (!failed && clock == CLOCK_REALTIME) time->tv_sec = -86400;
    return failed;
}
";

/// A file system that notes each folder that is created, and each that is synced.
const NOTES: &str = r#"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char *act, const char *path) {
    char real[PATH_MAX];
    int notes = open(getenv("LARDER_TEST_NOTES"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (!realpath(path, real) || notes < 0 || dprintf(notes, "%s %s\n", act, real) < 0) abort();
    close(notes);
}

int mkdir(const char *path, mode_t mode) {
    int failed = syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (!failed) note("create", path);
    return failed;
}

int fsync(int file) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    note("sync", path);
    return syscall(SYS_fsync, file);
}
"#;

/// Compiles functions to a library that is loaded before the C library.
fn library(place: &Place, functions: &str) -> PathBuf {
    place.write("library.c", format!("#define _GNU_SOURCE\n{functions}"));
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o", "library.so", "library.c"]);
    let compiled = compile.current_dir(place.0.path()).status();
    assert!(
        compiled
            .expect("the linker of Rust is a C compiler")
            .success()
    );
    place.path("library.so")
}

#[test]
fn a_wall_clock_before_1970_counts_as_1970() {
    let place = Place::new();
    let clock = library(&place, CLOCK);
    let command = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("LD_PRELOAD", &clock);
        command
    };
    let run = |args| ended(command(args).output().expect("larder runs"));
    let entry = br#"{"key": "k", "value": "v", "ttl": "1h"}"#;
    fed(command(&["save", "a"]), entry).done();
    let change = br#"{"key": "l", "value": "w"}"#;
    fed(command(&["apply", "a"]), change).done();
    assert_eq!(entries(&run(&["load", "a"]).done()).len(), 2);
    let stat = run(&["stat", "a"]).done();
    assert!(stat.contains("1970-01-01T00:00:00Z"), "{stat}");
    // The wall clock steps forward, over the end of the ttl.
    assert_eq!(entries(&place.run(&["load", "a"]).done()).len(), 1);
}

#[test]
fn the_name_of_each_folder_above_the_caches_is_synced_before_the_next_is_created() {
    let place = Place::new();
    let system = library(&place, NOTES);
    let notes = place.path("notes");
    let root = fs::canonicalize(place.0.path()).expect("a folder");
    let noted = |dir: &str| {
        let mut command = place.command(&["--dir", dir, "save", "cache"]);
        command
            .env("LD_PRELOAD", &system)
            .env("LARDER_TEST_NOTES", &notes);
        fed(command, br#"{"key": "k", "value": "v"}"#).done();
        let text = fs::read_to_string(&notes).expect("something is noted");
        fs::remove_file(&notes).expect("it is there");
        // The folder for compiled code is elsewhere.
        let lines = text.lines().filter_map(|line| {
            let (act, path) = line.split_once(' ')?;
            let path = path.strip_prefix(root.to_str()?)?;
            Some(format!("{act} {}", path.trim_start_matches('/')))
        });
        lines.collect::<Vec<_>>()
    };
    let created = [
        "create a",
        "sync ",
        "create a/b",
        "sync a",
        "create a/b/c",
        "sync a/b",
    ];
    // The component itself creates and syncs what is in the store.
    let [store, cache] = ["sync a/b/c", "sync a/b/c/cache"];
    assert_eq!(noted("a/b/c"), [&created[..], &[store, cache]].concat());
    // Another process may have created a folder that exists, and died before its sync.
    assert_eq!(noted("a/b/c"), ["sync a/b", cache]);
    let [store, cache] = ["sync a/b/d", "sync a/b/d/cache"];
    let created = ["sync a", "create a/b/d", "sync a/b"];
    assert_eq!(noted("a/b/d"), [&created[..], &[store, cache]].concat());
}
