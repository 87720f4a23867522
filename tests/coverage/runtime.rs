//! Tells which code ran, for `tests/coverage/coverage.py` only. Never part of a component that
//! ships.
//!
//! The compiler counts how often each region of the code runs. At the end of a call, and wherever
//! else a directory is closed, this module writes the new counts to standard error. On request, it
//! also writes everything else that LLVM's tools ask of a profile.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::slice;

use crate::folder::Dir;

/// The version of raw profiles that the compiler's LLVM reads.
const RAW_VERSION: u64 = 10;

/// The tools look for it.
#[unsafe(no_mangle)]
static __llvm_profile_runtime: i32 = 0;

// The linker names the beginning and the end of each section.
unsafe extern "C" {
    static __start___llvm_prf_cnts: u8;
    static __stop___llvm_prf_cnts: u8;
    static __start___llvm_prf_data: u8;
    static __stop___llvm_prf_data: u8;
    static __start___llvm_prf_names: u8;
    static __stop___llvm_prf_names: u8;
}

/// The bytes of a section of the component's memory.
macro_rules! section {
    ($start:ident, $stop:ident) => {{
        let start = &raw const $start;
        // SAFETY: the linker puts both around one section. The counters change, but not while this
        // code reads them: there is one thread, and no code that counts runs during the read.
        unsafe { slice::from_raw_parts(start, (&raw const $stop).addr() - start.addr()) }
    }};
}

thread_local! {
    /// The counters when they were last written.
    static TOLD: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Dir {
    fn drop(&mut self) {
        let counters = section!(__start___llvm_prf_cnts, __stop___llvm_prf_cnts);
        let counts: Vec<u64> = counters
            .as_chunks()
            .0
            .iter()
            .map(|count| u64::from_le_bytes(*count))
            .collect();
        let mut line = String::from("larder-coverage");
        TOLD.with_borrow_mut(|told| {
            told.resize(counts.len(), 0);
            for (at, (count, told)) in counts
                .iter()
                .zip(told)
                .enumerate()
                .filter(|(_, (count, told))| *count != &**told)
            {
                let _ = write!(line, " {at}:{}", count - *told);
                *told = *count;
            }
        });
        tell(&format!("{line}\n"));
        if std::env::var_os("LARDER_COVERAGE_PROFILE").is_some() {
            tell(&format!("larder-profile {}\n", hex(&profile(counters))));
        }
    }
}

/// Writes a line at once, as others write too.
fn tell(line: &str) {
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A raw profile of LLVM, of 32 bits.
fn profile(counters: &[u8]) -> Vec<u8> {
    let data = section!(__start___llvm_prf_data, __stop___llvm_prf_data);
    let names = section!(__start___llvm_prf_names, __stop___llvm_prf_names);
    let distance = counters.as_ptr().addr().wrapping_sub(data.as_ptr().addr());
    let header = [
        u64::from_be_bytes(*b"\xfflprofR\x81"),
        RAW_VERSION,
        0,
        data.len() as u64 / 48,
        0,
        counters.len() as u64 / 8,
        0,
        0,
        0,
        names.len() as u64,
        distance as u64,
        0,
        names.as_ptr().addr() as u64,
        0,
        0,
        2,
    ];
    let header = header.iter().flat_map(|word| word.to_le_bytes());
    let padding = [0; 8].iter().copied().take(names.len().wrapping_neg() % 8);
    header
        .chain(data.iter().copied())
        .chain(counters.iter().copied())
        .chain(names.iter().copied())
        .chain(padding)
        .collect()
}
