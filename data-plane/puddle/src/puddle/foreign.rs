//! Pages that are refused for where they are from: counted, and told in the log now
//! and then. Never in the control plane's audit log: anybody can load such a page,
//! and would write there without bound.

use core::time::Duration;

use porthouse_model::{Refused, Time};

use super::Puddle;
use crate::recall::Cause;
use crate::upgrade::BadUpgrade;

/// How far apart two lines in the log are, at least.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What was not told yet.
#[derive(Debug)]
pub(super) struct Foreign {
    untold: u64,
    /// When a line may be written.
    next: Time,
}

impl Foreign {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            untold: 0,
            next: now,
        }
    }

    /// One more. Answers for how many a line is to be written now, this one
    /// included.
    fn refused(&mut self, now: Time) -> Option<u64> {
        self.untold += 1;
        if now < self.next {
            return None;
        }
        self.next = now + LINE_EVERY;
        Some(core::mem::take(&mut self.untold))
    }
}

impl Puddle {
    /// Something is refused: if that is for the page that asks, it counts as such.
    pub(super) fn count_page(&mut self, cause: &Cause) {
        let rule = match cause {
            Cause::Refused(refused) if *refused == Refused::OriginRefused => {
                self.counters.pages_refused += 1;
                refused.rule()
            }
            Cause::Request { rule, .. } if *rule == BadUpgrade::FOREIGN_PAGE.rule => {
                self.counters.cookies_refused += 1;
                rule
            }
            Cause::Refused(_) | Cause::Request { .. } => return,
        };
        if let Some(refused) = self.foreign.refused(self.now) {
            tracing::info!(rule, refused, "pages of other origins were refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_told_in_few_lines_and_none_is_left_out() {
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let mut foreign = Foreign::new(Time::ZERO);
        assert_eq!(foreign.refused(at(0)), Some(1));
        assert_eq!([foreign.refused(at(1)), foreign.refused(at(9))], [None; 2]);
        assert_eq!(foreign.refused(at(10)), Some(3));
        assert_eq!(foreign.refused(at(11)), None);
    }
}
