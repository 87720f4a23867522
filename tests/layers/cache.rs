//! The cache layer as it is built, above the disk backend: across instances, and for all handles of
//! an instance. `components/cache` proves the rules of one cache. Failing storage and large values
//! are in the tests of wasi:keyvalue, which stands above the same composition.

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use larder_components::{CACHE, DISK};
use larder_host_test::compose::plug;
use larder_host_test::surroundings::{Inside, Surroundings, compiled, linker};
use larder_host_test::{Subject, entry, tree, values};
use tempfile::TempDir;
use wasmtime::Store;
use wasmtime::component::{Component, ResourceAny};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package test:cache;
            world caching { export larder:cache/cache@0.1.0; }
        ",
        world: "test:cache/caching",
    });
}

use bindings::Caching;
use bindings::exports::larder::cache::cache::{Error, Options};

static COMPOSED: LazyLock<Component> = LazyLock::new(|| compiled(&plug(CACHE, &[DISK]).unwrap()));

const SECOND: Duration = Duration::from_secs(1);
const NANOSECOND: Duration = Duration::from_nanos(1);

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
    fn start(surroundings: &Surroundings) -> Layer {
        let mut store = surroundings.store();
        let caching = Caching::instantiate(&mut store, &COMPOSED, &linker()).unwrap();
        Layer { store, caching }
    }

    fn on(folder: &TempDir) -> Layer {
        Layer::start(&Surroundings::default().on(folder))
    }

    fn open(&mut self, name: &str) -> ResourceAny {
        let unlimited = Options {
            capacity: None,
            capacity_bytes: None,
            default_ttl: None,
            flush_every: None,
            flush_after: None,
        };
        let cache = self.caching.larder_cache_cache().cache();
        let opened = cache.call_open(&mut self.store, name, unlimited);
        opened.expect("open does not trap").unwrap()
    }

    functions! {
        get as call_get(key: &str) -> Option<Vec<u8>>;
        get_many as call_get_many(keys: &[String]) -> Vec<Option<Vec<u8>>>;
        set_for as call_set(key: &str, value: &[u8], ttl: Option<u64>) -> ();
        contains as call_contains(key: &str) -> bool;
        clear as call_clear() -> Result<(), Error>;
        flush as call_flush() -> Result<(), Error>;
    }

    fn set(&mut self, cache: ResourceAny, key: &str, value: &str) {
        self.set_for(cache, key, value.as_bytes(), None);
    }

    fn close(&mut self, cache: ResourceAny) {
        let dropped = cache.resource_drop(&mut self.store);
        dropped.expect("drop does not trap");
    }
}

fn text(value: &str) -> Option<Vec<u8>> {
    Some(value.into())
}

#[test]
fn what_was_set_is_there_in_another_instance_once_it_was_flushed() {
    let folder = TempDir::new().unwrap();
    let mut first = Layer::on(&folder);
    let cache = first.open("sessions");
    first.set(cache, "", "the empty key");
    first.set(cache, "empty value", "");
    first.flush(cache).unwrap();
    first.set(cache, "too late", "the instance is killed");
    drop(first);

    let mut second = Layer::on(&folder);
    let cache = second.open("sessions");
    assert_eq!(second.get(cache, ""), text("the empty key"));
    assert_eq!(second.get(cache, "empty value"), text(""));
    assert_eq!(second.get(cache, "too late"), None);
}

#[test]
fn the_last_handle_that_is_dropped_flushes() {
    let folder = TempDir::new().unwrap();
    let mut layer = Layer::on(&folder);
    let one = layer.open("sessions");
    let other = layer.open("sessions");
    layer.set(one, "key", "value");
    assert_eq!(layer.get(other, "key"), text("value"), "they share entries");
    layer.close(one);
    assert!(tree(folder.path()).is_empty(), "the other handle is open");
    layer.close(other);
    let stored = Subject::disk().on(&folder).open().load("sessions");
    assert_eq!(values(stored.unwrap())["key"], b"value");
    // The same instance can open it again.
    let again = layer.open("sessions");
    assert_eq!(layer.get(again, "key"), text("value"));
}

#[test]
fn caches_of_other_names_are_others() {
    let folder = TempDir::new().unwrap();
    let mut layer = Layer::on(&folder);
    let one = layer.open("one");
    let two = layer.open("two");
    layer.set(one, "key", "1");
    assert_eq!(layer.get(two, "key"), None);
    layer.set(two, "key", "2");
    layer.clear(one).unwrap();
    let found = layer.get_many(two, &["key".into(), "none".into()]);
    assert_eq!(found, [text("2"), None]);
}

#[test]
fn a_time_to_live_goes_on_across_instances_and_ends_at_its_deadline() {
    let folder = TempDir::new().unwrap();
    let surroundings = Surroundings::default().on(&folder);
    let clock = surroundings.clock();
    let mut first = Layer::start(&surroundings);
    let cache = first.open("sessions");
    first.set_for(cache, "key", b"value", Some(60_000_000_000));
    clock.advance(10 * SECOND);
    first.flush(cache).unwrap();
    drop(first);

    clock.advance(10 * SECOND);
    let mut second = Layer::start(&surroundings);
    let cache = second.open("sessions");
    clock.advance(40 * SECOND - NANOSECOND);
    assert!(second.contains(cache, "key"));
    clock.advance(NANOSECOND);
    assert!(!second.contains(cache, "key"));
}

#[test]
fn a_cache_that_cannot_be_read_is_replaced_by_what_is_set() {
    let folder = TempDir::new().unwrap();
    let mut disk = Subject::disk().on(folder.path()).open();
    disk.save("damaged", &[entry("key", "value", None)])
        .unwrap();
    let paths: Vec<_> = tree(folder.path()).into_keys().collect();
    let mut files = paths.iter().map(|path| folder.path().join(path));
    let file = files.find(|path| path.is_file()).unwrap();
    fs::write(file, "nothing that Larder wrote").unwrap();

    let mut layer = Layer::on(&folder);
    let cache = layer.open("damaged");
    assert_eq!(layer.get(cache, "key"), None);
    layer.set(cache, "key", "new");
    layer.flush(cache).unwrap();
    assert_eq!(values(disk.load("damaged").unwrap())["key"], b"new");
}
