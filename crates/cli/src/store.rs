//! The part that `save` and `apply` share: the cache, the input lines, and the report.

use serde_json::json;

use crate::json_lines::Input;
use crate::output::{self, Failure, Output};

#[derive(clap::Args)]
pub struct Target {
    /// The name of the cache
    pub cache: String,
    #[command(flatten)]
    pub input: Input,
}

impl Target {
    /// Reports that so many lines took effect: `saved cache "a" from 2 lines`.
    pub fn report(
        &self,
        operation: &str,
        [done, with]: [&str; 2],
        lines: u64,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let cache = &self.cache;
        match output.json {
            true => output.object(&json!({"operation": operation, "cache": cache, "lines": lines})),
            false => output.line(format!(
                "{done} cache {cache:?} {with} {}",
                output::count(lines, "line", "lines")
            )),
        }
    }
}
