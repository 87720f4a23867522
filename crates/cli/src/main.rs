//! The command `larder`: its command line, its verbs and its exit code.

mod apply;
mod clear;
mod components;
mod conformance;
mod demo;
mod duration;
mod get;
mod import;
mod json_lines;
mod keys;
mod load;
mod ls;
mod options;
mod output;
mod recover;
mod rm;
mod save;
mod set;
mod stat;
mod store;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use options::Options;
use output::Output;

/// With the allocator of the system, a load of many entries spends a third of its time there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keep caches on storage that outlives the program.
///
/// A cache is a named set of entries. An entry has a key, a value, and a time to live or none. A
/// WebAssembly component keeps the caches in a folder; it can reach that folder and nothing else.
#[derive(Parser)]
#[command(
    name = "larder",
    version,
    max_term_width = 100,
    after_long_help = "\
Exit codes:
  0  the command did everything
  1  the command failed, or did only a part: standard error says why
  2  the command line is wrong
A reader of standard output that goes away, such as head, is no failure: larder load ends early, and
the other verbs do all of their work.

Environment:
  LARDER_DIR         the folder that holds the caches
  LARDER_DURABILITY  what a change survives: full or atomic
  LARDER_CODE_CACHE  the folder for compiled components, so that no run compiles them again; if it
                     is empty, or another user may write or exchange it, each run compiles
                     [default: larder in $XDG_CACHE_HOME or ~/.cache]

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
    Get(get::Args),
    Set(set::Args),
    Rm(rm::Args),
    Keys(keys::Args),
    Clear(clear::Args),
    Ls(ls::Args),
    Stat(stat::Args),
    Verify(verify::Args),
    Recover(recover::Args),
    Import(import::Args),
    Conformance(conformance::Args),
    Components(components::Args),
    Demo(demo::Args),
}

/// Makes a write beyond the limit of `ulimit -f` an error like any other, in place of a signal that
/// ends the process without a word.
#[cfg(unix)]
fn outlive_the_file_size_limit() {
    // SAFETY: no other thread runs yet, and an ignored signal runs no code.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

fn main() -> ExitCode {
    #[cfg(unix)]
    outlive_the_file_size_limit();
    let Cli { options, verb } = Cli::parse();
    let mut output = Output::new(options.json);
    let outcome = match verb {
        Verb::Save(args) => save::run(&args, &options, &mut output),
        Verb::Load(args) => load::run(&args, &options, &mut output),
        Verb::Apply(args) => apply::run(&args, &options, &mut output),
        Verb::Get(args) => get::run(&args, &options, &mut output),
        Verb::Set(args) => set::run(&args, &options, &mut output),
        Verb::Rm(args) => rm::run(&args, &options, &mut output),
        Verb::Keys(args) => keys::run(&args, &options, &mut output),
        Verb::Clear(args) => clear::run(&args, &options, &mut output),
        Verb::Ls(args) => ls::run(&args, &options, &mut output),
        Verb::Stat(args) => stat::run(&args, &options, &mut output),
        Verb::Verify(args) => verify::run(&args, &options, &mut output),
        Verb::Recover(args) => recover::run(&args, &options, &mut output),
        Verb::Import(args) => import::run(&args, &options, &mut output),
        Verb::Conformance(args) => conformance::run(&args, &mut output),
        Verb::Components(args) => components::run(&args, &mut output),
        Verb::Demo(args) => demo::run(&args, &options, &mut output),
    };
    output.finish(outcome)
}
