//! Components as tenants of one cache layer: the components of one tenant share its caches, and
//! nobody else sees them. The tests of `larder_host` prove the promises of a `Layer` to the program
//! itself.

use std::sync::LazyLock;
use std::thread;

use larder_host::{Layer, Limits, Tenant};
use larder_host_test::components;
use larder_host_test::layered::Layered;
use larder_host_test::surroundings::{Inside, Surroundings, compiled, linker};
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Instance, InstancePre, Lift, Linker, Lower};

const TENANTS: [&str; 4] = ["a", "a.b", "ab", "tenant-4"];
const MIB: u32 = 1 << 20;

/// The test component, compiled and linked once, as by a server.
static GUEST: LazyLock<InstancePre<Inside<Tenant>>> = LazyLock::new(|| {
    let mut linker = linker();
    add_to_linker(&mut linker);
    linker
        .instantiate_pre(&compiled(components::GUEST))
        .unwrap()
});

fn add_to_linker(linker: &mut Linker<Inside<Tenant>>) {
    Layer::add_to_linker(linker, |inside| &mut inside.extra).unwrap();
}

/// An instance of the test component.
struct Running {
    store: Store<Inside<Tenant>>,
    instance: Instance,
}

impl Running {
    fn new(guest: Tenant) -> Running {
        let mut store = Surroundings::default().store_with(guest);
        let instance = GUEST.instantiate(&mut store).unwrap();
        Running { store, instance }
    }

    /// Starts an instance for a tenant.
    fn of(layer: &Layer, tenant: &str) -> Running {
        Running::new(layer.tenant(tenant).unwrap())
    }

    /// Starts an instance for a tenant and opens its cache `cache`.
    fn opened(layer: &Layer, tenant: &str) -> Running {
        let mut guest = Running::of(layer, tenant);
        guest.open("cache").unwrap();
        guest
    }

    /// Calls an exported function; an error is a trap.
    fn call<P, R>(&mut self, name: &str, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let function = self.instance.get_typed_func(&mut self.store, name)?;
        function.call(&mut self.store, params)
    }

    /// Calls an exported function that does not trap.
    fn ask<P, R>(&mut self, name: &str, params: P) -> R
    where
        P: ComponentNamedList + Lower,
        (R,): ComponentNamedList + Lift + 'static,
    {
        let (answer,): (R,) = self.call(name, params).unwrap();
        answer
    }

    fn open(&mut self, cache: &str) -> Result<(), String> {
        self.open_with(cache, None)
    }

    fn open_with(&mut self, cache: &str, capacity: Option<u64>) -> Result<(), String> {
        self.ask("open", (cache, capacity))
    }

    fn close(&mut self, cache: &str) {
        self.call::<_, ()>("close", (cache,)).unwrap();
    }

    fn set(&mut self, cache: &str, key: &str, value: &str) {
        let value = value.as_bytes();
        self.call::<_, ()>("set", (cache, key, value)).unwrap();
    }

    fn set_many(&mut self, cache: &str, entries: u32, bytes: u32) {
        let params = (cache, entries, bytes);
        self.call::<_, ()>("set-many", params).unwrap();
    }

    fn get(&mut self, cache: &str, key: &str) -> Option<String> {
        let value: Option<Vec<u8>> = self.ask("get", (cache, key));
        value.map(|value| String::from_utf8(value).unwrap())
    }

    fn flush(&mut self, cache: &str) -> Result<(), String> {
        self.ask("flush", (cache,))
    }

    /// The number of entries, their bytes, and the backend's error.
    fn metrics(&mut self, cache: &str) -> (u64, u64, Option<String>) {
        self.ask("metrics", (cache,))
    }

    fn work(&mut self, owner: &str) -> Result<u32, String> {
        self.ask("work", ("pages", owner, 50_u32))
    }
}

#[test]
fn many_guests_in_parallel_share_what_is_their_tenants_and_see_nothing_else() {
    let disk = Layered::default();
    // Threads of several tenants at once, each with one short-lived instance after the other.
    thread::scope(|scope| {
        for thread in 0..8 {
            let (layer, tenant) = (&disk.layer, TENANTS[thread % TENANTS.len()]);
            scope.spawn(move || {
                for _ in 0..40 {
                    Running::of(layer, tenant).work(tenant).unwrap();
                }
            });
        }
    });
    // Their entries are there for the next instance, and for the next process.
    for layer in [&disk.layer, &Layer::new(disk.backend.clone()).unwrap()] {
        for tenant in TENANTS {
            assert_eq!(Running::of(layer, tenant).work(tenant), Ok(50));
            let stored = disk.stored(&format!("{tenant}+pages"));
            assert_eq!(stored.len(), 100, "{tenant}: {stored:?}");
        }
    }
}

#[test]
fn what_one_tenant_does_to_a_cache_happens_to_nobody_elses() {
    let disk = Layered::default();
    let [mut one, mut two] = ["one", "two"].map(|tenant| Running::opened(&disk.layer, tenant));
    for (guest, value) in [(&mut one, "1"), (&mut two, "2")] {
        guest.set("cache", "key", value);
        guest.set("cache", value, "");
    }
    let own = disk.open("cache");
    own.set("key", "host", None);
    assert_eq!(one.get("cache", "key").unwrap(), "1");
    assert_eq!(two.get("cache", "2").unwrap(), "");
    assert_eq!(two.get("cache", "1"), None);
    let mut keys: Vec<String> = one.ask("keys", ("cache",));
    keys.sort();
    assert_eq!(keys, ["1", "key"]);
    // Each has its own options.
    one.open_with("cache", Some(1)).unwrap();
    assert_eq!(one.metrics("cache"), (1, 4, None));
    assert_eq!(two.metrics("cache"), (2, 5, None));
    let cleared: Result<(), String> = two.ask("clear", ("cache",));
    cleared.unwrap();
    assert_eq!((two.metrics("cache").0, one.metrics("cache").0), (0, 1));
    assert_eq!(own.get("key").unwrap(), b"host");
}

#[test]
fn a_cache_stays_warm_between_guests_and_is_flushed_when_the_last_is_gone() {
    let disk = Layered::default();
    let mut guest = Running::opened(&disk.layer, "tenant");
    guest.set("cache", "key", "value");
    assert!(disk.stored("tenant+cache").is_empty());
    drop(guest);
    assert_eq!(disk.stored("tenant+cache").len(), 1);

    // The next instance finds it in memory, and does not load the stored entries.
    disk.backend.clear("tenant+cache").unwrap();
    let mut guest = Running::opened(&disk.layer, "tenant");
    assert_eq!(guest.get("cache", "key").unwrap(), "value");
    drop(guest);
    // A cache that the program itself opens and drops leaves the memory.
    drop(disk.open("tenant+cache"));
    let mut guest = Running::opened(&disk.layer, "tenant");
    assert_eq!(guest.get("cache", "key"), None);
}

#[test]
fn caches_that_no_guest_has_open_make_room_for_one_another() {
    // All such caches together take a quarter of the memory.
    let large = "x".repeat(2 * MIB as usize - 512);
    for (memory, tenants, value) in [(1 << 30, 65, "value"), (16 << 20, 3, &large)] {
        let disk = Layered::with_memory_limit(memory);
        for n in 0..tenants {
            let tenant = format!("tenant-{n}");
            Running::opened(&disk.layer, &tenant).set("cache", "key", value);
            // A cache that leaves the memory is empty from now on.
            disk.backend.clear(&format!("{tenant}+cache")).unwrap();
        }
        for (n, is_warm) in [(1, true), (tenants - 1, true), (0, false)] {
            let mut guest = Running::opened(&disk.layer, &format!("tenant-{n}"));
            assert_eq!(guest.get("cache", "key").is_some(), is_warm, "{n}");
        }
    }
}

#[test]
fn a_flush_that_failed_is_made_when_the_layer_is_dropped() {
    let disk = Layered::default();
    let mut guest = Running::opened(&disk.layer, "tenant");
    guest.set("cache", "key", "value");
    disk.without_folder(|| drop(guest));
    assert!(disk.stored("tenant+cache").is_empty());
    drop(disk.layer);
    let stored = disk.backend.load("tenant+cache").unwrap();
    assert_eq!(stored.entries.len(), 1);
}

#[test]
fn what_a_guest_leaves_open_is_closed_however_it_ends() {
    let disk = Layered::default();
    for crashes in [false, true] {
        let one = Limits::default().caches(1);
        let guest = || Running::new(disk.layer.tenant("tenant").unwrap().limits(one.clone()));
        let cache = format!("cache {crashes}");
        let mut dying = guest();
        dying.open(&cache).unwrap();
        dying.set(&cache, "key", "value");
        if crashes {
            dying.call::<_, ()>("crash", ()).unwrap_err();
        }
        let mut next = guest();
        let refused = next.open("other").unwrap_err();
        assert!(refused.contains("no more than 1 caches"), "{refused}");
        drop(dying);
        next.open("other").unwrap();
        assert_eq!(disk.stored(&format!("tenant+{cache}")).len(), 1);
    }
}

#[test]
fn a_tenant_has_no_more_than_its_limits_and_others_have_theirs() {
    let disk = Layered::default();
    let limits = Limits::default()
        .caches(2)
        .capacity(100)
        .capacity_bytes(u64::from(MIB));
    let guest = || Running::new(disk.layer.tenant("tenant").unwrap().limits(limits.clone()));
    let (mut one, mut two) = (guest(), guest());
    one.open("a").unwrap();
    two.open("b").unwrap();
    // An open cache may be opened again, but no third one, by either instance.
    two.open("a").unwrap();
    let refused = one.open("c").unwrap_err();
    let expected = "no more than 2 caches may be open";
    assert!(refused.contains(expected), "{refused}");
    Running::of(&disk.layer, "tenant-2").open("c").unwrap();
    two.close("b");
    one.open("c").unwrap();

    one.open_with("a", Some(u64::MAX)).unwrap();
    one.set_many("a", 1000, 1);
    assert_eq!(one.metrics("a").0, 100);
    one.set_many("a", 50, MIB / 10);
    let (entries, bytes, error) = one.metrics("a");
    assert!(entries == 9 && bytes <= u64::from(MIB) && error.is_none());
    one.set("a", "0", &"x".repeat(MIB as usize));
    assert_eq!(one.get("a", "0"), None);

    // A call that asks for more than the limit traps, and takes the host no memory.
    one.set("a", "key", &"x".repeat(MIB as usize / 8));
    let found: u32 = one.ask("get-many", ("a", "key", 8_u32));
    assert_eq!(found, 8);
    let asked = one.call::<_, (u32,)>("get-many", ("a", "key", 9_u32));
    assert!(format!("{:#}", asked.unwrap_err()).contains("get-many of more"));
}

#[test]
fn a_guest_may_hold_no_more_than_so_many_handles() {
    let disk = Layered::default();
    let mut guest = Running::of(&disk.layer, "tenant");
    for _ in 0..1000 {
        guest.open("cache").unwrap();
    }
    let refused = guest.open("cache").unwrap_err();
    assert!(refused.contains("no more than 1000 handles"), "{refused}");
    guest.close("cache");
    guest.open("cache").unwrap();
}

#[test]
fn names_that_break_the_rules_are_refused_in_the_guests_terms() {
    let disk = Layered::default();
    let mut guest = Running::of(&disk.layer, "tenant");
    for name in ["", "../x", "x "] {
        let error = guest.open(name).unwrap_err();
        assert!(error.contains("InvalidName"), "{error}");
        assert!(!error.contains("tenant"), "{error}");
    }
    let error = guest.open(&"x".repeat(194)).unwrap_err();
    let expected = "a cache name has at most 193 bytes here";
    assert!(error.contains(expected), "{error}");
    let unusual = ["postcard", "+", "x+y", "tenant+x", &"x".repeat(193)];
    for name in unusual {
        guest.open(name).unwrap();
        guest.set(name, "key", "value");
    }
    drop(guest);
    let stored = disk.backend.list().unwrap();
    assert_eq!(stored.len(), unusual.len());
    assert!(stored.iter().all(|name| name.starts_with("tenant+")));
}

#[test]
fn a_guest_is_told_the_error_of_the_backend() {
    let disk = Layered::default();
    let mut guest = Running::opened(&disk.layer, "tenant");
    guest.set("cache", "key", "value");
    let error = disk.without_folder(|| guest.flush("cache")).unwrap_err();
    assert!(error.contains("Unavailable"), "{error}");
    assert_eq!(guest.metrics("cache").2, Some(error));
    assert_eq!(guest.get("cache", "key").unwrap(), "value");
    guest.flush("cache").unwrap();
}

#[test]
fn guests_in_asynchronous_stores_are_served_as_well() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let disk = Layered::default();
    let component = GUEST.component();
    let worked = runtime.unwrap().block_on(async {
        let mut linker = Linker::new(component.engine());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        add_to_linker(&mut linker);
        let guest = disk.layer.tenant("tenant").unwrap();
        let mut store = Surroundings::default().store_with(guest);
        let instance = linker.instantiate_async(&mut store, component).await;
        let work = instance
            .unwrap()
            .get_typed_func::<(&str, &str, u32), (Result<u32, String>,)>(&mut store, "work");
        let params = ("cache", "tenant", 100);
        work.unwrap().call_async(&mut store, params).await
    });
    assert_eq!(worked.unwrap(), (Ok(50),));
}

#[test]
fn guests_outlive_an_instance_of_the_layer_that_breaks_down() {
    let disk = Layered::with_memory_limit(16 << 20);
    let mut one = Running::opened(&disk.layer, "one");
    one.set("cache", "flushed", "value");
    one.flush("cache").unwrap();
    one.set("cache", "lost", "value");
    // These limits allow more than the layer has, which the host must not do.
    let hungry = Limits::default().capacity_bytes(u64::MAX);
    let mut two = Running::new(disk.layer.tenant("two").unwrap().limits(hungry));
    two.open("cache").unwrap();
    for n in 0..16 {
        two.set("cache", &n.to_string(), &"x".repeat(MIB as usize));
    }
    let error = one.metrics("cache").2.unwrap();
    let expected = "more memory than 16777216 bytes";
    assert!(error.contains(expected), "{error}");
    assert_eq!(one.get("cache", "flushed").unwrap(), "value");
    assert_eq!(one.get("cache", "lost"), None);
    two.set("cache", "key", "value");
    assert_eq!(two.get("cache", "key").unwrap(), "value");
}
