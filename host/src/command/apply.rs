//! `larder apply`: changes to some entries of a cache.

use serde_json::json;

use super::json_lines::{Input, Line};
use super::options::Options;
use super::output::{self, Failure, Output};

/// Change some entries of a cache and leave the others as they are
///
/// Each line is an entry, as for `larder save`, which is stored in place of what its key held, or an
/// object such as {"remove": "user:1"}. Either all changes are made, in their order, or none.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  echo '{\"remove\": \"user:1\"}' | larder apply sessions")]
pub struct Args {
    /// The name of the cache
    cache: String,
    #[command(flatten)]
    input: Input,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let cache = args.cache.as_str();
    let failure = |why| options.failure("apply", Some(cache), why);
    let changes = args.input.read(Line::change).map_err(failure)?;
    let storage = options.created().map_err(failure)?;
    let lines = changes.len() as u64;
    {
        let _progress = output::working(&format!("changing cache {cache:?}"));
        let applied = storage.backend.apply(cache, changes);
        applied.map_err(|error| options.explain(&error))?;
    }
    match output.json {
        true => output.object(&json!({"operation": "apply", "cache": cache, "lines": lines})),
        false => output.line(format!(
            "changed cache {cache:?} by {}",
            output::count(lines, "line", "lines")
        )),
    }
}
