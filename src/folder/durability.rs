//! The durability that the environment sets.

use crate::abi::Error;
use crate::abi::wasi::cli::environment;

/// Whether published files survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// File and folder are synced.
    Full,
    /// Neither is synced, and superseded versions stay for a while.
    Atomic,
}

/// Reads `LARDER_DURABILITY`.
pub fn durability() -> Result<Durability, Error> {
    const NAME: &str = "LARDER_DURABILITY";
    // Not through std, which would bring in the code of wasi-libc that copies the environment.
    let environment = environment::get_environment();
    let setting = environment.iter().find(|(name, _)| name == NAME);
    match setting.map_or("", |(_, value)| value) {
        "" | "full" => Ok(Durability::Full),
        "atomic" => Ok(Durability::Atomic),
        other => {
            let reason = format!("{NAME} must be `full` or `atomic`, not `{other}`");
            Err(Error::InvalidArgument(reason))
        }
    }
}
