//! Fuzzes the decoder of the store's files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| larder_fuzz_checks::decode::check(bytes));
