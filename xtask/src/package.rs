//! The packages of `crates/`, checked as a registry would hand them out.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::features;
use crate::run::{Outcome, about, cargo, own_components, run, target, workspace};

/// The published crates, dependencies first.
const CRATES: [&str; 6] = [
    "larder-names",
    "larder-pickle",
    "larder-components",
    "larder-host",
    "larder-conformance",
    "larder-cli",
];

/// A program of somebody who depends on the packages.
const PROGRAM: &str = r#"//! Stores an entry and loads it.

use larder_host::{Backend, Entry};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let disk = Backend::disk("store")?;
    disk.save("sessions", [Entry::new("user:1", "alice")])?;
    assert_eq!(disk.load("sessions")?.entries.len(), 1);
    Ok(())
}
"#;

/// Packages every crate, unpacks the packages beside each other with a program that depends on
/// them, and checks it all there.
pub fn check(dry: bool, keep: bool) -> Outcome {
    if !dry {
        own_components()?;
        all_is_committed()?;
    }
    let carried = workspace().join("crates/components/built");
    fs::create_dir_all(&carried).map_err(about(&carried))?;
    for component in larder_components::ALL {
        let file = carried.join(component.file_name());
        fs::write(&file, component.bytes).map_err(about(&file))?;
    }
    // The carried components are never committed, which cargo would refuse.
    let mut arguments = vec!["package", "--no-verify", "--locked", "--allow-dirty"];
    arguments.extend(CRATES.iter().flat_map(|name| ["--package", name]));
    let packaged = cargo(workspace(), &arguments);
    if !keep {
        fs::remove_dir_all(&carried).map_err(about(&carried))?;
    }
    packaged?;

    let place = target().join("packages");
    if place.exists() {
        fs::remove_dir_all(&place).map_err(about(&place))?;
    }
    fs::create_dir_all(place.join("program/src")).map_err(about(&place))?;
    let version = env!("CARGO_PKG_VERSION");
    let mut patches = String::new();
    for name in CRATES {
        let package = target().join(format!("package/{name}-{version}.crate"));
        run(Command::new("tar")
            .arg("-xzf")
            .arg(&package)
            .arg("-C")
            .arg(&place))?;
        patches.push_str(&format!("{name} = {{ path = \"{name}-{version}\" }}\n"));
    }
    write(
        &place.join("Cargo.toml"),
        &format!(
            "[workspace]\nmembers = [\"program\", \"features\", \"larder-*\"]\nresolver = \"3\"\n\n\
             [patch.crates-io]\n{patches}"
        ),
    )?;
    write(
        &place.join("program/Cargo.toml"),
        &format!(
            "[package]\nname = \"program\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nlarder-host = \"{version}\"\n"
        ),
    )?;
    write(&place.join("program/src/main.rs"), PROGRAM)?;
    features::write(&place.join("features"))?;
    // The same versions as in the workspace, so that dependencies are checked once.
    let lock = workspace().join("Cargo.lock");
    fs::copy(&lock, place.join("Cargo.lock")).map_err(about(&lock))?;
    let target = target();
    let target = target.to_string_lossy();
    cargo(&place, &["check", "--workspace", "--target-dir", &target])
}

/// Refuses a tree with changes that are not committed.
fn all_is_committed() -> Outcome {
    let mut git = Command::new("git");
    git.current_dir(workspace()).args(["status", "--porcelain"]);
    match git.output() {
        Ok(output) if !output.status.success() => Err(format!("{git:?}: {}", output.status)),
        Ok(output) if output.stdout.is_empty() => Ok(()),
        Ok(output) => {
            let files = String::from_utf8_lossy(&output.stdout).into_owned();
            Err(format!("these files are not committed:\n{files}"))
        }
        Err(error) => Err(format!("{git:?}: {error}")),
    }
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(about(path))
}
