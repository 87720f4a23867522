//! Clocks that only a test moves.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// A wall clock and a monotonic clock, which stand still until a test moves them. Clones are the
/// same clocks.
///
/// ```
/// use std::time::Duration;
///
/// use larder_conformance::Clock;
///
/// let clock = Clock::starting_now();
/// let before = clock.instant();
/// clock.advance(Duration::from_nanos(7));
/// assert_eq!(clock.instant(), before + 7);
/// ```
#[derive(Clone)]
pub struct Clock(Arc<Mutex<Times>>);

#[derive(Clone)]
struct Times {
    wall: Duration,
    monotonic: u64,
}

impl Clock {
    /// The wall clock shows the real time, because files have real times. The monotonic clock has
    /// run for an hour.
    pub fn starting_now() -> Clock {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Clock::at(wall.expect("it is later than 1970"))
    }

    /// The wall clock shows this time since 1970. The monotonic clock has run for an hour.
    pub fn at(wall: Duration) -> Clock {
        Clock(Arc::new(Mutex::new(Times {
            wall,
            monotonic: nanoseconds(Duration::from_secs(3600)),
        })))
    }

    /// Makes other clocks, which show the same time now.
    pub fn fork(&self) -> Clock {
        Clock(Arc::new(Mutex::new(self.times().clone())))
    }

    /// Advances both clocks.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times();
        times.wall += by;
        times.monotonic += nanoseconds(by);
    }

    /// Sets the wall clock back, as an administrator or a time server does. The monotonic clock
    /// does not change.
    ///
    /// # Panics
    ///
    /// If the new time is before 1970.
    pub fn set_back(&self, by: Duration) {
        let mut times = self.times();
        times.wall = times.wall.checked_sub(by).expect("not before 1970");
    }

    /// Sets the monotonic clock to zero, as a boot of the machine does. The wall clock does not
    /// change.
    pub fn reboot(&self) {
        self.times().monotonic = 0;
    }

    /// The time of the monotonic clock, in nanoseconds. Deadlines are instants of this clock.
    pub fn instant(&self) -> u64 {
        self.times().monotonic
    }

    /// The time of the wall clock, since 1970.
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
