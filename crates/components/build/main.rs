//! Puts the built components into `OUT_DIR`, where `src/lib.rs` includes them.

mod workspace;

use std::path::{Path, PathBuf};
use std::{env, fs};

const PACKAGES: [&str; 6] = [
    "larder-disk",
    "larder-cache",
    "larder-memory",
    "larder-tiered",
    "larder-simple-updates",
    "larder-keyvalue",
];

/// A folder with the components built, named by the user.
const GIVEN: &str = "LARDER_COMPONENTS";

fn main() {
    println!("cargo::rerun-if-env-changed={GIVEN}");
    let found = match env::var_os(GIVEN) {
        Some(folder) if Path::new(&folder).is_absolute() => take(&PathBuf::from(folder)),
        // Cargo runs this in the folder of the package, which no user means.
        Some(folder) => Err(format!(
            "{GIVEN} must be an absolute path, not {}",
            folder.display()
        )),
        // Cargo puts this file into every package that it makes: this is not the workspace.
        None if Path::new("Cargo.toml.orig").exists() => take(Path::new("built")),
        None => workspace::build(&PACKAGES, &["src", "components", "crates/names"]),
    };
    if let Err(why) = found {
        // Cargo shows the message alone, and stops.
        println!("cargo::error={why}");
    }
}

/// Copies the components from a folder.
fn take(folder: &Path) -> Result<(), String> {
    for package in PACKAGES {
        let name = format!("{package}.wasm");
        let component = folder.join(&name);
        println!("cargo::rerun-if-changed={}", component.display());
        fs::copy(&component, workspace::out().join(&name)).map_err(|error| {
            let component = component.display();
            format!("{component} cannot be taken: {error}; {GIVEN} names the folder of components")
        })?;
    }
    Ok(())
}
