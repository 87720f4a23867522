//! Histories that one order explains, and histories that none does.

use larder_host_test::history::{Event, Operation, explain};
use larder_host_test::{Durability, Values, Write};

fn one(key: &str, value: &str) -> Values {
    Values::from([(key.to_owned(), value.into())])
}

fn both(a: &str, b: &str) -> Values {
    Values::from([("a".to_owned(), a.into()), ("b".to_owned(), b.into())])
}

fn put(key: &str, value: &str) -> Event {
    Event::Write(Write::Apply(vec![larder_host_test::put(key, value, None)]))
}

fn save(values: Values) -> Event {
    let entries = values.into_iter();
    let entries = entries.map(|(key, value)| larder_host_test::entry(key, value, None));
    Event::Write(Write::Save(entries.collect()))
}

fn at(called: usize, ended: usize, event: Event) -> Operation {
    Operation {
        event,
        called,
        ended,
        returned: true,
    }
}

fn killed(called: usize, ended: usize, event: Event) -> Operation {
    Operation {
        returned: false,
        ..at(called, ended, event)
    }
}

fn full(history: &[Operation]) -> bool {
    explain(Durability::Full, &Values::new(), history).is_some()
}

fn atomic(history: &[Operation]) -> bool {
    explain(Durability::Atomic, &Values::new(), history).is_some()
}

#[test]
fn writes_that_overlap_may_come_in_either_order() {
    let (x, y) = (save(one("a", "x")), save(one("a", "y")));
    for last in ["x", "y"] {
        let last = Event::Load(one("a", last));
        assert!(full(&[
            at(1, 4, x.clone()),
            at(2, 3, y.clone()),
            at(5, 6, last)
        ]));
    }
}

#[test]
fn writes_that_do_not_overlap_come_in_their_order() {
    let history = |last| {
        [
            at(1, 2, save(one("a", "x"))),
            at(3, 4, save(one("a", "y"))),
            at(5, 6, Event::Load(one("a", last))),
        ]
    };
    assert!(full(&history("y")));
    assert!(!full(&history("x")));
}

#[test]
fn a_change_that_returned_cannot_be_missing() {
    let history = |last| {
        [
            at(1, 4, put("a", "x")),
            at(2, 3, put("b", "y")),
            at(5, 6, Event::Load(last)),
        ]
    };
    assert!(full(&history(both("x", "y"))));
    assert!(!full(&history(one("a", "x"))));
    assert!(!full(&history(Values::new())));
}

#[test]
fn a_load_cannot_give_a_mixture() {
    let history = |a, b| {
        [
            at(1, 6, save(both("1", "1"))),
            at(2, 5, save(both("2", "2"))),
            at(3, 4, Event::Load(both(a, b))),
        ]
    };
    assert!(full(&history("2", "2")));
    assert!(!full(&history("1", "2")));
}

#[test]
fn a_load_cannot_give_what_was_not_written_yet() {
    let early = at(1, 2, Event::Load(one("a", "x")));
    assert!(!full(&[early, at(3, 4, save(one("a", "x")))]));
}

#[test]
fn readers_cannot_see_two_writes_in_two_orders() {
    let history = |one_first: [Values; 2], other_first: [Values; 2]| {
        let [a, b] = one_first.map(Event::Load);
        let [c, d] = other_first.map(Event::Load);
        [
            at(1, 20, put("a", "x")),
            at(2, 21, put("b", "y")),
            at(3, 4, a),
            at(5, 6, b),
            at(3, 4, c),
            at(5, 6, d),
        ]
    };
    let a_first = || [one("a", "x"), both("x", "y")];
    let b_first = || [one("b", "y"), both("x", "y")];
    assert!(full(&history(a_first(), a_first())));
    assert!(!full(&history(a_first(), b_first())));
}

#[test]
fn what_was_seen_once_is_not_gone_without_a_write() {
    let history = [
        at(1, 9, put("a", "x")),
        at(2, 3, Event::Load(one("a", "x"))),
        at(4, 5, Event::Load(Values::new())),
    ];
    assert!(!full(&history));
    assert!(!atomic(&history));
}

#[test]
fn a_write_that_was_killed_is_done_or_not_done_and_never_later() {
    let write = || killed(1, 4, save(one("a", "x")));
    assert!(full(&[write(), at(5, 6, Event::Load(one("a", "x")))]));
    assert!(full(&[write(), at(5, 6, Event::Load(Values::new()))]));
    let late = [
        write(),
        at(5, 6, Event::Load(Values::new())),
        at(7, 8, Event::Load(one("a", "x"))),
    ];
    assert!(!full(&late));
}

#[test]
fn a_power_cut_takes_nothing_that_returned_with_full() {
    let history = |left| {
        [
            at(1, 2, put("a", "x")),
            at(3, 4, put("b", "y")),
            at(5, 5, Event::PowerCut),
            at(6, 7, Event::Load(left)),
        ]
    };
    assert!(full(&history(both("x", "y"))));
    assert!(!full(&history(one("a", "x"))));
    assert!(!full(&history(one("b", "y"))));
    assert!(atomic(&history(one("a", "x"))));
    assert!(atomic(&history(Values::new())));
    assert!(!atomic(&history(one("b", "y"))), "no state of the past");
}

#[test]
fn a_power_cut_may_take_back_what_was_seen_and_had_not_returned() {
    let history = |left| {
        [
            killed(1, 5, put("a", "x")),
            at(2, 3, Event::Load(one("a", "x"))),
            at(5, 5, Event::PowerCut),
            at(6, 7, Event::Load(left)),
        ]
    };
    assert!(full(&history(one("a", "x"))));
    assert!(full(&history(Values::new())));
    assert!(!full(&history(one("a", "y"))));
}

#[test]
fn a_power_cut_does_not_change_the_order_that_was_seen() {
    let history = |left| {
        [
            at(1, 4, save(one("a", "x"))),
            at(2, 3, save(one("a", "y"))),
            at(5, 6, Event::Load(one("a", "y"))),
            at(7, 7, Event::PowerCut),
            at(8, 9, Event::Load(one("a", left))),
        ]
    };
    assert!(full(&history("y")));
    assert!(!full(&history("x")));
}

#[test]
fn what_a_power_cut_left_stays() {
    let history = |last| {
        [
            killed(1, 2, put("a", "x")),
            at(2, 2, Event::PowerCut),
            at(3, 4, Event::Load(Values::new())),
            at(5, 6, put("b", "y")),
            at(7, 8, Event::Load(last)),
        ]
    };
    assert!(full(&history(one("b", "y"))));
    assert!(!full(&history(both("x", "y"))));
}

#[test]
fn a_clear_lasts_with_atomic_too() {
    let history = |left| {
        [
            at(1, 2, put("a", "x")),
            at(3, 4, Event::Write(Write::Clear)),
            at(5, 6, put("b", "y")),
            at(7, 7, Event::PowerCut),
            at(8, 9, Event::Load(left)),
        ]
    };
    assert!(atomic(&history(Values::new())));
    assert!(atomic(&history(one("b", "y"))));
    assert!(!atomic(&history(one("a", "x"))));
}
