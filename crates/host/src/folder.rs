//! Creates a folder whose name survives a power cut.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Creates a folder, and the folders above it that are missing. The name of each is synced before
/// the next folder is created in it.
///
/// The name of a folder that exists is synced too: another process may have created the folder and
/// died before its sync. Thanks to the order, everything above that was synced by then.
pub(crate) fn create(dir: &Path) -> io::Result<()> {
    create_with(dir, &mut sync)
}

/// Creates a folder, and calls `sync` for each folder that holds a name to sync.
fn create_with(dir: &Path, sync: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let exists = dir.is_dir();
    if !exists {
        if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
            create_with(above, sync)?;
        }
        match fs::create_dir(dir) {
            // Another process created it meanwhile.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {}
            created => created?,
        }
    }
    // A link or `..` may lead to the folder, and its name is elsewhere.
    match dir.canonicalize()?.parent().map_or(Ok(()), sync) {
        // The folder above belongs to another user, who then also created this folder.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && exists => Ok(()),
        synced => synced,
    }
}

/// Syncs the names in a folder, if its file system can sync them.
#[cfg(unix)]
fn sync(dir: &Path) -> io::Result<()> {
    match fs::File::open(dir)?.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// Other systems cannot sync the names in a folder. There, a power cut may take a new folder.
#[cfg(not(unix))]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// Creates a folder below another, and gives for each sync the synced folder and what it held.
    fn synced(root: &TempDir, dir: &str) -> Vec<(String, Vec<String>)> {
        let root = root.path().canonicalize().unwrap();
        let mut syncs = Vec::new();
        let mut noted = |above: &Path| {
            if let Ok(path) = above.strip_prefix(&root) {
                let names = fs::read_dir(above)?.map(|name| name.unwrap().file_name());
                let names = names.map(|name| name.into_string().unwrap()).collect();
                syncs.push((path.to_str().unwrap().to_owned(), names));
            }
            sync(above)
        };
        create_with(&root.join(dir), &mut noted).unwrap();
        assert!(root.join(dir).is_dir());
        syncs
    }

    fn holding(folder: &str, name: &str) -> (String, Vec<String>) {
        (folder.to_owned(), vec![name.to_owned()])
    }

    #[test]
    fn the_name_of_each_created_folder_is_synced_before_the_next_is_created() {
        let root = TempDir::new().unwrap();
        let order = [holding("", "a"), holding("a", "b"), holding("a/b", "c")];
        assert_eq!(synced(&root, "a/b/c"), order);
    }

    #[test]
    fn the_name_of_a_folder_that_another_process_created_is_synced() {
        let root = TempDir::new().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        assert_eq!(synced(&root, "a/b"), [holding("a", "b")]);
        assert_eq!(
            synced(&root, "a/b/c"),
            [holding("a", "b"), holding("a/b", "c")]
        );
        assert_eq!(synced(&root, "a/b/../b/c"), [holding("a/b", "c")]);
    }

    #[test]
    #[cfg(unix)]
    fn the_name_that_a_link_leads_to_is_synced() {
        let root = TempDir::new().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::os::unix::fs::symlink("a/b", root.path().join("link")).unwrap();
        assert_eq!(synced(&root, "link"), [holding("a", "b")]);
    }

    #[test]
    fn a_name_that_cannot_be_synced_is_an_error_unless_another_user_created_it() {
        let root = TempDir::new().unwrap();
        let dir = root.path().join("a");
        let failing = |kind: ErrorKind| {
            let above = root.path().canonicalize().unwrap();
            create_with(&dir, &mut |path| match path == above {
                true => Err(kind.into()),
                false => Ok(()),
            })
        };
        let denied = failing(ErrorKind::PermissionDenied).unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
        failing(ErrorKind::PermissionDenied).unwrap();
        failing(ErrorKind::StorageFull).unwrap_err();
    }
}
