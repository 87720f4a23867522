//! The files of a release: components, WIT package, command, and their checksums.

use std::env::consts::{ARCH, EXE_SUFFIX, OS};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::run::{Outcome, about, cargo, own_components, target, workspace};
use crate::wit;

/// Writes them all, with `SHA256SUMS` and `SIZES.md`.
pub fn write(out: &Path, dry: bool) -> Outcome {
    if !dry {
        own_components()?;
    }
    fs::create_dir_all(out).map_err(about(out))?;
    if fs::read_dir(out).map_err(about(out))?.next().is_some() {
        return Err(format!("{} is not empty", out.display()));
    }
    for component in larder_components::ALL {
        let file = out.join(component.file_name());
        fs::write(&file, component.bytes).map_err(about(&file))?;
    }
    wit::write(out)?;
    if !dry {
        cargo(
            workspace(),
            &["build", "--release", "--locked", "--package", "larder-cli"],
        )?;
        let built = target().join(format!("release/larder{EXE_SUFFIX}"));
        let command = out.join(format!("larder-{ARCH}-{OS}{EXE_SUFFIX}"));
        fs::copy(&built, &command).map_err(about(&built))?;
    }

    let mut names = Vec::new();
    for file in fs::read_dir(out).map_err(about(out))? {
        names.push(file.map_err(about(out))?.file_name());
    }
    names.sort();
    let mut sums = String::new();
    let mut sizes = String::from("| file | bytes | SHA-256 |\n| --- | --- | --- |\n");
    for name in names {
        let path = out.join(&name);
        let bytes = fs::read(&path).map_err(about(&path))?;
        let sum: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = name.to_string_lossy();
        let _ = writeln!(sums, "{sum}  {name}");
        let _ = writeln!(sizes, "| {name} | {} | {sum} |", bytes.len());
    }
    for (name, text) in [("SHA256SUMS", &sums), ("SIZES.md", &sizes)] {
        let path = out.join(name);
        fs::write(&path, text).map_err(about(&path))?;
    }
    print!("{sizes}");
    Ok(())
}
