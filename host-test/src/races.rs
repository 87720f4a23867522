//! Lets several instances use one cache at once, in interleavings that seeds choose.
//!
//! One order of the operations has to explain all observations of the instances. In some races an
//! instance is killed, or the power is cut, and new instances go on with the remaining disk.

mod past;
mod plan;

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};

use crate::history::{Event, Operation, explain};
use crate::schedule::{Schedule, Turn};
use crate::world::{CACHE, Durability, GRACE, check_leftovers, temporaries};
use crate::{
    Contents, Effort, Error, Instance, Killed, SimDisk, Subject, Values, Write, entry, values,
};
use past::{Past, pasts};
use plan::{Action, KEYS, Plan};

/// After a power cut, a race goes on with this many of the disks that the cut may leave.
const IMAGES: u64 = 4;

/// Runs so many races, each with a seed of its own, beginning with the seed of the effort.
///
/// # Panics
///
/// If a call fails, if no order explains the observations, or if files are left over. The text has
/// the run of the disk, and the command that repeats the race.
pub fn races(subject: &Subject, durability: Durability, effort: &Effort, count: usize) -> Tally {
    let subject = subject.clone().env("LARDER_DURABILITY", durability.name());
    let pasts = pasts(&subject);
    let mut tally = Tally::default();
    for seed in (effort.seed..).take(count) {
        if let Err(failure) = race(&subject, durability, &pasts, seed, &mut tally) {
            let effort = Effort {
                seed,
                ..effort.clone()
            };
            panic!("{failure}\nto repeat it: {}", effort.replay());
        }
    }
    tally
}

/// Counts the tries of the races.
#[derive(Debug, Default, PartialEq)]
pub struct Tally {
    races: usize,
    runs: HashSet<u64>,
    operations: usize,
    steps: usize,
    kills: usize,
    images: usize,
}

impl Tally {
    /// How many runs differ in a call or in the place of a call.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            races,
            runs,
            operations,
            steps,
            kills,
            images,
        } = self;
        let runs = runs.len();
        write!(
            f,
            "{races} races, {runs} different runs: {operations} operations in {steps} steps, \
             {kills} changes killed, {images} disks after a power cut"
        )
    }
}

/// Runs a race after one of these pasts. An error names the fault, with the run of the disk.
fn race(
    subject: &Subject,
    durability: Durability,
    pasts: &[Past],
    seed: u64,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let past = &pasts[random.random_range(0..pasts.len())];
    let disk = past.disk.fork_with_seed(random.next_u64());
    let mut race = Race {
        subject: subject.on_simulated(&disk),
        disk,
        durability,
        start: past.start.clone(),
        history: past.history.clone(),
        time: past.history.len(),
        random,
    };
    tally.races += 1;
    let plan = Plan::first(&mut race.random);
    if !plan.has_power_cut() {
        return race
            .run(plan, tally)
            .and_then(|()| race.end(tally))
            .map_err(|why| race.failure(&why));
    }
    race.run(plan, tally).map_err(|why| race.failure(&why))?;
    race.add(Event::PowerCut);
    for disk in race.disk.power_cuts(IMAGES, seed) {
        tally.images += 1;
        let mut race = race.on(disk);
        let plan = Plan::after_power_cut(&mut race.random);
        race.load()
            .and_then(|()| race.run(plan, tally))
            .and_then(|()| race.end(tally))
            .map_err(|why| race.failure(&why))?;
    }
    Ok(())
}

/// Instances that race on a disk.
struct Race {
    disk: SimDisk,
    subject: Subject,
    durability: Durability,
    /// The contents of the cache at first.
    start: Values,
    history: Vec<Operation>,
    time: usize,
    random: Xoshiro256PlusPlus,
}

impl Race {
    /// The race so far, on a disk that the power cut left.
    fn on(&self, disk: SimDisk) -> Race {
        Race {
            subject: self.subject.on_simulated(&disk),
            disk,
            durability: self.durability,
            start: self.start.clone(),
            history: self.history.clone(),
            time: self.time,
            random: self.random.clone(),
        }
    }

    /// Lets instances follow a plan until all of them have ended.
    fn run(&mut self, plan: Plan, tally: &mut Tally) -> Result<(), String> {
        let instances = plan.programs.len();
        let seed = self.random.next_u64();
        let schedule = Schedule::new(&self.disk, seed, instances, plan.incidents);
        let programs = plan.programs.into_iter().map(|program| {
            let mut instance = self.subject.open();
            move |turn| follow(&mut instance, &turn, program)
        });
        let before = temporaries(&self.disk);
        let mut killed = false;
        for followed in schedule.run(programs.collect()) {
            let (history, was_killed) = followed.unwrap_or_else(|panic| Err(text_of(&*panic)))?;
            killed |= was_killed;
            for operation in history {
                tally.operations += 1;
                tally.kills += usize::from(!operation.returned);
                self.history.push(Operation {
                    called: self.time + operation.called,
                    ended: self.time + operation.ended,
                    ..operation
                });
            }
        }
        self.time += schedule.now();
        tally.steps += schedule.now();
        let mut left = temporaries(&self.disk);
        left.retain(|path| !before.contains(path));
        match killed || left.is_empty() {
            true => Ok(()),
            false => Err(format!("all instances have ended, and left {left:?}")),
        }
    }

    /// Checks the contents at the end, and whether an order explains the earlier observations.
    fn end(&mut self, tally: &mut Tally) -> Result<(), String> {
        self.load()?;
        if explain(self.durability, &self.start, &self.history).is_none() {
            let operations = self
                .history
                .iter()
                .map(|operation| format!("{operation}\n"));
            let operations: String = operations.collect();
            return Err(format!(
                "no order of these explains what was seen:\n{operations}"
            ));
        }
        self.check_leftovers()?;
        let mut hasher = DefaultHasher::new();
        self.disk.run().to_string().hash(&mut hasher);
        tally.runs.insert(hasher.finish());
        Ok(())
    }

    fn load(&mut self) -> Result<(), String> {
        let contents = self.subject.open().load(CACHE);
        let contents = contents.map_err(|error| format!("a load failed: {error:?}"))?;
        if contents.lost > 0 {
            return Err(format!("a load lost {} entries", contents.lost));
        }
        self.add(Event::Load(values(contents)));
        Ok(())
    }

    /// Adds an event that overlaps with no other.
    fn add(&mut self, event: Event) {
        self.time += 1;
        self.history.push(Operation::at_once(event, self.time));
    }

    /// Once all temporaries are stale, saves remove every file that is not needed.
    fn check_leftovers(&self) -> Result<(), String> {
        self.disk.clock().advance(GRACE);
        let mut instance = self.subject.open();
        for _ in 0..self.durability.most_versions() {
            let saved = instance.save(CACHE, &[entry("last", "last", None)]);
            saved.map_err(|error| format!("the last save failed: {error:?}"))?;
        }
        check_leftovers(&self.disk, self.durability)
    }

    fn failure(&self, why: &str) -> String {
        format!("{why}\n\n{}", self.disk.run())
    }
}

/// Follows a program to its end, or until the instance is killed. Gives the operations, and whether
/// the instance was killed.
fn follow(
    instance: &mut Instance,
    turn: &Turn,
    program: Vec<Action>,
) -> Result<(Vec<Operation>, bool), String> {
    instance.faults().take_turns(turn.clone());
    let mut history = Vec::new();
    for action in program {
        if turn.wait(false).is_err() {
            return Ok((history, true));
        }
        instance.faults().note(|| format!("now: {action}"));
        let called = turn.now();
        let (outcome, ended) = action.run(instance, turn);
        let Outcome { event, returned } =
            outcome.map_err(|error| format!("{action} failed: {error:?}"))?;
        if let Some(event) = event {
            history.push(Operation {
                event,
                called,
                ended,
                returned,
            });
        }
        if !returned {
            return Ok((history, true));
        }
    }
    Ok((history, false))
}

/// How an action ended.
struct Outcome {
    /// Its event for the history, if it has one.
    event: Option<Event>,
    /// Whether it returned. Otherwise the instance was killed.
    returned: bool,
}

impl Outcome {
    /// `event` makes the event from the answer, or from none if the instance was killed.
    fn of<T>(
        answer: Result<Result<T, Error>, Killed>,
        event: impl FnOnce(Option<T>) -> Option<Event>,
    ) -> Result<Outcome, Error> {
        let answer = answer.ok().transpose()?;
        Ok(Outcome {
            returned: answer.is_some(),
            event: event(answer),
        })
    }
}

impl Action {
    /// Runs the action. Also tells when it ended.
    fn run(&self, instance: &mut Instance, turn: &Turn) -> (Result<Outcome, Error>, usize) {
        if let Action::LoadInBatches = self {
            let opened = instance.read_later(CACHE);
            // The reader gives the contents of this moment, however late it is read.
            let ended = turn.now();
            let contents = opened.and_then(|opened| match opened {
                Ok(reader) => instance.read_rest(reader),
                Err(error) => Ok(Err(error)),
            });
            return (Outcome::of(contents, loaded), ended);
        }
        let outcome = match self {
            Action::Write(write) => Outcome::of(instance.write(CACHE, write), |_| {
                Some(Event::Write(write.clone()))
            }),
            Action::Drop(batches) => Outcome::of(instance.write_and_drop(CACHE, batches), |_| None),
            Action::Load | Action::LoadInBatches => Outcome::of(instance.read(CACHE), loaded),
            Action::LookUp => Outcome::of(instance.look_up(CACHE, &KEYS), |values| {
                Some(Event::LookUp(&KEYS, values?))
            }),
            Action::WriteIf(changes) => match instance.look_up(CACHE, &KEYS) {
                Ok(Ok(values)) => {
                    let unmet = instance.write_if(CACHE, &KEYS, &values, changes);
                    let write = Write::Apply(changes.clone());
                    Outcome::of(unmet, |unmet| {
                        let made = unmet.map(|unmet| unmet.is_empty());
                        Some(Event::WriteIf(&KEYS, values, write, made))
                    })
                }
                unknown => Outcome::of(unknown, |_| None),
            },
        };
        (outcome, turn.now())
    }
}

fn loaded(contents: Option<Contents>) -> Option<Event> {
    contents.map(|contents| Event::Load(values(contents)))
}

/// The text of a panic.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}
