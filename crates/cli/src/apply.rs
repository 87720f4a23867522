//! `larder apply`: changes some entries of a cache.

use crate::json_lines::Line;
use crate::options::Options;
use crate::output::{self, Failure, Output};
use crate::store::Target;

/// Change some entries of a cache, and leave the others as they are
///
/// Each line is an entry to put, as for `larder save`, or an object such as {"remove": "user:1"}.
/// The command makes all changes in their order, or none.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  echo '{\"remove\": \"user:1\"}' | larder apply sessions")]
pub struct Args {
    #[command(flatten)]
    target: Target,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let cache = args.target.cache.as_str();
    let failure = |why| options.failure("apply", Some(cache), why);
    let changes = args.target.input.open("reading changes", Line::change);
    let changes: Result<Vec<_>, _> = changes.and_then(Iterator::collect);
    let changes = changes.map_err(failure)?;
    let storage = match changes.is_empty() {
        true => options.existing(),
        false => options.created(cache),
    };
    let storage = storage.map_err(failure)?;
    {
        let _progress = output::working(&format!("changing cache {cache:?}"));
        let applied = storage.backend.apply(cache, &changes);
        applied.map_err(|error| options.explain(&error))?;
    }
    let lines = changes.len() as u64;
    args.target
        .report("apply", ["changed", "by"], lines, output)
}
