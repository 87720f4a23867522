//! Builds components of this workspace, so that plain cargo commands are all that a user needs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

const TARGET: &str = "wasm32-wasip2";

/// Flags for a disk component that records which of its code ran: see `tests/coverage`.
const COVERAGE: [&str; 6] = [
    "--config=profile.component.lto=false",
    "--config=profile.component.strip=false",
    "--",
    "-Cinstrument-coverage",
    // The compiler's own runtime would be in C.
    "-Zno-profiler-runtime",
    "--cfg=larder_coverage",
];

/// Builds the only target of each of these packages, and puts it into `OUT_DIR` as
/// `<package>.wasm`.
/// The folders hold the sources of the packages, and are relative to the top of the workspace.
pub fn build(packages: &[&str], folders: &[&str]) -> Result<(), String> {
    let workspace = workspace()?;
    for input in [
        ".cargo/config.toml",
        "Cargo.lock",
        "Cargo.toml",
        "rust-toolchain.toml",
        "wit",
    ]
    .iter()
    .chain(folders)
    {
        let input = workspace.join(input);
        println!("cargo::rerun-if-changed={}", input.display());
    }
    println!("cargo::rerun-if-env-changed=LARDER_COVERAGE");

    // One folder for all build scripts and profiles: `OUT_DIR` is
    // `<target>/<profile>/build/<package>/out`.
    let target = out()
        .ancestors()
        .nth(4)
        .ok_or("OUT_DIR is not in a target folder")?
        .join("components");
    let failed = |error: io::Error| format!("{}: {error}", target.display());
    fs::create_dir_all(&target).map_err(failed)?;
    // Two build scripts may run at once: each installs, builds and copies alone.
    let lock = File::create(target.join(".larder-lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;

    install_target()?;
    if env::var_os("LARDER_COVERAGE").is_some() && packages.contains(&"larder-disk") {
        run(cargo(&workspace, &target, "build").args(selected(packages)))?;
        // Nothing of this is ever published.
        run(cargo(&workspace, &target, "rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["--package", "larder-disk"])
            .args(COVERAGE))?;
    } else {
        run(cargo(&workspace, &target, "build").args(selected(packages)))?;
    }
    for package in packages {
        // Libraries are named with underscores, programs as they are.
        let built = target.join(TARGET).join("component");
        let library = built.join(package.replace('-', "_")).with_extension("wasm");
        let program = built.join(package).with_extension("wasm");
        let component = if library.exists() { library } else { program };
        fs::copy(&component, out().join(package).with_extension("wasm"))
            .map_err(|error| format!("{}: {error}", component.display()))?;
    }
    Ok(())
}

/// The folder that cargo gives the build script.
pub fn out() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default())
}

/// The top of the workspace: the nearest folder above with the contract in it.
fn workspace() -> Result<PathBuf, String> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let workspace = package
        .ancestors()
        .find(|folder| folder.join("wit/types.wit").exists());
    workspace
        .map(Path::to_owned)
        .ok_or_else(|| format!("{} is in no Larder workspace", package.display()))
}

/// Installs the WebAssembly target of the compiler, where it is missing.
fn install_target() -> Result<(), String> {
    if has_target() {
        return Ok(());
    }
    println!("cargo::warning=the Rust target {TARGET} is missing: installing it with rustup");
    let installed = Command::new("rustup")
        .args(["target", "add", TARGET])
        .output();
    let why = match installed {
        Ok(output) if output.status.success() && has_target() => return Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            format!("rustup failed ({})", last.unwrap_or_default().trim())
        }
        Err(error) => format!("rustup does not run ({error})"),
    };
    Err(format!(
        "the Rust target {TARGET} is missing and {why}: type `rustup target add {TARGET}`"
    ))
}

/// Whether the compiler has the core library of the target.
fn has_target() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let Ok(printed) = printed else { return false };
    let folder = PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim());
    let is_core = |name: &str| name.starts_with("libcore-");
    fs::read_dir(folder).is_ok_and(|files| {
        files
            .flatten()
            .any(|file| is_core(&file.file_name().to_string_lossy()))
    })
}

fn cargo(workspace: &Path, target: &Path, verb: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(workspace)
        .arg(verb)
        .args(["--target", TARGET, "--profile", "component"])
        .arg("--target-dir")
        .arg(target)
        // The outer build's flags are for the host's code, not for a component.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    cargo
}

fn selected<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    packages
        .iter()
        .flat_map(|package| ["--package", package])
        .collect()
}

fn run(cargo: &mut Command) -> Result<(), String> {
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("a component does not build: the errors of the compiler are above".into()),
        Err(error) => Err(format!("cargo does not run: {error}")),
    }
}
