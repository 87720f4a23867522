//! Cases about instances that are killed in the midst of a call.

use super::{live, seconds};
use crate::contract::{Entry, Error, LiveEntry, entry, put, remove};
use crate::{Feature, Instance, Subject, panics};

const CACHE: &str = "sessions";
/// How long a lock may last, in minutes of the clocks.
const MINUTES: u64 = 60;

type Call = fn(&mut Box<dyn Instance>) -> Result<(), Error>;

/// The calls in whose midst an instance is killed.
fn calls(s: &dyn Subject) -> Vec<(&'static str, Call)> {
    let mut calls: Vec<(&str, Call)> = vec![
        ("load", |backend| backend.load(CACHE).map(drop)),
        ("save", |backend| backend.save(CACHE, &entries())),
        ("clear", |backend| backend.clear(CACHE)),
    ];
    if s.offers(Feature::Updates) {
        calls.push(("apply", |backend| {
            backend.apply(CACHE, &[put("new", "1", None), remove("key:1")])
        }));
    }
    if s.offers(Feature::Bulk) {
        calls.push(("save in batches", |backend| {
            backend.save_in_batches(CACHE, &[entries(), entries()])
        }));
    }
    calls
}

fn entries() -> Vec<Entry> {
    let entries = (0..50).map(|n| entry(format!("key:{n}"), vec![n; 100], None));
    entries.collect()
}

/// Makes a call again while it is `unavailable`. A lock may end by the clocks.
fn at_last<T>(s: &dyn Subject, case: &str, mut call: impl FnMut() -> Result<T, Error>) -> T {
    for _ in 0..MINUTES {
        match call() {
            Err(Error::Unavailable(_)) => s.clock().advance(seconds(60)),
            answer => return answer.unwrap_or_else(|error| panic!("{case}: {error:?}")),
        }
    }
    panic!("{case}: the storage is unavailable for {MINUTES} minutes");
}

/// Each function works in another instance.
fn works(s: &dyn Subject, case: &str) {
    let mut backend = s.open();
    let holds = |backend: &mut Box<dyn Instance>, expected: &[LiveEntry]| {
        let found = at_last(s, case, || backend.load(CACHE));
        assert!(
            found.entries == expected && found.lost == 0,
            "{case}: the load gives {found:?}"
        );
    };
    at_last(s, case, || backend.save(CACHE, &[entry("a", "1", None)]));
    holds(&mut backend, &[live("a", "1", None)]);
    if s.offers(Feature::Updates) {
        let changes = [remove("a"), put("b", "2", None)];
        at_last(s, case, || backend.apply(CACHE, &changes));
        holds(&mut backend, &[live("b", "2", None)]);
    }
    at_last(s, case, || backend.clear(CACHE));
    holds(&mut backend, &[]);
}

/// Whatever call it was killed in, and however far that had come.
pub(crate) fn an_instance_that_is_killed_leaves_no_lock(s: &dyn Subject) {
    for (name, call) in calls(s) {
        let ready = || {
            let saved = s.open().save(CACHE, &entries());
            saved.unwrap_or_else(|error| panic!("a save gives {error:?}"));
        };
        ready();
        call(&mut s.open()).unwrap_or_else(|error| panic!("a {name} gives {error:?}"));
        let (mut step, mut is_killed) = (1, true);
        while is_killed {
            ready();
            let mut backend = s.open_to_be_killed(step);
            // Only a kill ends the call without an answer: it has just given one.
            is_killed = panics::catch(|| call(&mut backend)).is_err();
            drop(backend);
            works(s, &format!("after a kill at step {step} of a {name}"));
            step += step.div_ceil(4);
        }
    }
}
