//! `larder recover`: goes back to an earlier version of a cache.

use std::time::SystemTime;

use indicatif::HumanCount;
use jiff::Timestamp;
use serde_json::json;

use crate::options::Options;
use crate::output::{self, Failure, Output};
use crate::stat;

/// List the versions of a cache that are whole, or go back to one
///
/// The command is for a cache that `larder load` calls corrupt. Going back undoes all newer
/// changes. Without --to, the command changes nothing. The number of newer changes counts the
/// entries and removals in newer files; a file that was compacted may count them twice.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder recover sessions
  larder recover sessions --to 12")]
pub struct Args {
    /// The name of the cache
    cache: String,
    /// The version to go back to
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let Args { cache, to } = args;
    let storage = options.existing();
    let storage = storage.map_err(|why| options.failure("recover", Some(cache), why))?;
    let versions = storage.backend.versions(cache);
    let versions = versions.map_err(|error| options.explain_as("recover", &error))?;
    let Some(to) = *to else {
        if output.json {
            for version in versions {
                let saved_at = version.saved_at.and_then(|at| Timestamp::try_from(at).ok());
                let saved_at = saved_at.map(|at| at.to_string());
                output.object(&json!({
                    "cache": cache, "version": version.number, "saved_at": saved_at,
                    "newer_changes": version.newer_changes,
                }))?;
            }
            return Ok(());
        }
        let now = SystemTime::now();
        return output.table(
            [">version", "saved", ">newer changes"],
            versions.into_iter().map(|version| {
                [
                    version.number.to_string(),
                    version
                        .saved_at
                        .map_or("unknown".into(), |at| stat::saved(at, now)),
                    HumanCount(version.newer_changes).to_string(),
                ]
            }),
        );
    };
    let undone = versions.iter().find(|version| version.number == to);
    let undone = undone.map_or(0, |version| version.newer_changes);
    let recovered = storage.backend.recover(cache, to);
    recovered.map_err(|error| options.explain(&error))?;
    match output.json {
        true => output.object(&json!({
            "operation": "recover", "cache": cache, "version": to, "undone_changes": undone,
        })),
        false => {
            let undone = output::count(undone, "newer change", "newer changes");
            output.line(format!(
                "cache {cache:?} is at version {to} again, without {undone} that could be read"
            ))
        }
    }
}
