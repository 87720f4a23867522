//! `larder-host`, as a program sees it that embeds backends.

mod asynchronous;
mod code_cache;
mod embedding;
mod layer;
mod misbehaving;
mod single_keys;
mod streams;
mod texts;
