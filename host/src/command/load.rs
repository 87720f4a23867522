//! `larder load`: the entries of a cache, as lines that `larder save` takes.

use std::time::Instant;

use super::json_lines::Line;
use super::options::Options;
use super::output::{self, Failure, Output};

/// Write the entries of a cache as JSON lines, sorted by key
///
/// The lines are those that `larder save` reads: the value as text where it is UTF-8, or else as
/// base64, and the ttl that remains. A cache that does not exist has no entries. Where damage took
/// entries away the others are written, and the exit code is 1.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder load sessions
  larder load sessions | jq -r .key")]
pub struct Args {
    /// The name of the cache
    cache: String,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let cache = args.cache.as_str();
    let failure = |why| options.failure("load", Some(cache), why);
    let storage = options.existing().map_err(failure)?;
    let mut contents = {
        let _progress = output::working(&format!("loading cache {cache:?}"));
        let loaded = storage.backend.load(cache);
        loaded.map_err(|error| options.explain(&error))?
    };
    contents.entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let now = Instant::now();
    for entry in contents.entries {
        if let Some(line) = Line::of(entry, now) {
            output.object(&line)?;
        }
    }
    match contents.lost {
        0 => Ok(()),
        lost => {
            let lost = output::count(lost, "entry is", "entries are");
            Err(failure(format!(
                "{lost} lost to damage; `larder verify` says where"
            )))
        }
    }
}
