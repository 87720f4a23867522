//! The faults that a test plans for an instance's calls to its file system, and the record of these
//! calls.
//!
//! `faulty_filesystem` asks [`Faults`] about each call before a file system does the work.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use wasmtime_wasi::p2::{FsError, FsResult};

use crate::call::{Call, ErrorCode, Killed, Made, When};
use crate::schedule::Turn;
use crate::{Error, SimDisk};

/// The most calls that one operation may make. An operation that makes more is trapped: it loops.
const CALLS_AT_MOST: usize = 200_000;

/// The faults of one instance's file system, and a record of the calls that it gets.
///
/// There are no faults at first. Clones are the same faults.
#[derive(Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
    /// The simulated disk, and the instance's number in the run of that disk.
    run: Option<(SimDisk, usize)>,
}

#[derive(Default)]
struct Plan {
    faults: Vec<Fault>,
    fired: u64,
    /// The paths of the open descriptors and directory streams, by handle.
    paths: HashMap<u32, String>,
    calls: Vec<Made>,
    turn: Option<Turn>,
}

struct Fault {
    when: When,
    seen: u64,
    effect: Effect,
}

enum Effect {
    Fail(ErrorCode),
    /// Reads and writes do half of their work.
    Short,
    /// The instance is stopped.
    Kill,
    /// Runs once, and is taken out then.
    Before(Option<Box<dyn FnOnce() + Send>>),
}

impl Faults {
    /// For a new instance on a simulated disk, whose run records the calls too.
    pub(crate) fn on(disk: &SimDisk) -> Faults {
        Faults {
            run: Some((disk.clone(), disk.next_instance())),
            ..Faults::default()
        }
    }

    /// Fails these calls with this code, before they do anything.
    pub fn fail(&self, when: When, code: ErrorCode) {
        self.add(when, Effect::Fail(code));
    }

    /// Makes these reads and writes do half of their work, and report that.
    ///
    /// Other calls, and reads and writes of a single byte, work as always.
    pub fn shorten(&self, when: When) {
        self.add(when, Effect::Short);
    }

    /// Runs an action right before the first of these calls.
    pub fn before(&self, when: When, action: impl FnOnce() + Send + 'static) {
        self.add(when, Effect::Before(Some(Box::new(action))));
    }

    /// Stops the instance right before the first of these calls, as if its process was killed.
    pub fn kill(&self, when: When) {
        self.add(when, Effect::Kill);
    }

    /// Makes every later call wait for this instance's turn.
    pub(crate) fn take_turns(&self, turn: Turn) {
        self.plan().turn = Some(turn);
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.plan().faults.clear();
    }

    /// How many calls a fault has changed so far.
    pub fn fired(&self) -> u64 {
        self.plan().fired
    }

    /// The calls of the instance's last operation, in order.
    pub fn calls(&self) -> Vec<Made> {
        self.plan().calls.clone()
    }

    /// Starts the record of an operation; the record of the last one goes.
    pub(crate) fn start_record(&self, operation: &str, cache: &str) {
        self.plan().calls.clear();
        self.note(|| format!("{operation} {cache:?}"));
    }

    /// Records that an operation returned.
    pub(crate) fn end_record(&self, operation: &str, error: Option<&Error>) {
        self.note(|| match error {
            Some(error) => format!("{operation} failed: {error:?}"),
            None => format!("{operation} returned"),
        });
    }

    /// Adds a line to the run of the simulated disk, if there is one.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        if let Some((disk, instance)) = &self.run {
            disk.run().operation(*instance, what());
        }
    }

    fn add(&self, when: When, effect: Effect) {
        self.plan().faults.push(Fault {
            when,
            seen: 0,
            effect,
        });
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan
            .lock()
            .expect("no test panics while it plans faults")
    }

    /// Applies the faults to a call that is about to be made. Gives whether it is to be cut short.
    pub(crate) fn pass(&self, call: Call, path: &str) -> FsResult<bool> {
        let turn = self.plan().turn.clone();
        let dead = turn.is_some_and(|turn| turn.wait(call.changes_names()).is_err());
        let mut plan = self.plan();
        if plan.calls.len() >= CALLS_AT_MOST {
            return Err(FsError::trap(wasmtime::Error::msg(
                "one operation made so many file system calls that it must be in a loop",
            )));
        }
        let (mut failure, mut short, mut killed, mut action) = (None, false, dead, None);
        for fault in &mut plan.faults {
            if !fault.when.fits(call, path) {
                continue;
            }
            fault.seen += 1;
            if !fault.when.counts(fault.seen) {
                continue;
            }
            match &mut fault.effect {
                Effect::Fail(code) => failure = Some(*code),
                Effect::Short => short = matches!(call, Call::Read | Call::Write),
                Effect::Kill => killed = true,
                Effect::Before(planned) => action = planned.take().or(action),
            }
        }
        let fault = match (&failure, &action) {
            _ if killed => Some("killed"),
            (Some(code), _) => Some(code.name()),
            _ if short => Some("cut short"),
            (_, Some(_)) => Some("overtaken"),
            _ => None,
        };
        plan.fired += u64::from(fault.is_some());
        let path = path.to_owned();
        plan.calls.push(Made { call, path, fault });
        // Other instances may use this file system in the action.
        drop(plan);
        if let Some(action) = action {
            action();
        }
        match failure {
            _ if killed => Err(FsError::trap(Killed)),
            Some(code) => Err(code.into()),
            None => Ok(short),
        }
    }

    /// Adds the outcome of a call to the run of the simulated disk, if there is one.
    pub(crate) fn record<T>(&self, call: Call, path: String, outcome: &FsResult<T>) {
        let Some((disk, instance)) = &self.run else {
            return;
        };
        let outcome = match outcome {
            Ok(_) => "done",
            Err(error) => error.downcast_ref().map_or("stopped", ErrorCode::name),
        };
        disk.run().call(*instance, call, path, outcome);
    }

    /// The path of an open descriptor or directory stream, with a path below it added.
    ///
    /// The path of the preopened folder is empty.
    pub(crate) fn path(&self, handle: u32, below: Option<&str>) -> String {
        let plan = self.plan();
        let path = plan.paths.get(&handle).map_or("", String::as_str);
        match below {
            Some(below) if path.is_empty() => below.to_owned(),
            Some(below) => format!("{path}/{below}"),
            None => path.to_owned(),
        }
    }

    /// Records the path of a descriptor or directory stream that was opened.
    pub(crate) fn opened(&self, handle: u32, path: String) {
        self.plan().paths.insert(handle, path);
    }

    /// Forgets the path of a descriptor or directory stream.
    pub(crate) fn closed(&self, handle: u32) {
        self.plan().paths.remove(&handle);
    }
}

/// The calls of the last operation, a line each. On a simulated disk, the whole run.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((disk, _)) = &self.run {
            return disk.run().fmt(f);
        }
        let plan = self.plan();
        for (n, made) in (1..).zip(&plan.calls) {
            let fault = made.fault.unwrap_or("done");
            writeln!(f, "{n:>4} {:?} {:?} {fault}", made.call, made.path)?;
        }
        Ok(())
    }
}
