//! The clocks of a component: its wall clock, and its monotonic clock beside the host's.

use std::time::{Duration, Instant, SystemTime};

use wasmtime_wasi::HostWallClock;

use crate::bindings;

/// The system's wall clock. Before 1970, which WASI cannot express, it stands at 1970: the wall
/// clock of wasmtime would panic.
pub(crate) struct WallClock;

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap_or_default()
    }
}

/// One moment, on both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Clocks {
    /// In nanoseconds.
    component: u64,
    host: Instant,
}

impl Clocks {
    /// The present moment, at which the component's clock shows these nanoseconds.
    pub(crate) fn now(component: u64) -> Self {
        let host = Instant::now();
        Self { component, host }
    }

    /// Translates an instant of the host's clock. A past instant counts as now.
    pub(crate) fn nanoseconds(self, at: Instant) -> u64 {
        let left = at.saturating_duration_since(self.host);
        self.component.saturating_add(bindings::nanoseconds(left))
    }

    /// Translates an instant of the component's clock. None if it is too late for an [`Instant`].
    pub(crate) fn instant(self, at: u64) -> Option<Instant> {
        let now = self.host;
        match at.checked_sub(self.component) {
            Some(left) => now.checked_add(Duration::from_nanos(left)),
            None => now
                .checked_sub(Duration::from_nanos(self.component - at))
                .or(Some(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_goes_to_a_component_and_back() {
        let host = Instant::now();
        let clocks = Clocks {
            component: 1000,
            host,
        };
        let later = host + Duration::from_nanos(7);
        assert_eq!(clocks.nanoseconds(later), 1007);
        assert_eq!(clocks.instant(1007), Some(later));
        assert_eq!(clocks.nanoseconds(host), 1000);
        let earlier = host - Duration::from_nanos(7);
        assert_eq!(clocks.nanoseconds(earlier), 1000);
        let never = host + Duration::from_secs(1 << 35);
        assert_eq!(clocks.nanoseconds(never), u64::MAX);
    }
}
