//! A package that asks for the features that the workspace asks for.
//!
//! Cargo compiles a dependency once for each set of features, and the features follow from all
//! packages of a workspace. With this package, the unpacked packages need no other features than
//! this workspace. So their check takes what clippy has compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::run::{Outcome, about, workspace};

/// The packages that clippy leaves out.
const LEFT_OUT: [&str; 1] = ["larder-guest"];

/// What a package asks of another.
#[derive(Default)]
struct Wanted {
    default: bool,
    features: BTreeSet<String>,
}

/// Writes the package into this folder.
pub fn write(folder: &Path) -> Outcome {
    let mut tables: BTreeMap<&str, BTreeMap<(String, String), Wanted>> = BTreeMap::new();
    for dependency in dependencies()? {
        let text = |name| dependency[name].as_str().unwrap_or_default().to_owned();
        let table = match text("kind").as_str() {
            "build" => "build-dependencies",
            _ => "dependencies",
        };
        let of = tables.entry(table).or_default();
        let wanted = of.entry((text("name"), text("req"))).or_default();
        wanted.default |= dependency["uses_default_features"] == true;
        let features = dependency["features"].as_array().into_iter().flatten();
        let features = features.filter_map(|feature| feature.as_str());
        wanted.features.extend(features.map(str::to_owned));
    }
    let mut manifest = "[package]\nname = \"features\"\nedition = \"2024\"\n".to_owned();
    for (table, dependencies) in tables {
        let _ = writeln!(manifest, "\n[{table}]");
        for ((name, version), Wanted { default, features }) in dependencies {
            let features: Vec<String> = features.into_iter().collect();
            let _ = writeln!(
                manifest,
                "{name} = {{ version = \"{version}\", default-features = {default}, \
                 features = {features:?} }}"
            );
        }
    }
    let files = [
        ("Cargo.toml", manifest.as_str()),
        ("build.rs", "fn main() {}\n"),
        ("src/lib.rs", ""),
    ];
    let source = folder.join("src");
    fs::create_dir_all(&source).map_err(about(&source))?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(about(&path))?;
    }
    Ok(())
}

/// What the packages of the workspace ask of packages of a registry, as `cargo metadata` says it.
fn dependencies() -> Outcome<Vec<Value>> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace());
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    let output = cargo
        .output()
        .map_err(|error| format!("{cargo:?}: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{cargo:?}: {why}"));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{cargo:?}: {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let packages = packages.filter(|package| !LEFT_OUT.iter().any(|name| package["name"] == *name));
    let dependencies = packages.flat_map(|package| package["dependencies"].as_array());
    let registry = dependencies
        .flatten()
        .filter(|dependency| dependency["source"].is_string());
    Ok(registry.cloned().collect())
}
