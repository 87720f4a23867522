//! Many components share one cache layer: those of one tenant its caches, those of several nothing at all.

use std::sync::LazyLock;
use std::{fs, thread};

use larder_host::wasmtime_48::wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p2};
use larder_host::{Backend, Layer, Limits, Options, Tenant};
use larder_host_test::components;
use tempfile::TempDir;
use wasmtime::component::{
    Component, ComponentNamedList, Instance, InstancePre, Lift, Linker, Lower, ResourceTable,
};
use wasmtime::{Engine, Store};

const TENANTS: [&str; 4] = ["a", "a.b", "ab", "tenant-4"];
const MIB: u32 = 1 << 20;

/// What belongs to an instance of the guest.
struct State {
    larder: Tenant,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// The guest, compiled and linked once, as by a server.
static GUEST: LazyLock<InstancePre<State>> = LazyLock::new(|| {
    let engine = Engine::default();
    let component = Component::new(&engine, components::GUEST).unwrap();
    let mut linker = Linker::new(&engine);
    p2::add_to_linker_sync(&mut linker).unwrap();
    Layer::add_to_linker(&mut linker, |state: &mut State| &mut state.larder).unwrap();
    linker.instantiate_pre(&component).unwrap()
});

fn state(larder: Tenant) -> State {
    State {
        larder,
        wasi: WasiCtxBuilder::new().build(),
        table: ResourceTable::new(),
    }
}

/// A running instance.
struct Running {
    store: Store<State>,
    instance: Instance,
}

impl Running {
    fn new(larder: Tenant) -> Running {
        let mut store = Store::new(GUEST.engine(), state(larder));
        let instance = GUEST.instantiate(&mut store).unwrap();
        Running { store, instance }
    }

    fn of(layer: &Layer, tenant: &str) -> Running {
        Running::new(layer.tenant(tenant).unwrap())
    }

    /// Calls what it exports under this name.
    fn try_call<P, R>(&mut self, name: &str, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: Lift + 'static,
        (R,): ComponentNamedList + Lift,
    {
        let function = self
            .instance
            .get_typed_func::<P, (R,)>(&mut self.store, name)?;
        Ok(function.call(&mut self.store, params)?.0)
    }

    fn call<P, R>(&mut self, name: &str, params: P) -> R
    where
        P: ComponentNamedList + Lower,
        R: Lift + 'static,
        (R,): ComponentNamedList + Lift,
    {
        self.try_call(name, params).unwrap()
    }

    /// Calls what gives nothing back.
    fn run<P: ComponentNamedList + Lower>(
        &mut self,
        name: &str,
        params: P,
    ) -> wasmtime::Result<()> {
        let function = self
            .instance
            .get_typed_func::<P, ()>(&mut self.store, name)?;
        function.call(&mut self.store, params)
    }

    fn open(&mut self, cache: &str) -> Result<(), String> {
        self.call("open", (cache, None::<u64>))
    }

    fn set(&mut self, cache: &str, key: &str, value: &str) {
        self.run("set", (cache, key, value.as_bytes())).unwrap();
    }

    fn get(&mut self, cache: &str, key: &str) -> Option<String> {
        let value: Option<Vec<u8>> = self.call("get", (cache, key));
        value.map(|value| String::from_utf8(value).unwrap())
    }

    fn metrics(&mut self, cache: &str) -> (u64, u64, Option<String>) {
        self.call("metrics", (cache,))
    }
}

fn disk() -> (TempDir, Backend) {
    let folder = TempDir::new().unwrap();
    let backend = Backend::disk(folder.path()).unwrap();
    (folder, backend)
}

fn layer() -> (TempDir, Layer) {
    let (folder, backend) = disk();
    (folder, Layer::new(backend).unwrap())
}

#[test]
fn many_guests_in_parallel_share_what_is_their_tenants_and_see_nothing_else() {
    let (_folder, backend) = disk();
    let layer = Layer::new(backend.clone()).unwrap();
    // Threads of several tenants at once, each with one short-lived instance after the other.
    thread::scope(|scope| {
        for thread in 0..8 {
            let (layer, tenant) = (&layer, TENANTS[thread % TENANTS.len()]);
            scope.spawn(move || {
                for _ in 0..40 {
                    let mut guest = Running::of(layer, tenant);
                    let worked: Result<u32, String> = guest.call("work", ("pages", tenant, 50_u32));
                    worked.unwrap();
                }
            });
        }
    });
    // What the others made is there for the next instance, and for the next process.
    for layer in [layer, Layer::new(backend).unwrap()] {
        for tenant in TENANTS {
            let mut guest = Running::of(&layer, tenant);
            let worked: Result<u32, String> = guest.call("work", ("pages", tenant, 50_u32));
            assert_eq!(worked, Ok(50));
            let cache = layer.open(&format!("{tenant}+pages"), &Options::default());
            let keys: Vec<String> = cache.unwrap().keys().collect();
            assert_eq!(keys.len(), 100, "{tenant}: {keys:?}");
        }
    }
}

#[test]
fn what_one_tenant_does_to_a_cache_happens_to_nobody_elses() {
    let (_folder, layer) = layer();
    let (mut one, mut two) = (Running::of(&layer, "one"), Running::of(&layer, "two"));
    for (guest, value) in [(&mut one, "1"), (&mut two, "2")] {
        guest.open("cache").unwrap();
        guest.set("cache", "key", value);
        guest.set("cache", value, "");
    }
    let own = layer.open("cache", &Options::default()).unwrap();
    own.set("key", "host", None);
    assert_eq!(one.get("cache", "key").unwrap(), "1");
    assert_eq!(two.get("cache", "2").unwrap(), "");
    assert_eq!(two.get("cache", "1"), None);
    let mut keys: Vec<String> = one.call("keys", ("cache",));
    keys.sort();
    assert_eq!(keys, ["1", "key"]);
    // The options of one are not those of the other.
    let shrunk: Result<(), String> = one.call("open", ("cache", Some(1_u64)));
    shrunk.unwrap();
    assert_eq!(one.metrics("cache"), (1, 4, None));
    assert_eq!(two.metrics("cache"), (2, 5, None));
    let cleared: Result<(), String> = two.call("clear", ("cache",));
    cleared.unwrap();
    assert_eq!((two.metrics("cache").0, one.metrics("cache").0), (0, 1));
    assert_eq!(own.get("key").unwrap(), b"host");
}

#[test]
fn a_cache_stays_warm_between_guests_and_is_handed_over_when_the_last_is_gone() {
    let (_folder, backend) = disk();
    let layer = Layer::new(backend.clone()).unwrap();
    let mut guest = Running::of(&layer, "tenant");
    guest.open("cache").unwrap();
    guest.set("cache", "key", "value");
    assert!(backend.load("tenant+cache").unwrap().entries.is_empty());
    drop(guest);
    assert_eq!(backend.load("tenant+cache").unwrap().entries.len(), 1);

    // Were it loaded again, it would be empty.
    backend.clear("tenant+cache").unwrap();
    let mut guest = Running::of(&layer, "tenant");
    guest.open("cache").unwrap();
    assert_eq!(guest.get("cache", "key").unwrap(), "value");
    drop(guest);
    // The host lets go of it.
    drop(layer.open("tenant+cache", &Options::default()).unwrap());
    let mut guest = Running::of(&layer, "tenant");
    guest.open("cache").unwrap();
    assert_eq!(guest.get("cache", "key"), None);
}

#[test]
fn caches_that_no_guest_has_open_make_room_for_one_another() {
    let (_folder, backend) = disk();
    let layer = Layer::new(backend.clone()).unwrap();
    let tenants: Vec<String> = (0..65).map(|n| format!("tenant-{n}")).collect();
    for tenant in &tenants {
        let mut guest = Running::of(&layer, tenant);
        guest.open("cache").unwrap();
        guest.set("cache", "key", "value");
        drop(guest);
        backend.clear(&format!("{tenant}+cache")).unwrap();
    }
    for (tenant, is_warm) in [
        (&tenants[1], true),
        (&tenants[64], true),
        (&tenants[0], false),
    ] {
        let mut guest = Running::of(&layer, tenant);
        guest.open("cache").unwrap();
        assert_eq!(guest.get("cache", "key").is_some(), is_warm, "{tenant}");
    }

    // They have a quarter of the memory between them.
    let layer = Layer::with_memory_limit(backend.clone(), 16 << 20).unwrap();
    for tenant in &tenants[..3] {
        let mut guest = Running::of(&layer, tenant);
        guest.open("cache").unwrap();
        guest.set("cache", "key", &"x".repeat(2 * MIB as usize - 512));
        drop(guest);
        backend.clear(&format!("{tenant}+cache")).unwrap();
    }
    for (tenant, is_warm) in [
        (&tenants[2], true),
        (&tenants[1], true),
        (&tenants[0], false),
    ] {
        let mut guest = Running::of(&layer, tenant);
        guest.open("cache").unwrap();
        assert_eq!(guest.get("cache", "key").is_some(), is_warm, "{tenant}");
    }
}

#[test]
fn what_could_not_be_handed_over_is_when_the_layer_is_dropped() {
    let (folder, layer) = layer();
    let mut guest = Running::of(&layer, "tenant");
    guest.open("cache").unwrap();
    guest.set("cache", "key", "value");
    let away = folder.path().with_extension("away");
    fs::rename(folder.path(), &away).unwrap();
    drop(guest);
    fs::rename(&away, folder.path()).unwrap();
    drop(layer);
    let backend = Backend::disk(folder.path()).unwrap();
    assert_eq!(backend.load("tenant+cache").unwrap().entries.len(), 1);
}

#[test]
fn what_a_guest_leaves_open_is_closed_however_it_ends() {
    let (_folder, backend) = disk();
    let layer = Layer::new(backend.clone()).unwrap();
    for crashes in [false, true] {
        let one = Limits::default().caches(1);
        let guest = || layer.tenant("tenant").unwrap().limits(one.clone());
        let cache = format!("cache {crashes}");
        let mut dying = Running::new(guest());
        dying.open(&cache).unwrap();
        dying.set(&cache, "key", "value");
        if crashes {
            dying.run("crash", ()).unwrap_err();
        }
        let mut next = Running::new(guest());
        let refused = next.open("other").unwrap_err();
        assert!(refused.contains("no more than 1 caches"), "{refused}");
        drop(dying);
        next.open("other").unwrap();
        let stored = backend.load(&format!("tenant+{cache}")).unwrap();
        assert_eq!(stored.entries.len(), 1);
    }
}

#[test]
fn a_tenant_has_no_more_than_its_limits_and_others_have_theirs() {
    let (_folder, layer) = layer();
    let limits = Limits::default()
        .caches(2)
        .capacity(100)
        .capacity_bytes(u64::from(MIB));
    let guest = || layer.tenant("tenant").unwrap().limits(limits.clone());
    let (mut one, mut two) = (Running::new(guest()), Running::new(guest()));
    one.open("a").unwrap();
    two.open("b").unwrap();
    // Not one that is open already, but one more, whichever instance asks.
    two.open("a").unwrap();
    let refused = one.open("c").unwrap_err();
    assert!(
        refused.contains("no more than 2 caches may be open"),
        "{refused}"
    );
    Running::of(&layer, "tenant-2").open("c").unwrap();
    two.run("close", ("b",)).unwrap();
    one.open("c").unwrap();

    let more: Result<(), String> = one.call("open", ("a", Some(u64::MAX)));
    more.unwrap();
    one.run("set-many", ("a", 1000_u32, 1_u32)).unwrap();
    assert_eq!(one.metrics("a").0, 100);
    one.run("set-many", ("a", 50_u32, MIB / 10)).unwrap();
    let (entries, bytes, error) = one.metrics("a");
    assert!(entries == 9 && bytes <= u64::from(MIB) && error.is_none());
    one.set("a", "0", &"x".repeat(MIB as usize));
    assert_eq!(one.get("a", "0"), None);

    // To ask for much takes the host no memory.
    one.set("a", "key", &"x".repeat(MIB as usize / 8));
    let found: u32 = one.call("get-many", ("a", "key", 8_u32));
    assert_eq!(found, 8);
    let asked = one.try_call::<_, u32>("get-many", ("a", "key", 9_u32));
    assert!(format!("{:#}", asked.unwrap_err()).contains("get-many of more"));
}

#[test]
fn a_guest_may_hold_no_more_than_so_many_handles() {
    let (_folder, layer) = layer();
    let mut guest = Running::of(&layer, "tenant");
    for _ in 0..1000 {
        guest.open("cache").unwrap();
    }
    let refused = guest.open("cache").unwrap_err();
    assert!(refused.contains("no more than 1000 handles"), "{refused}");
    guest.run("close", ("cache",)).unwrap();
    guest.open("cache").unwrap();
}

#[test]
fn names_that_break_the_rules_are_refused_in_the_guests_terms() {
    let (folder, layer) = layer();
    let mut guest = Running::of(&layer, "tenant");
    for name in ["", ".x", "../x", "a/b", "x.postcard", "x "] {
        let error = guest.open(name).unwrap_err();
        assert!(
            error.contains("InvalidName") && !error.contains("tenant"),
            "{error}"
        );
    }
    let error = guest.open(&"x".repeat(194)).unwrap_err();
    assert!(
        error.contains("a cache name has at most 193 bytes here"),
        "{error}"
    );
    let unusual = ["postcard", "+", "x+y", "tenant+x", &"x".repeat(193)];
    for name in unusual {
        guest.open(name).unwrap();
        guest.set(name, "key", name);
    }
    for name in unusual {
        assert_eq!(guest.get(name, "key").unwrap(), name);
    }
    drop((guest, layer));
    let stored = Backend::disk(folder.path()).unwrap().list().unwrap();
    assert_eq!(stored.len(), unusual.len());
    assert!(stored.iter().all(|name| name.starts_with("tenant+")));
}

#[test]
fn a_guest_goes_on_while_the_backend_fails_and_hears_of_it() {
    let (folder, layer) = layer();
    let mut guest = Running::of(&layer, "tenant");
    guest.open("cache").unwrap();
    let away = folder.path().with_extension("away");
    fs::rename(folder.path(), &away).unwrap();
    guest.set("cache", "key", "value");
    let flushed: Result<(), String> = guest.call("flush", ("cache",));
    let error = flushed.unwrap_err();
    assert!(error.contains("Unavailable"), "{error}");
    assert_eq!(guest.metrics("cache").2, Some(error));
    assert_eq!(guest.get("cache", "key").unwrap(), "value");
    fs::rename(&away, folder.path()).unwrap();
    let flushed: Result<(), String> = guest.call("flush", ("cache",));
    flushed.unwrap();
}

#[test]
fn guests_outlive_an_instance_of_the_layer_that_breaks_down() {
    let (_folder, backend) = disk();
    let layer = Layer::with_memory_limit(backend, 16 << 20).unwrap();
    let all = Limits::default().capacity_bytes(u64::MAX);
    let hungry = layer.tenant("two").unwrap().limits(all);
    let (mut one, mut two) = (Running::of(&layer, "one"), Running::new(hungry));
    one.open("cache").unwrap();
    one.set("cache", "flushed", "value");
    let flushed: Result<(), String> = one.call("flush", ("cache",));
    flushed.unwrap();
    one.set("cache", "lost", "value");
    // Its limits are more than there is, which is for the host to see to.
    two.open("cache").unwrap();
    for n in 0..16 {
        two.set("cache", &n.to_string(), &"x".repeat(MIB as usize));
    }
    let (_, _, error) = one.metrics("cache");
    let error = error.unwrap();
    assert!(error.contains("more memory than 16777216 bytes"), "{error}");
    assert_eq!(one.get("cache", "flushed").unwrap(), "value");
    assert_eq!(one.get("cache", "lost"), None);
    two.set("cache", "key", "value");
    assert_eq!(two.get("cache", "key").unwrap(), "value");
}

#[test]
fn guests_in_asynchronous_stores_are_served_as_well() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (_folder, layer) = layer();
    let worked = runtime.block_on(async {
        let mut linker = Linker::new(GUEST.engine());
        p2::add_to_linker_async(&mut linker).unwrap();
        Layer::add_to_linker(&mut linker, |state: &mut State| &mut state.larder).unwrap();
        let mut store = Store::new(GUEST.engine(), state(layer.tenant("tenant").unwrap()));
        let component = GUEST.component();
        let instance = linker.instantiate_async(&mut store, component).await;
        let work = instance
            .unwrap()
            .get_typed_func::<(&str, &str, u32), (Result<u32, String>,)>(&mut store, "work");
        let work = work.unwrap();
        work.call_async(&mut store, ("cache", "tenant", 100)).await
    });
    assert_eq!(worked.unwrap(), (Ok(50),));
}
