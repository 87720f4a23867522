//! `larder get`: the value of one key.

use crate::json_lines::Line;
use crate::options::Options;
use crate::output::{Failure, Output};

/// Write the value of a key to standard output, byte for byte
///
/// The cache is not loaded. If the key has no live value, the exit code is 1. With --json, the
/// command writes the line that `larder load` would write.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  larder get pages /index.html > index.html")]
pub struct Args {
    /// The name of the cache
    cache: String,
    /// The key
    key: String,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let Args { cache, key } = args;
    let failure = |why| options.failure("get", Some(cache), why);
    let storage = options.existing().map_err(failure)?;
    let found = storage.backend.get(cache, key);
    let Some(entry) = found.map_err(|error| options.explain(&error))? else {
        return Err(failure(format!("the key {key:?} has no value")));
    };
    match output.json {
        // None: the entry has expired since.
        true => Line::of(entry).map_or(Ok(()), |line| output.object(&line)),
        false => output.bytes(&entry.value),
    }
}
