//! Feeds the reader of pickles.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/import.rs"]
mod checks;
#[allow(dead_code)] // Most of it is for the rest of the crate that it is from.
#[path = "../../host/src/entry.rs"]
mod entry;
#[path = "../../host/src/pickle/mod.rs"]
mod pickle;

use entry::Entry;

fuzz_target!(|bytes: &[u8]| checks::check(bytes));
