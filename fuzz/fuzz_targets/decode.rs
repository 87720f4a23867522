//! Feeds the decoder of the store's files.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/decode.rs"]
mod checks;
#[path = "../checks/forge.rs"]
mod forge;
#[path = "../checks/repair.rs"]
mod repair;

fuzz_target!(|bytes: &[u8]| checks::check(bytes));
