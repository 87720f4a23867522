//! `larder import`: stores a cache that the Python module pickled.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::SystemTime;

use larder_host::Entry;
use serde_json::json;

use crate::json_lines::{STANDARD_INPUT, is_standard_input};
use crate::options::Options;
use crate::output::{self, Failure, Output};

/// Store the entries of a pickled Python cache as the whole of a cache
///
/// The command runs nothing from the file, and looks up no name in it. It stores text and bytes as
/// they are. Numbers, lists, dicts and other plain data become JSON, also as keys. An OrderedDict,
/// a defaultdict and a Counter are dicts, and a deque is a list. Each ttl has been running since
/// the file was saved.
///
/// An entry that cannot be represented is skipped, with a message, and the exit code is 1. If that
/// leaves no entry, nothing is stored.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder import my_cache.pkl sessions
  gzip -dc my_cache.pkl.gz | larder import - sessions")]
pub struct Args {
    /// The pickle file, or - for standard input
    #[arg(value_name = "FILE.pkl")]
    file: PathBuf,
    /// The name of the cache
    cache: String,
    /// Store nothing if any entry has to be skipped
    #[arg(long)]
    strict: bool,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let cache = args.cache.as_str();
    let from_input = is_standard_input(&args.file);
    let file = match from_input {
        true => STANDARD_INPUT.into(),
        false => args.file.display().to_string(),
    };
    let failure = |why| options.failure("import", Some(cache), why);
    let of_file = |why| failure(format!("{file}: {why}"));

    let progress = output::working(&format!("reading {file}"));
    let mut bytes = Vec::new();
    let read = match from_input {
        true => io::stdin().lock().read_to_end(&mut bytes),
        false => File::open(&args.file).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|error| of_file(error.to_string()))?;
    let import = larder_pickle::read(&bytes, SystemTime::now())
        .map_err(|error| of_file(error.to_string()))?;
    drop(progress);

    for skipped in &import.skipped {
        output.failed(Failure::Said(format!(
            "{file}: skipped {:?}, which {}",
            skipped.key, skipped.reason
        )));
    }
    let (imported, expired, skipped) = (import.entries.len(), import.expired, import.skipped.len());
    if skipped > 0 && (args.strict || imported == 0) {
        return Err(of_file(format!(
            "nothing is stored, because {} cannot be represented",
            output::count(skipped as u64, "entry", "entries"),
        )));
    }

    let storage = options.created(cache).map_err(failure)?;
    {
        let progress = output::counting(&format!("saving cache {cache:?}"), imported as u64);
        let entries = progress.wrap_iter(import.entries.into_iter()).map(stored);
        let saved = storage.backend.save(cache, entries);
        saved.map_err(|error| failure(error.kind().to_string()))?;
    }
    match output.json {
        true => output.object(&json!({
            "operation": "import", "cache": cache, "file": file,
            "imported": imported, "expired": expired, "skipped": import.skipped.iter().map(|skipped| {
                json!({"key": skipped.key, "reason": skipped.reason})
            }).collect::<Vec<_>>(),
        })),
        false => output.line(format!(
            "imported {file} as cache {cache:?}: {}, {expired} expired, {skipped} skipped",
            output::count(imported as u64, "entry", "entries"),
        )),
    }
}

/// An entry of a pickle, as the backend stores it.
pub fn stored(entry: larder_pickle::Entry) -> Entry {
    let larder_pickle::Entry { key, value, ttl } = entry;
    Entry {
        ttl,
        ..Entry::new(key, value)
    }
}
