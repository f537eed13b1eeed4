//! Times taken, as percentiles. Counts each to three digits; never keeps one by one.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest time that is told apart, in microseconds: a minute.
const MICROSECONDS_MAX: u64 = 60_000_000;
/// Decimal digits that are kept of each.
const DIGITS: u8 = 3;

/// Many times taken.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, MICROSECONDS_MAX, DIGITS);
        Self(histogram.expect("the bounds are in order"))
    }
}

impl Latency {
    /// So many took this long.
    pub fn record(&mut self, time: Duration, count: u64) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record_n(micros.max(1), count);
    }

    /// How many were taken.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that this part of them, in percent, took at most.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.0.value_at_percentile(percent))
    }

    /// The longest.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_count_what_was_recorded_many_times() {
        let mut latency = Latency::default();
        latency.record(Duration::from_micros(100), 98);
        latency.record(Duration::from_millis(5), 2);
        assert_eq!(latency.count(), 100);
        assert_eq!(latency.percentile(50.0), Duration::from_micros(100));
        assert!(latency.percentile(99.0) >= Duration::from_millis(5));
        latency.record(Duration::from_secs(1_000), 1);
        assert!(latency.longest() >= Duration::from_secs(59));
    }
}
