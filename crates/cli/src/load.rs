//! `larder load`: the entries of a cache, as lines that `larder save` takes.

use larder_host::Error;

use crate::json_lines::Line;
use crate::options::Options;
use crate::output::{self, Failure, Output};

/// Write the entries of a cache as JSON lines
///
/// The lines are those that `larder save` reads: the value as text where it is UTF-8, or else as
/// base64, and the ttl that remains. They come in no particular order, as they are read, and there may
/// be more of them than fit in memory. A cache that does not exist has no entries. Where damage took
/// entries away the others are written, and the exit code is 1.
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
    let failed = |error: Error| failure(error.kind().to_string());
    let mut entries = storage.backend.read(cache).map_err(failed)?;
    // On a terminal it would be written among the lines.
    let progress = (!output.terminal)
        .then(|| output::counting(&format!("loading cache {cache:?}"), entries.total()));
    for entry in &mut entries {
        if let Some(line) = Line::of(entry.map_err(failed)?) {
            output.object(&line)?;
        }
        if let Some(progress) = &progress {
            progress.inc(1);
        }
    }
    match entries.lost() {
        0 => Ok(()),
        lost => {
            let lost = output::count(lost, "entry is", "entries are");
            Err(failure(format!(
                "{lost} lost to damage; `larder verify` says where"
            )))
        }
    }
}
