//! `larder ls`: lists the caches.

use crate::options::Options;
use crate::output::{Failure, Output};
use crate::stat;

/// List the caches in the folder, with their sizes and ages
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder ls
  larder --dir /var/cache/app ls --json")]
pub struct Args {}

pub fn run(_: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let storage = options
        .existing()
        .map_err(|why| options.failure("list", None, why))?;
    let caches = storage
        .backend
        .list()
        .map_err(|error| options.explain(&error))?;
    if caches.is_empty() && !output.json {
        return output.line(format!("no caches in {}", options.dir().display()));
    }
    stat::show(&caches, &storage, options, output)
}
