//! Foreign things under names of the store: they are no files or no folders, or this user may not
//! open them.

use std::env;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use larder_host_test::{Call, ErrorCode};

use super::*;
use crate::again;

/// Things under a name that are no files of Larder.
#[derive(Clone, Copy, Debug)]
enum Foreign {
    Folder,
    LinkToFile,
    LinkToFolder,
    LinkToItself,
    LinkToNothing,
    /// To open one for reading is to wait for a writer.
    Fifo,
    Socket,
    /// A file that can be read without end. Only the administrator may make one.
    Device,
}

const FOREIGN: [Foreign; 8] = [
    Foreign::Folder,
    Foreign::LinkToFile,
    Foreign::LinkToFolder,
    Foreign::LinkToItself,
    Foreign::LinkToNothing,
    Foreign::Fifo,
    Foreign::Socket,
    Foreign::Device,
];

impl Foreign {
    /// Makes one there; a link leads outside. Gives false where it cannot be made.
    fn make(self, path: &Path, outside: &Path) -> bool {
        let run = |command: &mut Command| command.output().unwrap().status.success();
        match self {
            Foreign::Folder => {
                fs::create_dir(path).and_then(|()| fs::write(path.join("in it"), "foreign"))
            }
            Foreign::LinkToFile => symlink(outside.join("file"), path),
            Foreign::LinkToFolder => symlink(outside, path),
            Foreign::LinkToItself => symlink(path, path),
            Foreign::LinkToNothing => symlink(outside.join("nothing"), path),
            Foreign::Fifo => return run(Command::new("mkfifo").arg(path)),
            // The socket stays when nobody listens any more. Paths of sockets are short.
            Foreign::Socket => {
                let short = outside.join("socket");
                UnixListener::bind(&short).and_then(|_| fs::rename(short, path))
            }
            Foreign::Device => {
                return run(Command::new("mknod").arg(path).args(["c", "1", "5"]));
            }
        }
        .map(|()| true)
        .unwrap()
    }
}

/// A folder with a file of a cache, as the target of links.
fn outside() -> tempfile::TempDir {
    let outside = tempfile::tempdir().unwrap();
    let secret = Record {
        key: "secret",
        ..PUT
    };
    let bytes = forged(header(Kind::Snapshot), &[secret]);
    fs::write(outside.path().join("file"), bytes).unwrap();
    outside
}

/// Refuses to open this path, where that may wait without end. The faults show whether it was
/// tried.
fn refuse_to_open(backend: &Instance, name: &'static str) {
    let open = When::call(Call::Open).ending(name);
    backend.faults().fail(open, ErrorCode::Io);
}

/// The kind of thing at a path, without a look into it.
fn kind(path: &Path) -> fs::FileType {
    fs::symlink_metadata(path).unwrap().file_type()
}

#[test]
fn what_is_no_file_is_not_opened_under_any_name_of_a_file() {
    let mut skipped = 0;
    for foreign in FOREIGN {
        for name in [
            "sessions/00000000000000000002.larder",
            "sessions/00000000000000000000.larder",
            "sessions/0123456789abcdef.tmp",
            "sessions.postcard",
        ] {
            let outside = outside();
            let elsewhere = tree(outside.path());
            for write in ["save", "apply", "clear"] {
                let s = saved("full");
                let path = s.folder().join(name);
                if !foreign.make(&path, outside.path()) {
                    skipped += 1;
                    continue;
                }
                let before = kind(&path);
                s.clock().advance(Duration::from_secs(24 * 3600));
                let case = format!("{foreign:?} as {name}, {write}");
                let mut backend = s.open();
                refuse_to_open(&backend, name);
                let outcome = look(&mut backend);
                assert!(is_as_before(&outcome), "{case}: {outcome:?}");
                assert_eq!(backend.list_caches().unwrap(), [CACHE], "{case}");
                assert_eq!(backend.verify(CACHE).unwrap().damage, [], "{case}");
                let expected = match write {
                    "save" => backend.save(CACHE, &new_entries()).map(|()| "both new"),
                    "apply" => {
                        let changes = [put("new", "value", None)];
                        backend.apply(CACHE, &changes).map(|()| "both new old")
                    }
                    _ => backend.clear(CACHE).map(|()| ""),
                };
                let found = look(&mut backend).unwrap();
                assert_eq!(Ok(&*keys(&found)), expected, "{case}");
                assert_eq!(backend.faults().fired(), 0, "{case}: it was opened");
                assert_eq!(kind(&path), before, "{case}: it was removed");
                assert_eq!(tree(outside.path()), elsewhere, "{case}");
            }
        }
    }
    if skipped > 0 {
        let why = format!("SKIPPED: {skipped} cases with devices, which this user may not make");
        writeln!(std::io::stderr(), "{why}").expect("standard error takes it");
    }
}

#[test]
fn what_is_no_folder_is_an_error_in_the_place_of_a_cache() {
    for foreign in FOREIGN {
        let outside = outside();
        let elsewhere = tree(outside.path());
        let s = Subject::disk();
        s.open().save("other", &old_entries()).unwrap();
        let path = s.folder().join(CACHE);
        if matches!(foreign, Foreign::Folder) {
            fs::write(&path, "a file").unwrap();
        } else if !foreign.make(&path, outside.path()) {
            continue;
        }
        let mut backend = s.open();
        let may_be_opened = !matches!(foreign, Foreign::Fifo | Foreign::Device);
        if !may_be_opened {
            refuse_to_open(&backend, CACHE);
        }
        let before = kind(&path);
        assert!(look(&mut backend).is_err(), "{foreign:?}");
        assert!(backend.save(CACHE, &new_entries()).is_err(), "{foreign:?}");
        assert!(backend.clear(CACHE).is_err(), "{foreign:?}");
        let change = [put("new", "value", None)];
        assert!(backend.apply(CACHE, &change).is_err(), "{foreign:?}");
        assert_eq!(backend.list_caches().unwrap(), ["other"], "{foreign:?}");
        assert_eq!(values(backend.load("other").unwrap()).len(), 2);
        assert_eq!(backend.faults().fired(), 0, "{foreign:?} was opened");
        assert_eq!(kind(&path), before, "{foreign:?}");
        assert_eq!(tree(outside.path()), elsewhere, "{foreign:?}");
    }
}

/// Two names of one file: one of them is removed at some time, and the file is never written to.
#[test]
fn a_hard_link_to_a_file_elsewhere_leaves_that_as_it_is() {
    for name in [version(2), "0123456789abcdef.tmp".into()] {
        let outside = outside();
        let elsewhere = tree(outside.path());
        plant(
            &name,
            |folder| fs::hard_link(outside.path().join("file"), folder.join(&name)).unwrap(),
            |outcome| {
                let given = outcome.as_ref().map(keys);
                given == Ok("secret".into()) || name.ends_with("tmp") && is_as_before(outcome)
            },
        );
        assert_eq!(tree(outside.path()), elsewhere);
    }
}

/// Tells a process that it was started without privileges.
const UNPRIVILEGED: &str = "LARDER_TEST_UNPRIVILEGED";

/// Runs a test again, in a process to which permissions apply although it is the administrator's.
fn without_privileges(test: &str) {
    let works = Command::new("unshare")
        .args(["--user", "true"])
        .status()
        .is_ok_and(|status| status.success());
    if env::var_os(UNPRIVILEGED).is_some() || !works {
        let why = format!("SKIPPED: {test}: this user may read everything");
        return writeln!(std::io::stderr(), "{why}").expect("standard error takes it");
    }
    let mut alone = again::command(&["unshare", "--user"], test);
    alone.env(UNPRIVILEGED, "1").stderr(Stdio::inherit());
    again::assert_passed(test, &alone.output().unwrap());
}

#[test]
fn what_may_not_be_read_is_denied_and_save_heals_it() {
    let s = saved("full");
    let path = s.folder().join(CACHE).join(version(1));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(&path).is_ok() {
        return without_privileges(
            "hostile::foreign::what_may_not_be_read_is_denied_and_save_heals_it",
        );
    }
    let mut backend = s.open();
    assert_eq!(look(&mut backend), Err(Error::AccessDenied));
    let change = [put("new", "value", None)];
    assert_eq!(backend.apply(CACHE, &change), Err(Error::AccessDenied));
    backend.save(CACHE, &new_entries()).unwrap();
    assert_eq!(keys(&look(&mut backend).unwrap()), "both new");
    backend.clear(CACHE).unwrap();

    let folder = s.folder().join(CACHE);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(look(&mut backend), Err(Error::AccessDenied));
    for outcome in [
        backend.save(CACHE, &new_entries()),
        backend.apply(CACHE, &change),
        backend.clear(CACHE),
    ] {
        assert_eq!(outcome, Err(Error::AccessDenied));
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
}

/// The folder of a cache is taken away, and something else is put in its place, between any two
/// calls.
#[test]
fn a_folder_that_is_replaced_meanwhile_leads_nowhere() {
    type Put = fn(&Path, &Path);
    let replacements: [(&str, Put); 3] = [
        ("a file", |path, _| fs::write(path, "foreign").unwrap()),
        ("a link", |path, outside| symlink(outside, path).unwrap()),
        ("nothing", |_, _| {}),
    ];
    for (what, replace) in replacements {
        for operation in ["load", "save", "apply", "clear"] {
            for nth in 1.. {
                let (s, outside) = (saved("full"), outside());
                let elsewhere = tree(outside.path());
                let mut backend = s.open();
                let (folder, away) = (s.folder().join(CACHE), s.folder().join("away"));
                let to = outside.path().to_owned();
                backend.faults().before(When::any().nth(nth), move || {
                    fs::rename(&folder, away).unwrap();
                    replace(&folder, &to);
                });
                // The operation is done or not done, whether the folder is there or not. It touches
                // nothing else, and does not trap.
                match operation {
                    "load" => drop(backend.load(CACHE)),
                    "save" => drop(backend.save(CACHE, &new_entries())),
                    "apply" => drop(backend.apply(CACHE, &[put("new", "value", None)])),
                    _ => drop(backend.clear(CACHE)),
                }
                assert_eq!(
                    tree(outside.path()),
                    elsewhere,
                    "{operation}: {}",
                    backend.faults()
                );
                drop(look(&mut backend));
                assert_eq!(tree(outside.path()), elsewhere, "{operation} with {what}");
                if backend.faults().fired() == 0 {
                    assert!(nth > 2);
                    break;
                }
            }
        }
    }
}
