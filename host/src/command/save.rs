//! `larder save`: entries as the whole of a cache.

use serde_json::json;

use super::json_lines::{Input, Line};
use super::options::Options;
use super::output::{self, Failure, Output};

/// Store entries as the whole of a cache, in place of what it held
///
/// Each line is an object such as {"key": "user:1", "value": "Ada", "ttl": "90s"}. The value is text,
/// or bytes as "base64" in its place. The ttl may be left out; it is a duration such as 500ms, 90s,
/// 15m, 2h, 7d or 1h 30m. Where a key comes twice the last line counts. Blank lines are skipped, and no
/// lines at all leave the cache empty. All lines are read and checked before anything is stored.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder save sessions entries.jsonl
  larder load sessions | larder save copy-of-sessions")]
pub struct Args {
    /// The name of the cache
    cache: String,
    #[command(flatten)]
    input: Input,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let cache = args.cache.as_str();
    let failure = |why| options.failure("save", Some(cache), why);
    let entries = args.input.read(Line::entry).map_err(failure)?;
    let storage = options.created().map_err(failure)?;
    let lines = entries.len() as u64;
    {
        let _progress = output::working(&format!("saving cache {cache:?}"));
        let saved = storage.backend.save(cache, entries);
        saved.map_err(|error| options.explain(&error))?;
    }
    match output.json {
        true => output.object(&json!({"operation": "save", "cache": cache, "lines": lines})),
        false => output.line(format!(
            "saved cache {cache:?} from {}",
            output::count(lines, "line", "lines")
        )),
    }
}
