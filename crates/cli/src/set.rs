//! `larder set`: stores the value of one key.

use std::io::{self, Read};
use std::time::Duration;

use larder_host::{Change, Entry};
use serde_json::json;

use crate::duration;
use crate::json_lines::STANDARD_INPUT;
use crate::options::Options;
use crate::output::{Failure, Output};

/// Store the value of a key, and leave the other entries as they are
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder set sessions user:1 Ada --ttl 90s
  larder set pages /index.html < index.html")]
pub struct Args {
    /// The name of the cache
    cache: String,
    /// The key
    key: String,
    /// The value as text [default: -, which reads the bytes from standard input]
    #[arg(allow_hyphen_values = true)]
    value: Option<String>,
    /// The time to live, such as 90s or 1h30m; without it, the entry does not expire
    #[arg(long, value_parser = duration::parse)]
    ttl: Option<Duration>,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let Args {
        cache, key, ttl, ..
    } = args;
    let failure = |why| options.failure("set", Some(cache), why);
    let value = match args.value.as_deref() {
        None | Some("-") => {
            let mut bytes = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|error| failure(format!("{STANDARD_INPUT}: {error}")))?;
            bytes
        }
        Some(text) => text.as_bytes().to_vec(),
    };
    let mut entry = Entry::new(key, value);
    entry.ttl = *ttl;
    let storage = options.created(cache).map_err(failure)?;
    let applied = storage.backend.apply(cache, [Change::Put(entry)]);
    applied.map_err(|error| options.explain(&error))?;
    match output.json {
        true => output.object(&json!({"operation": "set", "cache": cache, "key": key})),
        false => output.line(format!("set {key:?} in cache {cache:?}")),
    }
}
