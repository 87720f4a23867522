//! A disk that is really full: a small file system in memory, mounted where no other process sees
//! it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs, io};

use larder_host::{Backend, Change, Entry, Error, ErrorKind};

use crate::contents::{CACHE, load};
use crate::place;

/// This variable tells a process that it has mounts of its own, and where to mount the disk.
const MOUNT_POINT: &str = "LARDER_TEST_MOUNT_POINT";
/// The unit in which the disk gives space to files.
const PAGE: u64 = 4096;

/// A command in a process that has mounts of its own. The mounts end with the process.
fn unshared(way: &[&str], program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command.args(way).arg(program);
    command
}

fn mount(command: &mut Command, on: &Path) -> io::Result<Output> {
    let options = [
        "-t",
        "tmpfs",
        "-o",
        "size=512k,nr_inodes=200",
        "larder-test",
    ];
    command.args(options).arg(on).output()
}

/// The options of `unshare` by which this user may mount, or why the user may not.
fn way_to_mount(on: &Path) -> Result<&'static [&'static str], String> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--user", "--map-root-user"]];
    let mut refusals = Vec::new();
    for way in ways {
        match mount(&mut unshared(way, "mount"), on) {
            Ok(tried) if tried.status.success() => return Ok(way),
            Ok(tried) => refusals.push(String::from_utf8_lossy(&tried.stderr).trim().to_owned()),
            Err(error) => refusals.push(error.to_string()),
        }
    }
    Err(refusals.join("; "))
}

/// Runs a test in a process that has a small disk of its own. If the user may not mount a disk, it
/// skips the test and says so.
fn with_disk(test: &str, run: impl FnOnce(&Disk)) {
    if let Some(root) = env::var_os(MOUNT_POINT) {
        return run(&Disk::mount(root.into()));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let way = match way_to_mount(folder.path()) {
        Ok(way) => way,
        Err(why) => {
            // libtest does not capture this stream.
            let skipped = format!("SKIPPED: {test}: no disk can be mounted: {why}");
            return writeln!(io::stderr(), "{skipped}").expect("standard error takes it");
        }
    };
    let output = unshared(way, env::current_exe().expect("a test is a program"))
        .args(["--exact", test, "--nocapture"])
        .env(MOUNT_POINT, folder.path())
        .output()
        .expect("it ran just now");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        text.into_owned()
    });
    print!("{stdout}");
    assert!(output.status.success(), "{stderr}");
    // A process whose filter matches no test succeeds as well.
    assert!(stdout.contains("1 passed"), "{test} did not run");
}

/// A small disk, and a store on it.
struct Disk {
    root: PathBuf,
    backend: Backend,
}

impl Disk {
    fn mount(root: PathBuf) -> Disk {
        let mounted = mount(&mut Command::new("mount"), &root).expect("there is a command for it");
        assert!(mounted.status.success(), "{mounted:?}");
        Disk {
            backend: Backend::disk(root.join("store")).expect("there is room for a folder"),
            root,
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Fills the disk up, except for this room.
    fn leave(&self, room: Room) {
        match room {
            Room::Pages(pages) => self.leave_pages(pages),
            Room::Names(names) => self.leave_names(names),
        }
    }

    fn leave_pages(&self, pages: u64) {
        let ballast = fs::File::create(self.root.join("ballast")).expect("there is room");
        let mut length = 0;
        while ballast.write_at(&[1; PAGE as usize], length).is_ok() {
            length += PAGE;
        }
        let left = length.checked_sub(pages * PAGE).expect("that much room");
        ballast.set_len(left).expect("a file can be made shorter");
    }

    fn leave_names(&self, names: usize) {
        let folder = self.root.join("names");
        fs::create_dir(&folder).expect("there is room");
        let paths = (0..).map(|n: u32| folder.join(n.to_string()));
        let taken: Vec<PathBuf> = paths
            .take_while(|path| fs::File::create(path).is_ok())
            .collect();
        let left = taken.len().checked_sub(names).expect("that much room");
        for path in &taken[left..] {
            fs::remove_file(path).expect("the file is ours");
        }
    }

    /// Undoes `leave`.
    fn make_room(&self) {
        let (ballast, names) = (self.root.join("ballast"), self.root.join("names"));
        if ballast.exists() {
            fs::remove_file(ballast).expect("the file is ours");
        }
        if names.exists() {
            fs::remove_dir_all(names).expect("the folder is ours");
        }
    }

    /// The number of files of the cache. Asserts that none of them is a temporary.
    fn versions(&self, case: &str) -> usize {
        let Ok(files) = fs::read_dir(self.folder().join(CACHE)) else {
            return 0;
        };
        let names = files.map(|file| file.expect("a file").file_name());
        let names = names.inspect(|name| {
            let is_version = name.as_encoded_bytes().ends_with(b".larder");
            assert!(is_version, "{case}: {name:?} was left");
        });
        names.count()
    }
}

/// The room that a disk has left.
#[derive(Clone, Copy, Debug)]
enum Room {
    Pages(u64),
    /// Names of files and folders; a second name of a file counts.
    Names(usize),
}

/// From a full disk to one with enough room.
fn rooms() -> impl Iterator<Item = Room> {
    let pages = (0..32).map(Room::Pages);
    pages.chain((0..8).map(Room::Names))
}

/// The operations that write.
#[derive(Clone, Copy, Debug)]
enum Write {
    /// A save of a cache that did not exist before.
    SaveFirst,
    Save,
    Apply,
    /// An apply after so many changes that it compacts them.
    ApplyAndCompact,
    Clear,
}

impl Write {
    fn prepare(self, disk: &Disk) {
        let folder = disk.folder().join(CACHE);
        if folder.exists() {
            fs::remove_dir_all(folder).expect("the folder is ours");
        }
        if !matches!(self, Write::SaveFirst) {
            let entries = [Entry::new("old", "value"), Entry::new("large", [7; 50_000])];
            disk.backend.save(CACHE, entries).expect("there is room");
        }
        if matches!(self, Write::ApplyAndCompact) {
            // The next apply reaches the version at which all of them are compacted.
            for n in 0..22 {
                let change = Change::Put(Entry::new(format!("key {n}"), [n; 2_000]));
                disk.backend.apply(CACHE, [change]).expect("there is room");
            }
        }
    }

    fn run(self, disk: &Disk) -> Result<(), Error> {
        let entries = [Entry::new("new", "value"), Entry::new("large", [8; 50_000])];
        let change = |key: &str| Change::Put(Entry::new(key, [9; 2_000]));
        match self {
            Write::SaveFirst | Write::Save => disk.backend.save(CACHE, entries),
            Write::Apply => disk.backend.apply(CACHE, [change("old"), change("new")]),
            Write::ApplyAndCompact => disk.backend.apply(CACHE, [change("old")]),
            Write::Clear => disk.backend.clear(CACHE),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Write::SaveFirst | Write::Save => "save",
            Write::Apply | Write::ApplyAndCompact => "apply",
            Write::Clear => "clear",
        }
    }
}

/// Tries a write on a disk with so much room. Asserts that a write that a full disk stopped has
/// changed nothing, and that it succeeds once there is room.
fn write_with(disk: &Disk, write: Write, room: Room) -> Outcome {
    write.prepare(disk);
    let before = load(&disk.backend);
    write.run(disk).expect("there is room");
    let (after, files) = (load(&disk.backend), disk.versions("with room"));

    write.prepare(disk);
    disk.leave(room);
    let case = format!("{write:?} with {room:?} left");
    let outcome = write.run(disk);
    let found = load(&disk.backend);
    let versions = disk.versions(&case);
    let outcome = match outcome {
        Ok(()) => {
            assert_eq!(found, after, "{case}");
            match versions {
                same if same == files => Outcome::Done,
                _ => Outcome::NotCompacted,
            }
        }
        Err(error) => {
            assert_eq!(*error.kind(), ErrorKind::NoSpace, "{case}: {error}");
            let text = format!("{} of cache {CACHE:?}: no space left", write.name());
            assert_eq!(error.to_string(), text, "{case}");
            assert_eq!(found, before, "{case}");
            Outcome::Full
        }
    };
    disk.make_room();
    write
        .run(disk)
        .unwrap_or_else(|error| panic!("{case}, with room again: {error}"));
    assert_eq!(load(&disk.backend), after, "{case}");
    disk.versions(&case);
    outcome
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Full,
    Done,
    /// The change is made; only the compaction did not happen.
    NotCompacted,
}

#[test]
fn whatever_room_is_left_a_write_is_done_or_says_that_the_disk_is_full() {
    let test = "full_disk::whatever_room_is_left_a_write_is_done_or_says_that_the_disk_is_full";
    with_disk(test, |disk| {
        let mut tally = BTreeMap::<_, usize>::new();
        let writes = [
            Write::SaveFirst,
            Write::Save,
            Write::Apply,
            Write::ApplyAndCompact,
            Write::Clear,
        ];
        for write in writes {
            for is_pages in [true, false] {
                let rooms = rooms().filter(|room| matches!(room, Room::Pages(_)) == is_pages);
                let outcomes: Vec<_> = rooms.map(|room| write_with(disk, write, room)).collect();
                // The rooms go from none to enough.
                let without_room = match write {
                    // It deletes first.
                    Write::Clear => Outcome::Done,
                    _ => Outcome::Full,
                };
                assert_eq!(outcomes.first(), Some(&without_room), "{write:?}");
                assert_eq!(outcomes.last(), Some(&Outcome::Done), "{write:?}");
                if matches!((write, is_pages), (Write::ApplyAndCompact, true)) {
                    assert!(outcomes.contains(&Outcome::NotCompacted));
                }
                for outcome in outcomes {
                    *tally.entry(outcome).or_default() += 1;
                }
            }
        }
        println!("{test}: {tally:?}");
    });
}

/// The error message of the command, which has to fail.
fn complaint(disk: &Disk, args: &[&str], input: &Path) -> String {
    let output = place::larder()
        .arg("--dir")
        .arg(disk.folder())
        .args(args)
        .stdin(fs::File::open(input).map_or_else(|_| Stdio::null(), Into::into))
        .output()
        .expect("larder runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
    stderr
}

#[test]
fn the_command_names_the_operation_the_cache_and_the_full_disk() {
    let test = "full_disk::the_command_names_the_operation_the_cache_and_the_full_disk";
    with_disk(test, |disk| {
        Write::Save.prepare(disk);
        let before = load(&disk.backend);
        disk.leave(Room::Pages(0));
        let pickle = place::in_package("../../tests/data/pickle/plain-5.pkl");
        let folder = tempfile::tempdir().expect("a temporary folder elsewhere");
        let lines = folder.path().join("lines.jsonl");
        fs::write(&lines, r#"{"key": "new", "value": "value"}"#).expect("it has room");
        for args in [
            &["save", CACHE][..],
            &["apply", CACHE],
            &["import", &pickle, CACHE],
        ] {
            let stderr = complaint(disk, args, &lines);
            let store = disk.folder().display().to_string();
            for part in [args[0], CACHE, &store, "no space left"] {
                assert!(stderr.contains(part), "{args:?}: no {part:?} in {stderr}");
            }
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            assert_eq!(load(&disk.backend), before, "{args:?}");
            disk.versions(args[0]);
        }
    });
}
