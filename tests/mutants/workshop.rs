//! Where mutants are built, and the tests that are run against them.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::{Mutant, WORKSPACE};

/// The parts of the workspace that cargo asks for when it builds the disk backend.
const PARTS: [&str; 13] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "components",
    "crates",
    "examples",
    "fuzz/checks",
    "host-test",
    "rust-toolchain.toml",
    "src",
    "tests/layers",
    "wit",
    "xtask",
];

/// A copy of the workspace, in which the component is built.
pub struct Workshop(PathBuf);

impl Workshop {
    /// Always in the same folder, so that the dependencies are built once.
    pub fn new() -> Workshop {
        let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        for part in PARTS {
            mirror(&Path::new(WORKSPACE).join(part), &copy.join(part));
        }
        fs::create_dir_all(copy.join("built")).unwrap();
        Workshop(copy)
    }

    /// Builds the component with a fault, or without one. Gives the path of its file.
    pub fn build(&self, mutant: Option<&Mutant>) -> PathBuf {
        let mutated = mutant.map(|mutant| {
            let file = self.0.join(mutant.file);
            let source = fs::read_to_string(&file).unwrap();
            fs::write(&file, mutant.mutate(&source)).unwrap();
            (file, source)
        });
        let target = self.0.join("target");
        let output = cargo(&self.0)
            .args(["build", "--package", "larder-disk", "--lib"])
            .args(["--target", "wasm32-wasip2", "--profile", "component"])
            .arg("--target-dir")
            .arg(&target)
            // Quicker to build, and as faulty.
            .args(["--config", "profile.component.lto=false"])
            .args(["--config", "profile.component.opt-level=1"])
            .args(["--config", "profile.component.codegen-units=16"])
            .output()
            .unwrap();
        if let Some((file, source)) = mutated {
            fs::write(file, source).unwrap();
        }
        let name = mutant.map_or("none", |mutant| mutant.name);
        assert!(output.status.success(), "{name}: {}", text(&output));
        // The next build replaces what cargo has made, maybe while this is tested.
        let built = self.0.join("built").join(name).with_extension("wasm");
        let made = target.join("wasm32-wasip2/component/larder_disk.wasm");
        fs::copy(made, &built).unwrap();
        built
    }
}

/// Makes a copy of a file or a folder equal to the original. Leaves files alone that are the same
/// already, which cargo then does not build again.
fn mirror(from: &Path, to: &Path) {
    if !from.is_dir() {
        if fs::read(from).ok() != fs::read(to).ok() {
            fs::copy(from, to).unwrap();
        }
        return;
    }
    fs::create_dir_all(to).unwrap();
    for copied in fs::read_dir(to).unwrap() {
        let copied = copied.unwrap();
        if !from.join(copied.file_name()).exists() {
            match copied.file_type().unwrap().is_dir() {
                true => fs::remove_dir_all(copied.path()).unwrap(),
                false => fs::remove_file(copied.path()).unwrap(),
            }
        }
    }
    for original in fs::read_dir(from).unwrap() {
        let name = original.unwrap().file_name();
        mirror(&from.join(&name), &to.join(&name));
    }
}

/// The program of `tests/disk`. It is run without cargo, which takes its time to find that there is
/// nothing to build.
pub struct Tests(PathBuf);

impl Tests {
    /// Builds the program where it is not built.
    pub fn new() -> Tests {
        let output = cargo(Path::new(WORKSPACE))
            // Not of one package alone: wasmtime has other features then, and is compiled anew.
            .args(["test", "--test", "disk", "--no-run"])
            .args(["--message-format", "json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let messages = String::from_utf8(output.stdout).unwrap();
        let program = messages.lines().find_map(|line| {
            let message: Value = serde_json::from_str(line).unwrap();
            let is_it = message["target"]["name"] == "disk";
            let program = message["executable"].as_str().filter(|_| is_it);
            program.map(PathBuf::from)
        });
        Tests(program.expect("cargo says where the program is"))
    }

    /// Runs these tests against a component; whether each of them passes.
    pub fn run<'a>(&self, tests: &BTreeSet<&'a str>, component: &Path) -> Vec<(&'a str, bool)> {
        let output = Command::new(&self.0)
            .current_dir(WORKSPACE)
            .arg("--exact")
            .args(tests)
            .env("LARDER_DISK_COMPONENT", component)
            .output()
            .unwrap();
        let text = text(&output);
        let outcome = |&test: &&'a str| {
            let said = |what: &str| text.contains(&format!("test {test} ... {what}"));
            let (passed, failed) = (said("ok"), said("FAILED"));
            assert!(passed != failed, "{test} neither passed nor failed: {text}");
            (test, passed)
        };
        let outcomes: Vec<_> = tests.iter().map(outcome).collect();
        let all = outcomes.iter().all(|(_, passed)| *passed);
        assert_eq!(output.status.success(), all, "{text}");
        outcomes
    }
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder);
    cargo
}

fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}
