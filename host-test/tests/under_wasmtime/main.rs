//! Components under wasmtime's own command line, with the commands of the README and `examples/`.

mod http_cache;
mod server;
mod upstream;
mod wasmtime_run;

use std::env;
use std::path::Path;
use std::process::Command;

use larder_host_test::components::{HTTP_CACHE, VISITS};
use larder_host_test::compose::plug;
use wasmtime::Engine;
use wasmtime::component::Component;

/// wasmtime's command line, which cargo builds as an example of this package.
fn wasmtime() -> Command {
    let test = env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap();
    let wasmtime = built
        .join("examples/wasmtime")
        .with_extension(env::consts::EXE_EXTENSION);
    assert!(
        wasmtime.exists(),
        "{} is not built; add `--example wasmtime` to what cargo was told, or leave `--test` out",
        wasmtime.display()
    );
    Command::new(wasmtime)
}

/// The value of `--dir` that gives a component this folder as `/`.
fn as_root(folder: &Path) -> String {
    format!("{}::/", folder.display())
}

/// Composes an application with the cache layer and the disk backend.
fn composed(application: &[u8]) -> Vec<u8> {
    let layer = plug(larder_components::CACHE, &[larder_components::DISK]).unwrap();
    plug(application, &[&layer]).unwrap()
}

#[test]
fn what_is_composed_needs_nothing_but_wasi() {
    for application in [VISITS, HTTP_CACHE] {
        let engine = Engine::default();
        let component = Component::new(&engine, composed(application)).unwrap();
        for (import, _) in component.component_type().imports(&engine) {
            assert!(import.starts_with("wasi:"), "{import}");
        }
    }
}
