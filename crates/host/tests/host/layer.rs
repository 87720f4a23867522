//! The cache layer of a program: its handles, its limits, and the failures that it outlives.
//! `components/cache` proves the rules of one cache.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use larder_host::{Backend, Cache, Entry, ErrorKind, Found, Layer, Options};
use larder_host_test::layered::Layered;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);
const MIB: usize = 1 << 20;

fn strings<const N: usize>(keys: [&str; N]) -> BTreeSet<String> {
    keys.map(String::from).into()
}

fn is_folder_error(kind: Option<&ErrorKind>) -> bool {
    matches!(kind, Some(ErrorKind::Unavailable(why)) if why.contains("cannot open the folder"))
}

#[test]
fn what_was_set_is_found_until_it_is_removed_or_expires() {
    let disk = Layered::default();
    let cache = disk.open("cache");
    cache.set("hour", [], Some(HOUR));
    cache.set("ages", [0xff, 0], Some(Duration::MAX));
    cache.set("brief", "value", Some(Duration::from_nanos(1)));
    assert_eq!(cache.get("hour").unwrap(), b"");
    assert_eq!(cache.get("ages").unwrap(), [0xff, 0]);
    // A nanosecond is over by the next call.
    assert!(cache.get("brief").is_none() && !cache.contains("brief"));
    cache.set("ages", "removed", Some(Duration::ZERO));
    assert!(cache.get("ages").is_none() && cache.contains("hour"));
    assert!(cache.delete("hour") && !cache.delete("hour"));
    let metrics = cache.metrics();
    assert_eq!((metrics.hits, metrics.misses), (2, 2));
    assert_eq!((metrics.hit_rate, metrics.entries), (0.5, 0));
}

#[test]
fn many_entries_are_stored_in_their_order_and_listed_once_each() {
    let disk = Layered::default();
    let cache = disk.open("cache");
    let value = [7; 1000];
    let many = (0..2500).map(|n| Entry::new(format!("key {n}"), value));
    let again = [
        Entry::new("key 7", "again"),
        Entry::new("key 8", "").ttl(Duration::ZERO),
    ];
    cache.set_many(many.chain(again));
    cache.set_many::<Entry>([]);
    let keys: Vec<String> = cache.keys().collect();
    let different: BTreeSet<_> = keys.iter().cloned().collect();
    assert_eq!((keys.len(), different.len()), (2499, 2499));
    let values = cache.get_many(["key 7", "missing", "key 8", "key 7", "key 2499"]);
    let again = Some(b"again".to_vec());
    let value = Some(value.to_vec());
    assert_eq!(values, [again.clone(), None, None, again, value]);
    assert_eq!(cache.get_many::<&str>([]), []);
    cache.clear().unwrap();
    assert_eq!(cache.keys().count(), 0);
}

#[test]
fn values_and_their_times_to_live_outlast_the_layer() {
    let disk = Layered::default();
    let before = Instant::now();
    let cache = disk.open("cache");
    cache.set("ages", "value", None);
    cache.set("hour", "value", Some(HOUR));
    drop(cache);
    let layer = Layer::new(disk.backend.clone()).unwrap();
    let cache = layer.open("cache", &Options::default()).unwrap();
    assert_eq!(cache.get("ages").unwrap(), b"value");
    assert_eq!(cache.get("hour").unwrap(), b"value");
    drop(cache);
    let entries = disk.backend.load("cache").unwrap().entries;
    let hour = entries.iter().find(|entry| entry.key == "hour").unwrap();
    let range = before..=Instant::now() + HOUR;
    assert!(range.contains(&hour.expires_at.unwrap()));
}

#[test]
fn the_last_handle_flushes() {
    let disk = Layered::default();
    let (first, second) = (disk.open("cache"), disk.open("cache"));
    let third = second.clone();
    first.set("key", "value", None);
    assert_eq!(third.get("key").unwrap(), b"value");
    drop((first, second));
    assert!(disk.stored("cache").is_empty());
    drop(third);
    assert_eq!(disk.stored("cache"), strings(["key"]));
}

#[test]
fn the_options_are_those_of_the_last_open() {
    let disk = Layered::default();
    let cache = disk.open("cache");
    cache.set_many((0..10).map(|n| Entry::new(n.to_string(), "")));
    let options = Options::default().capacity(3).flush_every(1);
    let _other = disk.layer.open("cache", &options).unwrap();
    assert_eq!(cache.metrics().entries, 3);
    assert_eq!(disk.stored("cache"), strings(["7", "8", "9"]));
}

#[test]
fn the_error_of_the_backend_names_the_call_and_the_cache() {
    let disk = Layered::default();
    let cache = disk.open("cache");
    cache.set("key", "value", None);
    disk.without_folder(|| {
        let failed = cache.flush().unwrap_err();
        assert!(is_folder_error(Some(failed.kind())), "{failed}");
        let place = (failed.operation(), failed.cache());
        assert_eq!(place, ("flush", Some("cache")));
        let metrics = cache.metrics();
        assert!(is_folder_error(metrics.backend_error.as_ref()));
        assert_eq!(metrics.unflushed, 1);
    });
    cache.flush().unwrap();
    assert_eq!(disk.stored("cache"), strings(["key"]));
    assert_eq!(cache.metrics().backend_error, None);
    let failed = disk.without_folder(|| cache.clear()).unwrap_err();
    assert!(is_folder_error(Some(failed.kind())), "{failed}");
    let place = (failed.operation(), failed.cache());
    assert_eq!(place, ("clear", Some("cache")));
}

#[test]
fn a_claim_is_seen_by_every_handle() {
    let disk = Layered::default();
    let (cache, other) = (disk.open("cache"), disk.open("cache"));
    assert_eq!(cache.get_or_claim("key", HOUR), Found::Claimed);
    assert!(matches!(other.get_or_claim("key", HOUR), Found::Wait(left) if left <= HOUR));
    cache.set("key", "value", Some(Duration::from_nanos(1)));
    assert_eq!(cache.get_or_claim("key", HOUR), Found::Claimed);
    let stale = Found::Stale(b"value".into());
    assert_eq!(other.get_or_claim("key", HOUR), stale);
    cache.set("key", "other", None);
    assert_eq!(other.get_or_claim("key", HOUR), Found::Hit(b"other".into()));
    for _ in 0..2 {
        assert_eq!(cache.get_or_claim("brief", Duration::ZERO), Found::Claimed);
    }
}

/// Sets entries until the memory is full and the instance breaks down.
fn break_down(cache: &Cache) {
    for n in 0.. {
        cache.set(&n.to_string(), vec![0; MIB], None);
        if cache.get(&n.to_string()).is_none() {
            return;
        }
    }
}

#[test]
fn an_instance_that_breaks_down_is_replaced_and_the_loss_is_told_once() {
    let disk = Layered::with_memory_limit(16 * MIB);
    let cache = disk.open("cache");
    cache.set("flushed", "value", None);
    cache.flush().unwrap();
    cache.set("lost", "value", None);
    let hungry = disk.open("hungry");
    break_down(&hungry);

    let loss = ErrorKind::OutOfMemory(16 * MIB);
    assert_eq!(cache.metrics().backend_error, Some(loss.clone()));
    assert_eq!(cache.get("flushed").unwrap(), b"value");
    assert!(cache.get("lost").is_none());
    cache.set("new", "value", None);
    assert_eq!(*cache.flush().unwrap_err().kind(), loss);
    assert_eq!(disk.stored("cache"), strings(["flushed", "new"]));
    cache.flush().unwrap();
    assert_eq!(cache.metrics().backend_error, None);
    // Its own cache starts again too.
    hungry.set("0", "value", None);
    assert_eq!(hungry.get("0").unwrap(), b"value");
    assert_eq!(hungry.keys().count(), 1);
}

#[test]
fn a_panic_on_the_way_leaves_the_layer_working() {
    let panics = Arc::new(AtomicBool::new(false));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    fs::create_dir(&path).unwrap();
    let now = Arc::clone(&panics);
    let builder = Backend::builtin().preopen(&path, "/");
    let builder = builder.wasi(move |_| assert!(!now.load(Ordering::Relaxed), "now"));
    let layer = Layer::new(builder.build().unwrap()).unwrap();
    let cache = layer.open("cache", &Options::default()).unwrap();
    cache.set("lost", "value", None);

    // A new folder in its place makes the backend start another instance.
    let old = folder.path().join("old");
    fs::rename(&path, old).unwrap();
    fs::create_dir(&path).unwrap();
    panics.store(true, Ordering::Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| cache.flush())).is_err());
    panics.store(false, Ordering::Relaxed);
    assert!(cache.get("lost").is_none());
    cache.set("key", "value", None);
    let error = cache.flush().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trapped(_)), "{error}");
    cache.flush().unwrap();
    assert_eq!(cache.get("key").unwrap(), b"value");
}

#[test]
fn what_is_too_large_is_not_stored_and_removes_what_its_key_held() {
    let disk = Layered::with_memory_limit(32 * MIB);
    let cache = disk.open("cache");
    let large = vec![0; 8 * MIB];
    cache.set("key", "value", None);
    cache.set("key", &large, None);
    assert!(!cache.contains("key"));
    cache.set("key", "value", None);
    cache.set_many([
        Entry::new("a", "value"),
        Entry::new("key", large.as_slice()),
        Entry::new("b", "value"),
    ]);
    assert_eq!(cache.keys().collect::<BTreeSet<_>>(), strings(["a", "b"]));

    let key = "k".repeat(8 * MIB + 1);
    cache.set(&key, "value", None);
    assert!(cache.get(&key).is_none() && !cache.contains(&key) && !cache.delete(&key));
    assert_eq!(cache.get_or_claim(&key, HOUR), Found::Claimed);
    assert_eq!(cache.metrics().backend_error, None);
}

#[test]
fn a_cache_that_is_too_large_to_load_begins_empty_and_keeps_what_is_stored() {
    let disk = Layered::with_memory_limit(16 * MIB);
    let large = (0..9).map(|n| Entry::new(n.to_string(), vec![0; MIB]));
    disk.backend.save("cache", large).unwrap();
    let cache = disk.open("cache");
    let error = cache.metrics().backend_error;
    assert!(matches!(error, Some(ErrorKind::TooLarge(size)) if size > 4 * MIB as u64));
    cache.set("x", "value", None);
    drop(cache);
    assert_eq!(disk.stored("cache").len(), 10);
}

#[test]
fn names_that_break_the_rules_are_refused_whatever_the_backend_says() {
    let disk = Layered::default();
    let refused = || {
        for name in ["", "../x", &"x".repeat(201)] {
            let error = disk.layer.open(name, &Options::default()).unwrap_err();
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::InvalidName(_)), "{error}");
            assert_eq!((error.operation(), error.cache()), ("open", Some(name)));
        }
    };
    refused();
    disk.without_folder(refused);
}

#[test]
fn tenants_that_not_every_storage_tells_apart_are_refused() {
    let disk = Layered::default();
    let long = "x".repeat(101);
    for tenant in ["", ".", ".x", "A", "é", "a+b", "a/b", "a b", "a\0", &long] {
        let error = disk.layer.tenant(tenant).unwrap_err();
        let expected = "tenant: invalid name: a tenant ";
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    for tenant in ["a", "tenant-1", "example.com", "_", &long[1..]] {
        disk.layer.tenant(tenant).unwrap();
    }
}

#[test]
fn a_backend_without_updates_is_refused() {
    let name = b"larder:cache/cache-updates@";
    let other = b"larder:cache/cache-hpdates@";
    let mut bytes = larder_components::DISK.to_vec();
    for at in 0..bytes.len() - name.len() {
        if bytes[at..].starts_with(name) {
            bytes[at..at + name.len()].copy_from_slice(other);
        }
    }
    let folder = TempDir::new().unwrap();
    let backend = Backend::component_bytes(bytes).preopen(folder.path(), "/");
    let error = Layer::new(backend.build().unwrap()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::MissingInterface(_)));
    assert_eq!(error.operation(), "cache layer");
}

#[test]
fn less_memory_than_it_takes_to_start_is_an_error() {
    let folder = TempDir::new().unwrap();
    let backend = Backend::disk(folder.path()).unwrap();
    let error = Layer::with_memory_limit(backend, 1).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::OutOfMemory(1));
}

#[test]
fn compiled_code_is_kept_where_that_of_the_backend_is() {
    const FOLDER: &str = "LARDER_TEST_FOLDER";
    if let Some(folder) = env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        let backend = Backend::builtin().preopen(folder, "/");
        let backend = backend.code_cache(folder.join("code")).build().unwrap();
        Layer::new(backend).unwrap();
        return;
    }
    // Another process has compiled nothing yet.
    let folder = TempDir::new().unwrap();
    let test = "layer::compiled_code_is_kept_where_that_of_the_backend_is";
    let mut alone = Command::new(env::current_exe().unwrap());
    let alone = alone.arg(test).env(FOLDER, folder.path());
    assert!(alone.output().unwrap().status.success());
    let kept = fs::read_dir(folder.path().join("code")).unwrap();
    assert_eq!(kept.count(), 2);
}

#[test]
fn any_number_of_threads_share_a_layer_and_a_handle() {
    let disk = &Layered::default();
    let cache = &disk.open("cache");
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for n in 0..100 {
                    // The last of these handles flushes, so caches leave memory and come back.
                    let own = disk.open(&format!("cache {}", n % 3));
                    let key = format!("{thread} {n}");
                    own.set(&key, &key, None);
                    cache.set(&key, &key, None);
                    assert_eq!(own.get(&key).unwrap(), key.as_bytes());
                    assert_eq!(cache.clone().get(&key), own.get(&key));
                }
            });
        }
    });
    assert_eq!(cache.metrics().entries, 800);
    let stored = |n| disk.stored(&format!("cache {n}")).len();
    assert_eq!((0..3).map(stored).sum::<usize>(), 800);
}
