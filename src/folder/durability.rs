//! What the environment sets.

use crate::abi::Error;
use crate::abi::wasi::cli::environment;

/// Whether what is published is made to survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// File and folder are synced.
    Full,
    /// Neither is, and superseded versions stay a while.
    Atomic,
}

/// Reads `LARDER_DURABILITY`.
pub fn durability() -> Result<Durability, Error> {
    const NAME: &str = "LARDER_DURABILITY";
    // Not by way of std: wasi-libc would free the list with an allocator that
    // is not the one it came from.
    let environment = environment::get_environment();
    let setting = environment.iter().find(|(name, _)| name == NAME);
    match setting.map_or("", |(_, value)| value) {
        "" | "full" => Ok(Durability::Full),
        "atomic" => Ok(Durability::Atomic),
        other => {
            let reason = format!("{NAME} is `full` or `atomic`, not `{other}`");
            Err(Error::InvalidArgument(reason))
        }
    }
}
