//! Larder for Rust programs.

mod asynchronous;
mod backend;
mod builder;
mod entry;
mod error;
mod inspect;

pub use asynchronous::AsyncBackend;
pub use backend::Backend;
pub use builder::Builder;
pub use entry::{Change, Contents, Entry, LiveEntry};
pub use error::{Error, ErrorKind};
pub use inspect::{CacheStat, Damage, Part, Report};

/// The disk backend: the component that [`Backend::disk`] runs, as bytes of WebAssembly.
pub static DISK_COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/disk.wasm"));
