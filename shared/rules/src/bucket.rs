//! How often: a token bucket as plain data, in whole nanoseconds. Owns how much
//! is left of one rate; never whose it is, and never reads a clock.

use core::time::Duration;

use porthouse_model::{Rate, Time};

/// What is left of a rate: 8 bytes, full at first.
///
/// Kept as the moment at which it will be full again, so that nothing has to be
/// refilled (the generic cell rate algorithm, ITU-T I.371, annex A).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bucket {
    full_at: Time,
}

impl Bucket {
    /// Takes one; answers whether there was one. What is refused costs nothing.
    /// Never lets more pass than the rate says: a fraction of a nanosecond
    /// between two is rounded up.
    #[must_use]
    pub fn take(&mut self, rate: Rate, now: Time) -> bool {
        let mut owed = self.owed_nanos(rate, now);
        let taken = owed + interval_nanos(rate) <= capacity_nanos(rate);
        if taken {
            owed += interval_nanos(rate);
        }
        self.full_at = Time::from_nanos(now.as_nanos().saturating_add(owed));
        taken
    }

    /// Takes one that is due within `ahead` at the latest; answers whether there
    /// was one. What was taken before its time is a [`Bucket::debt`].
    #[must_use]
    pub fn take_ahead(&mut self, rate: Rate, now: Time, ahead: Duration) -> bool {
        let ahead = u64::try_from(ahead.as_nanos()).unwrap_or(u64::MAX);
        let most = capacity_nanos(rate).saturating_add(ahead);
        let owed = self.full_at.as_nanos().saturating_sub(now.as_nanos());
        let owed = owed.min(most).saturating_add(interval_nanos(rate));
        if owed > most {
            return false;
        }
        self.full_at = Time::from_nanos(now.as_nanos().saturating_add(owed));
        true
    }

    /// How long it takes until what was taken ahead of time was due.
    #[must_use]
    pub fn debt(self, rate: Rate, now: Time) -> Duration {
        let owed = self.full_at.as_nanos().saturating_sub(now.as_nanos());
        Duration::from_nanos(owed.saturating_sub(capacity_nanos(rate)))
    }

    /// When there will be one, where one was just refused; now, if there is.
    #[must_use]
    pub fn ready_at(self, rate: Rate, now: Time) -> Time {
        let owed = self.owed_nanos(rate, now) + interval_nanos(rate);
        let wait = owed.saturating_sub(capacity_nanos(rate));
        Time::from_nanos(now.as_nanos().saturating_add(wait))
    }

    /// Whether it is full, and may be forgotten: a new one is the same.
    #[must_use]
    pub fn is_full(self, now: Time) -> bool {
        self.full_at <= now
    }

    /// From when on it is full.
    #[must_use]
    pub const fn full_at(self) -> Time {
        self.full_at
    }

    /// What is missing, at most everything: a rate that was changed does not
    /// leave a debt that the new one could not have made.
    fn owed_nanos(self, rate: Rate, now: Time) -> u64 {
        let owed = self.full_at.as_nanos().saturating_sub(now.as_nanos());
        owed.min(capacity_nanos(rate))
    }
}

/// Between two, at least a nanosecond.
fn interval_nanos(rate: Rate) -> u64 {
    1_000_000_000_u64.div_ceil(rate.per_second.get().into())
}

/// What a full bucket holds; less than 2^62, as is a sum of it and an interval.
fn capacity_nanos(rate: Rate) -> u64 {
    interval_nanos(rate) * u64::from(rate.burst.get())
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        let some = |number| NonZeroU32::new(number).expect("not zero");
        Rate {
            per_second: some(per_second),
            burst: some(burst),
        }
    }

    #[test]
    fn a_burst_passes_and_then_one_an_interval() {
        let (rate, mut bucket) = (rate(10, 3), Bucket::default());
        let start = Time::from_nanos(5_000);
        for _ in 0..3 {
            assert!(bucket.take(rate, start));
        }
        assert!(!bucket.take(rate, start));
        let next = start + Duration::from_millis(100);
        assert_eq!(bucket.ready_at(rate, start), next);
        assert!(!bucket.take(rate, Time::from_nanos(next.as_nanos() - 1)));
        assert!(bucket.take(rate, next) && !bucket.take(rate, next));
    }

    #[test]
    fn a_pause_fills_it_and_no_more_than_that() {
        let (rate, mut bucket) = (rate(1, 2), Bucket::default());
        assert!(bucket.is_full(Time::ZERO));
        let taken = |bucket: &mut Bucket, now| (0..9).filter(|_| bucket.take(rate, now)).count();
        assert_eq!(taken(&mut bucket, Time::ZERO), 2);
        assert!(!bucket.is_full(Time::ZERO));
        let later = Time::ZERO + Duration::from_hours(1);
        assert!(bucket.is_full(later));
        assert_eq!(taken(&mut bucket, later), 2);
    }

    #[test]
    fn a_changed_rate_leaves_no_debt_of_the_old_one() {
        let (slow, fast) = (rate(1, 1_000), rate(1_000, 1));
        let mut bucket = Bucket::default();
        for _ in 0..1_000 {
            assert!(bucket.take(slow, Time::ZERO));
        }
        assert!(!bucket.take(fast, Time::ZERO));
        assert!(bucket.take(fast, Time::ZERO + Duration::from_millis(1)));
    }

    #[test]
    fn what_is_taken_ahead_is_waited_for_and_bounded() {
        let (rate, mut bucket) = (rate(10, 2), Bucket::default());
        let ahead = Duration::from_millis(200);
        for debt in [0, 0, 100, 200] {
            assert!(bucket.take_ahead(rate, Time::ZERO, ahead));
            let owed = bucket.debt(rate, Time::ZERO);
            assert_eq!(owed, Duration::from_millis(debt));
        }
        assert!(!bucket.take_ahead(rate, Time::ZERO, ahead));
        let later = Time::ZERO + Duration::from_millis(100);
        assert!(bucket.take_ahead(rate, later, ahead) && !bucket.take_ahead(rate, later, ahead));
        assert_eq!(bucket.debt(rate, later), ahead);
        assert!(!bucket.take(rate, later));
    }

    proptest! {
        #[test]
        fn no_span_lets_more_pass_than_its_rate(
            per_second in 1_u32..2_000_000, burst in 1_u32..50,
            gaps in prop::collection::vec(0_u64..2_000_000_000, 1..200),
        ) {
            let (rate, mut bucket, mut now) = (rate(per_second, burst), Bucket::default(), 0);
            let mut passed = Vec::new();
            for gap in gaps {
                now += gap / u64::from(per_second);
                if bucket.take(rate, Time::from_nanos(now)) {
                    passed.push(now);
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let refilled = u128::from(to - from) * u128::from(per_second) / 1_000_000_000;
                    prop_assert!((last - first + 1) as u128 <= u128::from(burst) + refilled);
                }
            }
        }

        #[test]
        fn ahead_lets_pass_what_the_rate_lets_in_as_much_more_time(
            per_second in 1_u32..2_000, burst in 1_u32..50, ahead in 0_u64..2_000_000_000,
            gaps in prop::collection::vec(0_u64..2_000_000_000, 1..100),
        ) {
            let (rate, mut bucket, mut now) = (rate(per_second, burst), Bucket::default(), 0);
            let (mut passed, first) = (0_u128, gaps[0] / u64::from(per_second));
            for gap in gaps {
                now += gap / u64::from(per_second);
                let ahead = Duration::from_nanos(ahead);
                passed += u128::from(bucket.take_ahead(rate, Time::from_nanos(now), ahead));
            }
            let refilled = u128::from(now - first + ahead) * u128::from(per_second) / 1_000_000_000;
            prop_assert!(passed <= u128::from(burst) + refilled);
        }

        #[test]
        fn what_is_ready_is_taken(
            per_second: NonZeroU32, burst: NonZeroU32, full_at: u64, now: u64,
        ) {
            let rate = Rate { per_second, burst };
            let mut bucket = Bucket { full_at: Time::from_nanos(full_at) };
            let now = Time::from_nanos(now);
            if bucket.take(rate, now) {
                return Ok(());
            }
            let ready = bucket.ready_at(rate, now);
            prop_assert!(ready > now);
            prop_assert!(bucket.take(rate, ready) || ready.as_nanos() == u64::MAX);
        }
    }
}
