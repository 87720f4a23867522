//! A disk that is really full: a small file system in memory, mounted where nobody else sees it.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, io};

use larder_host::{Backend, Change, Entry, Error, ErrorKind};

const CACHE: &str = "sessions";
/// Tells a process that it has mounts of its own, and a folder to mount something on.
const MOUNT_POINT: &str = "LARDER_TEST_MOUNT_POINT";
const PAGE: u64 = 4096;

type Values = BTreeMap<String, Vec<u8>>;

/// Runs a test in a process that has mounts of its own: they end with it, however it ends. Skips it, and says so,
/// where the machine does not let us.
fn with_mounts(test: &str, run: impl FnOnce(&Path)) {
    if let Some(mount_point) = env::var_os(MOUNT_POINT) {
        return run(Path::new(&mount_point));
    }
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--user", "--map-root-user"]];
    let mut refusals = Vec::new();
    for way in ways {
        let mount_point = tempfile::tempdir().expect("a temporary folder");
        let try_to_mount = ["mount", "-t", "tmpfs", "larder-test"].map(Into::into);
        let unshared = |program: &[std::ffi::OsString]| {
            let mut command = Command::new("unshare");
            command.args(way).args(program).env(MOUNT_POINT, mount_point.path());
            command
        };
        let mut tried = unshared(&try_to_mount);
        match tried.arg(mount_point.path()).output() {
            Ok(Output { status, .. }) if status.success() => {}
            Ok(Output { stderr, .. }) => {
                refusals.push(String::from_utf8_lossy(&stderr).trim().to_owned());
                continue;
            }
            Err(error) => {
                refusals.push(format!("unshare: {error}"));
                continue;
            }
        }
        let this = env::current_exe().expect("a test is a program");
        let args = ["--exact", test, "--nocapture", "--include-ignored"].map(Into::into);
        let program = [&[this.into_os_string()], args.as_slice()].concat();
        let status = unshared(&program).status().expect("it did run just now");
        assert!(status.success(), "{test}: {status}");
        return;
    }
    let refusals = refusals.join("; ");
    writeln!(io::stderr(), "SKIPPED: {test}: no file system can be mounted: {refusals}")
        .expect("standard error takes it");
}

/// A small file system, mounted for as long as this is there.
struct Disk<'a> {
    root: &'a Path,
    backend: Backend,
}

impl<'a> Disk<'a> {
    fn mount(root: &'a Path) -> Disk<'a> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k,nr_inodes=200", "larder-test"])
            .arg(root)
            .status();
        assert!(mounted.is_ok_and(|status| status.success()));
        Disk {
            backend: Backend::disk(root.join("store")).expect("there is room for a folder"),
            root,
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.join("store")
    }

    fn load(&self) -> Values {
        let contents = self.backend.load(CACHE).expect("a full disk can be read");
        assert_eq!(contents.lost, 0);
        let entries = contents.entries.into_iter();
        entries.map(|entry| (entry.key, entry.value)).collect()
    }

    /// Fills the disk up, but for so many pages.
    fn leave_pages(&self, pages: u64) {
        let ballast = fs::File::create(self.root.join("ballast")).expect("there is room for a file");
        let mut length = 0;
        while ballast.write_at(&[0; PAGE as usize], length).is_ok() {
            length += PAGE;
        }
        let left = length.checked_sub(pages * PAGE).expect("there is room for more than that");
        ballast.set_len(left).expect("a file can be made shorter");
    }

    /// Takes all names that the disk has room for, but for so many.
    fn leave_names(&self, names: usize) {
        let folder = self.root.join("names");
        fs::create_dir(&folder).expect("there is room for a folder");
        let paths = || (0..).map(|n: u32| folder.join(n.to_string()));
        let taken = paths().take_while(|path| fs::File::create(path).is_ok());
        let taken: Vec<PathBuf> = taken.collect();
        for path in &taken[taken.len().checked_sub(names).expect("there are more")..] {
            fs::remove_file(path).expect("the file is ours");
        }
    }

    /// Makes room again.
    fn make_room(&self) {
        for (path, remove) in [
            ("ballast", fs::remove_file as fn(PathBuf) -> io::Result<()>),
            ("names", fs::remove_dir_all),
        ] {
            if self.root.join(path).exists() {
                remove(self.root.join(path)).expect("it is ours");
            }
        }
    }

    /// There is nothing in the folder of the cache that is not a version of it.
    fn assert_tidy(&self, case: &str) {
        for file in fs::read_dir(self.folder().join(CACHE)).expect("a folder") {
            let name = file.expect("a file").file_name();
            assert!(name.as_encoded_bytes().ends_with(b".larder"), "{case}: {name:?}");
        }
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Idle instances hold the folder open; what is left of the mount goes with the last of them.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.root).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

/// The operations that write.
#[derive(Clone, Copy, Debug)]
enum Write_ {
    Save,
    Apply,
    /// With enough files of changes for the next to be folded with them.
    ApplyAndFold,
    Clear,
}
