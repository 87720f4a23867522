//! What the environment sets.

use crate::Error;

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
    match std::env::var_os(NAME)
        .as_deref()
        .map(|value| value.to_str())
    {
        None | Some(Some("" | "full")) => Ok(Durability::Full),
        Some(Some("atomic")) => Ok(Durability::Atomic),
        Some(other) => {
            let other = other.unwrap_or("not text");
            let reason = format!("{NAME} is `full` or `atomic`, not `{other}`");
            Err(Error::InvalidArgument(reason))
        }
    }
}
