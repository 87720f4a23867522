//! Whether what happened to a cache can be explained by one order of what was done: linearizability, as Wing and
//! Gong search for it, with Lowe's memory of where the search has been.
//!
//! A power cut is part of a history, and makes that durable linearizability (Izraelevitz and others), with one
//! exception: a reader may see a write that has not returned yet, and the cut may then take it back. So each
//! state of the search is what readers see, and beside it what may be left after a cut:
//!
//! - [`Durability::Full`]: every write that returned is in what is left, in its place in the order. One that had
//!   not returned may be or not, whether somebody saw it or not.
//! - [`Durability::Atomic`]: what is left is the cache as it was at some moment since the last clear that
//!   returned, whole.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use crate::crash::Durability;
use crate::write::{Values, Write, shown};

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A call changed the cache.
    Write(Write),
    /// A load gave this.
    Load(Values),
    /// The power was cut. Whatever had not returned never did.
    PowerCut,
}

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What.
    pub event: Event,
    /// When it was called.
    pub called: usize,
    /// When it returned, or was killed.
    pub ended: usize,
    /// It returned. Of what was killed it is not known whether it was done.
    pub returned: bool,
}

impl Operation {
    /// One that took no time.
    pub fn at_once(event: Event, time: usize) -> Operation {
        Operation {
            event,
            called: time,
            ended: time,
            returned: true,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.returned { "" } else { " (killed)" };
        write!(f, "{:>4} to {:>4}{end} ", self.called, self.ended)?;
        match &self.event {
            Event::Write(write) => write!(f, "{write}"),
            Event::Load(values) => write!(f, "load gave {}", shown(values)),
            Event::PowerCut => f.write_str("power cut"),
        }
    }
}

/// An order that explains the history of a cache that held `start`, as the places of the operations in it; none
/// where there is none. Writes that were killed may be missing in it.
///
/// # Panics
///
/// Where the history is longer than 64 operations.
pub fn explain(
    durability: Durability,
    start: &Values,
    history: &[Operation],
) -> Option<Vec<usize>> {
    assert!(history.len() <= 64, "a short history");
    let mut search = Search {
        durability,
        history,
        order: Vec::new(),
        dead_ends: HashSet::new(),
    };
    let state = State {
        seen: start.clone(),
        left: BTreeSet::from([start.clone()]),
    };
    search.goes_on(0, &state).then_some(search.order)
}

struct Search<'a> {
    durability: Durability,
    history: &'a [Operation],
    order: Vec<usize>,
    /// Which operations were done, and what the state was then.
    dead_ends: HashSet<(u64, State)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    /// What a load gives.
    seen: Values,
    /// What a load may give after a power cut.
    left: BTreeSet<Values>,
}

impl Search<'_> {
    /// Whether the operations that are not yet `done` can follow.
    fn goes_on(&mut self, done: u64, state: &State) -> bool {
        let mut places = 0..self.history.len();
        if places.all(|place| is_in(done, place) || !self.history[place].returned) {
            return true;
        }
        if self.dead_ends.contains(&(done, state.clone())) {
            return false;
        }
        for place in 0..self.history.len() {
            if is_in(done, place) || !self.may_be_next(done, place) {
                continue;
            }
            self.order.push(place);
            for after in self.after(&self.history[place], state) {
                if self.goes_on(done | 1 << place, &after) {
                    return true;
                }
            }
            self.order.pop();
        }
        self.dead_ends.insert((done, state.clone()));
        false
    }

    /// Real time: what ended before another thing was called comes before it.
    fn may_be_next(&self, done: u64, place: usize) -> bool {
        let operation = &self.history[place];
        let mut others = self.history.iter().enumerate();
        others.all(|(other, event)| {
            if is_in(done, other) {
                event.called < operation.ended
            } else {
                other == place || !event.returned || operation.called < event.ended
            }
        })
    }

    /// The states that there may be after an operation; none where it cannot have been.
    fn after(&self, operation: &Operation, state: &State) -> Vec<State> {
        match &operation.event {
            Event::Load(values) if *values == state.seen => vec![state.clone()],
            Event::Load(_) => Vec::new(),
            Event::Write(write) => vec![self.written(write, operation.returned, state)],
            Event::PowerCut => {
                let left = state.left.iter().cloned();
                let one = |seen: Values| State {
                    left: BTreeSet::from([seen.clone()]),
                    seen,
                };
                left.map(one).collect()
            }
        }
    }

    fn written(&self, write: &Write, returned: bool, state: &State) -> State {
        let seen = write.on(&state.seen);
        let mut left = match self.durability {
            Durability::Full => state.left.iter().map(|left| write.on(left)).collect(),
            Durability::Atomic => BTreeSet::from([seen.clone()]),
        };
        let is_lasting = match self.durability {
            Durability::Full => true,
            // It always syncs, since nothing of what was cleared may come back.
            Durability::Atomic => *write == Write::Clear,
        };
        if !(returned && is_lasting) {
            left.extend(state.left.iter().cloned());
        }
        State { seen, left }
    }
}

fn is_in(done: u64, place: usize) -> bool {
    done & 1 << place != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Values {
        Values::from([(key.to_owned(), value.into())])
    }

    fn both(a: &str, b: &str) -> Values {
        Values::from([("a".to_owned(), a.into()), ("b".to_owned(), b.into())])
    }

    fn put(key: &str, value: &str) -> Event {
        Event::Write(Write::Apply(vec![crate::put(key, value, None)]))
    }

    fn save(values: Values) -> Event {
        let entries = values.into_iter();
        let entries = entries.map(|(key, value)| crate::entry(key, value, None));
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
}
