//! Lets several instances take turns: at each call to the host, a seed chooses the next instance.
//!
//! Each instance has a thread, but only the thread whose turn it is runs. So one seed always gives
//! the same interleaving. Between two calls, an instance may be killed, the power may be cut, or
//! time may pass.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use crate::strategy::Strategy;
use crate::{Killed, SimDisk};

/// An event between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incident {
    /// The instance that has the turn is killed instead of making its call.
    Kill,
    /// All instances are killed.
    PowerCut,
    /// Time passes on all clocks.
    Wait(Duration),
}

/// The turns of several instances. Clones are the same schedule.
#[derive(Clone)]
pub(crate) struct Schedule(Arc<Shared>);

struct Shared {
    disk: SimDisk,
    state: Mutex<State>,
    /// Wakes an instance when its turn has come; by instance.
    turns: Vec<Condvar>,
}

struct State {
    random: Xoshiro256PlusPlus,
    strategy: Strategy,
    incidents: BTreeMap<usize, Incident>,
    turn: Option<usize>,
    is_killed: Vec<bool>,
    has_ended: Vec<bool>,
    steps: usize,
}

impl Schedule {
    /// A schedule for this many instances on a disk.
    pub(crate) fn new(
        disk: &SimDisk,
        seed: u64,
        instances: usize,
        incidents: BTreeMap<usize, Incident>,
    ) -> Schedule {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let strategy = Strategy::random(&mut random, instances);
        disk.run()
            .note(format!("{instances} at once, {strategy:?}"));
        Schedule(Arc::new(Shared {
            disk: disk.clone(),
            turns: (0..instances).map(|_| Condvar::new()).collect(),
            state: Mutex::new(State {
                random,
                strategy,
                incidents,
                turn: None,
                is_killed: vec![false; instances],
                has_ended: vec![false; instances],
                steps: 0,
            }),
        }))
    }

    /// Runs a program for each instance until all have ended, and gives their results.
    ///
    /// A panic in one program does not stop the others.
    pub(crate) fn run<T: Send>(
        &self,
        programs: Vec<impl FnOnce(Turn) -> T + Send>,
    ) -> Vec<Result<T, Box<dyn Any + Send>>> {
        thread::scope(|scope| {
            let start = |(instance, program): (usize, _)| {
                let turn = Turn {
                    schedule: self.clone(),
                    instance,
                };
                scope.spawn(move || turn.run(program))
            };
            let threads: Vec<_> = programs.into_iter().enumerate().map(start).collect();
            self.next(self.state());
            threads.into_iter().map(|thread| thread.join()).collect()
        })
    }

    /// The time, in steps. Each question is a step too.
    pub(crate) fn now(&self) -> usize {
        let mut state = self.state();
        state.steps += 1;
        state.steps
    }

    /// Gives the turn to the instance that the strategy chooses.
    fn next(&self, mut state: MutexGuard<'_, State>) {
        state.steps += 1;
        let instances = 0..self.0.turns.len();
        let live: Vec<usize> = instances.filter(|at| !state.has_ended[*at]).collect();
        if live.is_empty() {
            return;
        }
        let State {
            random, strategy, ..
        } = &mut *state;
        let chosen = strategy.choose(random, &live);
        state.turn = Some(chosen);
        let step = state.steps;
        // An incident that was due when an instance asked for the time happens at the next call.
        while let Some(due) = state
            .incidents
            .first_entry()
            .filter(|due| *due.key() <= step)
        {
            let incident = due.remove();
            match incident {
                Incident::Kill => state.is_killed[chosen] = true,
                Incident::PowerCut => state.is_killed.fill(true),
                Incident::Wait(time) => self.0.disk.clock().advance(time),
            }
            self.0.disk.run().note(format!("{incident:?}"));
        }
        self.0.turns[chosen].notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic while it is changed")
    }
}

/// The turns of one instance: it waits for its turn before each call.
#[derive(Clone)]
pub(crate) struct Turn {
    schedule: Schedule,
    instance: usize,
}

impl Turn {
    /// Waits until this instance may make a call. `is_change`: the call changes names.
    pub(crate) fn wait(&self, is_change: bool) -> Result<(), Killed> {
        let mut state = self.schedule.state();
        state.strategy.before(self.instance, is_change);
        self.schedule.next(state);
        self.came()
    }

    /// The time, in steps.
    pub(crate) fn now(&self) -> usize {
        self.schedule.now()
    }

    fn run<T>(self, program: impl FnOnce(Turn) -> T) -> T {
        let _end = End(self.clone());
        // An instance that is killed here learns of it at its first call.
        let _ = self.came();
        program(self)
    }

    fn came(&self) -> Result<(), Killed> {
        let state = self.schedule.state();
        let turn = &self.schedule.0.turns[self.instance];
        let state = turn.wait_while(state, |state| state.turn != Some(self.instance));
        match state.expect("no panic while it is changed").is_killed[self.instance] {
            true => Err(Killed),
            false => Ok(()),
        }
    }
}

/// Passes on the turn for good when a program ends or panics.
struct End(Turn);

impl Drop for End {
    fn drop(&mut self) {
        let schedule = &self.0.schedule;
        let mut state = schedule.state();
        state.has_ended[self.0.instance] = true;
        schedule.next(state);
    }
}
