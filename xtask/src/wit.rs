//! The WIT package as files for use outside this repository.

use std::fs;
use std::path::{Path, PathBuf};

use wit_component::{OutputToString, WitPrinter};
use wit_parser::Resolve;

use crate::run::{Outcome, about, workspace};

/// Writes `larder-cache-<version>.wit`, one text file with all dependencies of the package, and
/// `larder-cache-<version>.wasm`, the same package in the binary format of registries. Returns the
/// paths.
pub fn write(out: &Path) -> Outcome<Vec<PathBuf>> {
    let source = workspace().join("wit");
    let mut resolve = Resolve::new();
    let (package, _) = resolve
        .push_dir(&source)
        .map_err(|error| format!("{error:#}"))?;
    let name = &resolve.packages[package].name;
    let version = name.version.as_ref().ok_or("the package has no version")?;
    let file = format!("{}-{}-{version}", name.namespace, name.name);

    let mut others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).collect();
    others.retain(|id| *id != package);
    let mut printer = WitPrinter::new(OutputToString::default());
    printer
        .print(&resolve, package, &others)
        .map_err(|error| format!("{error:#}"))?;
    let text = printer.output.to_string();
    let binary = wit_component::encode(&resolve, package).map_err(|error| format!("{error:#}"))?;
    check(&text, &binary)?;

    let files = [
        (out.join(format!("{file}.wit")), text.into_bytes()),
        (out.join(format!("{file}.wasm")), binary),
    ];
    for (path, bytes) in &files {
        fs::write(path, bytes).map_err(about(path))?;
    }
    Ok(files.map(|(path, _)| path).into())
}

/// Reads both files as a user's tools do.
fn check(text: &str, binary: &[u8]) -> Outcome {
    let read = Resolve::new().push_source("the text", text);
    read.map_err(|error| format!("{error:#}"))?;
    let decoded = wit_component::decode(binary);
    decoded.map_err(|error| format!("the binary: {error:#}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worlds and the files of `wit/` that docs/from-your-own-crate.md says to copy.
    const COPIED: [(&str, &str); 4] = [
        ("backend", "types cache-backend world-backend"),
        (
            "memory",
            "types cache-backend world-backend cache-updates cache-lookup cache-atomics world-memory",
        ),
        (
            "full-backend",
            "types cache-backend world-backend cache-updates cache-lookup cache-atomics cache-bulk cache-inspect cache-recovery world-full-backend",
        ),
        ("cache-user", "types cache world-cache-user"),
    ];

    #[test]
    fn a_world_needs_its_own_files_and_clocks_and_io_alone() {
        let wit = workspace().join("wit");
        for (world, files) in COPIED {
            let mut resolve = Resolve::new();
            for folder in ["deps/io", "deps/clocks"] {
                resolve.push_dir(wit.join(folder)).unwrap();
            }
            let files = files
                .split(' ')
                .map(|file| wit.join(file).with_extension("wit"));
            // Only the first file names the package, so together they are one text.
            let text: String = files
                .map(|file| fs::read_to_string(file).unwrap())
                .collect();
            let package = resolve.push_source("copied.wit", &text).unwrap();
            resolve.select_world(&[package], Some(world)).unwrap();
        }
    }
}
