//! `larder clear`: removes caches.

use serde_json::json;

use crate::options::Options;
use crate::output::{Failure, Output};

/// Remove caches with all of their data
///
/// It is not an error if a cache does not exist.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  larder clear sessions")]
pub struct Args {
    /// The names of the caches
    #[arg(required = true, value_name = "CACHE")]
    caches: Vec<String>,
}

pub fn run(args: &Args, options: &Options, output: &mut Output) -> Result<(), Failure> {
    let storage = options
        .existing()
        .map_err(|why| options.failure("clear", None, why))?;
    for cache in &args.caches {
        match storage.backend.clear(cache) {
            Err(error) => output.failed(options.explain(&error)),
            Ok(()) if output.json => {
                output.object(&json!({"operation": "clear", "cache": cache}))?
            }
            Ok(()) => output.line(format!("cleared cache {cache:?}"))?,
        }
    }
    Ok(())
}
