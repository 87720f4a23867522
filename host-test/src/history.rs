//! Searches one order of operations that explains a history: linearizability, searched as by Wing
//! and Gong, with Lowe's memory of dead ends.
//!
//! A power cut is part of a history, which makes it durable linearizability (Izraelevitz and
//! others). There is one exception: a reader may see a write that has not returned yet, and a cut
//! may take that write back. So a state of the search has the contents that readers see, and the
//! contents that a cut may leave:
//!
//! - [`Durability::Full`]: a cut leaves every write that returned, in its place in the order. A
//!   write that had not returned may be left or not, whether a reader saw it or not.
//! - [`Durability::Atomic`]: a cut leaves the whole contents of some moment since the last clear
//!   that returned.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use crate::world::Durability;
use crate::write::{Values, Write, shown};

/// An event in the history of a cache.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A call changed the cache.
    Write(Write),
    /// A load gave these contents.
    Load(Values),
    /// A look-up of these keys gave these contents.
    LookUp(&'static [&'static str], Values),
    /// These changes were to be made if a look-up of these keys gave these contents. Also tells
    /// whether they were made, if that is known.
    WriteIf(&'static [&'static str], Values, Write, Option<bool>),
    /// The power was cut. Operations that had not returned never returned.
    PowerCut,
}

/// An event and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The event.
    pub event: Event,
    /// When it was called.
    pub called: usize,
    /// When it returned, or was killed.
    pub ended: usize,
    /// Whether it returned. A killed operation may have been done or not.
    pub returned: bool,
}

impl Operation {
    /// An operation that took no time.
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
            Event::LookUp(keys, values) => write!(f, "look-up of {keys:?} gave {}", shown(values)),
            Event::WriteIf(keys, values, write, made) => {
                let values = shown(values);
                write!(f, "if {keys:?} are {values}: {write}; made: {made:?}")
            }
            Event::PowerCut => f.write_str("power cut"),
        }
    }
}

/// Finds an order that explains the history of a cache whose contents were `start`.
///
/// The order has the places of the operations in `history`. Killed writes may be missing in it.
/// Gives `None` if no order explains the history.
///
/// # Panics
///
/// If the history has more than 64 operations.
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
    /// Sets of operations (as bits), each with the state after them, from which no order goes on.
    dead_ends: HashSet<(u64, State)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    /// The contents that a load gives.
    seen: Values,
    /// The contents that a load may give after a power cut.
    left: BTreeSet<Values>,
}

impl State {
    /// Whether a look-up of these keys gives these contents.
    fn gives(&self, keys: &[&str], values: &Values) -> bool {
        let seen = keys.iter().filter_map(|key| self.seen.get_key_value(*key));
        seen.eq(values)
    }
}

impl Search<'_> {
    /// Whether the operations that are not in `done` can follow this state in some order.
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

    /// Whether real time allows it: an operation that ended before another was called comes first.
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

    /// The states that are possible after an operation; none if the operation is impossible here.
    fn after(&self, operation: &Operation, state: &State) -> Vec<State> {
        match &operation.event {
            Event::Load(values) if *values == state.seen => vec![state.clone()],
            Event::Load(_) => Vec::new(),
            Event::LookUp(keys, values) => match state.gives(keys, values) {
                true => vec![state.clone()],
                false => Vec::new(),
            },
            Event::WriteIf(keys, values, write, made) => match (state.gives(keys, values), made) {
                (true, Some(true) | None) => {
                    vec![self.written(write, operation.returned, state)]
                }
                (false, Some(false) | None) => vec![state.clone()],
                (true, Some(false)) | (false, Some(true)) => Vec::new(),
            },
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
            // A clear always syncs, since cleared entries must not come back.
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
