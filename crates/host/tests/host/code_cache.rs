//! Compiled code is found again by the component and the user for whom it was kept, and by nobody
//! else.

use std::fs;
use std::path::{Path, PathBuf};

use larder_host::{Backend, Error, ErrorKind};
use tempfile::TempDir;

/// A component that exports nothing: it is compiled and its code is kept, and then it is no
/// backend.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
/// The length of the key with which a file of code begins. A checksum follows.
const KEY: usize = 32;

fn build(component: &[u8], code: &Path) -> Result<Backend, Error> {
    let builder = Backend::component_bytes(component).code_cache(code);
    builder.preopen(std::env::temp_dir(), "/").build()
}

/// Builds the component without exports, which ends with the error that it has none.
#[track_caller]
fn build_empty(code: &Path) {
    let error = build(EMPTY, code).unwrap_err();
    let none = ErrorKind::BadComponent("does not export larder:cache/cache-backend@0.1.0".into());
    assert_eq!(*error.kind(), none);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[track_caller]
fn only_file(folder: &Path) -> PathBuf {
    let files = files(folder);
    assert_eq!(files.len(), 1, "{files:?}");
    files.into_iter().next().unwrap()
}

#[test]
fn kept_code_is_what_runs() {
    let folders = [(); 2].map(|()| TempDir::new().unwrap());
    let [disk, empty] = folders.each_ref().map(TempDir::path);
    build(larder_components::DISK, disk).unwrap();
    build_empty(empty);
    build(larder_components::DISK, disk).unwrap();

    // The code of another component in its place shows that the component is not compiled again.
    let file = only_file(disk);
    let mut forged = fs::read(&file).unwrap()[..KEY].to_vec();
    forged.extend_from_slice(&fs::read(only_file(empty)).unwrap()[KEY..]);
    fs::write(&file, forged).unwrap();
    let error = build(larder_components::DISK, disk).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::BadComponent(_)),
        "{error}"
    );
}

#[test]
fn a_damaged_file_is_replaced() {
    let folder = TempDir::new().unwrap();
    let code = folder.path();
    build_empty(code);
    let file = only_file(code);
    let whole = fs::read(&file).unwrap();
    let cuts = [0, 1, KEY - 1, KEY + 8, whole.len() / 2, whole.len() - 1];
    let cut = cuts.map(|length| whole[..length].to_vec());
    let flips = [
        0,
        KEY - 1,
        KEY,
        KEY + 7,
        KEY + 8,
        whole.len() / 2,
        whole.len() - 1,
    ];
    let flipped = flips.map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    });
    let longer = [whole.clone(), vec![0]].concat();
    for damaged in cut.into_iter().chain(flipped).chain([longer]) {
        fs::write(&file, &damaged).unwrap();
        build_empty(code);
        assert!(fs::read(&file).unwrap() == whole, "{} bytes", damaged.len());
        assert_eq!(only_file(code), file);
    }
}

#[test]
fn code_that_is_for_something_else_is_replaced() {
    let folder = TempDir::new().unwrap();
    let code = folder.path();
    build_empty(code);
    let file = only_file(code);
    let whole = fs::read(&file).unwrap();
    // The code is whole, but it is of another component or for another compiler: it has another
    // key.
    let other = TempDir::new().unwrap();
    let with_a_section = [EMPTY, b"\0\x05\x04name"].concat();
    build(&with_a_section, other.path()).unwrap_err();
    fs::copy(only_file(other.path()), &file).unwrap();
    build_empty(code);
    assert!(fs::read(&file).unwrap() == whole);
}

#[test]
fn a_folder_that_cannot_be_used_fails_nothing() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for code in [&file, &file.join("below")] {
        build_empty(code);
    }
    assert!(fs::read(&file).unwrap().is_empty());

    // A folder is where the file would be.
    let code = folder.path().join("code");
    build_empty(&code);
    let kept = only_file(&code);
    fs::remove_file(&kept).unwrap();
    fs::create_dir(&kept).unwrap();
    build_empty(&code);
    assert_eq!(only_file(&code), kept);
}

#[cfg(unix)]
mod unix {
    use std::fs::Permissions;
    use std::io::{self, Write as _};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_created_is_for_its_user_alone() {
        let folder = TempDir::new().unwrap();
        let code = folder.path().join("some/where");
        build_empty(&code);
        assert_eq!(mode(&code), 0o700);
        assert_eq!(mode(&only_file(&code)), 0o600);
    }

    #[test]
    fn a_folder_that_others_may_write_is_not_used() {
        for shared in [0o770, 0o707, 0o1777] {
            let folder = TempDir::new().unwrap();
            set_mode(folder.path(), shared);
            build_empty(folder.path());
            assert_eq!(files(folder.path()), [""; 0].map(PathBuf::from));
        }
    }

    #[test]
    fn a_file_that_others_may_write_is_replaced() {
        let disk = TempDir::new().unwrap();
        build(larder_components::DISK, disk.path()).unwrap();
        let empty = TempDir::new().unwrap();
        build_empty(empty.path());
        let file = only_file(disk.path());
        let whole = fs::read(&file).unwrap();
        let other = fs::read(only_file(empty.path())).unwrap();
        for shared in [0o660, 0o606] {
            fs::write(&file, [&whole[..KEY], &other[KEY..]].concat()).unwrap();
            set_mode(&file, shared);
            build(larder_components::DISK, disk.path()).unwrap();
            assert!(fs::read(&file).unwrap() == whole);
            assert_eq!(mode(&file), 0o600);
        }
    }

    #[test]
    fn a_folder_that_others_may_exchange_is_not_used() {
        for (above, is_used) in [(0o777, false), (0o720, false), (0o1777, true)] {
            let folder = TempDir::new().unwrap();
            let code = folder.path().join("below/code");
            fs::create_dir_all(&code).unwrap();
            set_mode(&code, 0o700);
            set_mode(folder.path(), above);
            build_empty(&code);
            assert_eq!(files(&code).len(), usize::from(is_used), "{above:o}");
        }
    }

    #[test]
    fn a_folder_below_that_of_another_user_is_not_used() {
        let folder = TempDir::new().unwrap();
        let code = folder.path().join("code");
        if chown(folder.path(), Some(64999), None).is_err() {
            let why = "SKIPPED: a_folder_below_that_of_another_user_is_not_used: \
                       this user may give no folder away";
            return writeln!(io::stderr(), "{why}").expect("standard error takes it");
        }
        build_empty(&code);
        assert_eq!(files(&code), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn a_link_is_followed_to_a_folder_that_only_this_user_may_write() {
        let [links, ours, shared] = [(); 3].map(|()| TempDir::new().unwrap());
        let link = |name: &str, to: &Path| {
            let link = links.path().join(name);
            symlink(to, &link).unwrap();
            link
        };
        build_empty(&link("ours", ours.path()));
        only_file(ours.path());

        let below = shared.path().join("code");
        fs::create_dir(&below).unwrap();
        set_mode(&below, 0o700);
        set_mode(shared.path(), 0o777);
        build_empty(&link("shared", &below));
        assert_eq!(files(&below), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced() {
        let [disk, empty, elsewhere] = [(); 3].map(|()| TempDir::new().unwrap());
        build(larder_components::DISK, disk.path()).unwrap();
        build_empty(empty.path());
        let file = only_file(disk.path());
        let key = fs::read(&file).unwrap()[..KEY].to_vec();
        let code = fs::read(only_file(empty.path())).unwrap()[KEY..].to_vec();
        let forged = elsewhere.path().join("forged");
        fs::write(&forged, [key, code].concat()).unwrap();
        set_mode(&forged, 0o600);
        fs::remove_file(&file).unwrap();
        symlink(&forged, &file).unwrap();
        build(larder_components::DISK, disk.path()).unwrap();
        assert!(fs::symlink_metadata(&file).unwrap().is_file());
    }
}
