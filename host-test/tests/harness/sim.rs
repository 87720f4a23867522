//! The rules of the simulated disk, one by one.

use std::collections::BTreeSet;
use std::time::Duration;

use larder_host_test::sim::nodes::{File, Folder, Ino, Kind, ROOT};
use larder_host_test::sim::path::resolve;
use larder_host_test::{ErrorCode, SimDisk, Subject, entry};

const NOW: Duration = Duration::ZERO;

fn disk() -> SimDisk {
    SimDisk::new(0)
}

fn create(disk: &SimDisk, folder: Ino, name: &str, bytes: &[u8]) -> Ino {
    let mut nodes = disk.nodes();
    let empty = Kind::File(File::default());
    let file = nodes.create(folder, name, empty, NOW).unwrap();
    nodes.write(file, bytes, 0, NOW).unwrap();
    file
}

fn create_folder(disk: &SimDisk, name: &str) -> Ino {
    let empty = Kind::Folder(Folder::default());
    disk.nodes().create(ROOT, name, empty, NOW).unwrap()
}

/// Everything on a disk, as text.
fn contents(disk: &SimDisk) -> String {
    let tree = disk.tree().into_iter();
    let files =
        tree.map(|(path, bytes)| format!("{}={}", path.display(), String::from_utf8_lossy(&bytes)));
    files.collect::<Vec<_>>().join(" ")
}

/// All that a power cut may leave.
fn cuts(disk: &SimDisk) -> BTreeSet<String> {
    let cuts = disk.power_cuts(1000, 0);
    assert!(cuts.is_exhaustive());
    cuts.map(|image| contents(&image)).collect()
}

fn set<const N: usize>(contents: [&str; N]) -> BTreeSet<String> {
    contents.map(str::to_owned).into()
}

#[test]
fn bytes_are_durable_only_after_a_sync_of_their_file() {
    let disk = disk();
    let file = create(&disk, ROOT, "f", b"abcd");
    disk.nodes().sync(ROOT);
    assert_eq!(cuts(&disk), set(["f=", "f=\0\0\0\0", "f=ab", "f=abcd"]));
    disk.nodes().sync(file);
    assert_eq!(cuts(&disk), set(["f=abcd"]));
    disk.nodes().write(file, b"X", 3, NOW).unwrap();
    // A torn block may be all zeros.
    assert_eq!(cuts(&disk), set(["f=abcd", "f=abcX", "f=\0\0\0\0"]));
}

#[test]
fn a_name_is_durable_only_after_a_sync_of_its_folder() {
    let disk = disk();
    let file = create(&disk, ROOT, "f", b"abcd");
    disk.nodes().sync(file);
    assert_eq!(cuts(&disk), set(["", "f=abcd"]));
    disk.nodes().sync(ROOT);
    assert_eq!(cuts(&disk), set(["f=abcd"]));
    disk.nodes().unlink(ROOT, "f", NOW).unwrap();
    assert_eq!(cuts(&disk), set(["", "f=abcd"]));
    disk.nodes().sync(ROOT);
    assert_eq!(cuts(&disk), set([""]));
}

#[test]
fn a_folder_without_a_durable_name_takes_its_files_along() {
    let disk = disk();
    let folder = create_folder(&disk, "d");
    let file = create(&disk, folder, "f", b"abcd");
    disk.nodes().sync(file);
    disk.nodes().sync(folder);
    assert_eq!(cuts(&disk), set(["", "d= d/f=abcd"]));
    disk.nodes().sync(ROOT);
    assert_eq!(cuts(&disk), set(["d= d/f=abcd"]));
}

#[test]
fn changes_of_different_names_are_kept_in_any_combination() {
    let disk = disk();
    let one = create(&disk, ROOT, "one", b"1");
    disk.nodes().sync(one);
    disk.nodes().link(one, ROOT, "two", NOW).unwrap();
    assert_eq!(cuts(&disk), set(["", "one=1", "two=1", "one=1 two=1"]));
}

#[test]
fn changes_of_one_name_are_kept_in_their_order() {
    let disk = disk();
    for bytes in [b"1", b"2"] {
        let file = create(&disk, ROOT, "f", bytes);
        disk.nodes().sync(file);
        assert_eq!(disk.tree().len(), 1);
        if bytes == b"1" {
            disk.nodes().unlink(ROOT, "f", NOW).unwrap();
        }
    }
    assert_eq!(cuts(&disk), set(["", "f=1", "f=2"]));
    assert_eq!(disk.power_cuts(1000, 0).allowed(), Some(3));
}

#[test]
fn a_rename_never_loses_the_file() {
    let disk = disk();
    disk.put_file("old", "1");
    disk.put_file("new", "2");
    disk.nodes().rename(ROOT, "old", "new", NOW).unwrap();
    assert_eq!(contents(&disk), "new=1");
    assert_eq!(cuts(&disk), set(["new=2 old=1", "new=1 old=1", "new=1"]));
}

#[test]
fn a_long_file_is_kept_up_to_anywhere_or_torn_at_a_block() {
    let disk = disk();
    let file = create(&disk, ROOT, "f", &[b'o'; 9000]);
    disk.nodes().sync(file);
    disk.nodes().sync(ROOT);
    disk.nodes().write(file, &[b'n'; 9000], 0, NOW).unwrap();
    let cuts = cuts(&disk);
    let image = |parts: [(&str, usize); 3]| {
        let bytes: String = parts.map(|(byte, count)| byte.repeat(count)).concat();
        format!("f={bytes}")
    };
    for expected in [
        image([("o", 9000), ("", 0), ("", 0)]),
        image([("n", 9000), ("", 0), ("", 0)]),
        image([("n", 2048), ("o", 6952), ("", 0)]),
        image([("n", 8192), ("o", 808), ("", 0)]),
        image([("n", 4096), ("o", 4096), ("n", 808)]),
        image([("n", 4096), ("\0", 4096), ("n", 808)]),
    ] {
        assert!(cuts.contains(&expected));
    }
    assert_eq!(cuts.len(), 12);
}

#[test]
fn more_than_was_asked_for_is_sampled_by_the_seed() {
    let disk = disk();
    for name in 0..20 {
        create(&disk, ROOT, &name.to_string(), b"1");
    }
    let sample = |seed| {
        let cuts = disk.power_cuts(50, seed);
        assert!(!cuts.is_exhaustive());
        assert_eq!(cuts.allowed(), 6u64.checked_pow(20));
        cuts.map(|image| image.fingerprint()).collect::<Vec<_>>()
    };
    assert_eq!(sample(1).len(), 50);
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
}

#[test]
fn a_fork_keeps_what_is_pending_and_goes_its_own_way() {
    let disk = disk();
    create(&disk, ROOT, "f", b"");
    let fork = disk.fork();
    assert_eq!(cuts(&fork), set(["", "f="]));
    fork.nodes().unlink(ROOT, "f", NOW).unwrap();
    fork.clock().advance(Duration::from_secs(1));
    assert_eq!(contents(&disk), "f=");
    assert!(disk.clock().wall() < fork.clock().wall());
}

#[test]
fn an_open_file_outlives_its_names() {
    let disk = disk();
    let file = create(&disk, ROOT, "f", b"abcd");
    let mut nodes = disk.nodes();
    nodes.unlink(ROOT, "f", NOW).unwrap();
    assert_eq!(*nodes.file(file).unwrap().seen, b"abcd");
    assert_eq!(nodes.link_count(file), 0);
    drop(nodes);
    // A file without a name does not survive the cut.
    assert_eq!(cuts(&disk), set(["", "f=", "f=\0\0\0\0", "f=ab", "f=abcd"]));
}

#[test]
fn names_are_taken_once_and_paths_lead_nowhere_else() {
    let disk = disk();
    let folder = create_folder(&disk, "d");
    let file = create(&disk, folder, "f", b"");
    let mut nodes = disk.nodes();
    let empty = || Kind::File(File::default());
    assert_eq!(nodes.create(ROOT, "d", empty(), NOW), Err(ErrorCode::Exist));
    assert_eq!(nodes.link(file, folder, "f", NOW), Err(ErrorCode::Exist));
    assert_eq!(
        nodes.link(folder, ROOT, "e", NOW),
        Err(ErrorCode::NotPermitted)
    );
    assert_eq!(nodes.unlink(ROOT, "d", NOW), Err(ErrorCode::IsDirectory));
    assert_eq!(nodes.unlink(ROOT, "e", NOW), Err(ErrorCode::NoEntry));
    assert_eq!(
        nodes.remove_folder(ROOT, "d", NOW),
        Err(ErrorCode::NotEmpty)
    );
    nodes.unlink(folder, "f", NOW).unwrap();
    nodes.remove_folder(ROOT, "d", NOW).unwrap();
    // As a program does that has the folder open.
    assert_eq!(
        nodes.create(folder, "f", empty(), NOW),
        Err(ErrorCode::NoEntry)
    );

    let link = Kind::Link("../x".to_owned());
    nodes.create(ROOT, "link", link, NOW).unwrap();
    nodes.create(ROOT, "f", empty(), NOW).unwrap();
    let error = |path, follow| resolve(&nodes, ROOT, path, follow).err();
    assert_eq!(error("link", false), None);
    assert_eq!(error("link", true), Some(ErrorCode::NotPermitted));
    assert_eq!(error("..", false), Some(ErrorCode::NotPermitted));
    assert_eq!(error("/f", false), Some(ErrorCode::NotPermitted));
    assert_eq!(error("f/f", false), Some(ErrorCode::NotDirectory));
    assert_eq!(error("e/f", false), Some(ErrorCode::NoEntry));
    assert_eq!(error(&"n".repeat(256), false), Some(ErrorCode::NameTooLong));
}

#[test]
fn a_run_depends_on_its_seed_alone() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        let subject = Subject::disk_on(&disk);
        for value in ["1", "2"] {
            let entries = [entry("key", value, None)];
            subject.open().save("sessions", &entries).unwrap();
        }
        (disk.run().to_string(), disk.fingerprint())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
