//! Earlier versions of a cache, for people who recover it.

use crate::bindings::CACHE_RECOVERY;
use crate::instance::present;
use crate::{Backend, Error, Version};

/// Recovery, after damage that took a whole version. Both calls give
/// [`ErrorKind::MissingInterface`] if the component does not have the interface.
///
/// [`ErrorKind::MissingInterface`]: crate::ErrorKind::MissingInterface
impl Backend {
    /// Reads a whole cache, and gives its versions that are whole, the newest first. Only the
    /// versions that the storage still has are there. A cache that does not exist has none.
    ///
    /// # Errors
    ///
    /// As with [`list`](Self::list), and [`ErrorKind::InvalidName`].
    ///
    /// [`ErrorKind::InvalidName`]: crate::ErrorKind::InvalidName
    pub fn versions(&self, cache: &str) -> Result<Vec<Version>, Error> {
        self.call("versions", cache, async |instance| {
            let recovery = present(&instance.recovery, CACHE_RECOVERY)?;
            let versions = recovery.call_versions(&mut instance.store, cache).await??;
            Ok(versions.into_iter().map(Version::from).collect())
        })
    }

    /// Stores the entries of a whole version as the whole cache, as one change. Its live entries
    /// keep the rest of their time to live. All newer changes are undone.
    ///
    /// ```
    /// # use larder_host::{Backend, Entry};
    /// # fn main() -> Result<(), larder_host::Error> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let disk = Backend::disk(folder.path())?;
    /// # disk.save("sessions", [Entry::new("user:1", "alice")])?;
    /// let newest_that_is_whole = disk.versions("sessions")?[0];
    /// disk.recover("sessions", newest_that_is_whole.number)?;
    /// # assert_eq!(disk.load("sessions")?.entries.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As with [`save`](Self::save). In addition:
    ///
    /// - [`ErrorKind::InvalidArgument`] if the storage does not have this version, or if it is not
    ///   whole.
    /// - [`ErrorKind::UnsupportedVersion`] if a newer component wrote the newest version.
    ///
    /// [`ErrorKind::InvalidArgument`]: crate::ErrorKind::InvalidArgument
    /// [`ErrorKind::UnsupportedVersion`]: crate::ErrorKind::UnsupportedVersion
    pub fn recover(&self, cache: &str, number: u64) -> Result<(), Error> {
        self.call("recover", cache, async |instance| {
            let recovery = present(&instance.recovery, CACHE_RECOVERY)?;
            let store = &mut instance.store;
            Ok(recovery.call_recover(store, cache, number).await??)
        })
    }
}
