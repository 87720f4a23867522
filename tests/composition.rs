//! Backends that are composed of others keep every promise of a backend, and components that do not fit are told apart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use larder_components::{KEYVALUE, MEMORY, SIMPLE_UPDATES, TIERED};
use larder_host_test::compose::{Part, compose, plug};
use larder_host_test::{
    Backend, Error, ErrorCode, Instance, Subject, When, entry, put, remove, tree, values,
};
use wasmtime::Engine;
use wasmtime::component::Component;

static SIMPLE_UPDATES_ABOVE_DISK: LazyLock<Backend> =
    LazyLock::new(|| Backend::compile(&plug(SIMPLE_UPDATES, &[larder_components::DISK]).unwrap()));

static MEMORY_BEFORE_DISK: LazyLock<Backend> =
    LazyLock::new(|| Backend::compile(&tiered(MEMORY, larder_components::DISK)));

mod simple_updates {
    // Of two that load, change and save one cache at once, one may lose: its world says so.
    larder_host_test::conformance!(
        larder_host_test::Subject::new(super::SIMPLE_UPDATES_ABOVE_DISK.clone()).alone()
    );
}

mod tiers {
    larder_host_test::conformance!(larder_host_test::Subject::new(
        super::MEMORY_BEFORE_DISK.clone()
    ));
}

/// Which exports of a backend in front and of one that lasts go where.
fn tiered(fast: &[u8], durable: &[u8]) -> Vec<u8> {
    let fast = Part {
        component: fast,
        wires: &[
            (
                "larder:cache/cache-backend@0.1.0",
                "larder:cache/fast-backend@0.1.0",
            ),
            (
                "larder:cache/cache-updates@0.1.0",
                "larder:cache/fast-updates@0.1.0",
            ),
        ],
    };
    let durable = Part {
        component: durable,
        wires: &[
            ("larder:cache/types@0.1.0", "larder:cache/types@0.1.0"),
            (
                "larder:cache/cache-backend@0.1.0",
                "larder:cache/durable-backend@0.1.0",
            ),
            (
                "larder:cache/cache-updates@0.1.0",
                "larder:cache/durable-updates@0.1.0",
            ),
            (
                "larder:cache/cache-inspect@0.1.0",
                "larder:cache/durable-inspect@0.1.0",
            ),
        ],
    };
    compose(TIERED, &[fast, durable]).unwrap()
}

fn memory_before_disk() -> Subject {
    Subject::new(MEMORY_BEFORE_DISK.clone())
}

fn found(instance: &mut Instance) -> Vec<(String, Vec<u8>)> {
    values(instance.load("sessions").unwrap())
        .into_iter()
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

/// The only file of the cache in a folder.
fn file(folder: &Path) -> PathBuf {
    let mut files: Vec<_> = tree(folder).into_keys().collect();
    files.retain(|path| folder.join(path).is_file());
    assert_eq!(files.len(), 1, "{files:?}");
    folder.join(&files[0])
}

/// Damages the value of the only entry in a folder, which nobody notices who does not read it.
fn damage(folder: &Path) {
    let file = file(folder);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes
        .windows(5)
        .position(|bytes| bytes == b"value")
        .unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_load_is_answered_in_front_after_a_save_and_after_a_load() {
    let subject = memory_before_disk();
    let mut first = subject.open();
    first
        .save("sessions", &[entry("key", "value", None)])
        .unwrap();
    let mut second = subject.open();
    assert_eq!(found(&mut second), pairs(&[("key", "value")]));
    damage(subject.folder());
    assert_eq!(found(&mut first), pairs(&[("key", "value")]));
    assert_eq!(found(&mut second), pairs(&[("key", "value")]));
    // A third one has nothing in front yet, and reads what lasts.
    let contents = subject.open().load("sessions").unwrap();
    assert_eq!((contents.entries.len(), contents.lost), (0, 1));
}

#[test]
fn changes_go_to_both_and_are_answered_in_front() {
    let subject = memory_before_disk();
    let mut tiers = subject.open();
    tiers.save("sessions", &[entry("old", "1", None)]).unwrap();
    tiers
        .apply("sessions", &[put("new", "2", None), remove("old")])
        .unwrap();
    assert_eq!(found(&mut tiers), pairs(&[("new", "2")]));
    assert_eq!(
        found(&mut Subject::disk().on(subject.folder()).open()),
        pairs(&[("new", "2")])
    );
    // Without the files of the cache the one in front would be all there is.
    tiers.clear("sessions").unwrap();
    assert_eq!(found(&mut tiers), []);
}

#[test]
fn what_others_change_in_the_storage_that_lasts_is_seen_at_once() {
    let subject = memory_before_disk();
    let mut tiers = subject.open();
    let mut other = Subject::disk().on(subject.folder()).open();
    tiers.save("sessions", &[entry("a", "1", None)]).unwrap();
    assert_eq!(found(&mut tiers), pairs(&[("a", "1")]));
    other.apply("sessions", &[put("b", "2", None)]).unwrap();
    assert_eq!(found(&mut tiers), pairs(&[("a", "1"), ("b", "2")]));
    other.save("sessions", &[entry("c", "3", None)]).unwrap();
    tiers.apply("sessions", &[put("d", "4", None)]).unwrap();
    assert_eq!(found(&mut tiers), pairs(&[("c", "3"), ("d", "4")]));
    other.clear("sessions").unwrap();
    assert_eq!(found(&mut tiers), []);
}

/// What the disk says afterwards is what both tiers say.
#[test]
fn whatever_others_store_in_the_midst_of_a_change_is_seen() {
    type Change = fn(&mut Instance) -> Result<(), Error>;
    let changes: [Change; 4] = [
        |tiers| tiers.clear("sessions"),
        |tiers| tiers.save("sessions", &[entry("ours", "1", None)]),
        |tiers| tiers.apply("sessions", &[put("ours", "1", None)]),
        |tiers| tiers.apply("sessions", &[]),
    ];
    let mut interrupted = 0;
    for begun in [&[][..], &[entry("old", "0", None)]] {
        for change in changes {
            let mut nth = 1;
            loop {
                let subject = memory_before_disk();
                let mut tiers = subject.open();
                if !begun.is_empty() {
                    tiers.save("sessions", begun).unwrap();
                }
                let mut other = Subject::disk().on(subject.folder()).open();
                tiers.faults().before(When::any().nth(nth), move || {
                    other
                        .save("sessions", &[entry("theirs", "2", None)])
                        .unwrap();
                });
                let fired = tiers.faults().fired();
                change(&mut tiers).unwrap();
                if tiers.faults().fired() == fired {
                    break;
                }
                let stored = found(&mut Subject::disk().on(subject.folder()).open());
                assert_eq!(found(&mut tiers), stored, "before call {nth}");
                nth += 1;
            }
            interrupted += nth - 1;
        }
    }
    assert!(interrupted > 100, "{interrupted}");
}

#[test]
fn a_change_that_fails_where_it_lasts_fails_and_does_not_show() {
    let subject = memory_before_disk();
    let mut tiers = subject.open();
    tiers.save("sessions", &[entry("a", "1", None)]).unwrap();
    let faults = tiers.faults().clone();
    faults.fail(When::any().nth(0), ErrorCode::InsufficientSpace);
    for _ in 0..3 {
        faults.clear();
        faults.fail(When::any(), ErrorCode::InsufficientSpace);
        assert!(tiers.save("sessions", &[entry("b", "2", None)]).is_err());
        assert!(tiers.apply("sessions", &[put("b", "2", None)]).is_err());
        assert!(tiers.clear("sessions").is_err());
        faults.clear();
        assert_eq!(found(&mut tiers), pairs(&[("a", "1")]));
    }
}

#[test]
fn where_what_lasts_cannot_be_asked_nothing_is_answered_in_front() {
    let subject = memory_before_disk();
    let mut tiers = subject.open();
    tiers.save("sessions", &[entry("a", "1", None)]).unwrap();
    tiers.faults().fail(When::any(), ErrorCode::Io);
    assert!(matches!(tiers.load("sessions"), Err(Error::Unavailable(_))));
}

#[test]
fn lost_entries_stay_counted_when_they_are_answered_in_front() {
    let subject = memory_before_disk();
    subject
        .open()
        .save("sessions", &[entry("key", "value", None)])
        .unwrap();
    damage(subject.folder());
    let mut tiers = subject.open();
    for _ in 0..2 {
        let contents = tiers.load("sessions").unwrap();
        assert_eq!((contents.entries.len(), contents.lost), (0, 1));
    }
    // Whoever puts the key anew makes up for it.
    tiers.apply("sessions", &[put("key", "new", None)]).unwrap();
    assert_eq!(found(&mut tiers), pairs(&[("key", "new")]));
}

/// As on a machine that slept: its monotonic clock shows less than the wall clock.
#[test]
fn what_is_in_front_lives_no_longer_where_a_clock_stood_still() {
    let subject = memory_before_disk();
    let mut tiers = subject.open();
    let ttl = 90_000_000_000;
    tiers
        .save("sessions", &[entry("key", "value", Some(ttl))])
        .unwrap();
    subject.clock().advance(Duration::from_secs(60));
    subject.clock().reboot();
    let entries = tiers.load("sessions").unwrap().entries;
    assert_eq!(entries[0].expires_at, Some(30_000_000_000));
}

#[test]
fn an_export_of_another_type_is_told_and_not_passed_over() {
    let other = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $backend (export "load" (func $f)))
        (export "larder:cache/cache-backend@0.1.0" (instance $backend)))"#;
    let other = wat::parse_str(other).unwrap();
    let error = plug(SIMPLE_UPDATES, &[&other]).unwrap_err().to_string();
    assert!(
        error.contains("larder:cache/cache-backend@0.1.0"),
        "{error}"
    );
}

#[test]
fn an_import_that_nothing_was_put_into_is_told() {
    let error = plug(larder_components::CACHE, &[SIMPLE_UPDATES])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("nothing was put where larder:cache/"),
        "{error}"
    );
    let error = plug(
        larder_components::CACHE,
        &[larder_components::DISK, KEYVALUE],
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("exports nothing that is imported"),
        "{error}"
    );
}

#[test]
fn what_is_no_component_is_told() {
    let error = plug(larder_components::CACHE, &[b"\0asm\x01\0\0\0"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("not a binary-encoded WebAssembly component"),
        "{error}"
    );
}

#[test]
fn composed_of_everything_nothing_of_larder_is_left_to_import() {
    let engine = Engine::default();
    let tiers = tiered(MEMORY, larder_components::DISK);
    let cache = plug(larder_components::CACHE, &[&tiers]).unwrap();
    let keyvalue = plug(KEYVALUE, &[&cache]).unwrap();
    let component = Component::new(&engine, keyvalue).unwrap();
    for (import, _) in component.component_type().imports(&engine) {
        assert!(
            import.starts_with("wasi:") && import.ends_with("@0.2.6"),
            "{import}"
        );
    }
}

#[test]
fn each_component_takes_at_most_250_kib() {
    let components = [
        larder_components::CACHE,
        MEMORY,
        SIMPLE_UPDATES,
        TIERED,
        KEYVALUE,
    ];
    let sizes = components.map(|component| component.len().div_ceil(1024));
    assert!(sizes.iter().all(|size| *size <= 250), "{sizes:?} KiB");
}
