//! Why a call failed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A call that failed: which one, on what, and why.
///
/// It has changed nothing in storage, with two exceptions: the storage failed when a change that was
/// made already was to be made to last, so that the change shows but may not outlive a power cut; or
/// the kind is one of those of the host, which say what they leave behind.
///
/// `Display` tells all of it, such as `save of cache "sessions": no space left`.
#[derive(Debug)]
pub struct Error {
    operation: &'static str,
    cache: Option<String>,
    path: Option<PathBuf>,
    kind: ErrorKind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The reasons for which a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The storage may not be read, or may not be written: permissions, or a read-only file system.
    AccessDenied,
    /// The cache name breaks the rules of the contract; says which one.
    InvalidName(String),
    /// Something else that the caller gave is not acceptable; says what.
    InvalidArgument(String),
    /// Something is stored, and nothing of it can be read; says what was found where. `save` and
    /// `clear` still work, and replace it.
    Corrupt(String),
    /// The cache was stored by a newer Larder, in this version of the format. `save` and `clear`
    /// still work, and replace it.
    UnsupportedVersion(u32),
    /// More than can be handled in one call; the size in bytes.
    TooLarge(u64),
    /// The storage is full, or a quota is reached.
    NoSpace,
    /// The storage failed or did not answer, or others changed the cache too often meanwhile; says
    /// how. The call may be tried again.
    Unavailable(String),
    /// Anything else that the component reported; says what.
    Other(String),
    /// The component cannot be used: its file cannot be read, it is not a component, does not
    /// export the contract, or needs something that is not there; says which.
    BadComponent(String),
    /// The component does not export this optional interface, which the call needs.
    MissingInterface(&'static str),
    /// The component trapped, or gave back what the contract does not allow; says how, and ends
    /// with what the component last wrote to its standard error. As with any of the kinds that
    /// follow, the storage is as after a crash: the call was made whole, or not at all.
    Trapped(String),
    /// The component gave no answer within this time, which is the limit, and was stopped.
    TimedOut(Duration),
    /// The component needs more memory than this limit, in bytes, and was stopped.
    OutOfMemory(usize),
    /// A folder that the component is to be given cannot be opened, or created; says why. The
    /// component was not called.
    Folder(String),
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self {
            operation: "",
            cache: None,
            path: None,
            kind,
            source: None,
        }
    }

    pub(crate) fn during(self, operation: &'static str) -> Self {
        Self { operation, ..self }
    }

    pub(crate) fn on_cache(self, cache: &str) -> Self {
        let cache = Some(cache.to_owned());
        Self { cache, ..self }
    }

    pub(crate) fn on_file(self, path: Option<PathBuf>) -> Self {
        Self { path, ..self }
    }

    pub(crate) fn caused_by(
        self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let source = Some(source.into());
        Self { source, ..self }
    }

    /// Why it failed.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// What failed: the name of the method, or `disk backend` or `component` for one
    /// that could not be made ready for calls.
    pub fn operation(&self) -> &str {
        self.operation
    }

    /// The cache that the call was about, if it was about one.
    pub fn cache(&self) -> Option<&str> {
        self.cache.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        if let Some(cache) = &self.cache {
            write!(f, " of cache {cache:?}")?;
        }
        if let Some(path) = &self.path {
            write!(f, " {}", path.display())?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied => f.write_str("access denied"),
            Self::InvalidName(why) => write!(f, "invalid name: {why}"),
            Self::InvalidArgument(why) => write!(f, "invalid argument: {why}"),
            Self::Corrupt(what) => write!(f, "corrupt: {what}"),
            Self::UnsupportedVersion(version) => {
                write!(f, "stored by a newer Larder, in format version {version}")
            }
            Self::TooLarge(bytes) => write!(f, "too large: {bytes} bytes"),
            Self::NoSpace => f.write_str("no space left"),
            Self::Unavailable(why) => write!(f, "unavailable: {why}"),
            Self::Other(what) | Self::BadComponent(what) | Self::Folder(what) => f.write_str(what),
            Self::MissingInterface(name) => write!(f, "the component does not export {name}"),
            Self::Trapped(how) => write!(f, "the component trapped: {how}"),
            Self::TimedOut(limit) => write!(f, "the component gave no answer within {limit:?}"),
            Self::OutOfMemory(limit) => {
                write!(f, "the component needs more memory than {limit} bytes")
            }
        }
    }
}
