//! The command `larder`: what it is told to do, and its exit code.

mod apply;
mod clear;
mod components;
mod conformance;
mod demo;
mod duration;
mod import;
mod json_lines;
mod load;
mod ls;
mod options;
mod output;
mod save;
mod stat;
mod store;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use options::Options;
use output::Output;

/// A load of many entries spends a third of its time in the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keep caches on storage that outlives the program.
///
/// A cache is a named set of entries: a key, a value, and a time to live or none. They are kept in
/// a folder, by a WebAssembly component that can reach that folder and nothing else.
#[derive(Parser)]
#[command(
    name = "larder",
    version,
    max_term_width = 100,
    after_long_help = "\
Exit codes:
  0  everything that was asked for was done
  1  something failed, or is incomplete: standard error says what
  2  the command line cannot be understood

Environment:
  LARDER_DIR         the folder that holds the caches
  LARDER_DURABILITY  what a change withstands: full or atomic
  LARDER_CODE_CACHE  the folder that holds compiled components, so that they are not compiled each
                     time; empty for none [default: larder in $XDG_CACHE_HOME or ~/.cache]

Example:
  echo '{\"key\": \"user:1\", \"value\": \"Ada\", \"ttl\": \"90s\"}' | larder save sessions
  larder load sessions
  larder demo"
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Save(save::Args),
    Load(load::Args),
    Apply(apply::Args),
    Clear(clear::Args),
    Ls(ls::Args),
    Stat(stat::Args),
    Verify(verify::Args),
    Import(import::Args),
    Conformance(conformance::Args),
    Components(components::Args),
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let Cli { options, verb } = Cli::parse();
    let mut output = Output::new(options.json);
    let outcome = match verb {
        Verb::Save(args) => save::run(&args, &options, &mut output),
        Verb::Load(args) => load::run(&args, &options, &mut output),
        Verb::Apply(args) => apply::run(&args, &options, &mut output),
        Verb::Clear(args) => clear::run(&args, &options, &mut output),
        Verb::Ls(args) => ls::run(&args, &options, &mut output),
        Verb::Stat(args) => stat::run(&args, &options, &mut output),
        Verb::Verify(args) => verify::run(&args, &options, &mut output),
        Verb::Import(args) => import::run(&args, &options, &mut output),
        Verb::Conformance(args) => conformance::run(&args, &mut output),
        Verb::Components(args) => components::run(&args, &mut output),
        Verb::Demo(args) => demo::run(&args, &options, &mut output),
    };
    output.finish(outcome)
}
