//! Processes that are killed while they write to a real file system: what they had done is there, what they were
//! at is there as a whole or not at all.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fmt, fs, io, thread};

use fastrand::Rng;
use larder_host::{Backend, Change, Entry};
use tempfile::TempDir;

const CACHE: &str = "sessions";
/// How many steps a writer makes if nobody kills it.
const STEPS: usize = 40;
const HOUR: Duration = Duration::from_secs(3600);

/// Tell a process that it is a writer, and which.
const FOLDER: &str = "LARDER_TEST_FOLDER";
const DURABILITY: &str = "LARDER_TEST_DURABILITY";
const WRITER: &str = "LARDER_TEST_WRITER";
const SEED: &str = "LARDER_SEED";

const DURABILITIES: [&str; 2] = ["full", "atomic"];

type Values = BTreeMap<String, Vec<u8>>;

fn seed() -> u64 {
    match env::var(SEED) {
        Ok(seed) => seed.parse().expect("a seed is a number"),
        Err(_) => 1,
    }
}

fn backend(folder: &Path, durability: &str) -> Backend {
    let backend = Backend::builtin().preopen(folder, "/");
    let backend = backend.env("LARDER_DURABILITY", durability).build();
    backend.expect("the folder is there")
}

fn load(backend: &Backend) -> Values {
    let contents = backend.load(CACHE).expect("a kill damages nothing");
    assert_eq!(contents.lost, 0, "a kill damages nothing");
    let entries = contents.entries.into_iter();
    entries.map(|entry| (entry.key, entry.value)).collect()
}

/// One change that a writer makes.
enum Step {
    Save(Vec<Entry>),
    Apply(Vec<Change>),
    Clear,
}

impl Step {
    /// What a writer that has the cache for itself does as its nth: often small changes, so that some are
    /// folded, and now and then all of several blocks.
    fn alone(seed: u64, n: usize) -> Step {
        let mut random = Rng::with_seed(seed.wrapping_mul(1_000_003) + n as u64);
        let entry = |random: &mut Rng| {
            let key = format!("key {}", random.u8(0..30));
            let value = format!("{seed} {n};").repeat(random.usize(0..1000));
            Entry::new(key, value)
        };
        match random.u8(0..20) {
            0 => Step::Clear,
            1..=3 => Step::Save((0..random.u8(0..60)).map(|_| entry(&mut random)).collect()),
            _ => {
                let change = |_| match random.u8(0..4) {
                    0 => Change::Remove(format!("key {}", random.u8(0..30))),
                    _ => Change::Put(entry(&mut random)),
                };
                Step::Apply((0..3).map(change).collect())
            }
        }
    }

    /// What one of several writers does as its nth: it puts a key of its own, and removes an older one.
    fn beside_others(writer: &str, n: usize) -> Step {
        let put = Change::Put(Entry::new(format!("{writer} {n}"), n.to_string()));
        let older = n.checked_sub(5).map(|older| format!("{writer} {older}"));
        let remove = older.map(Change::Remove);
        Step::Apply([put].into_iter().chain(remove).collect())
    }

    fn make(self, backend: &Backend) {
        match self {
            Step::Save(entries) => backend.save(CACHE, entries),
            Step::Apply(changes) => backend.apply(CACHE, changes),
            Step::Clear => backend.clear(CACHE),
        }
        .expect("nothing is in the way");
    }

    /// Does to values what it does to the cache.
    fn make_of(self, values: &mut Values) {
        let put = |values: &mut Values, entry: Entry| {
            values.insert(entry.key, entry.value);
        };
        match self {
            Step::Clear => values.clear(),
            Step::Save(entries) => {
                values.clear();
                entries.into_iter().for_each(|entry| put(values, entry));
            }
            Step::Apply(changes) => changes.into_iter().for_each(|change| match change {
                Change::Put(entry) => put(values, entry),
                Change::Remove(key) => {
                    values.remove(&key);
                }
            }),
        }
    }
}

/// What a cache that held this holds after so many of these steps.
fn after(mut values: Values, steps: usize, step: impl Fn(usize) -> Step) -> Values {
    (0..steps).for_each(|n| step(n).make_of(&mut values));
    values
}

/// Writes, if this process is a writer: it says `ready`, and `done` each time that a step returned.
fn is_writer() -> bool {
    let Ok(writer) = env::var(WRITER) else {
        return false;
    };
    let variable = |name| env::var(name).expect("a writer is told all of it");
    // In one piece: a kill leaves whole lines. Past libtest, which would keep it back.
    let say = |line: &[u8]| io::stderr().write_all(line).expect("the parent listens");
    let backend = backend(Path::new(&variable(FOLDER)), &variable(DURABILITY));
    say(b"ready\n");
    for n in 0..STEPS {
        match &*writer {
            "alone" => Step::alone(seed(), n).make(&backend),
            writer => Step::beside_others(writer, n).make(&backend),
        }
        say(b"done\n");
    }
    true
}

/// A process that writes.
struct Writer {
    child: Child,
    says: io::Lines<BufReader<ChildStderr>>,
    lines: usize,
}

/// What had become of a writer when it was killed.
struct Killed {
    /// How many steps had returned.
    done: usize,
    /// It had come to its end.
    ended: bool,
}

impl Writer {
    /// Runs this program again, as a process that does only this test, which begins with `is_writer`.
    fn start(test: &str, folder: &Path, durability: &str, name: &str, seed: u64) -> Writer {
        let mut child = Command::new(env::current_exe().expect("a test is a program"))
            .args(["--exact", test, "--nocapture", "--include-ignored"])
            .env(FOLDER, folder)
            .env(DURABILITY, durability)
            .env(WRITER, name)
            .env(SEED, seed.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a test can be run again");
        let stderr = child.stderr.take().expect("a pipe");
        Writer {
            child,
            says: BufReader::new(stderr).lines(),
            lines: 0,
        }
    }

    /// Waits for the next line. False where there is none to come.
    fn listen(&mut self) -> bool {
        let Some(line) = self.says.next() else {
            return false;
        };
        let expected = if self.lines == 0 { "ready" } else { "done" };
        if line.as_ref().is_ok_and(|line| line == expected) {
            self.lines += 1;
            return true;
        }
        let rest: Vec<_> = self.says.by_ref().map_while(Result::ok).collect();
        panic!("a writer failed: {line:?}\n{}", rest.join("\n"));
    }

    /// Kills it at this moment, or at its end if that is sooner.
    fn kill(mut self, moment: &Moment) -> Killed {
        while self.lines < moment.lines && self.listen() {}
        thread::sleep(moment.pause);
        self.child.kill().expect("it was not waited for");
        while self.listen() {}
        let status = self.child.wait().expect("it was killed");
        let ended = status.success();
        assert!(
            ended || status.code().is_none(),
            "a writer failed: {status}"
        );
        let done = self.lines.saturating_sub(1);
        assert!(!ended || done == STEPS);
        Killed { done, ended }
    }
}

/// When to kill a writer. No promise hangs on where that hits it: lines that it said spread the moments over all
/// of its steps however fast they go, and the pause spreads them over the calls of a step.
struct Moment {
    lines: usize,
    pause: Duration,
}

/// How long a writer takes that nobody kills.
struct Pace {
    start: Duration,
    step: Duration,
}

impl Pace {
    fn of(mut writer: Writer) -> Pace {
        let begun = Instant::now();
        assert!(writer.listen());
        let start = begun.elapsed();
        while writer.listen() {}
        assert!(writer.child.wait().is_ok_and(|status| status.success()));
        let steps = u32::try_from(STEPS).expect("they are few");
        Pace {
            start,
            step: (begun.elapsed() - start) / steps,
        }
    }

    fn moment(&self, random: &mut Rng) -> Moment {
        let lines = random.usize(0..STEPS + 3);
        let span = if lines == 0 { self.start } else { self.step };
        Moment {
            lines,
            pause: span.mul_f64(random.f64()),
        }
    }
}

/// What the kills hit.
#[derive(Default)]
struct Tally {
    /// Before the first step was begun, as far as can be seen.
    before: usize,
    /// Between or in the midst of steps.
    within: usize,
    /// After the end.
    after: usize,
    /// A step that had not returned was made all the same.
    made: usize,
    /// A temporary was left behind.
    temporaries: usize,
}

impl Tally {
    /// Counts a kill of a process that had ended, or had begun to change something; and whether a change that it
    /// had not reported was made.
    fn count(&mut self, ended: bool, begun: bool, made: bool) {
        self.made += usize::from(made);
        *match (ended, begun) {
            (true, _) => &mut self.after,
            (false, true) => &mut self.within,
            (false, false) => &mut self.before,
        } += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, within, after) = (self.before, self.within, self.after);
        write!(
            f,
            "{} kills: {before} before the first change, {within} among changes, {after} after the end; \
             {} changes made but not reported, {} temporaries left and reaped",
            before + within + after,
            self.made,
            self.temporaries
        )?;
        if self.made + self.temporaries == 0 {
            write!(f, "; NONE WAS SEEN TO HIT A WRITE")?;
        }
        Ok(())
    }
}

/// The storage that the processes of a test write to, one after the other.
struct Storage {
    folder: TempDir,
    backend: Backend,
}

impl Storage {
    fn new(durability: &str) -> Storage {
        let folder = TempDir::new().expect("a temporary folder");
        Storage {
            backend: backend(folder.path(), durability),
            folder,
        }
    }

    fn temporaries(&self) -> Vec<PathBuf> {
        let mut paths = files(&self.folder.path().join(CACHE));
        paths.retain(|path| path.extension().is_some_and(|suffix| suffix == "tmp"));
        paths
    }

    /// Lets the temporaries of killed writers seem to be so old that they are taken for such, and saves the
    /// cache as it is to begin with: then they are gone. Says how many there were.
    fn begin_anew(&self) -> usize {
        let left = self.temporaries();
        for path in &left {
            let file = fs::File::options().write(true).open(path);
            let aged = file.and_then(|file| file.set_modified(SystemTime::now() - HOUR));
            aged.expect("the test may change its files");
        }
        // Without syncs, some saves later: once there are several versions to remove.
        for _ in 0..10 {
            self.backend.save(CACHE, begun_entries()).expect("a save");
            if self.temporaries().is_empty() {
                return left.len();
            }
        }
        panic!("temporaries of killed writers are never removed: {left:?}");
    }
}

/// The files in a folder; none where it is missing.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

fn begun_entries() -> [Entry; 2] {
    [Entry::new("key 1", "begun"), Entry::new("other", "begun")]
}

fn begun() -> Values {
    let entries = begun_entries().into_iter();
    entries.map(|entry| (entry.key, entry.value)).collect()
}

/// What to run to meet a failure again; the moments of the kills remain a matter of luck.
fn replay(test: &str) -> String {
    format!(
        "{SEED}={} cargo test -p larder-host --test kill -- --exact {test} --include-ignored --nocapture",
        seed()
    )
}

fn one_writer_is_killed(test: &str, kills: u64) {
    let mut random = Rng::with_seed(seed());
    let mut tally = Tally::default();
    let storages = DURABILITIES.map(|durability| (durability, Storage::new(durability)));
    let paces = storages.each_ref().map(|(durability, storage)| {
        let folder = storage.folder.path();
        Pace::of(Writer::start(test, folder, durability, "alone", seed()))
    });
    for round in 0..kills {
        let kind = (round % 2) as usize;
        let (durability, storage) = &storages[kind];
        tally.temporaries += storage.begin_anew();
        let steps = seed().wrapping_add(round);
        let writer = Writer::start(test, storage.folder.path(), durability, "alone", steps);
        let killed = writer.kill(&paces[kind].moment(&mut random));

        let found = load(&storage.backend);
        let state = |done| after(begun(), done, |n| Step::alone(steps, n));
        let is_done = found == state(killed.done);
        let is_made = !is_done && killed.done < STEPS && found == state(killed.done + 1);
        assert!(
            is_done || is_made,
            "{durability}, after {} steps of {steps}: {:?}\n{}",
            killed.done,
            found.keys(),
            replay(test)
        );
        tally.count(killed.ended, killed.done > 0 || is_made, is_made);
    }
    for (_, storage) in &storages {
        tally.temporaries += storage.begin_anew();
    }
    println!("{test}: {tally}");
}

#[test]
fn a_killed_writer_leaves_what_it_had_done() {
    let test = "a_killed_writer_leaves_what_it_had_done";
    if !is_writer() {
        one_writer_is_killed(test, 30);
    }
}

#[test]
#[ignore = "takes minutes"]
fn a_writer_killed_a_thousand_times_leaves_what_it_had_done() {
    let test = "a_writer_killed_a_thousand_times_leaves_what_it_had_done";
    if !is_writer() {
        one_writer_is_killed(test, 1000);
    }
}

const WRITERS: [&str; 2] = ["a", "b"];

fn two_writers_are_killed(test: &str, rounds: u64) {
    let mut random = Rng::with_seed(seed());
    let mut tally = Tally::default();
    let storages = DURABILITIES.map(|durability| (durability, Storage::new(durability)));
    let (durability, storage) = &storages[0];
    let folder = storage.folder.path();
    let pace = Pace::of(Writer::start(test, folder, durability, "a", seed()));
    for round in 0..rounds {
        let (durability, storage) = &storages[(round % 2) as usize];
        tally.temporaries += storage.begin_anew();
        let writers = WRITERS.map(|name| {
            let writer = Writer::start(test, storage.folder.path(), durability, name, seed());
            (writer, pace.moment(&mut random))
        });
        let killed = thread::scope(|scope| {
            writers
                .map(|(writer, moment)| scope.spawn(move || writer.kill(&moment)))
                .map(|thread| thread.join().expect("a writer that was killed"))
        });

        let mut found = load(&storage.backend);
        for (name, killed) in WRITERS.into_iter().zip(killed) {
            let mut of_writer = found.clone();
            of_writer.retain(|key, _| key.starts_with(name));
            found.retain(|key, _| !key.starts_with(name));
            let state = |done| after(Values::new(), done, |n| Step::beside_others(name, n));
            let is_done = of_writer == state(killed.done);
            let is_made = !is_done && killed.done < STEPS && of_writer == state(killed.done + 1);
            assert!(
                is_done || is_made,
                "{durability}, {name} after {} steps: {:?}\n{}",
                killed.done,
                of_writer.keys(),
                replay(test)
            );
            tally.count(killed.ended, killed.done > 0 || is_made, is_made);
        }
        assert_eq!(found, begun(), "what nobody changed: {}", replay(test));
    }
    for (_, storage) in &storages {
        tally.temporaries += storage.begin_anew();
    }
    println!("{test}: {tally}");
}

#[test]
fn killed_writers_leave_what_each_had_done() {
    let test = "killed_writers_leave_what_each_had_done";
    if !is_writer() {
        two_writers_are_killed(test, 6);
    }
}

#[test]
#[ignore = "takes minutes"]
fn writers_killed_a_thousand_times_leave_what_each_had_done() {
    let test = "writers_killed_a_thousand_times_leave_what_each_had_done";
    if !is_writer() {
        two_writers_are_killed(test, 400);
    }
}

/// The command, with lines in a file to read.
fn larder(storage: &Storage, durability: &str, verb: &str, lines: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_larder"))
        .arg("--dir")
        .arg(storage.folder.path())
        .args(["--durability", durability, verb, CACHE])
        .arg(lines)
        .stdout(Stdio::null())
        .spawn()
        .expect("larder runs")
}

/// Lines of several blocks.
fn lines() -> String {
    let line = |n| format!("{{\"key\": \"line {n}\", \"value\": \"{n:0100}\"}}\n");
    (0..5000).map(line).collect()
}

fn the_command_is_killed(test: &str, kills: u32) {
    let mut random = Rng::with_seed(seed());
    let mut tally = Tally::default();
    let place = TempDir::new().expect("a temporary folder");
    let input = place.path().join("lines.jsonl");
    fs::write(&input, lines()).expect("a file can be written");
    for verb in ["save", "apply"] {
        for durability in DURABILITIES {
            let storage = Storage::new(durability);
            storage.begin_anew();
            let begun = Instant::now();
            let mut undisturbed = larder(&storage, durability, verb, &input);
            assert!(undisturbed.wait().is_ok_and(|status| status.success()));
            let took = begun.elapsed();
            let after = load(&storage.backend);
            assert!(after.len() >= 5000);
            for round in 0..kills {
                tally.temporaries += storage.begin_anew();
                let before = load(&storage.backend);
                let files_before = files(&storage.folder.path().join(CACHE));
                let mut child = larder(&storage, durability, verb, &input);
                if round % 2 == 0 {
                    thread::sleep(took.mul_f64(random.f64() * 1.1));
                } else {
                    // As soon as it is seen to write, or a little later.
                    while files(&storage.folder.path().join(CACHE)) == files_before
                        && child.try_wait().is_ok_and(|status| status.is_none())
                    {
                        thread::yield_now();
                    }
                    thread::sleep(Duration::from_millis(10).mul_f64(random.f64()));
                }
                child.kill().expect("the process is ours");
                let ended = child.wait().expect("it was killed").success();
                let found = load(&storage.backend);
                let is_made = found == after;
                let case = || format!("{durability} {verb}: {:?}\n{}", found.len(), replay(test));
                assert!(is_made || !ended && found == before, "{}", case());
                let begun = is_made || !storage.temporaries().is_empty();
                tally.count(ended, begun, is_made && !ended);
            }
            tally.temporaries += storage.begin_anew();
        }
    }
    println!("{test}: {tally}");
}

#[test]
fn a_command_that_is_killed_was_carried_out_or_not() {
    the_command_is_killed("a_command_that_is_killed_was_carried_out_or_not", 4);
}

#[test]
#[ignore = "takes minutes"]
fn a_command_that_is_killed_hundreds_of_times_was_carried_out_or_not() {
    let test = "a_command_that_is_killed_hundreds_of_times_was_carried_out_or_not";
    the_command_is_killed(test, 100);
}
