//! Several instances, threads and processes on one cache: their changes happen in some order,
//! readers see whole versions, and no change is undone that returned.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{env, thread};

use larder_host_test::{
    Call, Entry, Error, Instance, Subject, UNCOMPACTED, Values, When, condition, entry, put,
    remove, values,
};

use crate::{CACHE, again};

/// Tells a process that it is the child of a test, and its role.
const ROLE: &str = "LARDER_TEST_ROLE";
const FOLDER: &str = "LARDER_TEST_FOLDER";

fn load(backend: &mut Instance) -> Values {
    load_once(backend).unwrap()
}

fn load_once(backend: &mut Instance) -> Result<Values, Error> {
    backend.load(CACHE).map(values)
}

/// Entries that all have the same stamp as their value, in several blocks.
fn stamped(stamp: &str) -> Vec<Entry> {
    (0..20)
        .map(|n| entry(format!("key {n}"), stamp.repeat(1000), None))
        .collect()
}

/// The one stamp of all entries that are stored.
fn stamp_of(values: &Values) -> &[u8] {
    assert_eq!(values.len(), 20, "all of one save");
    let mut stamps = values.values();
    let stamp = stamps.next().expect("20 values");
    assert!(stamps.all(|other| other == stamp), "of one save");
    stamp
}

fn save_stamped(backend: &mut Instance, writer: usize) {
    for n in 0..25 {
        let entries = stamped(&format!("{writer}-{n};"));
        backend.save(CACHE, &entries).unwrap();
    }
}

fn apply_distinct(backend: &mut Instance, writer: usize) {
    for n in 0..40 {
        let key = format!("writer {writer} change {n}");
        backend.apply(CACHE, &[put(key, "1", None)]).unwrap();
    }
}

/// The cache has every change of these many writers.
fn assert_no_change_is_lost(values: &Values, writers: usize) {
    let missing: Vec<String> = (0..writers)
        .flat_map(|writer| (0..40).map(move |n| format!("writer {writer} change {n}")))
        .filter(|key| !values.contains_key(key))
        .collect();
    assert_eq!(missing, [""; 0]);
    assert_eq!(values.len(), writers * 40);
}

fn subjects() -> [Subject; 2] {
    ["full", "atomic"].map(|durability| Subject::disk().env("LARDER_DURABILITY", durability))
}

#[test]
fn readers_see_one_whole_save_while_threads_are_saving() {
    for s in subjects() {
        s.open().save(CACHE, &stamped("first;")).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    let s = &s;
                    scope.spawn(move || save_stamped(&mut s.open(), writer))
                })
                .collect();
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut backend = s.open();
                    while !done.load(Ordering::Relaxed) {
                        stamp_of(&load(&mut backend));
                    }
                });
            }
            let outcomes: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
            done.store(true, Ordering::Relaxed);
            assert!(outcomes.iter().all(Result::is_ok), "every save works");
        });
        let left = load(&mut s.open());
        let last = ["0-24;", "1-24;", "2-24;"].map(|stamp| stamp.repeat(1000).into_bytes());
        assert!(
            last.contains(&stamp_of(&left).to_vec()),
            "the last save of a writer counts"
        );
    }
}

/// The other change comes right before the changes are published.
#[test]
fn a_condition_that_another_breaks_meanwhile_does_not_hold() {
    for s in subjects() {
        let (mut mine, mut other) = (s.open(), s.open());
        mine.save(CACHE, &[entry("a", "1", None)]).unwrap();
        let change = move || other.apply(CACHE, &[put("a", "2", None)]).unwrap();
        mine.faults().before(When::call(Call::Link).nth(1), change);
        let conditions = [condition("a", Some(b"1"))];
        let unmet = mine.apply_if(CACHE, &conditions, &[put("a", "3", None)]);
        assert_eq!(unmet.unwrap(), [0]);
        assert_eq!(load(&mut s.open())["a"], b"2");
    }
}

#[test]
fn no_apply_that_returned_is_lost_among_threads() {
    for s in subjects() {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let s = &s;
                    scope.spawn(move || apply_distinct(&mut s.open(), writer))
                })
                .collect();
            scope.spawn(|| {
                let mut backend = s.open();
                let mut seen = Values::new();
                while !done.load(Ordering::Relaxed) {
                    let found = load(&mut backend);
                    let gone = seen.keys().find(|key| !found.contains_key(*key));
                    assert_eq!(gone, None, "what was there once stays");
                    seen = found;
                }
            });
            let outcomes: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
            done.store(true, Ordering::Relaxed);
            assert!(outcomes.iter().all(Result::is_ok), "every apply works");
        });
        assert_no_change_is_lost(&load(&mut s.open()), 4);
    }
}

#[test]
fn a_clear_among_threads_lets_no_older_change_come_back() {
    for s in subjects() {
        thread::scope(|scope| {
            for writer in 0..3 {
                let s = &s;
                scope.spawn(move || {
                    let mut backend = s.open();
                    for n in 0..40 {
                        let change = [put(format!("writer {writer}"), n.to_string(), None)];
                        backend.apply(CACHE, &change).unwrap();
                        // The thread finds its own key as it left it, or cleared since.
                        let found = load(&mut backend);
                        let value = found.get(&format!("writer {writer}"));
                        assert!(value.is_none_or(|value| *value == n.to_string().into_bytes()));
                    }
                });
            }
            scope.spawn(|| {
                let mut backend = s.open();
                for _ in 0..40 {
                    backend.clear(CACHE).unwrap();
                }
            });
        });
        s.open().clear(CACHE).unwrap();
        assert_eq!(load(&mut s.open()), Values::new());
    }
}

/// The deeds of an instance while another instance is between two of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Save,
    /// So many saves that superseded files are removed.
    SaveOften,
    Apply,
    /// So many changes that they are compacted.
    ApplyOften,
    /// So much that each change is compacted into a snapshot at once.
    ApplyMuch,
    Clear,
    ClearAndSave,
}

const DEEDS: [Deed; 7] = [
    Deed::Save,
    Deed::SaveOften,
    Deed::Apply,
    Deed::ApplyOften,
    Deed::ApplyMuch,
    Deed::Clear,
    Deed::ClearAndSave,
];

impl Deed {
    /// The steps of the deed: each is one change to the cache.
    fn steps(self, who: &'static str) -> Vec<Step> {
        let save = |n| Step::Save(who, n);
        let apply = |n| Step::Apply(who, n, 1);
        match self {
            Deed::Save => vec![save(0)],
            Deed::SaveOften => (0..12).map(save).collect(),
            Deed::Apply => vec![apply(0)],
            Deed::ApplyOften => (0..18).map(apply).collect(),
            Deed::ApplyMuch => (0..2).map(|n| Step::Apply(who, n, 70_000)).collect(),
            Deed::Clear => vec![Step::Clear],
            Deed::ClearAndSave => vec![Step::Clear, save(0)],
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Save(&'static str, usize),
    /// Whether one of the keys is in two batches.
    SaveInBatches(&'static str, bool),
    /// With a value of this length.
    Apply(&'static str, usize, usize),
    Clear,
}

impl Step {
    fn run(self, backend: &mut Instance) -> Result<(), Error> {
        match self {
            Step::Save(who, n) => {
                let value = format!("saved {n}");
                let entries = [
                    entry(who, value.as_str(), None),
                    entry("shared", value, None),
                ];
                backend.save(CACHE, &entries)
            }
            Step::SaveInBatches(who, twice) => {
                let mut batches = vec![
                    vec![entry(who, "saved in batches", None)],
                    vec![entry("shared", "saved in batches", None)],
                ];
                if twice {
                    batches.insert(0, vec![entry("shared", "replaced", None)]);
                }
                backend.save_in_batches(CACHE, &batches)
            }
            Step::Apply(who, n, length) => {
                let key = format!("{who} {n}");
                let changes = [
                    put(key, vec![b'v'; length], None),
                    put("shared", who, None),
                    remove("first 0"),
                ];
                backend.apply(CACHE, &changes)
            }
            Step::Clear => backend.clear(CACHE),
        }
    }

    /// Makes the same change to a map.
    fn model(self, values: &mut Values) {
        match self {
            Step::Save(who, n) => {
                let value = format!("saved {n}").into_bytes();
                values.clear();
                values.insert(who.into(), value.clone());
                values.insert("shared".into(), value);
            }
            Step::SaveInBatches(who, _) => {
                let value = b"saved in batches";
                values.clear();
                values.insert(who.into(), value.into());
                values.insert("shared".into(), value.into());
            }
            Step::Apply(who, n, length) => {
                values.insert(format!("{who} {n}"), vec![b'v'; length]);
                values.insert("shared".into(), who.into());
                values.remove("first 0");
            }
            Step::Clear => values.clear(),
        }
    }
}

fn after(mut values: Values, steps: &[Step]) -> Values {
    for step in steps {
        step.model(&mut values);
    }
    values
}

/// The cache at the start of a test: a snapshot, and this many changes with values of this length.
fn begun(changes: usize, length: usize) -> (Subject, Values) {
    let s = Subject::disk();
    let mut backend = s.open();
    let first = Step::Save("first", 0);
    first.run(&mut backend).unwrap();
    let mut begun = after(Values::new(), &[first]);
    for n in 0..changes {
        let step = Step::Apply("first", n, length);
        step.run(&mut backend).unwrap();
        step.model(&mut begun);
    }
    (s, begun)
}

/// How the steps of a deed come between the calls of an operation.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// All steps come before one call.
    AtOnce,
    /// One step comes before each call, from some call on.
    OneByOne,
}

/// Lets `b` do these steps before the nth call of `a` and after it. Gives the number of steps done.
fn interrupt(
    a: &Instance,
    nth: u64,
    mut b: Instance,
    pace: Pace,
    steps: Vec<Step>,
) -> Arc<AtomicUsize> {
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    let length = steps.len();
    let mut rest = steps.into_iter();
    let mut next = move || {
        let step = rest.next().expect("no more is asked for");
        step.run(&mut b).expect("nothing is in the way of b");
        count.fetch_add(1, Ordering::Relaxed);
    };
    // A listing is read as a whole when it begins. Calls between its entries change nothing.
    let when = |nth| When::any().except(Call::NextEntry).nth(nth);
    match pace {
        Pace::AtOnce => {
            a.faults()
                .before(when(nth), move || (0..length).for_each(|_| next()));
        }
        Pace::OneByOne => {
            let next = Arc::new(Mutex::new(next));
            for nth in (nth..).take(length) {
                let next = Arc::clone(&next);
                a.faults().before(when(nth), move || {
                    let mut next = next.lock().expect("no step panicked before");
                    next();
                });
            }
        }
    }
    done
}

/// Tries every way in which a deed can come between the calls of an operation, on a cache with so
/// many changes of such a length. The operation runs; then its result is checked against the steps
/// that ran in its midst.
fn interrupt_everywhere<T>(
    changes: &[(usize, usize)],
    operation: impl Fn(&mut Instance) -> Result<T, Error>,
    is_right: impl Fn(&Values, &[Step], T, Values) -> bool,
) {
    for (changes, length) in changes {
        let (template, begun) = begun(*changes, *length);
        for (deed, pace) in DEEDS
            .into_iter()
            .flat_map(|deed| [Pace::AtOnce, Pace::OneByOne].map(|pace| (deed, pace)))
        {
            let steps = deed.steps("b");
            if steps.len() == 1 && matches!(pace, Pace::OneByOne) {
                continue;
            }
            for nth in 1.. {
                let s = template.copy();
                let mut a = s.open();
                let done = interrupt(&a, nth, s.open(), pace, steps.clone());
                let outcome = operation(&mut a);
                if a.faults().fired() == 0 {
                    assert!(nth > 2, "calls are made");
                    break;
                }
                let case = format!("{deed:?} {pace:?} with {changes} changes:\n{}", a.faults());
                let outcome = outcome.unwrap_or_else(|error| panic!("{error:?}: {case}"));
                let found = load(&mut s.open());
                let done = &steps[..done.load(Ordering::Relaxed)];
                let shown = format!("{:?}: {case}", found.keys());
                assert!(is_right(&begun, done, outcome, found), "{shown}");
            }
        }
    }
}

/// Between any two file system calls of an operation, another instance may do anything. It looks as
/// if the operation happened at once, at some moment in between; and the operation does not fail.
fn write_is_atomic(write: Step, changes: &[(usize, usize)]) {
    interrupt_everywhere(
        changes,
        |a| write.run(a),
        |begun, theirs, (), found| {
            (0..=theirs.len()).any(|at| {
                let before = after(begun.clone(), &theirs[..at]);
                found == after(after(before, &[write]), &theirs[at..])
            })
        },
    );
}

/// With the second number, the next change is compacted with them.
const CHANGES: [(usize, usize); 2] = [(0, 1), (UNCOMPACTED, 1)];

#[test]
fn whatever_comes_between_two_calls_of_a_save_comes_before_or_after_it() {
    write_is_atomic(Step::Save("a", 0), &CHANGES);
}

#[test]
fn whatever_comes_between_two_calls_of_a_save_in_batches_comes_before_or_after_it() {
    for twice in [false, true] {
        write_is_atomic(Step::SaveInBatches("a", twice), &[(0, 1)]);
    }
}

#[test]
fn whatever_comes_between_two_calls_of_an_apply_comes_before_or_after_it() {
    write_is_atomic(Step::Apply("a", 0, 1), &CHANGES);
}

#[test]
fn whatever_comes_between_two_calls_of_a_clear_comes_before_or_after_it() {
    write_is_atomic(Step::Clear, &CHANGES);
}

#[test]
fn whatever_comes_between_two_calls_of_a_load_it_gives_one_version() {
    interrupt_everywhere(
        &[(0, 1), (3, 1), (UNCOMPACTED, 1)],
        load_once,
        |begun, theirs, loaded, _| {
            (0..=theirs.len()).any(|at| loaded == after(begun.clone(), &theirs[..at]))
        },
    );
}

#[test]
fn whatever_comes_between_two_calls_of_a_reader_it_gives_one_version() {
    let read = |a: &mut Instance| a.load_in_batches(CACHE).map(values);
    // Opening a reader reads small files as a whole. A change of this length is read by `next`.
    let changes = [(3, 1), (1, 70_000)];
    interrupt_everywhere(&changes, read, |begun, theirs, loaded, _| {
        (0..=theirs.len()).any(|at| loaded == after(begun.clone(), &theirs[..at]))
    });
}

#[test]
fn a_save_that_lost_its_version_to_others_takes_a_later_one() {
    let (s, _) = begun(0, 1);
    let (mut a, mut b) = (s.open(), s.open());
    a.faults().before(When::call(Call::Link).nth(1), move || {
        for n in 0..3 {
            Step::Save("b", n).run(&mut b).unwrap();
        }
    });
    Step::Save("a", 0).run(&mut a).unwrap();
    assert_eq!(a.faults().fired(), 1);
    let links = a.faults().calls();
    let links = links.iter().filter(|made| made.call == Call::Link).count();
    assert!(links > 1, "{}", a.faults());
    let expected = after(Values::new(), &[Step::Save("a", 0)]);
    assert_eq!(load(&mut s.open()), expected);
}

#[test]
fn a_write_whose_temporary_was_removed_starts_over() {
    for step in [
        Step::Save("a", 0),
        Step::SaveInBatches("a", false),
        Step::SaveInBatches("a", true),
        Step::Apply("a", 0, 1),
    ] {
        let (s, _) = begun(0, 1);
        let (mut a, mut b) = (s.open(), s.open());
        // A clear removes the temporaries of all others.
        a.faults().before(When::call(Call::Link).nth(1), move || {
            b.clear(CACHE).unwrap();
        });
        step.run(&mut a).unwrap();
        assert_eq!(a.faults().fired(), 1);
        let expected = after(Values::new(), &[step]);
        assert_eq!(load(&mut s.open()), expected);
    }
}

#[test]
fn a_load_whose_files_were_superseded_looks_again() {
    let (s, _) = begun(3, 1);
    for nth in 1..=4 {
        let (mut a, mut b) = (s.open(), s.open());
        let versions = When::call(Call::Open).ending(".larder");
        a.faults().before(versions.nth(nth), move || {
            Step::Save("b", 0).run(&mut b).unwrap();
            Step::Apply("b", 1, 1).run(&mut b).unwrap();
            Step::Apply("b", 2, 1).run(&mut b).unwrap();
            Step::Apply("b", 3, 1).run(&mut b).unwrap();
        });
        let found = load(&mut a);
        assert_eq!(a.faults().fired(), 1);
        let steps = [
            Step::Save("b", 0),
            Step::Apply("b", 1, 1),
            Step::Apply("b", 2, 1),
            Step::Apply("b", 3, 1),
        ];
        assert_eq!(found, after(Values::new(), &steps), "{}", a.faults());
    }
}

/// Starts a process that runs only this test, in a role.
fn child(test: &str, role: &str, folder: &Path) -> Child {
    again::command(&[], test)
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test can be run again")
}

/// Where this process is a child: its role in the test, and the storage.
fn role() -> Option<(String, Subject)> {
    let role = env::var(ROLE).ok()?;
    let folder = env::var_os(FOLDER).expect("a child is told its folder");
    Some((role, Subject::disk().on(folder)))
}

fn wait_for(test: &str, children: Vec<Child>) {
    let outputs: Vec<_> = children
        .into_iter()
        .map(|child| child.wait_with_output().expect("a child can be waited for"))
        .collect();
    for output in &outputs {
        again::assert_passed(test, output);
    }
}

#[test]
fn no_apply_that_returned_is_lost_among_processes() {
    if let Some((writer, s)) = role() {
        return apply_distinct(&mut s.open(), writer.parse().unwrap());
    }
    let s = Subject::disk();
    let test = "concurrency::no_apply_that_returned_is_lost_among_processes";
    let children = (0..3).map(|writer| child(test, &writer.to_string(), s.folder()));
    wait_for(test, children.collect());
    assert_no_change_is_lost(&load(&mut s.open()), 3);
}

#[test]
fn readers_see_one_whole_save_while_processes_are_saving() {
    if let Some((role, s)) = role() {
        let mut backend = s.open();
        match role.parse() {
            Ok(writer) => save_stamped(&mut backend, writer),
            Err(_) => {
                for _ in 0..200 {
                    stamp_of(&load(&mut backend));
                }
            }
        }
        return;
    }
    let s = Subject::disk();
    s.open().save(CACHE, &stamped("first;")).unwrap();
    let test = "concurrency::readers_see_one_whole_save_while_processes_are_saving";
    let children = ["0", "1", "reader"].map(|role| child(test, role, s.folder()));
    wait_for(test, children.into());
    let left = load(&mut s.open());
    let last = ["0-24;", "1-24;"].map(|stamp| stamp.repeat(1000).into_bytes());
    assert!(last.contains(&stamp_of(&left).to_vec()));
}
