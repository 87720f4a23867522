//! What is measured.

pub mod apply;
pub mod changes;
pub mod layer;
pub mod start;
pub mod store;
pub mod stream;
