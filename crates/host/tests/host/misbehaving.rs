//! Components that misbehave in every way: each is an error of the call that it answers, and harms
//! nothing else.

use std::thread;
use std::time::{Duration, Instant};

use larder_host::{Backend, Builder, Entry, Error, ErrorKind};

use crate::texts::{MISBEHAVING, assert_unharmed, misbehaving, text};

/// Short enough to wait for, and longer than any honest call takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(1);
const MIB: usize = 1 << 20;

/// Replaces a text that is there once.
fn replaced(from: &str, to: &str) -> String {
    assert_eq!(MISBEHAVING.matches(from).count(), 1, "{from}");
    MISBEHAVING.replace(from, to)
}

/// The component, which does this first when it has to load the cache `nonsense`.
fn doing(body: &str) -> Backend {
    let first = "(if (i32.eq (local.get $letter) (i32.const 0x74";
    let nonsense = "(if (i32.eq (local.get $letter) (i32.const 0x6e))";
    let text = text(&replaced(
        first,
        &format!("{nonsense} (then {body}))\n{first}"),
    ));
    text.memory_limit(8 * MIB).build().unwrap()
}

/// The component, whose allocator does this first when it is asked for 777 bytes.
fn allocating(body: &str) -> Builder {
    let first = "(local $at i32)";
    let asked = "(if (i32.eq (local.get $size) (i32.const 777))";
    text(&replaced(first, &format!("{first} {asked} (then {body}))")))
}

/// Makes a call in which the component misbehaves: it fails, and harms neither this backend nor
/// another.
#[track_caller]
fn harmless<T>(backend: &Backend, misbehave: impl Fn(&Backend) -> Result<T, Error>) -> ErrorKind {
    let Err(error) = misbehave(backend) else {
        panic!("it did not misbehave");
    };
    assert_unharmed(backend);
    error.kind().clone()
}

#[track_caller]
fn assert_trapped(kind: &ErrorKind, saying: &str) {
    let is_right = matches!(kind, ErrorKind::Trapped(how) if how.contains(saying));
    assert!(is_right, "no {saying:?} in {kind:?}");
}

/// An answer with one entry has `ok` at 1024, the list at 1032, and `lost` at 1040. The entry is at
/// 1056: first the key, then the value at 1064 and the deadline at 1072.
#[test]
fn every_kind_of_nonsense_is_an_error() {
    for (nonsense, saying) in [
        // A list of as many entries as a number can say.
        (
            "(i32.store (i32.const 1036) (i32.const -1)) (return (i32.const 1024))",
            "bounds",
        ),
        // A list that ends beyond the end of the memory.
        (
            "(i32.store (i32.const 1032) (i32.const 65504)) (i32.store (i32.const 1036) (i32.const 2)) (return (i32.const 1024))",
            "bounds",
        ),
        (
            "(i32.store (i32.const 1032) (i32.const 1057)) (return (i32.const 1024))",
            "aligned",
        ),
        // A key that is no UTF-8, that is nowhere, or that is as long as can be.
        (
            "(i32.store (i32.const 1056) (i32.const 536)) (i32.store (i32.const 1060) (i32.const 1)) (return (i32.const 1024))",
            "utf-8",
        ),
        (
            "(i32.store (i32.const 1056) (i32.const -1)) (i32.store (i32.const 1060) (i32.const 1)) (return (i32.const 1024))",
            "bounds",
        ),
        (
            "(i32.store (i32.const 1060) (i32.const -1)) (return (i32.const 1024))",
            "bounds",
        ),
        (
            "(i32.store (i32.const 1068) (i32.const -1)) (return (i32.const 1024))",
            "bounds",
        ),
        // Neither a deadline nor none; neither a result nor an error; an error that does not exist.
        (
            "(i32.store8 (i32.const 1072) (i32.const 2)) (return (i32.const 1024))",
            "discriminant",
        ),
        (
            "(i32.store8 (i32.const 1024) (i32.const 2)) (return (i32.const 1024))",
            "discriminant",
        ),
        (
            "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1032) (i32.const 9)) (return (i32.const 1024))",
            "discriminant",
        ),
        // The answer itself is nowhere.
        ("(return (i32.const -8))", "bounds"),
        ("(return (i32.const 1025))", "aligned"),
    ] {
        let backend = doing(&format!(
            "(drop (call $one-until (i64.const 0))) {nonsense}"
        ));
        assert_trapped(
            &harmless(&backend, |backend| backend.load("nonsense")),
            saying,
        );
    }
}

/// Many entries that all lie in one place: little for the component, much for the host.
#[test]
fn an_answer_is_held_to_the_memory_limit_however_it_is_folded() {
    let values = "(drop (memory.grow (i32.const 32))) (drop (call $empty))
        (i32.store (i32.const 1032) (i32.const 65536)) (i32.store (i32.const 1036) (i32.const 1000))
        (loop $more
          (i32.store (i32.add (i32.const 65544) (i32.mul (local.get $n) (i32.const 32))) (i32.const 131072))
          (i32.store (i32.add (i32.const 65548) (i32.mul (local.get $n) (i32.const 32))) (i32.const 1048576))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $n) (i32.const 1000))))
        (return (i32.const 1024))";
    let kind = harmless(&doing(values), |backend| backend.load("nonsense"));
    assert!(matches!(kind, ErrorKind::Trapped(_)), "{kind:?}");
}

/// Entries with a key of 8 bytes and no value: 40 bytes each for the component, 72 for the host.
#[test]
fn an_answer_within_the_memory_limit_is_taken_however_small_its_entries_are() {
    let entries = "(drop (memory.grow (i32.const 112))) (drop (call $empty))
        (i32.store (i32.const 1032) (i32.const 65536)) (i32.store (i32.const 1036) (i32.const 170000))
        (loop $more
          (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $n) (i32.const 32)))
            (i32.add (i32.const 5505536) (i32.mul (local.get $n) (i32.const 8))))
          (i32.store (i32.add (i32.const 65540) (i32.mul (local.get $n) (i32.const 32))) (i32.const 8))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $n) (i32.const 170000))))
        (return (i32.const 1024))";
    let contents = doing(entries).load("nonsense").unwrap();
    assert_eq!(contents.entries.len(), 170_000);
    assert!(contents.entries.iter().all(|entry| entry.key.len() == 8));
}

#[test]
fn what_is_unlikely_but_allowed_is_given_as_it_is() {
    let backend = doing(
        "(drop (call $one-until (i64.const 0))) (i64.store (i32.const 1040) (i64.const -1))
         (return (i32.const 1024))",
    );
    let contents = backend.load("nonsense").unwrap();
    assert_eq!(contents.lost, u64::MAX);
    let deadline = contents.entries[0].expires_at.unwrap();
    assert!(deadline <= Instant::now());

    // One key comes twice: the component decides which entry counts.
    let backend = doing(
        "(drop (call $one-until (i64.const -1))) (i32.store (i32.const 1036) (i32.const 2))
         (return (i32.const 1024))",
    );
    assert_eq!(backend.load("nonsense").unwrap().entries.len(), 2);
}

#[test]
fn an_allocator_that_fails_or_gives_nonsense_is_an_error() {
    let name = "g".repeat(777);
    for (body, saying) in [
        ("unreachable", "unreachable"),
        ("(return (i32.const -8))", "beyond end of memory"),
        ("(return (i32.const 65535))", "beyond end of memory"),
    ] {
        let backend = allocating(body).build().unwrap();
        let kind = harmless(&backend, |backend| backend.load(&name));
        assert_trapped(&kind, saying);
    }
    let looping = allocating("(loop $more (br $more))");
    let backend = looping.time_limit(LIMIT).build().unwrap();
    let kind = harmless(&backend, |backend| backend.load(&name));
    assert_eq!(kind, ErrorKind::TimedOut(LIMIT));
}

#[test]
fn a_component_that_traps_after_its_answer_gives_an_error() {
    let backend = misbehaving().build().unwrap();
    let kind = harmless(&backend, |backend| backend.load("kept trap"));
    assert_trapped(&kind, "unreachable");
}

#[test]
fn a_component_that_exits_gives_an_error() {
    let backend = misbehaving().build().unwrap();
    let kind = harmless(&backend, |backend| backend.load("x"));
    assert_trapped(&kind, "exit");
}

#[test]
fn a_component_that_grows_a_table_without_end_is_stopped_at_the_memory_limit() {
    let backend = misbehaving().memory_limit(8 * MIB).build().unwrap();
    let kind = harmless(&backend, |backend| backend.load("bigger"));
    assert_eq!(kind, ErrorKind::OutOfMemory(8 * MIB));
}

#[test]
fn a_component_that_creates_resources_without_end_gives_an_error() {
    let backend = misbehaving().build().unwrap();
    let kind = harmless(&backend, |backend| backend.load("create"));
    assert!(matches!(kind, ErrorKind::Trapped(_)), "{kind:?}");
}

#[test]
fn a_component_that_writes_without_end_gives_an_error() {
    let backend = misbehaving().time_limit(LIMIT).build().unwrap();
    let kind = harmless(&backend, |backend| backend.load("write"));
    let is_right = matches!(kind, ErrorKind::TimedOut(_) | ErrorKind::Trapped(_));
    assert!(is_right, "{kind:?}");
}

#[test]
fn a_component_that_traps_at_every_second_call_answers_the_others() {
    let backend = misbehaving().build().unwrap();
    for round in 0..5 {
        backend
            .load("2")
            .unwrap_or_else(|error| panic!("{round}: {error}"));
        let kind = harmless(&backend, |backend| backend.load("2"));
        assert_trapped(&kind, "unreachable");
    }
}

#[test]
fn calls_that_go_wrong_leave_those_beside_them_alone() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Backend::disk(folder.path()).unwrap();
    let backend = misbehaving().memory_limit(8 * MIB).build().unwrap();
    thread::scope(|scope| {
        for wrong in [
            "trap",
            "recurse",
            "memory",
            "discriminant",
            "bigger",
            "x",
            "kept trap",
            "create",
        ] {
            let backend = &backend;
            scope.spawn(move || {
                for _ in 0..5 {
                    backend.load(wrong).unwrap_err();
                }
            });
        }
        for thread in 0..4 {
            let (backend, disk) = (&backend, &disk);
            scope.spawn(move || {
                let cache = format!("cache {thread}");
                for round in 0..20_u8 {
                    backend.load("good").unwrap();
                    disk.save(&cache, [Entry::new("key", [round])]).unwrap();
                    assert_eq!(disk.load(&cache).unwrap().entries[0].value, [round]);
                }
            });
        }
    });
}
