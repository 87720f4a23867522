//! Makes every call of the disk backend fail.
//!
//! Each call of an operation fails with each error that it may give: once, from then on, or
//! together with another call. Reads and writes are also cut short. The caller has to learn the
//! reason, stored entries have to stay stored, and everything has to work again once the disk does.
//!
//! WASI 0.2 has no code for too many open files. wasmtime gives `io` for it. It gives `io` also for
//! a used-up quota, and for a file system that is mounted read-only. Other hosts may give the codes
//! of these two.

mod operation;

use std::fmt;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};

use crate::scenarios::pasts;
use crate::world::{CACHE, Durability, GRACE, MOST_SUPERSEDED, World, give_up, temporaries};
use crate::{
    Call, Effort, Error, ErrorCode, Faults, Instance, Made, SimDisk, Subject, Values, When, entry,
    values,
};
use operation::{Operation, operations};

/// How many of the disks that a power cut may leave are tried after a failed operation.
const IMAGES: u64 = 2;

/// The codes that calls fail with.
const CODES: [ErrorCode; 12] = [
    ErrorCode::Access,
    ErrorCode::NotPermitted,
    ErrorCode::ReadOnly,
    ErrorCode::InsufficientSpace,
    ErrorCode::Quota,
    ErrorCode::Io,
    ErrorCode::Interrupted,
    ErrorCode::Busy,
    ErrorCode::InsufficientMemory,
    ErrorCode::WouldBlock,
    ErrorCode::NameTooLong,
    ErrorCode::Unsupported,
];

/// Whether an error tells the caller what this code means.
fn tells(error: &Error, code: ErrorCode) -> bool {
    match code {
        ErrorCode::Access | ErrorCode::NotPermitted | ErrorCode::ReadOnly => {
            matches!(error, Error::AccessDenied)
        }
        ErrorCode::InsufficientSpace | ErrorCode::Quota => matches!(error, Error::NoSpace),
        ErrorCode::NameTooLong | ErrorCode::Unsupported => matches!(error, Error::Other(_)),
        _ => matches!(error, Error::Unavailable(_)),
    }
}

/// Whether a version was deleted, although nothing was published: a clear of a full disk does so.
fn deleted_first(calls: &[Made]) -> bool {
    let is_done = |made: &&Made| made.fault.is_none();
    let mut done = calls.iter().filter(is_done);
    done.clone()
        .any(|made| made.call == Call::Unlink && made.path.ends_with(".larder"))
        && !done.any(|made| matches!(made.call, Call::Link | Call::Rename))
}

/// Whether a call was refused that opens the folder of the cache.
fn is_refused(made: &Made) -> bool {
    let codes = [
        ErrorCode::Access,
        ErrorCode::NotPermitted,
        ErrorCode::ReadOnly,
    ];
    let is_refused = |fault| codes.iter().any(|code| code.name() == fault);
    made.path == CACHE && made.fault.is_some_and(is_refused)
}

/// Makes every call of every operation on every kind of cache fail once, and some from then on.
///
/// # Panics
///
/// If a promise is broken, with the run of the disk.
pub fn every_failing_call(subject: &Subject, durability: Durability, effort: &Effort) -> Tally {
    let mut attack = Attack::new(subject, durability, effort);
    attack.everywhere(|attack, case| {
        for nth in 1.. {
            let codes: Vec<ErrorCode> = match effort.nightly {
                true => CODES.to_vec(),
                false => CODES.sample(&mut attack.random, 1).copied().collect(),
            };
            let mut fired = false;
            for code in codes {
                fired |= attack.fail(case, &[(When::any().nth(nth), code)]);
                if attack.random.random_bool(effort.of(0.2, 1.0)) {
                    attack.fail(case, &[(When::any().from_nth(nth), code)]);
                }
            }
            if !fired {
                break;
            }
        }
    });
    attack.tally
}

/// Makes two calls of an operation fail with two codes, all chosen by the seed.
///
/// # Panics
///
/// If a promise is broken, with the run of the disk.
pub fn two_failing_calls(subject: &Subject, durability: Durability, effort: &Effort) -> Tally {
    let mut attack = Attack::new(subject, durability, effort);
    attack.everywhere(|attack, case| {
        for _ in 0..effort.of(15, 300) {
            let mut faults = Vec::new();
            for _ in 0..2 {
                let nth = attack.random.random_range(1..=case.calls);
                let code = *CODES.choose(&mut attack.random).expect("there are some");
                faults.push((When::any().nth(nth), code));
            }
            attack.fail(case, &faults);
        }
    });
    attack.tally
}

/// Cuts each read and each write short alone, and all together.
///
/// # Panics
///
/// If that changes an outcome, with the run of the disk.
pub fn short_reads_and_writes(subject: &Subject, durability: Durability, effort: &Effort) -> Tally {
    let mut attack = Attack::new(subject, durability, effort);
    attack.everywhere(|attack, case| {
        attack.shorten(case, When::any());
        for call in [Call::Read, Call::Write] {
            let nth = |nth| When::call(call).nth(nth);
            (1..).find(|at| !attack.shorten(case, nth(*at)));
        }
    });
    attack.tally
}

/// Counts the tries of an attack.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    operations: u64,
    runs: u64,
    faults: u64,
    errors: u64,
}

impl Tally {
    /// How many calls failed or were cut short.
    pub fn faults(&self) -> u64 {
        self.faults
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            operations,
            runs,
            faults,
            errors,
        } = self;
        write!(
            f,
            "{operations} operations in {runs} runs with {faults} faults: {errors} runs failed"
        )
    }
}

struct Attack<'a> {
    subject: Subject,
    durability: Durability,
    effort: &'a Effort,
    random: Xoshiro256PlusPlus,
    tally: Tally,
}

/// An operation in a world, and its outcome when no call fails.
struct Case {
    world: World,
    operation: Operation,
    says: String,
    before: Values,
    after: Values,
    calls: u64,
}

impl Attack<'_> {
    fn new<'a>(subject: &Subject, durability: Durability, effort: &'a Effort) -> Attack<'a> {
        Attack {
            subject: subject.clone().env("LARDER_DURABILITY", durability.name()),
            durability,
            effort,
            random: Xoshiro256PlusPlus::seed_from_u64(effort.seed),
            tally: Tally::default(),
        }
    }

    /// Attacks every operation on every kind of cache.
    fn everywhere(&mut self, attack: impl Fn(&mut Self, &Case)) {
        for past in pasts(self.durability) {
            let world = past.arrive(&self.subject, self.durability, self.random.next_u64());
            for operation in operations() {
                self.tally.operations += 1;
                let case = self.case(world.fork(), operation);
                attack(self, &case);
            }
        }
    }

    fn case(&self, world: World, operation: Operation) -> Case {
        let disk = world.disk.fork();
        let mut instance = self.subject.on_simulated(&disk).open();
        let before = self.stored(&disk);
        let says = match operation.run(&mut instance) {
            Ok(says) => says,
            Err(error) => self.broken(
                &disk,
                &format!("no call fails, but the operation: {error:?}"),
            ),
        };
        Case {
            after: self.stored(&disk),
            calls: instance.faults().calls().len() as u64,
            world,
            operation,
            says,
            before,
        }
    }

    /// Runs an operation with these calls failing. Gives whether it made any of them.
    fn fail(&mut self, case: &Case, faults: &[(When, ErrorCode)]) -> bool {
        let disk = case.world.disk.fork();
        let mut instance = self.subject.on_simulated(&disk).open();
        for (when, code) in faults {
            instance.faults().fail(when.clone(), *code);
        }
        let outcome = case.operation.run(&mut instance);
        let calls = instance.faults().calls();
        if !self.has_fired(instance.faults()) {
            return false;
        }
        instance.faults().clear();
        let failed = |made: &Made| made.call == Call::Unlink && made.fault.is_some();
        if !calls.iter().any(failed) && !temporaries(&disk).is_empty() {
            self.broken(&disk, "it left a temporary that it could have removed");
        }
        if outcome.is_err() && case.operation.is_clear() && deleted_first(&calls) {
            // It may have removed a part.
            self.tally.errors += 1;
            self.go_on(case, &disk, &mut instance);
            return true;
        }
        let is_untouched = disk.fingerprint() == case.world.disk.fingerprint();
        let found = match is_untouched {
            true => case.before.clone(),
            false => self.stored(&disk),
        };
        match &outcome {
            Ok(says) if *says == case.says && found == case.after => {}
            // A folder that may not be opened belongs to others, and is no cache. A cache that
            // cannot be read is listed, even if it has no entries.
            Ok(says)
                if case.operation.is_list()
                    && (says == "[]" && calls.iter().any(is_refused)
                        || *says == format!("{:?}", [CACHE])) => {}
            Ok(_) => self.broken(&disk, "it returned, but its outcome is wrong"),
            Err(error) if !faults.iter().any(|(_, code)| tells(error, *code)) => {
                self.broken(&disk, &format!("{error:?} does not tell what failed"));
            }
            Err(_) if found == case.before => self.tally.errors += 1,
            Err(_) if found == case.after && may_show(case, &calls) => self.tally.errors += 1,
            Err(_) => self.broken(&disk, "it failed, but changed stored entries"),
        }
        // A host that does not support syncs promises nothing about power cuts.
        let syncs = faults
            .iter()
            .all(|(_, code)| *code != ErrorCode::Unsupported);
        if !is_untouched && syncs {
            self.cut_power(case, &disk, outcome.is_ok());
        }
        self.go_on(case, &disk, &mut instance);
        true
    }

    /// Runs an operation with these reads and writes cut short. Gives whether it made any of them.
    fn shorten(&mut self, case: &Case, when: When) -> bool {
        let disk = case.world.disk.fork();
        let mut instance = self.subject.on_simulated(&disk).open();
        instance.faults().shorten(when);
        let outcome = case.operation.run(&mut instance);
        if !self.has_fired(instance.faults()) {
            return false;
        }
        if outcome.as_ref() != Ok(&case.says) || self.stored(&disk) != case.after {
            self.broken(
                &disk,
                &format!("short reads and writes change the outcome: {outcome:?}"),
            );
        }
        true
    }

    fn has_fired(&mut self, faults: &Faults) -> bool {
        self.tally.runs += 1;
        self.tally.faults += faults.fired();
        faults.fired() > 0
    }

    /// A power cut leaves the contents before or after the operation. If the operation returned, it
    /// leaves the contents after it.
    fn cut_power(&mut self, case: &Case, disk: &SimDisk, returned: bool) {
        let mut allowed = vec![case.after.clone()];
        if !(returned && self.durability == Durability::Full) {
            allowed.extend_from_slice(&case.world.after_cut);
        }
        for image in disk.power_cuts(IMAGES, self.random.next_u64()) {
            if !allowed.contains(&self.stored(&image)) {
                self.broken(&image, "the power cut took entries that it must not take");
            }
        }
    }

    /// The disk works again. Then every operation works, and saves remove leftovers.
    fn go_on(&self, case: &Case, disk: &SimDisk, instance: &mut Instance) {
        if let Err(error) = case.operation.run(instance) {
            self.broken(
                disk,
                &format!("the disk works again, but the operation fails: {error:?}"),
            );
        }
        if self.stored(disk) != case.after {
            self.broken(disk, "the second run has another outcome");
        }
        if temporaries(disk).is_empty() {
            return;
        }
        disk.clock().advance(GRACE);
        for _ in 0..=MOST_SUPERSEDED {
            if let Err(error) = instance.save(CACHE, &[entry("last", "last", None)]) {
                self.broken(
                    disk,
                    &format!("the disk works again, but the operation fails: {error:?}"),
                );
            }
        }
        if !temporaries(disk).is_empty() {
            self.broken(disk, "temporaries are left over");
        }
    }

    fn stored(&self, disk: &SimDisk) -> Values {
        match self.subject.on_simulated(disk).open().load(CACHE) {
            Ok(contents) if contents.lost == 0 => values(contents),
            Ok(contents) => self.broken(disk, &format!("{} entries are lost", contents.lost)),
            Err(error) => self.broken(disk, &format!("it cannot be loaded: {error:?}")),
        }
    }

    fn broken(&self, disk: &SimDisk, what: &str) -> ! {
        give_up(disk, self.durability, self.effort, what)
    }
}

/// Whether a failed operation may have made its change: its sync failed, or a clear could not
/// remove the other files. These are the exceptions to "a failed call changes nothing".
fn may_show(case: &Case, calls: &[Made]) -> bool {
    let is_published =
        |made: &Made| matches!(made.call, Call::Link | Call::Rename) && made.fault.is_none();
    let published = calls.iter().position(is_published);
    let mut later = calls.iter().skip(published.unwrap_or(calls.len()));
    case.operation.is_clear() && published.is_some()
        || later.any(|made| made.call == Call::Sync && made.fault.is_some())
}
