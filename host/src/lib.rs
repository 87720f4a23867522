//! Larder for Rust programs.

/// The disk backend: the component that [`Backend::disk`] runs, as bytes of WebAssembly.
pub static DISK_COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/disk.wasm"));
