//! Builds the application that the bench composes with the cache layer.

#[path = "../host/build/guest.rs"]
mod guest;

fn main() {
    guest::build(&["larder-bench-guest"], &["benches/guest"]);
}
