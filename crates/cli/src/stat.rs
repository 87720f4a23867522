//! `larder stat`: the size and age of caches.

use std::time::SystemTime;

use indicatif::{BinaryBytes, HumanCount};
use jiff::Timestamp;
use larder_host::CacheStat;
use serde_json::json;

use crate::duration;
use crate::options::{Options, Storage};
use crate::output::{self, Failure, Output};

/// Show the size and age of caches
///
/// The command does not read the entries, so their number includes expired and lost entries. The
/// version goes up with each change. For a cache that does not exist, all numbers are zero.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  larder stat sessions pages")]
pub struct Args {
    /// The names of the caches
    #[arg(required = true, value_name = "CACHE")]
    caches: Vec<String>,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let storage = options
        .existing()
        .map_err(|why| options.failure("stat", None, why))?;
    show(&args.caches, &storage, options, output)
}

/// Shows these caches, and reports each cache that the backend fails on.
pub fn show(
    caches: &[String],
    storage: &Storage,
    options: &Options,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut known = Vec::with_capacity(caches.len());
    for cache in output::counting("looking at caches", caches.len() as u64).wrap_iter(caches.iter())
    {
        match storage.backend.stat(cache) {
            Ok(stat) => known.push((cache, stat)),
            Err(error) => output.failed(options.explain(&error)),
        }
    }
    if output.json {
        for (cache, stat) in known {
            let CacheStat {
                entries,
                bytes,
                files,
                version,
                saved_at,
                ..
            } = stat;
            let saved_at = saved_at.and_then(|at| Timestamp::try_from(at).ok());
            let saved_at = saved_at.map(|at| at.to_string());
            output.object(&json!({
                "cache": cache, "entries": entries, "bytes": bytes, "files": files,
                "version": version, "saved_at": saved_at,
            }))?;
        }
        return Ok(());
    }
    let now = SystemTime::now();
    output.table(
        ["cache", ">entries", ">bytes", ">files", ">version", "saved"],
        known.into_iter().map(|(cache, stat)| {
            [
                cache.clone(),
                HumanCount(stat.entries).to_string(),
                BinaryBytes(stat.bytes).to_string(),
                HumanCount(stat.files).to_string(),
                stat.version.to_string(),
                stat.saved_at.map_or("never".into(), |at| saved(at, now)),
            ]
        }),
    )
}

/// When a cache was last changed: the time to the second, and how long ago that was.
pub fn saved(at: SystemTime, now: SystemTime) -> String {
    let time = match Timestamp::try_from(at).and_then(|at| Timestamp::from_second(at.as_second())) {
        Ok(time) => time,
        // The year has more than four digits.
        Err(error) => return error.to_string(),
    };
    match now.duration_since(at) {
        Ok(age) => format!("{time:.0}, {} ago", duration::roughly(age)),
        // The clock was set back after the change.
        Err(_) => format!("{time:.0}"),
    }
}
