//! A process that writes until it is killed, and the moments to kill it at.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use fastrand::Rng;

use crate::steps::{STEPS, Step};
use crate::storage::backend;

/// Tell a process that it is a writer, and which.
const FOLDER: &str = "LARDER_TEST_FOLDER";
const DURABILITY: &str = "LARDER_TEST_DURABILITY";
const WRITER: &str = "LARDER_TEST_WRITER";
/// What all that is random comes from.
pub const SEED: &str = "LARDER_SEED";

pub fn seed() -> u64 {
    match env::var(SEED) {
        Ok(seed) => seed.parse().expect("a seed is a number"),
        Err(_) => 1,
    }
}

/// Writes, if this process is a writer: it says `ready`, and `done` each time that a step returned.
pub fn is_writer() -> bool {
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
pub struct Writer {
    child: Child,
    says: io::Lines<BufReader<ChildStderr>>,
    lines: usize,
}

/// What had become of a writer when it was killed.
pub struct Killed {
    /// How many steps had returned.
    pub done: usize,
    /// It had come to its end.
    pub ended: bool,
}

impl Writer {
    /// Runs this program again, as a process that does only this test, which begins with `is_writer`.
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

/// When to kill a writer. No promise hangs on where that hits it: lines that it said spread the moments over all
/// of its steps however fast they go, and the pause spreads them over the calls of a step.
pub struct Moment {
    lines: usize,
    pause: Duration,
}

/// How long a writer takes that nobody kills.
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

    pub fn moment(&self, random: &mut Rng) -> Moment {
        let lines = random.usize(0..STEPS + 3);
        let span = if lines == 0 { self.start } else { self.step };
        Moment {
            lines,
            pause: span.mul_f64(random.f64()),
        }
    }
}
