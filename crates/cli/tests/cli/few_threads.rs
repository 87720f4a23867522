//! A process that may start few threads or none reports an error and does not crash.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::{fs, io, thread};

/// A user who has no other processes, which would count towards the limit. No limit holds for root.
const NOBODY: &[&str] = &["--reuid", "64999", "--regid", "64999", "--clear-groups"];

/// Runs the command where its user may start no more threads than this.
fn list_with_threads(threads: usize, larder: &Path, storage: &Path) -> Output {
    Command::new("setpriv")
        .env("LARDER_CODE_CACHE", "")
        .args(NOBODY)
        .args(["bash", "-c", "ulimit -u \"$0\" && exec \"$@\""])
        .arg(threads.to_string())
        .arg(larder)
        .arg("--dir")
        .arg(storage)
        .arg("ls")
        .output()
        .expect("it ran just now")
}

#[test]
fn a_process_that_may_start_no_threads_gives_an_error() {
    let tried = Command::new("setpriv")
        .args(NOBODY)
        .args(["bash", "-c", "true"])
        .output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        let why = "SKIPPED: a_process_that_may_start_no_threads_gives_an_error: \
                   this user may not become another user";
        return writeln!(io::stderr(), "{why}").expect("standard error takes it");
    }
    // The command is copied to a folder that this user may read.
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("the folder is ours");
    let larder = folder.path().join("larder");
    fs::copy(env!("CARGO_BIN_EXE_larder"), &larder).expect("the command can be copied");
    let storage = folder.path().join("not there");

    // The compiler starts a thread for each core; the timers need one more.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for threads in [0, 1, cores, cores + 1, cores + 2, cores + 9] {
        let Output { status, stderr, .. } = list_with_threads(threads, &larder, &storage);
        let stderr = String::from_utf8_lossy(&stderr);
        let last = stderr.lines().last().unwrap_or_default();
        let is_error = status.code() == Some(1) && last.starts_with("larder: list in ");
        assert!(
            is_error || status.success(),
            "{threads} threads: {status}: {stderr}"
        );
        let enough = threads > cores + 2;
        assert!(
            status.success() == enough || threads == cores + 2,
            "{threads} threads: {stderr}"
        );
    }
}
