//! Other stores, and the limit: plain files without any format.

pub mod cacache;
pub mod cache_backend;
pub mod diskcache;
pub mod fjall;
pub mod limit;
mod python;
pub mod redb;
pub mod sqlite;
