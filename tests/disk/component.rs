//! The built component from outside: its exports and imports.

use wasmtime::Engine;
use wasmtime::component::Component;

fn component() -> (Engine, Component) {
    let engine = Engine::default();
    let component = Component::new(&engine, larder_components::DISK).unwrap();
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
            "larder:cache/cache-atomics@0.1.0",
            "larder:cache/cache-backend@0.1.0",
            "larder:cache/cache-bulk@0.1.0",
            "larder:cache/cache-inspect@0.1.0",
            "larder:cache/cache-lookup@0.1.0",
            "larder:cache/cache-recovery@0.1.0",
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
fn it_takes_at_most_300_kib() {
    assert!(
        larder_components::DISK.len() <= 300 * 1024,
        "{} bytes",
        larder_components::DISK.len()
    );
}
