//! Builds the disk component for the crate to carry, so that plain cargo commands are all one needs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// For a component that tells which of its code ran.
const COVERAGE: [&str; 6] = [
    "--config=profile.component.lto=false",
    "--config=profile.component.strip=false",
    "--",
    "-Cinstrument-coverage",
    // It would be in C.
    "-Zno-profiler-runtime",
    "--cfg=larder_coverage",
];

fn main() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for input in [
        ".cargo/config.toml",
        "Cargo.lock",
        "Cargo.toml",
        "rust-toolchain.toml",
        "src",
        "wit",
    ] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(input).display()
        );
    }

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo::rerun-if-env-changed=LARDER_COVERAGE");
    // A target directory of its own: the outer cargo holds the lock of the usual one.
    let target = out.join("target");
    let coverage = env::var_os("LARDER_COVERAGE").is_some();
    let command = if coverage { "rustc" } else { "build" };
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    cargo
        .current_dir(&workspace)
        .args([command, "--package", "larder-disk", "--lib"])
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
    assert!(status.success(), "the disk component does not build");
    fs::copy(
        target.join("wasm32-wasip2/component/larder_disk.wasm"),
        out.join("disk.wasm"),
    )
    .expect("the built component can be copied");
}
