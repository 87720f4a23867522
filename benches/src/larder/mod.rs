//! Larder, in the forms in which it can be called.

pub mod batches;
pub mod component;
pub mod library;
pub mod native;
pub mod plain;
