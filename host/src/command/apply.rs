//! `larder apply`: changes to some entries of a cache.

use super::json_lines::Line;
use super::options::Options;
use super::output::{Failure, Output};
use super::store::{Target, Verb};

/// Change some entries of a cache and leave the others as they are
///
/// Each line is an entry, as for `larder save`, which is stored in place of what its key held, or an
/// object such as {"remove": "user:1"}. Either all changes are made, in their order, or none.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  echo '{\"remove\": \"user:1\"}' | larder apply sessions")]
pub struct Args {
    #[command(flatten)]
    target: Target,
}

const VERB: Verb = Verb {
    name: "apply",
    doing: "changing",
    done: "changed",
    with: "by",
};

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let store = |backend: &larder_host::Backend, cache: &str, lines| backend.apply(cache, lines);
    args.target
        .store(&VERB, Line::change, store, options, output)
}
