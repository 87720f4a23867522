//! The outcome of everything that can fail here.

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
