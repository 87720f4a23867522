//! Builds the components that only tests use.

#[path = "../crates/components/build/workspace.rs"]
mod workspace;

fn main() {
    let packages = [
        "larder-broken",
        "larder-guest",
        "example-visits",
        "example-keyvalue-visits",
        "example-http-cache",
    ];
    let folders = [
        "crates/names",
        "examples",
        "host-test/broken",
        "host-test/guest",
    ];
    if let Err(why) = workspace::build(&packages, &folders) {
        println!("cargo::error={why}");
    }
}
