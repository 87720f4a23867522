//! A process that writes until it is killed, and the moments to kill it at.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::steps::{STEPS, Step};
use super::storage::backend;

/// These variables tell a process that it is a writer, and which one.
const FOLDER: &str = "LARDER_TEST_FOLDER";
const DURABILITY: &str = "LARDER_TEST_DURABILITY";
const WRITER: &str = "LARDER_TEST_WRITER";
/// The variable with the seed of all random choices.
pub const SEED: &str = "LARDER_SEED";

pub fn seed() -> u64 {
    match env::var(SEED) {
        Ok(seed) => seed.parse().expect("a seed is a number"),
        Err(_) => 1,
    }
}

/// If this process is a writer, makes its steps and gives true. It says `ready` first, and `done`
/// each time that a step has returned.
pub fn is_writer() -> bool {
    let Ok(writer) = env::var(WRITER) else {
        return false;
    };
    let variable = |name| env::var(name).expect("a writer is told all of it");
    // One write a line, so that a kill leaves whole lines; libtest does not capture this stream.
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
pub struct Writer {
    child: Child,
    says: io::Lines<BufReader<ChildStderr>>,
    lines: usize,
}

/// How far a writer was when it was killed.
pub struct Killed {
    /// How many steps had returned.
    pub done: usize,
    /// It had made all steps and ended.
    pub ended: bool,
}

impl Writer {
    /// Runs this program again as a process that does only this test, which calls `is_writer`
    /// first.
    pub fn start(test: &str, folder: &Path, durability: &str, name: &str, seed: u64) -> Writer {
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

    /// Waits for the next line. Gives false if the writer has ended.
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

    /// Kills the writer at this moment, or lets it end if that is sooner.
    pub fn kill(mut self, moment: &Moment) -> Killed {
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

/// When to kill a writer: after so many lines and a pause. The lines spread the moments over all
/// steps, however fast they are; the pause spreads them over the calls of a step.
pub struct Moment {
    lines: usize,
    pause: Duration,
}

/// How long a writer takes to start, and for a step, if nobody kills it.
pub struct Pace {
    start: Duration,
    step: Duration,
}

impl Pace {
    pub fn of(mut writer: Writer) -> Pace {
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

    pub fn moment(&self, random: &mut Xoshiro256PlusPlus) -> Moment {
        let lines = random.random_range(0..STEPS + 3);
        let span = if lines == 0 { self.start } else { self.step };
        Moment {
            lines,
            pause: span.mul_f64(random.random()),
        }
    }
}
