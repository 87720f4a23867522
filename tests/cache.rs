//! The cache layer above a real backend, as a component: what it keeps lasts, what fails above or below harms nothing,
//! and all that have a cache open share it. Its rules one by one are proved in `components/cache`.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use larder_components::MEMORY;
use larder_host_test::compose::plug;
use larder_host_test::surroundings::{Inside, Surroundings, compiled, linker};
use larder_host_test::{Subject, entry, tree, values};
use wasmtime::Store;
use wasmtime::component::{Component, ResourceAny};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "
            package test:cache;
            world caching { export larder:cache/cache@0.1.0; }
        ",
        world: "test:cache/caching",
    });
}

use bindings::Caching;
use bindings::exports::larder::cache::cache::{Error, Found, Metrics, Options};

static ABOVE_DISK: LazyLock<Component> = LazyLock::new(|| {
    compiled(&plug(larder_components::CACHE, &[larder_components::DISK]).unwrap())
});

static ABOVE_MEMORY: LazyLock<Component> =
    LazyLock::new(|| compiled(&plug(larder_components::CACHE, &[MEMORY]).unwrap()));

const SECOND: u64 = 1_000_000_000;

const UNLIMITED: Options = Options {
    capacity: None,
    capacity_bytes: None,
    default_ttl: None,
    flush_every: None,
    flush_after: None,
};

/// An instance, with the functions of the interface.
struct Layer {
    store: Store<Inside>,
    caching: Caching,
}

macro_rules! functions {
    ($($name:ident as $call:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&mut self, cache: ResourceAny, $($argument: $type),*) -> $result {
            let cache_interface = self.caching.larder_cache_cache();
            let outcome = cache_interface.cache().$call(&mut self.store, cache, $($argument),*);
            outcome.expect(concat!(stringify!($name), " does not trap"))
        })*
    };
}

impl Layer {
    fn start(component: &Component, surroundings: &Surroundings) -> Layer {
        let mut store = surroundings.store();
        let caching = Caching::instantiate(&mut store, component, &linker()).unwrap();
        Layer { store, caching }
    }

    /// Above the disk backend, in this folder.
    fn on(folder: &Path) -> Layer {
        Layer::start(&ABOVE_DISK, &Surroundings::default().on(folder))
    }

    fn open(&mut self, name: &str, options: Options) -> Result<ResourceAny, Error> {
        let cache = self.caching.larder_cache_cache().cache();
        cache
            .call_open(&mut self.store, name, options)
            .expect("open does not trap")
    }

    functions! {
        get as call_get(key: &str) -> Option<Vec<u8>>;
        get_many as call_get_many(keys: &[String]) -> Vec<Option<Vec<u8>>>;
        get_or_claim as call_get_or_claim(key: &str, lease: u64) -> Found;
        set_for as call_set(key: &str, value: &[u8], ttl: Option<u64>) -> ();
        delete as call_delete(key: &str) -> bool;
        contains as call_contains(key: &str) -> bool;
        clear as call_clear() -> Result<(), Error>;
        flush as call_flush() -> Result<(), Error>;
        metrics as call_metrics() -> Metrics;
    }

    fn set(&mut self, cache: ResourceAny, key: &str, value: &str) {
        self.set_for(cache, key, value.as_bytes(), None);
    }

    fn close(&mut self, cache: ResourceAny) {
        cache
            .resource_drop(&mut self.store)
            .expect("drop does not trap");
    }
}

fn text(value: &str) -> Option<Vec<u8>> {
    Some(value.into())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn what_was_set_is_there_in_another_instance_once_it_was_flushed() {
    let folder = folder();
    let mut first = Layer::on(folder.path());
    let cache = first.open("sessions", UNLIMITED).unwrap();
    first.set(cache, "", "the empty key");
    first.set(cache, "empty value", "");
    first.flush(cache).unwrap();
    first.set(cache, "too late", "the instance is killed");
    drop(first);

    let mut second = Layer::on(folder.path());
    let cache = second.open("sessions", UNLIMITED).unwrap();
    assert_eq!(second.get(cache, ""), text("the empty key"));
    assert_eq!(second.get(cache, "empty value"), text(""));
    assert_eq!(second.get(cache, "too late"), None);
}

#[test]
fn the_last_handle_that_is_dropped_hands_changes_over() {
    let folder = folder();
    let mut layer = Layer::on(folder.path());
    let one = layer.open("sessions", UNLIMITED).unwrap();
    let other = layer.open("sessions", UNLIMITED).unwrap();
    layer.set(one, "key", "value");
    assert_eq!(
        layer.get(other, "key"),
        text("value"),
        "they share what is in it"
    );
    layer.close(one);
    assert!(tree(folder.path()).is_empty(), "the other one has it open");
    layer.close(other);
    let found = values(
        Subject::disk()
            .on(folder.path())
            .open()
            .load("sessions")
            .unwrap(),
    );
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        [("key".into(), b"value".to_vec())]
    );
    // Opened again in the same instance, it is warmed by what lasts.
    let again = layer.open("sessions", UNLIMITED).unwrap();
    assert_eq!(layer.get(again, "key"), text("value"));
}

#[test]
fn caches_of_other_names_are_others() {
    let mut layer = Layer::start(&ABOVE_MEMORY, &Surroundings::default());
    let one = layer.open("one", UNLIMITED).unwrap();
    let two = layer.open("two", UNLIMITED).unwrap();
    layer.set(one, "key", "1");
    assert_eq!(layer.get(two, "key"), None);
    layer.set(two, "key", "2");
    layer.clear(one).unwrap();
    assert_eq!(
        layer.get_many(two, &["key".into(), "none".into()]),
        [text("2"), None]
    );
}

#[test]
fn a_time_to_live_goes_on_across_instances_and_ends_at_its_deadline() {
    let folder = folder();
    let surroundings = Surroundings::default().on(folder.path());
    let pass = |nanoseconds| {
        surroundings
            .clock()
            .advance(Duration::from_nanos(nanoseconds))
    };
    let mut first = Layer::start(&ABOVE_DISK, &surroundings);
    let options = Options {
        default_ttl: Some(90 * SECOND),
        ..UNLIMITED
    };
    let cache = first.open("sessions", options).unwrap();
    first.set(cache, "default", "value");
    first.set_for(cache, "own", b"value", Some(60 * SECOND));
    pass(10 * SECOND);
    first.flush(cache).unwrap();
    drop(first);

    pass(10 * SECOND);
    let mut second = Layer::start(&ABOVE_DISK, &surroundings);
    let cache = second.open("sessions", UNLIMITED).unwrap();
    pass(40 * SECOND - 1);
    assert!(second.contains(cache, "own"));
    pass(1);
    assert!(!second.contains(cache, "own"));
    pass(30 * SECOND - 1);
    assert_eq!(second.get(cache, "default"), text("value"));
    pass(1);
    assert_eq!(second.get(cache, "default"), None);
    assert_eq!(second.metrics(cache).expirations, 1);
}

#[test]
fn a_backend_that_fails_fails_no_get_and_no_set_and_is_told_of() {
    let folder = folder();
    // Nothing can be read nor written where there is no folder, and nothing written where it may only be read.
    let nowhere = Surroundings::default();
    let read_only = Surroundings::default().on(folder.path()).read_only();
    type Expected = fn(&Error) -> bool;
    let is_expected: [(_, Expected); 2] = [
        (nowhere, |error| matches!(error, Error::Unavailable(_))),
        (read_only, |error| matches!(error, Error::AccessDenied)),
    ];
    for (surroundings, is_expected) in is_expected {
        let mut layer = Layer::start(&ABOVE_DISK, &surroundings);
        let options = Options {
            flush_every: Some(1),
            ..UNLIMITED
        };
        let cache = layer.open("sessions", options).unwrap();
        layer.set(cache, "key", "value");
        assert_eq!(layer.get(cache, "key"), text("value"));
        let metrics = layer.metrics(cache);
        assert!(metrics.backend_error.as_ref().is_some_and(is_expected));
        assert_eq!(metrics.unflushed, 1);
        assert!(layer.flush(cache).is_err_and(|error| is_expected(&error)));
        layer.close(cache);
    }
    assert!(tree(folder.path()).is_empty());
}

#[test]
fn a_damaged_cache_gives_what_is_intact_and_one_that_cannot_be_read_is_replaced() {
    let folder = folder();
    let mut disk = Subject::disk().on(folder.path()).open();
    disk.save("damaged", &[entry("key", "value", None)])
        .unwrap();
    let files: Vec<_> = tree(folder.path()).into_keys().collect();
    let file = files
        .iter()
        .map(|path| folder.path().join(path))
        .find(|path| path.is_file());
    std::fs::write(file.unwrap(), "nothing that Larder wrote").unwrap();

    let mut layer = Layer::on(folder.path());
    let cache = layer.open("damaged", UNLIMITED).unwrap();
    assert!(matches!(
        layer.metrics(cache).backend_error,
        Some(Error::Corrupt(_))
    ));
    assert_eq!(layer.get(cache, "key"), None);
    layer.set(cache, "key", "new");
    layer.flush(cache).unwrap();
    assert!(layer.metrics(cache).backend_error.is_none());
    assert_eq!(values(disk.load("damaged").unwrap())["key"], b"new");
}

#[test]
fn names_that_break_the_rules_are_refused() {
    let folder = folder();
    let mut layer = Layer::on(folder.path());
    for name in ["", "a/b", "..", ".hidden", &"n".repeat(201)] {
        assert!(
            matches!(layer.open(name, UNLIMITED), Err(Error::InvalidName(_))),
            "{name:?}"
        );
    }
}

#[test]
fn a_claim_ends_with_its_lease() {
    let surroundings = Surroundings::default();
    let mut layer = Layer::start(&ABOVE_MEMORY, &surroundings);
    let cache = layer.open("sessions", UNLIMITED).unwrap();
    assert!(matches!(
        layer.get_or_claim(cache, "key", SECOND),
        Found::Claimed
    ));
    assert!(matches!(
        layer.get_or_claim(cache, "key", SECOND),
        Found::Wait(SECOND)
    ));
    surroundings.clock().advance(Duration::from_secs(1));
    assert!(matches!(
        layer.get_or_claim(cache, "key", SECOND),
        Found::Claimed
    ));
    layer.set(cache, "key", "value");
    assert!(
        matches!(layer.get_or_claim(cache, "key", SECOND), Found::Hit(value) if value == b"value")
    );
}

#[test]
fn values_of_many_mebibytes_come_and_go() {
    let folder = folder();
    let value: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut layer = Layer::on(folder.path());
    let options = Options {
        capacity_bytes: Some(value.len() as u64 + 100),
        ..UNLIMITED
    };
    let cache = layer.open("sessions", options).unwrap();
    for key in ["one", "two", "three"] {
        layer.set_for(cache, key, &value, None);
        assert!(layer.get(cache, key).as_ref() == Some(&value));
    }
    let metrics = layer.metrics(cache);
    assert_eq!((metrics.entries, metrics.evictions), (1, 2));
    layer.flush(cache).unwrap();
    assert!(!layer.delete(cache, "one") && layer.delete(cache, "three"));
}
