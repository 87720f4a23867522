//! The settings in the environment.

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
    match variable(NAME).as_deref().unwrap_or_default() {
        "" | "full" => Ok(Durability::Full),
        "atomic" => Ok(Durability::Atomic),
        other => {
            let reason = format!("{NAME} must be `full` or `atomic`, not `{other}`");
            Err(Error::InvalidArgument(reason))
        }
    }
}

/// The name of the variable that chooses one of several directories.
pub const ROOT: &str = "LARDER_ROOT";

/// Reads `LARDER_ROOT`: the path by which the host gave the directory. None if it is not set.
pub fn root() -> Option<String> {
    variable(ROOT).filter(|path| !path.is_empty())
}

fn variable(name: &str) -> Option<String> {
    // Not through std, which would bring in the code of wasi-libc that copies the environment.
    let mut environment = environment::get_environment().into_iter();
    environment.find_map(|(other, value)| (other == name).then_some(value))
}
