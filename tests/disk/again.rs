//! Runs one test of this program again, in a process of its own.

use std::env;
use std::process::{Command, Output};

/// The command that runs only this test, in a process that the wrapper starts.
pub fn command(wrapper: &[&str], test: &str) -> Command {
    let program = env::current_exe().expect("a test is a program");
    let mut command = match wrapper {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command.args(["--exact", test, "--nocapture"]);
    command
}

/// The process ran its test, and the test passed. A name that no test has runs nothing.
#[track_caller]
pub fn assert_passed(test: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{test}: {}\n{said}\n{errors}",
        output.status
    );
}
