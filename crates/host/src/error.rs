//! The error of a call, and its kinds.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The error of a call: which call failed, for which cache, and why.
///
/// A call that fails has changed nothing in storage, with two exceptions:
///
/// - The change is visible, but its sync failed; a power cut may undo it.
/// - The kind is an error of the host, such as [`ErrorKind::Trapped`]. Its documentation says in
///   which state the storage is.
///
/// `Display` gives all of it, such as `save of cache "sessions": no space left`.
///
/// ```
/// use larder_host::{Backend, ErrorKind};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let disk = Backend::disk(folder.path()).unwrap();
/// let error = disk.load("a/b").unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::InvalidName(_)));
/// assert_eq!(error.operation(), "load");
/// assert_eq!(error.cache(), Some("a/b"));
/// ```
#[derive(Debug)]
pub struct Error {
    operation: &'static str,
    cache: Option<String>,
    path: Option<PathBuf>,
    kind: ErrorKind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The backend may not read or write its storage: permissions, or a read-only file system.
    AccessDenied,
    /// The cache name breaks a rule of the contract; the text says which.
    InvalidName(String),
    /// Another argument is not acceptable; the text says which and why.
    InvalidArgument(String),
    /// Nothing of the cache can be read. The text says what was found, and where. `save` and
    /// `clear` still work, and replace the cache.
    Corrupt(String),
    /// A newer Larder stored the cache, in this version of the format. `save` and `clear` still
    /// work, and replace the cache.
    UnsupportedVersion(u32),
    /// The size, in bytes, is too large for one call.
    TooLarge(u64),
    /// The storage is full, or a quota is reached.
    NoSpace,
    /// The storage failed or did not answer, or other writers changed the cache too often
    /// meanwhile, or the process has no address space or no file descriptors left. The text says
    /// how. The call may be tried again.
    Unavailable(String),
    /// Any other error of the component; the text says which.
    Other(String),
    /// The component cannot be used. The text gives the reason: its file cannot be read, it is not
    /// a component, or it does not export the contract. Or it imports something that is not there.
    BadComponent(String),
    /// The call needs this optional interface, which the component does not export.
    MissingInterface(&'static str),
    /// The component trapped, or its answer breaks the contract. The text says how, and ends with
    /// the last lines that the component wrote to standard error.
    ///
    /// After this error, and after the errors below, the storage is as after a crash. The change
    /// was made as a whole, or not at all.
    Trapped(String),
    /// The component gave no answer within this time limit, and was stopped.
    TimedOut(Duration),
    /// The component needed more memory than this limit, in bytes, and was stopped.
    OutOfMemory(usize),
    /// A folder for the component cannot be opened or created; the text says why. The component was
    /// not called.
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

    /// Why the call failed.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The call that failed, by the name of its method. If a backend or layer could not be built:
    /// `disk backend`, `component` or `cache layer`.
    pub fn operation(&self) -> &str {
        self.operation
    }

    /// The cache of the call, if the call was about a cache.
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
