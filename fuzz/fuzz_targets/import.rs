//! Fuzzes the reader of the Python module's files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| larder_fuzz_checks::import::check(bytes));
