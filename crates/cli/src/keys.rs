//! `larder keys`: the keys of a cache.

use serde_json::json;

use crate::options::Options;
use crate::output::{Failure, Output};

/// How many keys are asked for at once.
const PAGE: u32 = 1000;

/// List the keys of a cache, one a line, in no particular order
///
/// The values are not read. A control character in a key is written as an escape. Changes that are
/// made meanwhile may be seen or not; a key that stays is listed once.
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
    let mut after = None;
    loop {
        let page = storage.backend.scan(cache, after.as_deref(), PAGE);
        let page = page.map_err(|error| options.explain(&error))?;
        for key in page.keys.iter().filter(|key| key.starts_with(prefix)) {
            match output.json {
                true => output.object(&json!({"key": key}))?,
                false => output.line(key)?,
            }
        }
        after = page.next;
        if after.is_none() || output.reader_gone {
            return Ok(());
        }
    }
}
