//! Why a file cannot be read at all.

use std::fmt;

/// Why a file cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PickleError {
    /// The file is damaged, cut short, or not a pickle.
    Malformed {
        /// The offset in the file, in bytes, at which the wrong instruction begins.
        offset: usize,
        /// The fault of that instruction.
        reason: String,
    },
    /// The file is a pickle, but not of a cache. The text says why.
    NotACache(String),
    /// The file is not a pickle, but of another format. The text says which, and what to do.
    OtherFormat(String),
}

impl fmt::Display for PickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { offset, reason } => {
                write!(f, "not a readable pickle file: {reason}, at byte {offset}")
            }
            Self::NotACache(reason) => write!(f, "not a pickled cache: {reason}"),
            Self::OtherFormat(format) => write!(f, "not a pickle file, but {format}"),
        }
    }
}

impl std::error::Error for PickleError {}
