//! The effects of an operation on the file system: the order of its syncs, and the files that it
//! removes. Also file systems without hard links or permissions, or with links and foreign files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use larder_host_test::{
    Call, Change, Entry, Error, ErrorCode, Instance, Made, Subject, UNCOMPACTED, Values, When,
    entry, put, remove, tree, values,
};

use crate::CACHE;

/// The operations that change a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Save,
    SaveInBatches,
    Apply,
    Clear,
}

const WRITES: [Write; 4] = [
    Write::Save,
    Write::SaveInBatches,
    Write::Apply,
    Write::Clear,
];

impl Write {
    fn run(self, backend: &mut Instance) -> Result<(), Error> {
        match self {
            Write::Save => backend.save(CACHE, &new_entries()),
            Write::SaveInBatches => backend.save_in_batches(CACHE, &new_batches()),
            Write::Apply => backend.apply(CACHE, &new_changes()),
            Write::Clear => backend.clear(CACHE),
        }
    }
}

fn old_entries() -> Vec<Entry> {
    vec![
        entry("kept", "old value", None),
        entry("replaced", "old value", None),
        entry("removed", vec![b'o'; 50_000], None),
    ]
}

fn new_entries() -> Vec<Entry> {
    vec![
        entry("replaced", "new value", None),
        entry("new", vec![b'n'; 50_000], None),
    ]
}

fn new_batches() -> Vec<Vec<Entry>> {
    new_entries().into_iter().map(|entry| vec![entry]).collect()
}

fn new_changes() -> Vec<Change> {
    vec![
        put("replaced", "new value", None),
        put("new", "new value", None),
        remove("removed"),
    ]
}

/// How the cache came to its contents before the test.
#[derive(Clone, Copy, Debug)]
enum Past {
    Nothing,
    /// One snapshot.
    Saved,
    /// A snapshot, and so many changes that the next one is compacted with them.
    Changed,
    /// A file from before Larder's own format.
    Legacy,
}

const PASTS: [Past; 4] = [Past::Nothing, Past::Saved, Past::Changed, Past::Legacy];

fn subject(past: Past) -> Subject {
    let s = Subject::disk();
    match past {
        Past::Nothing => {}
        Past::Saved => s.open().save(CACHE, &old_entries()).unwrap(),
        Past::Changed => {
            let mut backend = s.open();
            backend.save(CACHE, &old_entries()).unwrap();
            for n in 0..UNCOMPACTED {
                let changes = [put(format!("change {n}"), "old value", None)];
                backend.apply(CACHE, &changes).unwrap();
            }
        }
        Past::Legacy => write_legacy(&s.folder().join("sessions.postcard"), &old_entries()),
    }
    s
}

#[test]
fn a_change_too_many_is_compacted_with_those_before_it() {
    let s = subject(Past::Changed);
    let files = || fs::read_dir(s.folder().join(CACHE)).unwrap().count();
    assert_eq!(files(), 1 + UNCOMPACTED);
    s.open()
        .apply(CACHE, &[put("one more", "value", None)])
        .unwrap();
    assert_eq!(files(), 2);
}

fn write_legacy(path: &Path, entries: &[Entry]) {
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| (&entry.key, serde_bytes::Bytes::new(&entry.value), entry.ttl))
        .collect();
    fs::write(path, postcard::to_allocvec(&entries).unwrap()).unwrap();
}

fn stored(s: &Subject) -> Values {
    values(s.open().load(CACHE).unwrap())
}

fn temporaries(s: &Subject) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = tree(s.folder()).into_keys().collect();
    let unpublished = |suffix: &OsStr| suffix == "tmp" || suffix == "part";
    files.retain(|path| path.extension().is_some_and(unpublished));
    files
}

fn count(calls: &[Made], call: Call) -> usize {
    calls.iter().filter(|made| made.call == call).count()
}

/// The results of all functions that read.
fn read_all(backend: &mut Instance) -> [Result<String, Error>; 5] {
    let show = |contents| format!("{:?}", values(contents));
    [
        backend.load(CACHE).map(show),
        backend.load_in_batches(CACHE).map(show),
        backend.list_caches().map(|names| format!("{names:?}")),
        backend.stat(CACHE).map(|stat| format!("{stat:?}")),
        backend.verify(CACHE).map(|report| format!("{report:?}")),
    ]
}

#[test]
fn without_hard_links_a_rename_publishes() {
    for code in [
        ErrorCode::Unsupported,
        ErrorCode::NotPermitted,
        ErrorCode::TooManyLinks,
        ErrorCode::Access,
        ErrorCode::CrossDevice,
        // wasmtime's code for ENOSYS and EXDEV.
        ErrorCode::Io,
    ] {
        let s = Subject::disk();
        let mut backend = s.open();
        backend.faults().fail(When::call(Call::Link), code);
        for _ in 0..20 {
            backend.save(CACHE, &old_entries()).unwrap();
            assert_eq!(count(&backend.faults().calls(), Call::Rename), 1);
            backend.save_in_batches(CACHE, &new_batches()).unwrap();
            assert_eq!(count(&backend.faults().calls(), Call::Rename), 2);
            backend.save(CACHE, &old_entries()).unwrap();
            backend.apply(CACHE, &new_changes()).unwrap();
        }
        let found = stored(&s);
        assert_eq!(found["replaced"], b"new value");
        assert_eq!(found["kept"], b"old value");
        assert_eq!(found.len(), 3);
        assert_eq!(temporaries(&s), [] as [PathBuf; 0]);
        backend.clear(CACHE).unwrap();
        assert_eq!(stored(&s), Values::new());
    }
}

#[test]
fn a_link_that_fails_although_hard_links_work_is_no_reason_to_rename() {
    let s = subject(Past::Saved);
    let before = stored(&s);
    let mut backend = s.open();
    let link = When::call(Call::Link).ending(".larder");
    backend.faults().fail(link, ErrorCode::Io);
    let error = backend.save(CACHE, &new_entries()).unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert_eq!(count(&backend.faults().calls(), Call::Rename), 0);
    assert_eq!(stored(&s), before);
    assert_eq!(temporaries(&s), [] as [PathBuf; 0]);
}

#[test]
fn a_link_that_was_made_counts_even_if_the_host_says_that_it_failed() {
    let s = subject(Past::Saved);
    let mut backend = s.open();
    let link = || When::call(Call::Link).nth(1);
    let folder = s.folder().join(CACHE);
    backend.faults().before(link(), move || {
        let names = fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().path());
        let (mut temporaries, mut versions) = (Vec::new(), 0);
        for name in names {
            match name.extension().and_then(OsStr::to_str) {
                Some("tmp") => temporaries.push(name),
                _ => versions += 1,
            }
        }
        let next = folder.join(format!("{:020}.larder", versions + 1));
        fs::hard_link(&temporaries[0], next).unwrap();
    });
    backend.faults().fail(link(), ErrorCode::Io);
    backend.save(CACHE, &new_entries()).unwrap();
    assert_eq!(backend.stat(CACHE).unwrap().version, 2);
    assert_eq!(stored(&s).len(), new_entries().len());
}

#[test]
fn full_durability_syncs_a_file_before_it_has_its_name_and_its_folder_after() {
    let s = Subject::disk().env("LARDER_DURABILITY", "full");
    let mut backend = s.open();
    for write in WRITES {
        write.run(&mut backend).unwrap();
        let calls = backend.faults().calls();
        let position = |wanted: &dyn Fn(&Made) -> bool| {
            let position = calls.iter().position(wanted);
            position.unwrap_or_else(|| panic!("{write:?}:\n{}", backend.faults()))
        };
        let written = calls.iter().rposition(|made| made.call == Call::Write);
        let synced = position(&|made| made.call == Call::SyncData);
        let linked = position(&|made| made.call == Call::Link);
        let folder = position(&|made| made.call == Call::Sync && made.path == CACHE);
        assert!(written < Some(synced) && synced < linked && linked < folder);
        // A superseded version stays until the newer one is synced.
        let removed = |made: &Made| made.call == Call::Unlink && made.path.ends_with(".larder");
        if let Some(removed) = calls.iter().position(removed) {
            assert!(folder < removed, "{write:?}:\n{}", backend.faults());
        }
    }
}

#[test]
fn the_folder_of_a_new_cache_is_synced_into_its_parent_before_it_has_a_version() {
    let s = Subject::disk();
    let mut backend = s.open();
    backend.save(CACHE, &old_entries()).unwrap();
    let calls = backend.faults().calls();
    let created = |made: &Made| made.call == Call::CreateDirectory;
    let created = calls.iter().position(created).expect("it was created");
    let synced = |made: &Made| made.call == Call::Sync && made.path.is_empty();
    let linked = |made: &Made| made.call == Call::Link;
    let linked = calls.iter().position(linked).expect("it was linked");
    assert!(
        calls[created..linked].iter().any(synced),
        "{}",
        backend.faults()
    );
}

#[test]
fn atomic_durability_makes_small_changes_without_a_sync() {
    let s = Subject::disk().env("LARDER_DURABILITY", "atomic");
    let mut backend = s.open();
    let small = [entry("new", "new value", None)];
    // The first version is synced, so that there is one to return to.
    backend.save(CACHE, &small).unwrap();
    backend.apply(CACHE, &new_changes()).unwrap();
    let assert_no_sync = |backend: &Instance| {
        let calls = backend.faults().calls();
        assert_eq!(count(&calls, Call::SyncData) + count(&calls, Call::Sync), 0);
    };
    backend.apply(CACHE, &new_changes()).unwrap();
    assert_no_sync(&backend);
    backend.save(CACHE, &small).unwrap();
    assert_no_sync(&backend);
    assert_eq!(stored(&s)["new"], b"new value");
}

#[test]
fn a_durability_that_there_is_not_is_an_invalid_argument() {
    let s = subject(Past::Saved);
    let mut backend = s.clone().env("LARDER_DURABILITY", "sometimes").open();
    for write in WRITES {
        let error = write.run(&mut backend).unwrap_err();
        let names_it = |text: &String| text.contains("LARDER_DURABILITY");
        assert!(matches!(&error, Error::InvalidArgument(text) if names_it(text)));
    }
    assert_eq!(stored(&s)["kept"], b"old value");
}

#[test]
fn storage_that_may_only_be_read_is_read_and_not_written() {
    for past in [Past::Saved, Past::Changed, Past::Legacy] {
        let s = subject(past);
        let before = tree(s.folder());
        let contents = stored(&s);
        let mut backend = s.clone().read_only().open();
        for write in WRITES {
            assert_eq!(
                write.run(&mut backend),
                Err(Error::AccessDenied),
                "{past:?}"
            );
        }
        assert_eq!(values(backend.load(CACHE).unwrap()), contents);
        assert_eq!(backend.list_caches().unwrap(), [CACHE]);
        assert!(backend.stat(CACHE).unwrap().entries >= 3);
        assert_eq!(backend.verify(CACHE).unwrap().damage, []);
        assert_eq!(tree(s.folder()), before);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_without_write_permission_is_access_denied() {
    use std::os::unix::fs::PermissionsExt;
    let s = subject(Past::Saved);
    let folder = s.folder().join(CACHE);
    let allow = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o555);
    if fs::write(folder.join("probe"), "").is_ok() {
        eprintln!("SKIPPED: permissions do not bind this user");
        return;
    }
    let before = stored(&s);
    for write in WRITES {
        assert_eq!(write.run(&mut s.open()), Err(Error::AccessDenied));
    }
    assert_eq!(stored(&s), before);
    allow(0o755);
    Write::Save.run(&mut s.open()).unwrap();
}

/// A folder beside the storage, with everything in it to which somebody might lead the component.
#[cfg(unix)]
fn outside() -> tempfile::TempDir {
    let outside = tempfile::tempdir().unwrap();
    let s = Subject::disk().on(outside.path());
    s.open()
        .save(CACHE, &[entry("secret", "outside", None)])
        .unwrap();
    write_legacy(
        &outside.path().join("sessions.postcard"),
        &[entry("secret", "outside", None)],
    );
    fs::write(outside.path().join("0123456789abcdef.tmp"), "outside").unwrap();
    outside
}

/// Uses a cache in every way: no call gives or changes anything outside.
#[cfg(unix)]
fn use_with_links(s: &Subject, outside: &Path) {
    let before = tree(outside);
    // Other tests say which of these calls fail.
    for write in [None].into_iter().chain(WRITES.map(Some)) {
        let mut backend = s.open();
        if let Some(write) = write {
            drop(write.run(&mut backend));
        }
        s.clock().advance(Duration::from_secs(24 * 3600));
        let loaded = [backend.load(CACHE), backend.load_in_batches(CACHE)];
        for contents in loaded.into_iter().flatten() {
            assert!(contents.entries.iter().all(|entry| entry.key != "secret"));
        }
        drop(backend.stat(CACHE));
        drop(backend.verify(CACHE));
        drop(backend.list_caches());
        assert_eq!(tree(outside), before, "after {write:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_cache_folder_that_is_a_link_leads_nowhere() {
    let outside = outside();
    let s = Subject::disk();
    std::os::unix::fs::symlink(outside.path().join(CACHE), s.folder().join(CACHE)).unwrap();
    let mut backend = s.open();
    for write in WRITES {
        assert!(write.run(&mut backend).is_err(), "{write:?}");
    }
    assert_eq!(backend.list_caches().unwrap(), [""; 0]);
    use_with_links(&s, outside.path());
}

#[cfg(unix)]
#[test]
fn a_version_that_is_a_link_is_not_followed() {
    let outside = outside();
    let versions = tree(&outside.path().join(CACHE));
    let version = versions.keys().next().expect("one version was saved");
    let link = |s: &Subject, name: &str| {
        fs::create_dir_all(s.folder().join(CACHE)).unwrap();
        let target = outside.path().join(CACHE).join(version);
        std::os::unix::fs::symlink(target, s.folder().join(CACHE).join(name)).unwrap();
    };
    for past in PASTS {
        for name in ["00000000000000000001.larder", "00000000000000000099.larder"] {
            let s = subject(past);
            if s.folder().join(CACHE).join(name).exists() {
                continue;
            }
            let before = stored(&s);
            link(&s, name);
            assert_eq!(stored(&s), before, "{past:?} with a link called {name}");
            use_with_links(&s, outside.path());
            // The link is in the way of no operation.
            s.open().save(CACHE, &new_entries()).unwrap();
            assert_eq!(stored(&s)["replaced"], b"new value");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_temporary_or_an_old_file_that_is_a_link_is_not_followed() {
    let outside = outside();
    for (target, link) in [
        ("sessions.postcard", "sessions.postcard"),
        ("0123456789abcdef.tmp", "sessions/0123456789abcdef.tmp"),
        ("sessions", "sessions/0123456789abcdef.tmp"),
        ("sessions", "sessions.postcard"),
    ] {
        for past in [Past::Nothing, Past::Saved] {
            let s = subject(past);
            fs::create_dir_all(s.folder().join(CACHE)).unwrap();
            let target = outside.path().join(target);
            std::os::unix::fs::symlink(target, s.folder().join(link)).unwrap();
            use_with_links(&s, outside.path());
        }
    }
}

#[cfg(unix)]
#[test]
fn an_old_file_that_is_no_file_is_as_good_as_none() {
    for make in ["mkdir", "mkfifo"] {
        for past in [Past::Nothing, Past::Saved] {
            let s = subject(past);
            let old = s.folder().join("sessions.postcard");
            let made = std::process::Command::new(make).arg(&old).status().unwrap();
            assert!(made.success());
            let mut backend = s.open();
            backend.load(CACHE).unwrap();
            backend.save(CACHE, &[entry("a", "1", None)]).unwrap();
            backend.apply(CACHE, &[put("b", "2", None)]).unwrap();
            assert_eq!(backend.load(CACHE).unwrap().entries.len(), 2);
            backend.clear(CACHE).unwrap();
            assert_eq!(backend.load(CACHE).unwrap().entries.len(), 0);
            assert!(old.exists(), "{make}: foreign things are left alone");
        }
    }
}

/// The host keeps a component from everything outside of its folder. The component itself has to
/// keep a cache from the files beside it.
#[cfg(unix)]
#[test]
fn a_link_to_another_cache_is_not_followed() {
    for (target, link) in [
        ("other", "sessions"),
        (
            "../other/00000000000000000001.larder",
            "sessions/00000000000000000001.larder",
        ),
        (
            "../other/00000000000000000001.larder",
            "sessions/0123456789abcdef.tmp",
        ),
        ("other/old.postcard", "sessions.postcard"),
    ] {
        let s = Subject::disk();
        let entries = [entry("secret", "of the other", None)];
        s.open().save("other", &entries).unwrap();
        write_legacy(&s.folder().join("other/old.postcard"), &entries);
        if link.contains('/') {
            fs::create_dir(s.folder().join(CACHE)).unwrap();
        }
        std::os::unix::fs::symlink(target, s.folder().join(link)).unwrap();
        assert!(s.folder().join(link).exists(), "it leads somewhere");
        use_with_links(&s, &s.folder().join("other"));
        let other = values(s.open().load("other").unwrap());
        assert_eq!(other["secret"], b"of the other");
    }
}

#[test]
fn a_folder_in_place_of_a_version_is_in_the_way_of_nothing() {
    for past in PASTS {
        let s = subject(past);
        let before = stored(&s);
        for name in ["00000000000000000050.larder", "fedcba9876543210.tmp"] {
            fs::create_dir_all(s.folder().join(CACHE).join(name).join("below")).unwrap();
        }
        let mut backend = s.open();
        assert_eq!(stored(&s), before, "{past:?}");
        backend.apply(CACHE, &new_changes()).unwrap();
        let mut expected = before;
        expected.remove("removed");
        expected.insert("replaced".into(), b"new value".to_vec());
        expected.insert("new".into(), b"new value".to_vec());
        assert_eq!(stored(&s), expected, "{past:?}");
        backend.save(CACHE, &old_entries()).unwrap();
        assert_eq!(stored(&s).len(), 3, "{past:?}");
        backend.clear(CACHE).unwrap();
        assert_eq!(stored(&s), Values::new(), "{past:?}");
    }
}

/// Puts files with these names and known bytes into the store and into the folder of a cache.
fn plant(s: &Subject, names: &[PathBuf]) {
    fs::create_dir_all(s.folder().join(CACHE)).unwrap();
    for name in names {
        for folder in [s.folder().to_owned(), s.folder().join(CACHE)] {
            fs::write(folder.join(name), format!("foreign {name:?}")).unwrap();
        }
    }
    fs::create_dir_all(s.folder().join("foreign/below")).unwrap();
    fs::create_dir_all(s.folder().join(CACHE).join("foreign/below")).unwrap();
    fs::create_dir_all(s.folder().join(".git")).unwrap();
}

/// Uses a cache among foreign files: they do not show, and are not changed.
fn use_among(names: &[PathBuf]) {
    let s = Subject::disk();
    plant(&s, names);
    let foreign = tree(s.folder());
    let mut backend = s.open();
    assert_eq!(stored(&s), Values::new());
    assert_eq!(backend.list_caches().unwrap(), [""; 0]);
    backend.save(CACHE, &old_entries()).unwrap();
    for _ in 0..20 {
        backend.apply(CACHE, &new_changes()).unwrap();
    }
    s.clock().advance(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(stored(&s)["new"], b"new value");
    assert_eq!(backend.list_caches().unwrap(), [CACHE]);
    assert_eq!(backend.verify(CACHE).unwrap().damage, []);
    backend.save(CACHE, &old_entries()).unwrap();
    backend.clear(CACHE).unwrap();
    let left = tree(s.folder());
    for (path, bytes) in foreign {
        assert_eq!(left.get(&path), Some(&bytes), "{path:?}");
    }
}

#[test]
fn foreign_files_are_ignored_and_left_alone() {
    let names = [
        "README.txt",
        ".hidden",
        "notes.larder",
        "1.larder",
        "0000000000000000000x.larder",
        "+0000000000000000001.larder",
        "000000000000000000001.larder",
        "00000000000000000001.larder.bak",
        "99999999999999999999.larder",
        "00000000000000000001.LARDER",
        "0123456789abcdef.tmp.bak",
        "0123456789abcde.part",
        "film.part",
        ".part",
        "0123456789abcde.tmp",
        "0123456789abcdefg.tmp",
        "notes.tmp",
        ".tmp",
        ".larder",
    ];
    use_among(&names.map(PathBuf::from));
}

/// Only Linux lets such names be made.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_ignored_and_left_alone() {
    use std::os::unix::ffi::OsStrExt;
    let names: [&[u8]; 3] = [b"\xff\xfe", b"\xc3\x28.larder", b"0123456789abcde\xff.tmp"];
    use_among(&names.map(|name| PathBuf::from(OsStr::from_bytes(name))));
}

#[test]
fn a_folder_that_is_gone_is_created_again() {
    let s = subject(Past::Changed);
    let mut backend = s.open();
    for write in [Write::Save, Write::SaveInBatches, Write::Apply] {
        fs::remove_dir_all(s.folder().join(CACHE)).unwrap();
        assert_eq!(values(backend.load(CACHE).unwrap()), Values::new());
        write.run(&mut backend).unwrap();
        assert_eq!(stored(&s).len(), 2);
    }
}

#[test]
fn a_refused_name_leaves_no_trace() {
    let s = subject(Past::Saved);
    let before = tree(s.folder());
    let mut backend = s.open();
    for name in [
        "",
        "..",
        "../sessions",
        "a/b",
        "sessions/",
        ".tmp",
        "x.postcard",
    ] {
        backend.save(name, &new_entries()).unwrap_err();
        assert_eq!(backend.faults().calls(), [], "{name:?}");
        backend.open_reader(name).unwrap_err();
        assert_eq!(backend.faults().calls(), [], "{name:?}");
        backend.open_writer(name).unwrap_err();
        backend.apply(name, &new_changes()).unwrap_err();
        backend.clear(name).unwrap_err();
        assert_eq!(backend.faults().calls(), [], "{name:?}");
    }
    assert_eq!(tree(s.folder()), before);
}

#[test]
fn looking_at_a_cache_that_is_not_there_leaves_no_trace() {
    let s = Subject::disk();
    let mut backend = s.open();
    for outcome in read_all(&mut backend) {
        outcome.unwrap();
    }
    backend.clear(CACHE).unwrap();
    backend.apply(CACHE, &[]).unwrap();
    assert_eq!(tree(s.folder()), BTreeMap::new());
}

fn plant_temporary(s: &Subject, name: &str, age: Duration) -> PathBuf {
    let path = s.folder().join(CACHE).join(name);
    fs::write(&path, "unfinished").unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
    path
}

#[test]
fn a_write_reaps_temporaries_of_writers_that_died_and_no_others() {
    let s = subject(Past::Saved);
    let day = Duration::from_secs(24 * 3600);
    let of = |name: &str, age| {
        ["tmp", "part"].map(|suffix| plant_temporary(&s, &format!("{name}.{suffix}"), age))
    };
    let dead = of("00112233aabbccdd", day);
    let alive = of("ddccbbaa33221100", Duration::ZERO);
    s.open().save(CACHE, &new_entries()).unwrap();
    assert!(dead.iter().all(|path| !path.exists()));
    assert!(alive.iter().all(|path| path.exists()));
    s.clock().advance(day);
    s.open().save(CACHE, &old_entries()).unwrap();
    assert!(alive.iter().all(|path| !path.exists()));
    assert_eq!(stored(&s)["kept"], b"old value");
}

#[test]
fn versions_that_were_superseded_do_not_pile_up() {
    for durability in ["full", "atomic"] {
        let s = Subject::disk().env("LARDER_DURABILITY", durability);
        let mut backend = s.open();
        // Another writer is at work all the time.
        backend.save(CACHE, &old_entries()).unwrap();
        plant_temporary(&s, "ddccbbaa33221100.tmp", Duration::ZERO);
        for _ in 0..100 {
            backend.save(CACHE, &old_entries()).unwrap();
            let files = tree(&s.folder().join(CACHE)).len();
            assert!(files < 20, "{files} files, {durability}");
        }
    }
}

#[test]
fn changes_do_not_pile_up() {
    for durability in ["full", "atomic"] {
        let s = Subject::disk().env("LARDER_DURABILITY", durability);
        let mut backend = s.open();
        for n in 0..300 {
            let changes = [put(format!("key {}", n % 10), "value", None)];
            backend.apply(CACHE, &changes).unwrap();
            let files = tree(&s.folder().join(CACHE)).len();
            assert!(files < 80, "{files} files, {durability}");
        }
        assert_eq!(stored(&s).len(), 10);
    }
}

#[test]
fn clear_leaves_nothing_of_the_data_in_storage() {
    const MARK: &str = "3e9f-marked-7c1d";
    let marked = |s: &Subject| {
        tree(s.folder())
            .into_values()
            .filter(|bytes| {
                bytes
                    .windows(MARK.len())
                    .any(|part| part == MARK.as_bytes())
            })
            .count()
    };
    for durability in ["full", "atomic"] {
        let s = Subject::disk().env("LARDER_DURABILITY", durability);
        let mut backend = s.open();
        let entries = [
            entry(format!("key {MARK}"), "1", None),
            entry("key", format!("value {MARK}"), Some(1)),
        ];
        for _ in 0..3 {
            backend.save(CACHE, &entries).unwrap();
        }
        for n in 0..20 {
            let changes = [put(format!("{MARK} {n}"), "1", None)];
            backend.apply(CACHE, &changes).unwrap();
        }
        for (name, age) in [("00112233aabbccdd", 24 * 3600), ("ddccbbaa33221100", 0)] {
            let age = Duration::from_secs(age);
            for suffix in ["tmp", "part"] {
                let name = format!("{name}.{suffix}");
                fs::write(plant_temporary(&s, &name, age), MARK).unwrap();
            }
        }
        write_legacy(&s.folder().join("sessions.postcard"), &entries);
        assert!(marked(&s) > 3);
        backend.clear(CACHE).unwrap();
        assert_eq!(marked(&s), 0, "{durability}");
        assert_eq!(stored(&s), Values::new(), "{durability}");
    }
}

/// People clear a cache to free a disk.
#[test]
fn clear_works_on_a_full_disk() {
    for past in [Past::Saved, Past::Changed, Past::Legacy] {
        for code in [ErrorCode::InsufficientSpace, ErrorCode::Io] {
            let s = subject(past);
            let mut backend = s.open();
            let faults = backend.faults().clone();
            // A file can be created only after another one was removed.
            faults.fail(When::call(Call::CreateDirectory), code);
            let full = When::call(Call::Create);
            faults.fail(full.nth(1), code);
            backend.clear(CACHE).unwrap();
            faults.clear();
            assert_eq!(stored(&s), Values::new(), "{past:?}");
            assert_eq!(s.open().list_caches().unwrap(), [] as [&str; 0]);
            let before = backend.stat(CACHE).unwrap().version;
            backend.save(CACHE, &new_entries()).unwrap();
            assert!(before < backend.stat(CACHE).unwrap().version);
        }
    }
}

#[test]
fn clear_that_cannot_remove_the_data_says_so() {
    for past in [Past::Saved, Past::Changed, Past::Legacy] {
        let s = subject(past);
        let mut backend = s.open();
        let faults = backend.faults().clone();
        faults.fail(When::call(Call::Unlink), ErrorCode::Access);
        assert_eq!(backend.clear(CACHE), Err(Error::AccessDenied), "{past:?}");
        faults.clear();
        backend.clear(CACHE).unwrap();
        assert_eq!(stored(&s), Values::new());
        let bytes: usize = tree(s.folder()).values().map(Vec::len).sum();
        assert!(bytes < 5000, "{bytes} bytes are left of {past:?}");
    }
}

#[test]
fn folders_that_may_not_be_read_are_no_caches() {
    let s = subject(Past::Saved);
    fs::create_dir(s.folder().join("lost+found")).unwrap();
    let mut backend = s.open();
    let open = When::call(Call::Open).ending("lost+found");
    backend.faults().fail(open, ErrorCode::Access);
    assert_eq!(backend.list_caches().unwrap(), [CACHE]);
    assert_eq!(backend.load("lost+found").unwrap_err(), Error::AccessDenied);
}

/// The others are listed, and a call for that cache tells the error.
#[test]
fn a_cache_that_cannot_be_read_now_is_listed() {
    let s = subject(Past::Saved);
    s.open().save("other", &old_entries()).unwrap();
    let mut backend = s.open();
    let open = || When::call(Call::Open).ending("other");
    backend.faults().fail(open(), ErrorCode::Io);
    assert_eq!(backend.list_caches().unwrap(), ["other", CACHE]);
    let error = backend.load("other").unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable(why) if why.contains("other")),
        "{error:?}"
    );
}

#[test]
fn a_legacy_file_without_entries_is_no_cache() {
    let s = Subject::disk();
    write_legacy(&s.folder().join("sessions.postcard"), &[]);
    assert_eq!(s.open().list_caches().unwrap(), [] as [&str; 0]);
    assert_eq!(stored(&s), Values::new());
}

/// Its writer may be alive for a while, and then it is certain to be dead.
#[test]
fn a_temporary_that_cannot_be_removed_does_not_keep_superseded_versions_for_ever() {
    for (age, files) in [(2 * 3600, 3), (25 * 3600, 2)] {
        let s = subject(Past::Saved);
        plant_temporary(&s, "00112233aabbccdd.tmp", Duration::from_secs(age));
        let mut backend = s.open();
        let unlink = When::call(Call::Unlink).ending("00112233aabbccdd.tmp");
        backend.faults().fail(unlink, ErrorCode::NotPermitted);
        backend.save(CACHE, &new_entries()).unwrap();
        let folder = s.folder().join(CACHE);
        assert_eq!(fs::read_dir(folder).unwrap().count(), files, "{age} s");
    }
}

#[test]
fn a_file_from_before_the_format_is_read_and_superseded() {
    let s = Subject::disk();
    let entries = [
        entry("a", "1", None),
        entry("b", "2", Some(60)),
        entry("a", "3", None),
        entry("c", "4", Some(0)),
    ];
    let file = s.folder().join("sessions.postcard");
    write_legacy(&file, &entries);
    // The file does not say when it was saved, so that its ttls begin now.
    s.clock().advance(Duration::from_secs(3600));
    let contents = s.open().load(CACHE).unwrap();
    let deadline = contents.entries.iter().find(|entry| entry.key == "b");
    let deadline = deadline.and_then(|entry| entry.expires_at);
    assert_eq!(deadline, Some(s.clock().instant() + 60));
    assert_eq!(values(contents)["a"], b"3");
    assert_eq!(stored(&s).len(), 2);
    assert_eq!(s.open().list_caches().unwrap(), [CACHE]);

    s.open().apply(CACHE, &[put("d", "5", None)]).unwrap();
    assert!(!file.exists());
    assert_eq!(stored(&s).into_keys().collect::<String>(), "abd");
    write_legacy(&file, &entries);
    s.open().save(CACHE, &[entry("e", "6", None)]).unwrap();
    assert!(!file.exists());
    assert_eq!(stored(&s).into_keys().collect::<String>(), "e");
}
