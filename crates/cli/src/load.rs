//! `larder load`: the entries of a cache, as lines that `larder save` reads.

use larder_host::Error;

use crate::json_lines::Line;
use crate::options::Options;
use crate::output::{self, Failure, Output};

/// Write the entries of a cache as JSON lines
///
/// `larder save` reads the same lines. A value is text if it is UTF-8, or else base64; a ttl is the
/// time that remains. The lines come in no particular order. There may be more entries than fit in
/// memory. A cache that does not exist has no entries. If damage took some entries, the command
/// writes the others and ends with exit code 1. If its reader goes away, as `head` does, it ends
/// early, with exit code 0.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder load sessions
  larder load sessions | sort
  larder load sessions | jq -r .key")]
pub struct Args {
    /// The name of the cache
    cache: String,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let cache = args.cache.as_str();
    let failure = |why| options.failure("load", Some(cache), why);
    let storage = options.existing().map_err(failure)?;
    let failed = |error: Error| options.explain_as("load", &error);
    let mut entries = storage.backend.read(cache).map_err(failed)?;
    // On a terminal, the progress would stand among the lines.
    let progress = (!output.terminal)
        .then(|| output::counting(&format!("loading cache {cache:?}"), entries.total()));
    for entry in &mut entries {
        if let Some(line) = Line::of(entry.map_err(failed)?) {
            output.object(&line)?;
        }
        if output.reader_gone {
            return Ok(());
        }
        if let Some(progress) = &progress {
            progress.inc(1);
        }
    }
    options.complete("load", cache, entries.lost())
}
