//! `larder save`: entries as the whole of a cache.

use super::json_lines::Line;
use super::options::Options;
use super::output::{Failure, Output};
use super::store::{Target, Verb};

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
    #[command(flatten)]
    target: Target,
}

const VERB: Verb = Verb {
    name: "save",
    doing: "saving",
    done: "saved",
    with: "from",
};

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let store = |backend: &larder_host::Backend, cache: &str, lines| backend.save(cache, lines);
    args.target
        .store(&VERB, Line::entry, store, options, output)
}
