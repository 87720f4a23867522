//! The WIT package as files that one can take elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use wit_component::{OutputToString, WitPrinter};
use wit_parser::Resolve;

use crate::{Outcome, about, workspace};

/// Writes `larder-cache-<version>.wit`, text with all that the package depends on, and `.wasm`, the
/// same in the binary format of registries. Gives the paths.
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
    let mut text = WitPrinter::new(OutputToString::default());
    text.print(&resolve, package, &others)
        .map_err(|error| format!("{error:#}"))?;
    let binary = wit_component::encode(&resolve, package).map_err(|error| format!("{error:#}"))?;

    let files = [
        (
            out.join(format!("{file}.wit")),
            text.output.to_string().into_bytes(),
        ),
        (out.join(format!("{file}.wasm")), binary),
    ];
    for (path, bytes) in &files {
        fs::write(path, bytes).map_err(about(path))?;
    }
    Ok(files.map(|(path, _)| path).into())
}
