//! The command `larder`, run as people and scripts run it: processes over real files.

mod apply;
mod clear;
mod components;
mod conformance;
mod contents;
mod demo;
#[cfg(target_os = "linux")]
mod few_threads;
#[cfg(target_os = "linux")]
mod full_disk;
mod import;
mod keys;
#[cfg(unix)]
mod kill;
#[cfg(target_os = "linux")]
mod limits;
mod look;
mod options;
mod output;
mod place;
mod recover;
mod save;
#[cfg(target_os = "linux")]
mod system_calls;
