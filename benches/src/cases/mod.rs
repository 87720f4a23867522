//! The cases: each measures one kind of work in one place.

pub mod apply;
pub mod changes;
pub mod layer;
pub mod start;
pub mod store;
pub mod stream;
