//! The node's one clock. Owns the reading of both system clocks; nothing else
//! in the data plane reads one.

use porthouse_model::{Time, UnixTime};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Counts from the moment it was made, suspends of the machine included
/// (`CLOCK_BOOTTIME`), so that a node that slept knows how old its knowledge is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start_nanos: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start_nanos: boottime_nanos(),
        }
    }

    pub(crate) fn now(self) -> Time {
        Time::from_nanos(boottime_nanos().saturating_sub(self.start_nanos))
    }

    /// What the wall clock says; it may jump.
    pub(crate) fn wall() -> UnixTime {
        UnixTime::from_millis(nanos(clock_gettime(ClockId::Realtime)) / 1_000_000)
    }
}

fn boottime_nanos() -> u64 {
    nanos(clock_gettime(ClockId::Boottime))
}

fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_begins_at_the_start_and_does_not_go_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(first.as_nanos() < 60_000_000_000);
        assert!(clock.now() >= first);
        assert!(Clock::wall() > UnixTime::from_millis(1_700_000_000_000));
    }
}
