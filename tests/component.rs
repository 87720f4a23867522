//! The built component from outside: what it exports and imports, and that
//! wasmtime's command line can call it.

use std::io::Write;
use std::process::{Command, Output};

use larder_host::DISK_COMPONENT;
use wasmtime::Engine;
use wasmtime::component::Component;

fn component() -> (Engine, Component) {
    let engine = Engine::default();
    let component = Component::new(&engine, DISK_COMPONENT).unwrap();
    (engine, component)
}

#[test]
fn it_exports_the_contract_and_nothing_else() {
    let (engine, component) = component();
    let component = component.component_type();
    let mut exports: Vec<_> = component.exports(&engine).map(|(name, _)| name).collect();
    exports.sort_unstable();
    assert_eq!(
        exports,
        [
            "larder:cache/cache-backend@0.1.0",
            "larder:cache/cache-bulk@0.1.0",
            "larder:cache/cache-inspect@0.1.0",
            "larder:cache/cache-updates@0.1.0",
            "larder:cache/types@0.1.0",
        ]
    );
}

#[test]
fn it_imports_storage_clocks_randomness_and_what_std_brings_along() {
    let (engine, component) = component();
    for (import, _) in component.component_type().imports(&engine) {
        let (interface, version) = import.split_once('@').unwrap();
        let package = interface.split_once('/').unwrap().0;
        let known = [
            "wasi:filesystem",
            "wasi:clocks",
            "wasi:random",
            "wasi:io",
            "wasi:cli",
        ];
        assert!(known.contains(&package), "{import}");
        assert_eq!(version, "0.2.6", "{import}");
    }
}

#[test]
fn it_takes_at_most_220_kib() {
    assert!(
        DISK_COMPONENT.len() <= 220 * 1024,
        "{} bytes",
        DISK_COMPONENT.len()
    );
}

/// The lines of the README, one after the other.
#[test]
fn the_command_line_of_wasmtime_calls_it() {
    if Command::new("wasmtime").arg("--version").output().is_err() {
        let skipped = "SKIPPED: there is no wasmtime on the PATH to call the component with";
        writeln!(std::io::stderr(), "{skipped}").unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let wasm = folder.path().join("larder_disk.wasm");
    std::fs::write(&wasm, DISK_COMPONENT).unwrap();
    let store = folder.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let invoke = |call: &str| {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new("wasmtime")
            .args(["run", "--dir"])
            .arg(format!("{}::/", store.display()))
            .args(["--env", "LARDER_DURABILITY=atomic", "--invoke", call])
            .arg(&wasm)
            .output()
            .unwrap();
        assert!(
            status.success(),
            "{call}: {}",
            String::from_utf8_lossy(&stderr)
        );
        String::from_utf8(stdout).unwrap().trim_end().to_owned()
    };
    let save = r#"save("sessions", [{key: "a", value: [104, 105], ttl: none}])"#;
    assert_eq!(invoke(save), "ok");
    let loaded = r#"ok({entries: [{key: "a", value: [104, 105]}], lost: 0})"#;
    assert_eq!(invoke(r#"load("sessions")"#), loaded);
    assert_eq!(invoke("list-caches()"), r#"ok(["sessions"])"#);
    let apply = r#"apply("sessions", [put({key: "b", value: [], ttl: none}), remove("a")])"#;
    assert_eq!(invoke(apply), "ok");
    let loaded = r#"ok({entries: [{key: "b", value: []}], lost: 0})"#;
    assert_eq!(invoke(r#"load("sessions")"#), loaded);
    assert_eq!(invoke(r#"clear("sessions")"#), "ok");
    assert_eq!(invoke(r#"load("sessions")"#), "ok({entries: [], lost: 0})");
}
