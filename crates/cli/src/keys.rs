//! `larder keys`: the keys of a cache.

use serde_json::json;

use crate::options::Options;
use crate::output::{Failure, Output};

/// List the keys of a cache, one a line, in no particular order
///
/// A control character in a key is written as an escape. If damage took some entries, the exit code
/// is 1.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder keys sessions
  larder keys sessions --prefix user: | wc -l")]
pub struct Args {
    /// The name of the cache
    cache: String,
    /// List only keys that begin with this text
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let Args { cache, prefix } = args;
    let storage = options.existing();
    let storage = storage.map_err(|why| options.failure("keys", Some(cache), why))?;
    // A scan would read the cache once for each page.
    let entries = storage.backend.read(cache);
    let mut entries = entries.map_err(|error| options.explain(&error))?;
    for entry in &mut entries {
        let key = entry.map_err(|error| options.explain(&error))?.key;
        if !key.starts_with(prefix) {
            continue;
        }
        match output.json {
            true => output.object(&json!({"key": key}))?,
            false => output.line(key)?,
        }
        if output.reader_gone {
            return Ok(());
        }
    }
    options.complete("keys", cache, entries.lost())
}
