//! Cases about instances that use the same storage at once, each in its own thread.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::contract::{Change, Contents, Entry, Error, entry, put, values};
use crate::panics::spawn;
use crate::{Instance, Subject};

pub(super) const WRITERS: usize = 3;
const READERS: usize = 2;

/// Counts the running writers, also when one panics.
struct Working<'a>(&'a AtomicUsize);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Runs writers that begin at the same time, and readers until the writers have ended.
pub(super) fn at_once(
    s: &dyn Subject,
    write: impl Fn(usize, &mut Box<dyn Instance>) + Sync,
    read: impl Fn(&mut Box<dyn Instance>) + Sync,
) {
    let begin = Barrier::new(WRITERS + READERS);
    let working = AtomicUsize::new(WRITERS);
    // All instances start before the first write: an instance must not rely on its reads of that
    // time.
    let open = || {
        let opened = catch_unwind(AssertUnwindSafe(|| s.open()));
        begin.wait();
        opened.unwrap_or_else(|panic| resume_unwind(panic))
    };
    let write = |writer| {
        let _working = Working(&working);
        write(writer, &mut open());
    };
    let read = || {
        let mut backend = open();
        while working.load(Ordering::Acquire) > 0 {
            read(&mut backend);
        }
    };
    let (write, read) = (&write, &read);
    thread::scope(|scope| {
        let writers = (0..WRITERS).map(|writer| spawn(scope, move || write(writer)));
        let readers = (0..READERS).map(|_| spawn(scope, read));
        let threads: Vec<_> = writers.chain(readers).collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    });
}

/// Makes a call again while it is `unavailable`, up to a thousand times.
pub(super) fn at_last<T>(mut call: impl FnMut() -> Result<T, Error>) -> T {
    for _ in 0..1000 {
        match call() {
            Err(Error::Unavailable(_)) => thread::yield_now(),
            answer => return answer.expect("a call fails while other calls are made"),
        }
    }
    panic!("a call was unavailable a thousand times");
}

/// Makes a version of the cache: its entries have the same value, and one key is its own.
fn version(stamp: &str) -> Vec<Entry> {
    let same = (0..12).map(|n| entry(format!("key:{n}"), stamp.repeat(300), None));
    let own = entry(format!("only of {stamp}"), stamp.repeat(300), None);
    same.chain([own]).collect()
}

/// The stamp of the stored version. All entries must be of that version.
fn stamp(contents: Contents) -> String {
    let values = values(contents);
    let own = values.keys().find_map(|key| key.strip_prefix("only of "));
    let stamp = own.expect("the cache has no version").to_owned();
    let expected = version(&stamp).into_iter();
    let expected: BTreeMap<_, _> = expected.map(|entry| (entry.key, entry.value)).collect();
    assert!(
        values == expected,
        "the cache is not one whole version: {stamp}"
    );
    stamp
}

/// In the end, the cache is the last version of one of the writers.
pub(crate) fn saves_at_once_leave_one_whole_version(s: &dyn Subject) {
    const SAVES: usize = 15;
    let saved = s.open().save("sessions", &version("before"));
    saved.expect("a save without other calls fails");
    let name = |writer: usize, n: usize| format!("{writer}-{n}");
    at_once(
        s,
        |writer, backend| {
            for n in 0..SAVES {
                at_last(|| backend.save("sessions", &version(&name(writer, n))));
            }
        },
        |backend| {
            stamp(at_last(|| backend.load("sessions")));
        },
    );
    let left = stamp(s.open().load("sessions").expect("the load fails"));
    let last: Vec<_> = (0..WRITERS).map(|writer| name(writer, SAVES - 1)).collect();
    assert!(
        last.contains(&left),
        "{left} is not the last version of a writer"
    );
}

/// No apply undoes another that has returned. A load gives both changes of an apply, or none.
pub(crate) fn applies_at_once_all_count(s: &dyn Subject) {
    const APPLIES: usize = 25;
    let counted = |contents: Contents| {
        let values = values(contents);
        let all = (0..WRITERS).flat_map(|writer| (0..APPLIES).map(move |n| (writer, n)));
        let mut count = 0;
        for (writer, n) in all {
            let half = |side| values.get(&format!("{side} of {writer}-{n}"));
            assert_eq!(half("left"), half("right"), "an apply is there in part");
            count += usize::from(half("left").is_some());
        }
        assert_eq!(values.len(), 2 * count, "there are unknown entries");
        count
    };
    at_once(
        s,
        |writer, backend| {
            for n in 0..APPLIES {
                let side =
                    |side: &str| -> Change { put(format!("{side} of {writer}-{n}"), "1", None) };
                let changes = [side("left"), side("right")];
                at_last(|| backend.apply("sessions", &changes));
            }
        },
        |backend| {
            counted(at_last(|| backend.load("sessions")));
        },
    );
    let left = counted(s.open().load("sessions").expect("the load fails"));
    assert_eq!(left, WRITERS * APPLIES, "changes are lost");
}
