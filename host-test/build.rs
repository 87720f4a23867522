//! Builds the components that tests compose, besides those that `larder-host` carries.

#[path = "../host/build/guest.rs"]
mod guest;

fn main() {
    let packages = [
        "larder-memory",
        "larder-simple-updates",
        "larder-tiered",
        "larder-keyvalue",
        "larder-broken",
        "larder-guest",
        "example-visits",
        "example-keyvalue-visits",
        "example-http-cache",
    ];
    guest::build(
        &packages,
        &[
            "src/name.rs",
            "components",
            "conformance/broken",
            "examples",
            "host-test/guest",
        ],
    );
}
