//! `larder rm`: removes single keys.

use larder_host::Change;
use serde_json::json;

use crate::options::Options;
use crate::output::{self, Failure, Output};

/// Remove keys from a cache, all at once
///
/// It is not an error if a key has no value. `larder clear` removes a whole cache.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  larder rm sessions user:1 user:2")]
pub struct Args {
    /// The name of the cache
    cache: String,
    /// The keys
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let Args { cache, keys } = args;
    let storage = options.existing();
    let storage = storage.map_err(|why| options.failure("rm", Some(cache), why))?;
    let changes: Vec<_> = keys.iter().cloned().map(Change::Remove).collect();
    let applied = storage.backend.apply(cache, changes);
    applied.map_err(|error| options.explain(&error))?;
    match output.json {
        true => output.object(&json!({"operation": "rm", "cache": cache, "keys": keys})),
        false => {
            let keys = output::count(keys.len() as u64, "key", "keys");
            output.line(format!("removed {keys} from cache {cache:?}"))
        }
    }
}
