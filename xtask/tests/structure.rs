//! The repository keeps the limits of its structure.

use std::process::Command;

#[test]
fn the_figures_of_the_structure_keep_their_limits() {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = xtask.arg("numbers").output().unwrap();
    let figures = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{figures}\n{why}");
}
