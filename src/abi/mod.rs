//! The border between the component and its host: generated bindings, values lowered by hand,
//! memory.

#[cfg(any(target_family = "wasm", test))]
mod alloc;
pub mod bindings;
pub mod lower;
pub mod memory;
#[cfg(unix)]
pub mod wasi;

pub use bindings::exports::larder::cache::types::Error;
#[cfg(not(unix))]
pub use bindings::wasi;
