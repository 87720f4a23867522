//! Builds components for a crate to carry, so that plain cargo commands are all one needs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// For a disk component that tells which of its code ran.
const COVERAGE: [&str; 6] = [
    "--config=profile.component.lto=false",
    "--config=profile.component.strip=false",
    "--",
    "-Cinstrument-coverage",
    // It would be in C.
    "-Zno-profiler-runtime",
    "--cfg=larder_coverage",
];

/// Builds the only target of each of these packages, and puts it into `OUT_DIR` as `<package>.wasm`.
/// The folders are those, from the top of the workspace, that the packages are made of.
pub fn build(packages: &[&str], folders: &[&str]) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let inputs = [
        ".cargo/config.toml",
        "Cargo.lock",
        "Cargo.toml",
        "rust-toolchain.toml",
        "wit",
    ];
    for input in inputs.iter().chain(folders) {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(input).display()
        );
    }
    println!("cargo::rerun-if-env-changed=LARDER_COVERAGE");
    let coverage = env::var_os("LARDER_COVERAGE").is_some();

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // A target directory of its own: the outer cargo holds the lock of the usual one.
    let target = out.join("target");
    for package in packages {
        let coverage = coverage && *package == "larder-disk";
        let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
        cargo
            .current_dir(&workspace)
            .args([
                if coverage { "rustc" } else { "build" },
                "--package",
                package,
            ])
            .args(["--target", "wasm32-wasip2", "--profile", "component"])
            .arg("--target-dir")
            .arg(&target)
            // What the outer build was told is for the host's code, not for the component.
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTFLAGS")
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER");
        if coverage {
            // Nothing that ships: see tests/coverage.
            cargo.env("RUSTC_BOOTSTRAP", "1").args(COVERAGE);
        }
        let status = cargo.status().expect("cargo runs");
        assert!(status.success(), "{package} does not build");
        // Libraries are named with underscores, programs as they are.
        let built = target.join("wasm32-wasip2/component");
        let library = built.join(package.replace('-', "_")).with_extension("wasm");
        let program = built.join(package).with_extension("wasm");
        let component = if library.exists() { library } else { program };
        fs::copy(component, out.join(package).with_extension("wasm"))
            .expect("the built component can be copied");
    }
}
