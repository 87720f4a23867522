//! Builds the guest, which the bench composes with the cache layer.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rerun-if-changed=guest");
    println!("cargo::rerun-if-changed=../.cargo/config.toml");
    println!("cargo::rerun-if-changed=../wit");
    // A target folder of its own: the outer cargo holds the lock of the usual one.
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("guest");
    let status = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"))
        .args(["build", "--package", "larder-bench-guest"])
        .args(["--target", "wasm32-wasip2", "--profile", "component"])
        .arg("--target-dir")
        .arg(&target)
        // Flags for the outer build are for the machine, not for the guest.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the guest does not build");
    let guest = target.join("wasm32-wasip2/component/larder_bench_guest.wasm");
    println!("cargo::rustc-env=LARDER_BENCH_GUEST={}", guest.display());
}
