//! Clocks that stand still until a test moves them.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// A wall clock and a monotonic clock that a test sets and that otherwise stand still. Clones show the same time.
#[derive(Clone)]
pub struct Clock(Arc<Mutex<Times>>);

#[derive(Clone)]
struct Times {
    wall: Duration,
    monotonic: u64,
}

impl Clock {
    /// A wall clock that shows the real time, because the times of files are real too, and a monotonic clock
    /// that has run for an hour.
    pub fn starting_now() -> Clock {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Clock::at(wall.expect("it is later than 1970"))
    }

    /// A wall clock that shows this time, since 1970, and a monotonic clock that has run for an hour.
    pub fn at(wall: Duration) -> Clock {
        Clock(Arc::new(Mutex::new(Times {
            wall,
            monotonic: nanoseconds(Duration::from_secs(3600)),
        })))
    }

    /// Other clocks that show the same time, until one is moved.
    pub fn fork(&self) -> Clock {
        Clock(Arc::new(Mutex::new(self.times().clone())))
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times();
        times.wall += by;
        times.monotonic += nanoseconds(by);
    }

    /// Sets the wall clock back, as an administrator or a time server does. The monotonic clock does not notice.
    ///
    /// # Panics
    ///
    /// Where that would be before 1970.
    pub fn set_back(&self, by: Duration) {
        let mut times = self.times();
        times.wall = times.wall.checked_sub(by).expect("not before 1970");
    }

    /// Starts the monotonic clock again from zero, as booting the machine does. The wall clock goes on.
    pub fn reboot(&self) {
        self.times().monotonic = 0;
    }

    /// What the monotonic clock shows, in nanoseconds: deadlines are instants of this clock.
    pub fn instant(&self) -> u64 {
        self.times().monotonic
    }

    /// What the wall clock shows, since 1970.
    pub fn wall(&self) -> Duration {
        self.times().wall
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().expect("no test panics while it sets a clock")
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a test takes less than 584 years")
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.wall()
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.instant()
    }
}
