//! The verbs of the command, a file each, and what they share.

pub mod apply;
pub mod clear;
pub mod conformance;
pub mod demo;
pub mod import;
pub mod load;
pub mod ls;
pub mod save;
pub mod stat;
pub mod verify;

pub mod duration;
pub mod json_lines;
pub mod options;
pub mod output;
pub mod store;
