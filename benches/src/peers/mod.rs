//! Other stores, and the limit.

pub mod cacache;
pub mod diskcache;
pub mod fjall;
pub mod limit;
mod python;
pub mod redb;
pub mod seed;
pub mod sqlite;
