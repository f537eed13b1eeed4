//! Time as a value. Owns the two clocks' readings as types; never reads a clock.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// Nanoseconds since the process began, by a clock that never goes back and
/// counts while the machine is suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment the process began.
    pub const ZERO: Self = Self(0);
    /// The end of time: what ends then does not.
    pub const END: Self = Self(u64::MAX);

    /// A reading of the process's clock.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the process began.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Saturates: a deadline past the end of time is never due.
    fn add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// Wall-clock time: milliseconds since 1970-01-01 00:00 UTC, leap seconds not
/// counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// A reading of a wall clock.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_past_the_end_of_time_stays_there() {
        assert_eq!(Time::from_nanos(5) + Duration::MAX, Time::END);
    }

    #[test]
    fn what_is_not_after_is_no_time_after() {
        assert_eq!(Time::ZERO.since(Time::from_nanos(9)), Duration::ZERO);
        assert_eq!(
            UnixTime::from_millis(1).since(UnixTime::from_millis(2)),
            Duration::ZERO
        );
    }
}
