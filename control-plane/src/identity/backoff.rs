//! How long after wrong codes the next one is looked at: a few at once, then
//! twice as long each time. Pure: counts and times are handed in.

use std::time::Duration;

/// Wrong codes after which there is no wait yet.
const FREE_MAX: u32 = 4;
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_hours(1);
/// How long after the last wrong code all are forgotten.
const MEMORY: Duration = Duration::from_hours(24);

/// How many wrong ones are borne, and how long one waits at most then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// So many have no wait yet.
    pub(crate) free_max: u32,
    /// The longest wait.
    pub(crate) wait_max: Duration,
}

impl Patience {
    /// With one who should know: a user, a network, a device.
    pub(crate) const ONE: Self = Self {
        free_max: FREE_MAX,
        wait_max: WAIT_MAX,
    };
}

/// The wrong codes of one, so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrongs {
    /// How many.
    pub(crate) count: u32,
    /// How long ago the last one was.
    pub(crate) age: Duration,
}

impl Wrongs {
    /// How long to wait before another is looked at; `None`: not at all.
    pub(crate) fn wait(self) -> Option<Duration> {
        self.wait_of(Patience::ONE)
    }

    /// The same where as many are borne as this.
    pub(crate) fn wait_of(self, patience: Patience) -> Option<Duration> {
        let wait = wait_after(self.remembered(), patience).checked_sub(self.age)?;
        (!wait.is_zero()).then_some(wait)
    }

    /// How many there are with one more.
    pub(crate) fn and_one(self) -> u32 {
        self.remembered().saturating_add(1)
    }

    const fn remembered(self) -> u32 {
        if self.age.as_secs() < MEMORY.as_secs() {
            self.count
        } else {
            0
        }
    }
}

/// The wait after so many.
fn wait_after(count: u32, patience: Patience) -> Duration {
    let Some(over) = count.checked_sub(patience.free_max.saturating_add(1)) else {
        return Duration::ZERO;
    };
    1_u64
        .checked_shl(over)
        .map_or(patience.wait_max, Duration::from_secs)
        .min(patience.wait_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(count: u32, age_seconds: u64) -> Option<u64> {
        let age = Duration::from_secs(age_seconds);
        Wrongs { count, age }.wait().map(|wait| wait.as_secs())
    }

    #[test]
    fn each_wrong_code_beyond_a_few_doubles_the_wait() {
        let waits: Vec<_> = (0..8).map(|count| wait(count, 0)).collect();
        let none = [None; 5];
        assert_eq!(waits[..5], none);
        assert_eq!(waits[5..], [Some(1), Some(2), Some(4)]);
        assert_eq!(wait(16, 0), Some(2048));
        for count in [17, 40, 100, u32::MAX] {
            assert_eq!(wait(count, 0), Some(3600), "{count}");
        }
    }

    #[test]
    fn a_wait_passes_and_the_count_stays_for_a_day() {
        assert_eq!(wait(7, 3), Some(1));
        assert_eq!(wait(7, 4), None);
        let wrongs = |age_hours| Wrongs {
            count: 7,
            age: Duration::from_hours(age_hours),
        };
        assert_eq!(wrongs(23).and_one(), 8);
        assert_eq!(wrongs(24).and_one(), 1);
    }

    /// What can be tried for one in a year, of a million, three at a time.
    #[test]
    fn guessing_for_a_year_is_no_use() {
        let (mut tries, mut seconds) = (0_u32, 0);
        while seconds < 365 * 24 * 3600 {
            tries += 1;
            seconds += wait_after(tries, Patience::ONE).as_secs().max(1);
        }
        assert!(tries < 10_000, "{tries}");
    }
}
