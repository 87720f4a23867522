//! The caches that a race begins with.

use crate::history::{Event, Operation};
use crate::world::CACHE;
use crate::{
    Call, Entry, ErrorCode, SimDisk, Subject, UNCOMPACTED, Values, When, Write, entry, legacy, put,
};

use super::plan::KEYS;

/// A disk with a cache that has a past.
pub(super) struct Past {
    pub(super) disk: SimDisk,
    /// The contents of the cache at first.
    pub(super) start: Values,
    pub(super) history: Vec<Operation>,
}

/// The pasts after which operations work in different ways.
pub(super) fn pasts(subject: &Subject) -> Vec<Past> {
    let mut pasts = vec![
        Past::of(subject, &[]),
        Past::of(subject, &[first()]),
        Past::of(subject, &[first(), Write::Clear]),
        Past::legacy(subject),
        Past::superseded(subject, 7),
        Past::superseded(subject, 9),
    ];
    // One of the next changes compacts the changes before it.
    pasts.extend(
        [UNCOMPACTED - 2, UNCOMPACTED - 1, UNCOMPACTED, UNCOMPACTED].map(|changes| {
            let change = |n| Write::Apply(vec![put(KEYS[0], format!("past {n}"), None)]);
            let writes: Vec<Write> = [first()]
                .into_iter()
                .chain((0..changes).map(change))
                .collect();
            Past::of(subject, &writes)
        }),
    );
    pasts
}

impl Past {
    fn new() -> Past {
        Past {
            disk: SimDisk::new(0),
            start: Values::new(),
            history: Vec::new(),
        }
    }

    fn of(subject: &Subject, writes: &[Write]) -> Past {
        let mut past = Past::new();
        past.write(subject, writes, None);
        past
    }

    /// A cache from before the store's own format.
    fn legacy(subject: &Subject) -> Past {
        let mut past = Past::new();
        legacy::put(&past.disk, CACHE, &entries());
        past.start = first().on(&Values::new());
        past.write(subject, &[], None);
        past
    }

    /// Superseded snapshots that are to be removed, this many, and the newest one.
    fn superseded(subject: &Subject, count: usize) -> Past {
        let mut past = Past::new();
        let removal = When::call(Call::Unlink).ending(".larder");
        past.write(subject, &vec![first(); count + 1], Some(removal));
        past
    }

    fn write(&mut self, subject: &Subject, writes: &[Write], failing: Option<When>) {
        let mut instance = subject.on_simulated(&self.disk).open();
        if let Some(calls) = failing {
            instance.faults().fail(calls, ErrorCode::Busy);
        }
        for write in writes {
            let outcome = instance.write(CACHE, write);
            let outcome = outcome.expect("nobody kills it");
            outcome.expect("a failed removal does not fail a save");
            let event = Event::Write(write.clone());
            let time = self.history.len() + 1;
            self.history.push(Operation::at_once(event, time));
        }
    }
}

fn first() -> Write {
    Write::Save(entries())
}

fn entries() -> Vec<Entry> {
    KEYS.map(|key| entry(key, "first", None)).into()
}
