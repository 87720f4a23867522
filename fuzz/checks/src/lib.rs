//! Checks for bytes from an unknown source: the fuzz targets and the tests share them.

pub mod decode;
pub mod forge;
pub mod import;
pub mod repair;
