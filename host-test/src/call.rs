//! A call to `wasi:filesystem`: which function, which calls a fault selects, and what came of it.

use std::fmt;
use std::ops::RangeInclusive;

pub use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// The functions of `wasi:filesystem` that can fail.
///
/// `open-at` counts as [`Call::Create`] if it has the flag `create`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `advise`
    Advise,
    /// `append-via-stream`. Later writes to the stream are not seen.
    AppendViaStream,
    /// `open-at` with the flag `create`
    Create,
    /// `create-directory-at`
    CreateDirectory,
    /// `get-flags`
    GetFlags,
    /// `get-type`
    GetType,
    /// `link-at`. Its path is the new one.
    Link,
    /// `read-directory`
    List,
    /// `metadata-hash`
    MetadataHash,
    /// `metadata-hash-at`
    MetadataHashAt,
    /// `read-directory-entry`
    NextEntry,
    /// `open-at` without the flag `create`
    Open,
    /// `read`
    Read,
    /// `readlink-at`
    ReadLink,
    /// `read-via-stream`. Later reads from the stream are not seen.
    ReadViaStream,
    /// `remove-directory-at`
    RemoveDirectory,
    /// `rename-at`. Its path is the new one.
    Rename,
    /// `set-size`
    SetSize,
    /// `set-times`
    SetTimes,
    /// `set-times-at`
    SetTimesAt,
    /// `stat`
    Stat,
    /// `stat-at`
    StatAt,
    /// `symlink-at`. Its path is the new one.
    Symlink,
    /// `sync`. It does not wait for the disk.
    Sync,
    /// `sync-data`. It does not wait for the disk.
    SyncData,
    /// `unlink-file-at`
    Unlink,
    /// `write`
    Write,
    /// `write-via-stream`. Later writes to the stream are not seen.
    WriteViaStream,
}

impl Call {
    /// Whether the call makes or removes a name in a folder.
    pub(crate) fn changes_names(self) -> bool {
        use Call::{Create, CreateDirectory, Link, RemoveDirectory, Rename, Symlink, Unlink};
        matches!(
            self,
            Create | CreateDirectory | Link | RemoveDirectory | Rename | Symlink | Unlink
        )
    }
}

/// Selects the calls that a fault is for.
#[derive(Clone, Debug)]
pub struct When {
    call: Option<Call>,
    except: Option<Call>,
    ending: &'static str,
    /// Which of the selected calls, counted from 1.
    counts: RangeInclusive<u64>,
}

impl When {
    /// Selects calls of any function.
    pub fn any() -> When {
        When {
            call: None,
            except: None,
            ending: "",
            counts: 1..=u64::MAX,
        }
    }

    /// Selects calls of one function.
    pub fn call(call: Call) -> When {
        When {
            call: Some(call),
            ..When::any()
        }
    }

    /// Leaves out the calls of this function.
    pub fn except(self, call: Call) -> When {
        When {
            except: Some(call),
            ..self
        }
    }

    /// Keeps only calls for a file or folder whose path ends like this.
    pub fn ending(self, ending: &'static str) -> When {
        When { ending, ..self }
    }

    /// Keeps only the nth of these calls, counted from 1 from now on.
    pub fn nth(self, nth: u64) -> When {
        When {
            counts: nth..=nth,
            ..self
        }
    }

    /// Keeps only the nth of these calls and all later ones, counted from 1 from now on.
    pub fn from_nth(self, nth: u64) -> When {
        When {
            counts: nth..=u64::MAX,
            ..self
        }
    }

    /// Whether the function and the path of a call fit. The count is not compared.
    pub(crate) fn fits(&self, call: Call, path: &str) -> bool {
        self.call.is_none_or(|wanted| wanted == call)
            && self.except != Some(call)
            && path.ends_with(self.ending)
    }

    /// Whether it selects the nth of the calls that fit.
    pub(crate) fn counts(&self, nth: u64) -> bool {
        self.counts.contains(&nth)
    }
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The function.
    pub call: Call,
    /// The path of the file or folder, from the preopened folder on.
    pub path: String,
    /// The effect of a fault on the call, if there was a fault.
    pub fault: Option<&'static str>,
}

/// The instance was stopped before a call, as if its process was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("killed")
    }
}

impl std::error::Error for Killed {}
