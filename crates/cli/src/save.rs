//! `larder save`: replaces the whole of a cache.

use crate::json_lines::Line;
use crate::options::Options;
use crate::output::{Failure, Output};
use crate::store::Target;

/// Store entries as the whole of a cache, in place of its old entries
///
/// Each line is an object such as {"key": "user:1", "value": "Ada", "ttl": "90s"}. The value is
/// text; for bytes, write "base64" instead of "value". The ttl is optional: a duration such as
/// 500ms, 90s, 15m, 2h, 7d or 1h 30m. If a key comes twice, the last line counts. Blank lines are
/// skipped. Without any line, nothing is stored, unless --allow-empty is given.
///
/// All entries are stored together, after the last line. If one line is wrong, nothing is stored.
/// There may be more entries than fit in memory.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder save sessions entries.jsonl
  larder load sessions | larder save copy-of-sessions")]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Empty the cache if there is no line, as a program that failed may write none
    #[arg(long)]
    allow_empty: bool,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let cache = args.target.cache.as_str();
    let failure = |why| options.failure("save", Some(cache), why);
    let doing = format!("saving cache {cache:?}");
    let entries = args.target.input.open(&doing, Line::entry);
    let mut entries = entries.map_err(failure)?;
    let first = entries.next().transpose().map_err(failure)?;
    if first.is_none() && !args.allow_empty {
        return Err(failure(
            "there is no line; --allow-empty empties the cache".into(),
        ));
    }
    // The folder is created for good input only.
    let storage = options.created(cache).map_err(failure)?;
    let mut writer = storage.backend.write(cache);
    let mut lines = 0;
    for entry in first.map(Ok).into_iter().chain(entries) {
        let put = writer.put(&entry.map_err(failure)?);
        put.map_err(|error| failure(error.kind().to_string()))?;
        lines += 1;
    }
    let saved = writer.commit();
    saved.map_err(|error| failure(error.kind().to_string()))?;
    args.target.report("save", ["saved", "from"], lines, output)
}
