//! Folders with far more files than Larder ever makes: an operation makes a bounded number of calls
//! for each file, and its result is right.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use larder_host::{Backend, Change, ErrorKind};
use larder_host_test::{Error, Instance, Subject, entry, put, remove, values};

use crate::{CACHE, again, version};

/// The files that crowd a folder.
#[derive(Clone, Copy, Debug)]
enum Crowd {
    Foreign,
    Folders,
    /// Older versions that nobody removed.
    Superseded,
    /// Newer versions that hold nothing.
    Empty,
    Temporaries,
    StaleTemporaries,
}

const CROWDS: [Crowd; 6] = [
    Crowd::Foreign,
    Crowd::Folders,
    Crowd::Superseded,
    Crowd::Empty,
    Crowd::Temporaries,
    Crowd::StaleTemporaries,
];

impl Crowd {
    /// Puts so many files into the folder of a cache. Its only version has this number.
    fn gather(self, folder: &Path, count: u64, newest: u64) {
        let snapshot = fs::read(folder.join(version(newest))).unwrap();
        for n in 0..count {
            match self {
                Crowd::Foreign => drop(File::create(folder.join(format!("foreign {n}"))).unwrap()),
                Crowd::Folders => fs::create_dir(folder.join(format!("{n:016x}.tmp"))).unwrap(),
                Crowd::Superseded => fs::write(folder.join(version(1 + n)), &snapshot).unwrap(),
                Crowd::Empty => drop(File::create(folder.join(version(newest + 1 + n))).unwrap()),
                Crowd::Temporaries | Crowd::StaleTemporaries => {
                    drop(File::create(folder.join(format!("{n:016x}.tmp"))).unwrap());
                }
            }
        }
    }

    /// Whether a save and then a clear, both undisturbed, may leave them in the folder.
    fn stays(self) -> bool {
        matches!(self, Crowd::Foreign | Crowd::Folders)
    }
}

fn files(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().count() as u64
}

/// Storage with a cache of two entries, whose only version has this number.
fn saved_as(number: u64, durability: &str) -> Subject {
    let s = Subject::disk().env("LARDER_DURABILITY", durability);
    let entries = [entry("a", "1", None), entry("b", "2", None)];
    s.open().save(CACHE, &entries).unwrap();
    let folder = s.folder().join(CACHE);
    fs::rename(folder.join(version(1)), folder.join(version(number))).unwrap();
    s
}

fn keys(backend: &mut Instance) -> Result<String, Error> {
    let contents = backend.load(CACHE)?;
    Ok(values(contents).into_keys().collect())
}

/// No operation on a folder of so many files makes more calls than this for each file.
fn at_most_per_file(backend: &Instance, per_file: u64, files: u64, case: &str) -> u64 {
    let calls = backend.faults().calls().len() as u64;
    assert!(
        calls <= per_file * files + 100,
        "{case}: {calls} calls for {files} files"
    );
    calls
}

fn operations_make_few_calls_for_each_of(count: u64) {
    let mut most = 0;
    for crowd in CROWDS {
        for operation in ["load", "stat", "verify", "list", "apply", "save", "clear"] {
            let s = saved_as(1 + count, "full");
            let folder = s.folder().join(CACHE);
            crowd.gather(&folder, count, 1 + count);
            if matches!(crowd, Crowd::StaleTemporaries) {
                s.clock().advance(Duration::from_secs(24 * 3600));
            }
            let mut backend = s.open();
            let case = format!("{operation} among {crowd:?}");
            let outcome = match operation {
                "load" => keys(&mut backend).map(|keys| assert_eq!(keys, "ab", "{case}")),
                "stat" => backend.stat(CACHE).map(|stat| assert_eq!(stat.entries, 2)),
                "verify" => backend.verify(CACHE).map(drop),
                "list" => backend
                    .list_caches()
                    .map(|caches| assert_eq!(caches, [CACHE])),
                "apply" => backend.apply(CACHE, &[put("c", "3", None)]),
                "save" => backend.save(CACHE, &[entry("c", "3", None)]),
                _ => backend.clear(CACHE),
            };
            most = most.max(at_most_per_file(&backend, 12, count, &case));
            let may_be_corrupt = matches!(crowd, Crowd::Empty);
            match outcome {
                Err(Error::Corrupt(_)) if may_be_corrupt => {}
                outcome => outcome.unwrap_or_else(|error| panic!("{case}: {error:?}")),
            }
            match operation {
                "apply" if !may_be_corrupt => assert_eq!(keys(&mut backend).unwrap(), "abc"),
                "save" => assert_eq!(keys(&mut backend).unwrap(), "c", "{case}"),
                "clear" => {
                    assert_eq!(keys(&mut backend).unwrap(), "", "{case}");
                    let left = if crowd.stays() { count + 1 } else { 1 };
                    assert_eq!(files(&folder), left, "{case}");
                }
                _ => {}
            }
        }
    }
    println!("among {count} files an operation makes {most} calls at most");
}

#[test]
fn an_operation_makes_few_calls_for_each_file_however_many_there_are() {
    operations_make_few_calls_for_each_of(200);
}

#[test]
#[ignore = "takes a minute"]
fn an_operation_makes_few_calls_for_each_file_of_very_many() {
    operations_make_few_calls_for_each_of(2_000);
}

/// With `atomic`, unfinished versions are passed over one by one.
#[test]
fn versions_that_were_not_finished_are_passed_over_with_few_calls_for_each() {
    const COUNT: u64 = 300;
    let s = saved_as(1, "atomic");
    Crowd::Empty.gather(&s.folder().join(CACHE), COUNT, 1);
    let mut backend = s.open();
    assert_eq!(keys(&mut backend).unwrap(), "ab");
    at_most_per_file(&backend, 20, COUNT, "load");
}

/// Tells a process that it may not have many files open.
const FEW_FILES: &str = "LARDER_TEST_FEW_FILES";

/// Changes pile up while several processes never pause, and a reader has all files of a chain open.
#[cfg(unix)]
#[test]
fn a_chain_of_more_files_than_may_be_open_is_one_cache() {
    let test = "crowded::a_chain_of_more_files_than_may_be_open_is_one_cache";
    if env::var_os(FEW_FILES).is_none() {
        let few = ["sh", "-c", "ulimit -n 100 && exec \"$@\"", "sh"];
        let output = again::command(&few, test).env(FEW_FILES, "1").output();
        return again::assert_passed(test, &output.unwrap());
    }
    // One call reads a whole small file. A larger one is read piece by piece.
    for size in [1, 100_000] {
        let s = saved_as(1, "full");
        let folder = s.folder().join(CACHE);
        let mut backend = s.open();
        backend
            .apply(CACHE, &[put("c", vec![b'3'; size], None)])
            .unwrap();
        let changes = fs::read(folder.join(files_in(&folder).last().unwrap())).unwrap();
        for number in 3..=200 {
            fs::write(folder.join(version(number)), &changes).unwrap();
        }
        assert_eq!(keys(&mut backend), Ok("abc".into()));
        for n in 0..8 {
            let change = match n {
                0 => remove("a"),
                _ => put("b", vec![n; size], None),
            };
            backend.apply(CACHE, &[change]).unwrap();
        }
        assert_eq!(keys(&mut backend), Ok("bc".into()));
        assert!(files(&folder) < 50, "{} files", files(&folder));
    }
}

fn files_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The fullest folders, through `larder-host`: no calls are counted there.
#[test]
#[ignore = "makes a million files"]
fn a_million_foreign_files_and_a_hundred_thousand_versions_are_in_the_way_of_nothing() {
    for (crowd, count) in [
        (Crowd::Foreign, 1_000_000),
        (Crowd::Superseded, 100_000),
        (Crowd::Empty, 100_000),
        (Crowd::Temporaries, 100_000),
    ] {
        let s = saved_as(1 + count, "full");
        crowd.gather(&s.folder().join(CACHE), count, 1 + count);
        // A debug build takes long for it.
        let disk = Backend::builtin()
            .preopen(s.folder(), "/")
            .time_limit(Duration::MAX);
        let disk = disk.build().unwrap();
        let change = [Change::Put(larder_host::Entry::new("c", "3"))];
        let is_right = |outcome: Result<(), larder_host::Error>| match outcome {
            Ok(()) => {}
            Err(error) => {
                let is_corrupt = matches!(error.kind(), ErrorKind::Corrupt(_));
                assert!(
                    is_corrupt && matches!(crowd, Crowd::Empty),
                    "{crowd:?}: {error}"
                );
            }
        };
        is_right(
            disk.load(CACHE)
                .map(|found| assert_eq!(found.entries.len(), 2)),
        );
        is_right(disk.apply(CACHE, change));
        disk.save(CACHE, [larder_host::Entry::new("d", "4")])
            .unwrap();
        let found = disk.load(CACHE).unwrap().entries;
        let found: BTreeMap<_, _> = found.into_iter().map(|e| (e.key, e.value)).collect();
        assert_eq!(
            found,
            BTreeMap::from([("d".into(), b"4".to_vec())]),
            "{crowd:?}"
        );
        disk.clear(CACHE).unwrap();
        assert_eq!(disk.load(CACHE).unwrap().entries, []);
        println!("among {count} files: {crowd:?}");
    }
}
