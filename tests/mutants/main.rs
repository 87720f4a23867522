//! The tests can fail: each of these deliberate faults in the storage code is caught by the test that is named for it.
//!
//! `cargo test --test mutants -- --ignored --nocapture` builds every mutant, runs its test against it, and prints the
//! table; with `LARDER_MUTANT=no-fence` only that one. A mutant is a change to a copy of the source, so that none is
//! ever part of what ships.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

mod table;

use table::{MUTANTS, Mutant};

const WORKSPACE: &str = env!("CARGO_MANIFEST_DIR");

impl Mutant {
    /// The source with the fault in it.
    fn mutate(&self, source: &str) -> String {
        self.edits
            .iter()
            .fold(source.to_owned(), |source, (from, to)| {
                let count = source.matches(from).count();
                assert_eq!(count, 1, "{}: {from:?} is once in {}", self.name, self.file);
                source.replacen(from, to, 1)
            })
    }
}

/// A copy of the workspace, of which the component is built.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Copy {
        // Always the same, so that the dependencies are built once.
        let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        for part in [
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
            "wit",
        ] {
            copy_all(&Path::new(WORKSPACE).join(part), &copy.join(part));
        }
        Copy(copy)
    }

    /// Builds the component with a fault, or without one.
    fn build(&self, mutant: Option<&Mutant>) -> PathBuf {
        let file = mutant.map(|mutant| {
            let file = self.0.join(mutant.file);
            let source = fs::read_to_string(&file).unwrap();
            fs::write(&file, mutant.mutate(&source)).unwrap();
            (file, source)
        });
        let built = cargo(&self.0)
            .args(["build", "--package", "larder-disk", "--lib"])
            .args(["--target", "wasm32-wasip2", "--profile", "component"])
            .arg("--target-dir")
            .arg(self.0.join("target"))
            // Quicker to build, and as faulty.
            .args(["--config", "profile.component.lto=false"])
            .args(["--config", "profile.component.opt-level=1"])
            .args(["--config", "profile.component.codegen-units=16"])
            .output()
            .unwrap();
        if let Some((file, source)) = file {
            fs::write(file, source).unwrap();
        }
        let name = mutant.map_or("none", |mutant| mutant.name);
        assert!(built.status.success(), "{name}: {}", text(&built));
        self.0
            .join("target/wasm32-wasip2/component/larder_disk.wasm")
    }
}

/// Copies a file, or a folder with all that is in it, unless it is there already.
fn copy_all(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy_all(&from.join(&name), &to.join(&name));
        }
    } else if fs::read(from).ok() != fs::read(to).ok() {
        fs::copy(from, to).unwrap();
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

/// Runs a test against a component; whether it passes.
fn passes((file, test): (&str, &str), component: &Path) -> bool {
    let output = cargo(Path::new(WORKSPACE))
        // Not of one package alone: wasmtime has other features then, and would be compiled anew.
        .args(["test", "--test", file])
        .args(["--", "--exact", test])
        .env("LARDER_DISK_COMPONENT", component)
        .output()
        .unwrap();
    let text = text(&output);
    let said = |what: &str| text.contains(&format!("test {test} ... {what}"));
    assert!(
        output.status.success() == said("ok") && said("FAILED") != said("ok"),
        "{file}, {test} neither passed nor failed: {text}"
    );
    output.status.success()
}

#[test]
fn every_mutant_is_a_change_of_the_source_as_it_is() {
    for mutant in MUTANTS {
        let source = fs::read_to_string(Path::new(WORKSPACE).join(mutant.file)).unwrap();
        assert_ne!(mutant.mutate(&source), source, "{}", mutant.name);
    }
}

#[test]
#[ignore = "builds the component for every mutant, which takes minutes"]
fn every_mutant_is_caught() {
    let only = env::var("LARDER_MUTANT").ok();
    let chosen = |mutant: &&Mutant| only.as_deref().is_none_or(|only| only == mutant.name);
    let mutants: Vec<_> = MUTANTS.iter().filter(chosen).collect();
    assert!(!mutants.is_empty(), "there is no mutant {only:?}");

    let copy = Copy::new();
    let component = copy.build(None);
    let mut tests: Vec<_> = mutants.iter().map(|mutant| mutant.caught_by).collect();
    tests.sort_unstable();
    tests.dedup();
    for test in tests {
        assert!(passes(test, &component), "{test:?} fails without any fault");
    }

    let mut missed = Vec::new();
    println!("| mutant | what it does | caught by |\n| --- | --- | --- |");
    for mutant in &mutants {
        let component = copy.build(Some(mutant));
        let (file, test) = mutant.caught_by;
        if passes(mutant.caught_by, &component) {
            missed.push(mutant.name);
        }
        let caught = if missed.last() == Some(&mutant.name) {
            "**missed**"
        } else {
            ""
        };
        println!(
            "| `{}` | {} | {caught} {file}: `{test}` |",
            mutant.name, mutant.fault
        );
    }
    println!("{} mutants, {} missed", mutants.len(), missed.len());
    assert_eq!(missed, [""; 0], "no test catches these");
}
