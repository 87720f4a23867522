//! The border between the component and its host: generated bindings, values lowered by hand,
//! memory.

pub mod bindings;
pub mod lower;
pub mod memory;
#[cfg(unix)]
pub mod wasi;

pub use bindings::exports::larder::cache::types::Error;
#[cfg(not(unix))]
pub use bindings::wasi;
