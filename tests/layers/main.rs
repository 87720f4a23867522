//! The parts above and beside the disk backend: the cache layer, adapters, and the kit.

mod cache;
mod composition;
mod keyvalue;
mod kit;
mod tenants;
