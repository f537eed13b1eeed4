//! When revisions were committed, by the clock that a benchmark takes its times by. The
//! database says it by the clock of the wall; both are this machine's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use porthouse_model::Revision;

/// One moment, by both clocks.
#[derive(Clone, Copy, Debug)]
struct Moment {
    wall: SystemTime,
    at: Instant,
}

impl Moment {
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark reads the clocks for a living"
    )]
    fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            at: Instant::now(),
        }
    }

    /// When that was; none: before this machine was there.
    fn instant(self, wall: SystemTime) -> Option<Instant> {
        match wall.duration_since(self.wall) {
            Ok(after) => self.at.checked_add(after),
            Err(before) => self.at.checked_sub(before.duration()),
        }
    }
}

/// When revisions were committed.
#[derive(Debug)]
pub(super) struct Commits(BTreeMap<i64, Instant>);

impl Commits {
    /// Asks the database of a server that has run, for these revisions.
    pub(super) async fn read(url: &str, revisions: &[i64]) -> anyhow::Result<Self> {
        let numbers = revisions.iter().map(|revision| u64::try_from(*revision));
        let asked: Vec<Revision> = numbers.filter_map(Result::ok).map(Revision).collect();
        let moment = Moment::now();
        let times = porthouse_control::commit_times(url, asked).await?;
        Ok(Self::of(moment, &times))
    }

    fn of(moment: Moment, times: &BTreeMap<Revision, SystemTime>) -> Self {
        let known = times.iter().filter_map(|(revision, wall)| {
            let number = i64::try_from(revision.0).ok()?;
            Some((number, moment.instant(*wall)?))
        });
        Self(known.collect())
    }

    /// How long after the commit of a revision something was.
    pub(super) fn since(&self, revision: i64, at: Instant) -> anyhow::Result<Duration> {
        let committed = self.0.get(&revision);
        let committed = committed
            .with_context(|| format!("the database does not say when {revision} was committed"))?;
        Ok(at.saturating_duration_since(*committed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_wall_is_one_of_the_clock_that_measures() {
        let moment = Moment::now();
        let ms = Duration::from_millis;
        // Both were committed before the database was asked.
        let times = [
            (Revision(7), moment.wall - ms(1_500)),
            (Revision(8), moment.wall - ms(1_400)),
        ];
        let commits = Commits::of(moment, &times.into());
        let closed = moment.at.checked_sub(ms(1_380)).expect("it ran then");
        assert_eq!(commits.since(7, closed).expect("known"), ms(120));
        assert_eq!(commits.since(8, closed).expect("known"), ms(20));
        let unknown = commits.since(9, closed).expect_err("it is not there");
        assert!(unknown.to_string().contains('9'), "{unknown}");
        let ahead = Commits::of(moment, &[(Revision(1), moment.wall + ms(5))].into());
        let later = moment.at + ms(9);
        assert_eq!(ahead.since(1, later).expect("known"), ms(4));
    }
}
