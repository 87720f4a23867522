//! What `save` and `apply` have in common: lines that are all read before anything is stored.

use larder_host::{Backend, Error};
use serde_json::json;

use super::json_lines::{Input, Line};
use super::options::Options;
use super::output::{self, Failure, Output};

#[derive(clap::Args)]
pub struct Target {
    /// The name of the cache
    cache: String,
    #[command(flatten)]
    input: Input,
}

/// A verb in the forms in which it is told of.
pub struct Verb {
    pub name: &'static str,
    pub doing: &'static str,
    pub done: &'static str,
    /// What stands between the cache and the number of lines.
    pub with: &'static str,
}

impl Target {
    pub fn store<T>(
        &self,
        verb: &Verb,
        accept: impl Fn(Line) -> Result<T, String>,
        store: impl FnOnce(&Backend, &str, Vec<T>) -> Result<(), Error>,
        options: &Options,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let cache = self.cache.as_str();
        let failure = |why| options.failure(verb.name, Some(cache), why);
        let accepted = self.input.read(accept).map_err(failure)?;
        let storage = options.created().map_err(failure)?;
        let lines = accepted.len() as u64;
        {
            let _progress = output::working(&format!("{} cache {cache:?}", verb.doing));
            let stored = store(&storage.backend, cache, accepted);
            stored.map_err(|error| options.explain(&error))?;
        }
        match output.json {
            true => output.object(&json!({"operation": verb.name, "cache": cache, "lines": lines})),
            false => output.line(format!(
                "{} cache {cache:?} {} {}",
                verb.done,
                verb.with,
                output::count(lines, "line", "lines")
            )),
        }
    }
}
