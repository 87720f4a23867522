//! Backends do what the program that embeds them asks, and no component takes the program down.

use std::net::TcpListener;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use larder_host::{Backend, Builder, Change, Entry, Error, ErrorKind};
use tokio::runtime;

use crate::texts::{CONNECTING, MISBEHAVING, assert_unharmed, misbehaving, text};

/// Short enough to wait for, and longer than any honest call takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Loads a cache that makes the component misbehave, which harms neither this backend nor another.
fn misbehave(backend: &Backend, cache: &str) -> Error {
    let error = backend.load(cache).unwrap_err();
    assert_eq!((error.operation(), error.cache()), ("load", Some(cache)));
    assert_unharmed(backend);
    error
}

fn trap(cache: &str) -> String {
    let error = misbehave(&misbehaving().build().unwrap(), cache);
    match error.kind() {
        ErrorKind::Trapped(how) => how.clone(),
        _ => panic!("{error}"),
    }
}

fn why_bad(builder: Builder) -> String {
    let error = builder.build().unwrap_err();
    assert_eq!(error.operation(), "component");
    match error.kind() {
        ErrorKind::BadComponent(why) => why.clone(),
        _ => panic!("{error}"),
    }
}

#[test]
fn a_component_that_traps_gives_an_error_with_what_it_last_wrote() {
    let how = trap("trap");
    assert!(how.contains("unreachable"), "{how}");
    assert!(how.ends_with("it wrote: first line | second line"), "{how}");
}

#[test]
fn a_component_that_recurses_without_end_gives_an_error() {
    let how = trap("recurse");
    assert!(how.contains("call stack exhausted"), "{how}");
}

#[test]
fn a_component_that_recurses_does_not_overflow_a_small_stack_of_the_host() {
    let small = thread::Builder::new().stack_size(128 * 1024);
    let backend = misbehaving().build().unwrap();
    let how = small.spawn(move || backend.load("recurse").unwrap_err());
    let how = how.unwrap().join().unwrap().to_string();
    assert!(how.contains("call stack exhausted"), "{how}");
}

#[test]
fn a_component_that_answers_nonsense_gives_an_error() {
    let how = trap("discriminant");
    assert!(how.contains("discriminant"), "{how}");
    let how = trap("pointer");
    assert!(how.contains("bounds"), "{how}");
    let how = trap("utf-8");
    assert!(how.contains("utf-8"), "{how}");
}

#[test]
fn a_component_that_computes_without_end_is_stopped_at_the_limit() {
    let backend = misbehaving().time_limit(LIMIT).build().unwrap();
    let start = Instant::now();
    let error = misbehave(&backend, "loop");
    assert_eq!(*error.kind(), ErrorKind::TimedOut(LIMIT));
    assert!(start.elapsed() >= LIMIT);
}

#[test]
fn a_component_that_sleeps_in_the_host_is_stopped_at_the_limit() {
    let backend = misbehaving().time_limit(LIMIT).build().unwrap();
    let start = Instant::now();
    let error = misbehave(&backend, "sleep");
    assert_eq!(*error.kind(), ErrorKind::TimedOut(LIMIT));
    assert!(start.elapsed() >= LIMIT);
}

#[test]
fn a_call_that_is_stopped_leaves_those_beside_it_alone() {
    let brief = misbehaving().time_limit(LIMIT).build().unwrap();
    let patient = misbehaving().time_limit(2 * LIMIT).build().unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| brief.load("loop").unwrap_err());
        let error = patient.load("loop").unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::TimedOut(2 * LIMIT));
    });
    assert!(start.elapsed() >= 2 * LIMIT);
}

#[test]
fn no_time_limit_at_all_is_one_that_may_be_set() {
    let backend = misbehaving().time_limit(Duration::MAX).build().unwrap();
    backend.load("good").unwrap();
}

#[test]
fn a_component_that_takes_memory_without_end_is_stopped_at_the_limit() {
    let backend = misbehaving().memory_limit(8 << 20).build().unwrap();
    let error = misbehave(&backend, "memory");
    assert_eq!(*error.kind(), ErrorKind::OutOfMemory(8 << 20));
}

#[test]
fn a_component_that_begins_with_more_memory_than_the_limit_is_not_built() {
    let error = misbehaving().memory_limit(1000).build().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::OutOfMemory(1000));
}

#[test]
fn a_save_beyond_the_memory_limit_is_refused_with_its_size() {
    let backend = misbehaving().memory_limit(1 << 20).build().unwrap();
    let value = vec![0; 1 << 20];
    let error = backend
        .save("cache", [Entry::new("key", value)])
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge(size) if *size > 1 << 20));
    backend.save("cache", [] as [Entry; 0]).unwrap();
}

#[test]
fn a_component_that_traps_as_it_starts_is_not_built() {
    let start = "(func (export \"save\")";
    let wrong = MISBEHAVING.replace(
        start,
        &format!("(func $start unreachable) (start $start) {start}"),
    );
    let error = text(&wrong).build().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trapped(_)), "{error}");
}

#[test]
fn what_is_no_component_is_not_built() {
    let core_module = wat::parse_str("(module)").unwrap();
    for (bytes, why) in [
        (&b""[..], "is not WebAssembly"),
        (b"not a component", "is not WebAssembly"),
        (&core_module, "is not a component"),
    ] {
        assert_eq!(why_bad(Backend::component_bytes(bytes)), why);
    }
    let cut = &wat::parse_str(MISBEHAVING).unwrap()[..1000];
    why_bad(Backend::component_bytes(cut));
}

#[test]
fn a_component_without_the_contract_is_not_built() {
    assert_eq!(
        why_bad(text("(component)")),
        "does not export larder:cache/cache-backend@0.1.0"
    );
    let why = why_bad(text(
        &MISBEHAVING.replace("(export \"save\" (func $save))", ""),
    ));
    assert!(why.contains("save"), "{why}");
    let why = why_bad(text(&MISBEHAVING.replace("\"ttl\"", "\"lifetime\"")));
    assert!(why.contains("lifetime"), "{why}");
}

#[test]
fn half_of_an_optional_interface_is_not_taken_for_none() {
    let contract = "(export \"larder:cache/cache-backend@0.1.0\" (instance $exports))";
    let updates = "\"larder:cache/cache-updates@0.1.0\"";
    for apply in ["", "(export \"apply\" (func $clear))"] {
        let interface =
            format!("{contract} (instance $half {apply}) (export {updates} (instance $half))");
        let why = why_bad(text(&MISBEHAVING.replace(contract, &interface)));
        let start = "exports larder:cache/cache-updates@0.1.0, but not as in the contract: ";
        assert!(why.starts_with(start), "{why}");
    }
}

#[test]
fn a_file_that_is_too_large_to_be_compiled_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.wasm");
    std::fs::write(&path, b"\0asm\x0d\0\x01\0").unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let why = why_bad(Backend::component(&path).unwrap());
    assert_eq!(why, "is larger than 67108864 bytes");
}

#[test]
fn a_component_that_imports_what_is_not_there_is_not_built() {
    let why = why_bad(text(
        &MISBEHAVING.replace("wasi:clocks/monotonic-clock@0.2.0", "other:world/time"),
    ));
    assert!(why.contains("other:world/time"), "{why}");
}

#[test]
fn a_file_that_is_no_component_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.wasm");
    let error = Backend::component(&path).unwrap_err().to_string();
    let start = format!("component {}: ", path.display());
    assert!(
        error.starts_with(&format!("{start}cannot be read")),
        "{error}"
    );

    std::fs::write(&path, wat::parse_str("(component)").unwrap()).unwrap();
    let error = Backend::component(&path).unwrap().build().unwrap_err();
    let expected = format!("{start}does not export larder:cache/cache-backend@0.1.0");
    assert_eq!(error.to_string(), expected);

    std::fs::write(&path, larder_components::DISK).unwrap();
    let backend = Backend::component(&path).unwrap();
    let backend = backend.preopen(folder.path(), "/").build().unwrap();
    backend.save("cache", [Entry::new("key", "value")]).unwrap();
    assert_eq!(backend.list().unwrap(), ["cache"]);
}

#[test]
fn a_missing_interface_is_named() {
    let backend = misbehaving().build().unwrap();
    let missing = |error: Error| match error.kind() {
        ErrorKind::MissingInterface(name) => *name,
        _ => panic!("{error}"),
    };
    let updates = "larder:cache/cache-updates@0.1.0";
    let inspect = "larder:cache/cache-inspect@0.1.0";
    let change = [Change::Remove("key".into())];
    assert_eq!(missing(backend.apply("a", change).unwrap_err()), updates);
    assert_eq!(missing(backend.list().unwrap_err()), inspect);
    assert_eq!(missing(backend.stat("a").unwrap_err()), inspect);
    assert_eq!(missing(backend.verify("a").unwrap_err()), inspect);
}

#[test]
fn an_error_tells_the_operation_the_cache_and_the_reason() {
    let backend = misbehaving().build().unwrap();
    let error = backend.load("full \"disk\"\n").unwrap_err();
    let expected = "load of cache \"full \\\"disk\\\"\\n\": no space left";
    assert_eq!(error.to_string(), expected);
    let error = backend.list().unwrap_err().to_string();
    assert!(error.starts_with("list: "), "{error}");
}

#[test]
fn a_deadline_is_an_instant_of_the_host() {
    let backend = misbehaving().build().unwrap();
    for _ in 0..2 {
        let before = Instant::now();
        let contents = backend.load("hour").unwrap();
        let deadline = contents.entries[0].expires_at.unwrap();
        assert!(before + HOUR <= deadline && deadline <= Instant::now() + HOUR);
    }
    let contents = backend.load("eternity").unwrap();
    let years = Duration::from_secs(100 * 365 * 24 * 3600);
    let far = |at| at > Instant::now() + years;
    assert!(contents.entries[0].expires_at.is_none_or(far));
}

#[test]
fn the_deadlines_of_the_disk_backend_are_instants_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Backend::disk(folder.path()).unwrap();
    let entries = [
        Entry::new("hour", "").ttl(HOUR),
        Entry::new("ages", "").ttl(Duration::MAX),
        Entry::new("always", ""),
        Entry::new("never", "").ttl(Duration::ZERO),
    ];
    let before = Instant::now();
    disk.save("cache", &entries).unwrap();
    let mut entries = disk.load("cache").unwrap().entries;
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    let keys: Vec<_> = entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["ages", "always", "hour"]);
    assert_eq!(entries[1].expires_at, None);
    // The wall clock may be set meanwhile, which only ever shortens a ttl.
    let deadline = entries[2].expires_at.unwrap();
    assert!(before < deadline && deadline <= Instant::now() + HOUR);
}

#[test]
fn the_folder_of_the_disk_backend_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some/where");
    let disk = Backend::disk(&path).unwrap();
    disk.save("cache", [Entry::new("key", "value")]).unwrap();
    assert!(path.join("cache").is_dir());

    let other = folder.path().join("other/place");
    let builder = Backend::component_bytes(larder_components::DISK);
    let backend = builder.preopen_or_create(&other, "/").build().unwrap();
    backend.save("cache", [Entry::new("key", "value")]).unwrap();
    assert!(other.join("cache").is_dir());

    let none = folder.path().join("none");
    let builder = Backend::component_bytes("no component");
    builder.preopen_or_create(&none, "/").build().unwrap_err();
    assert!(!none.exists());

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Backend::disk(&file).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Folder(_)), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("disk backend: "), "{text}");
    assert!(text.contains(file.to_str().unwrap()), "{text}");
}

fn is_folder_error(error: &Error, path: &Path) -> bool {
    matches!(error.kind(), ErrorKind::Folder(why) if why.contains(path.to_str().unwrap()))
}

#[test]
fn a_preopened_folder_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing");
    let error = Backend::builtin().preopen(&path, "/").build().unwrap_err();
    assert!(is_folder_error(&error, &path), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_call_uses_the_folder_that_is_there_when_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("caches"), folder.path().join("moved"));
    let disk = Backend::disk(&path).unwrap();
    disk.save("cache", [Entry::new("key", "old")]).unwrap();

    std::fs::rename(&path, &moved).unwrap();
    let error = disk.load("cache").unwrap_err();
    assert!(is_folder_error(&error, &path), "{error}");

    std::fs::create_dir(&path).unwrap();
    assert_eq!(disk.load("cache").unwrap().entries, []);
    disk.save("cache", [Entry::new("key", "new")]).unwrap();
    std::fs::rename(&path, folder.path().join("away")).unwrap();
    std::fs::rename(&moved, &path).unwrap();
    assert_eq!(disk.load("cache").unwrap().entries[0].value, b"old");
}

#[test]
fn the_environment_of_a_component_is_what_was_set() {
    let folder = tempfile::tempdir().unwrap();
    let builder = |durability| {
        Backend::builtin()
            .preopen(folder.path(), "/")
            .env("LARDER_DURABILITY", durability)
    };
    let entry = [Entry::new("key", "value")];
    let wrong = builder("none").build().unwrap();
    let error = wrong.save("cache", &entry).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::InvalidArgument(_)),
        "{error}"
    );
    let right = builder("none").env("LARDER_DURABILITY", "atomic");
    right.build().unwrap().save("cache", &entry).unwrap();
}

#[test]
fn a_component_connects_where_it_is_allowed_and_nowhere_else() {
    let allowed = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let load = |backend: &Backend, listener: &TcpListener| {
        backend.load(&listener.local_addr().unwrap().port().to_string())
    };
    let backend = text(CONNECTING)
        .allow_tcp(allowed.local_addr().unwrap())
        .build()
        .unwrap();
    load(&backend, &allowed).unwrap();
    let error = load(&backend, &other).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AccessDenied);

    let backend = text(CONNECTING).build().unwrap();
    let error = load(&backend, &allowed).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AccessDenied);
}

#[test]
fn threads_share_a_backend() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Backend::disk(folder.path()).unwrap();
    thread::scope(|scope| {
        for thread in 0..20 {
            let disk = &disk;
            scope.spawn(move || {
                let cache = format!("cache {thread:02}");
                for round in 0..5_u8 {
                    disk.save(&cache, [Entry::new("key", [thread, round])])
                        .unwrap();
                    let contents = disk.load(&cache).unwrap();
                    assert_eq!(contents.entries[0].value, [thread, round]);
                }
            });
        }
    });
    assert_eq!(disk.list().unwrap().len(), 20);
}

#[test]
fn calls_can_be_made_from_within_tasks_of_tokio() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Backend::disk(folder.path()).unwrap();
    let sleeper = misbehaving().time_limit(LIMIT).build().unwrap();
    let task = || async {
        disk.save("cache", [Entry::new("key", "value")]).unwrap();
        assert_eq!(disk.load("cache").unwrap().entries.len(), 1);
        // A sleep needs timers of a runtime, and the caller's runtime is busy with this task.
        let error = sleeper.load("sleep").unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::TimedOut(LIMIT));
    };
    // Neither runtime has timers.
    let one = runtime::Builder::new_current_thread().build().unwrap();
    one.block_on(task());
    let many = runtime::Builder::new_multi_thread().build().unwrap();
    many.block_on(task());
}

#[test]
fn a_task_that_used_up_its_budget_can_still_make_calls() {
    let sleeper = misbehaving().time_limit(LIMIT).build().unwrap();
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        while tokio::task::coop::has_budget_remaining() {
            tokio::task::coop::consume_budget().await;
        }
        let error = sleeper.load("sleep").unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::TimedOut(LIMIT));
    });
}

#[test]
fn the_async_twin_makes_the_same_calls() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Backend::disk(folder.path()).unwrap().into_async();
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        disk.save("cache", vec![Entry::new("a", "1")])
            .await
            .unwrap();
        let change = Change::Put(Entry::new("b", "2"));
        disk.apply("cache", vec![change]).await.unwrap();
        assert_eq!(disk.load("cache").await.unwrap().entries.len(), 2);
        assert_eq!(disk.list().await.unwrap(), ["cache"]);
        assert_eq!(disk.stat("cache").await.unwrap().entries, 2);
        assert_eq!(disk.verify("cache").await.unwrap().damage, []);
        disk.clear("cache").await.unwrap();
        assert_eq!(disk.load("cache").await.unwrap().entries, []);
        let error = disk.load("..").await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidName(_)), "{error}");
    });
}

#[test]
fn a_call_on_a_runtime_that_is_gone_is_an_error() {
    let backend = misbehaving().build().unwrap().into_async();
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _inside = handle.enter();
    let call = pin!(backend.load("good"));
    let Poll::Ready(Err(error)) = call.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the call is made");
    };
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
}
