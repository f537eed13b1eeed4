//! What a socket has that ends by itself, and when it is told so. Owns the
//! moments; never ends anything.

use core::time::Duration;

use porthouse_model::Time;

use crate::room::RoomIndex;

/// What ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The session, and with it all the socket has.
    Session,
    /// The right to be in this room, before the session does.
    Stay(RoomIndex),
}

/// What is still to be told: one a session and room, none twice.
#[derive(Debug, Default)]
pub(crate) struct Ends(Vec<Expected>);

#[derive(Clone, Copy, Debug)]
struct Expected {
    ending: Ending,
    /// When it is told.
    at: Time,
    end: Time,
}

impl Ends {
    /// It ends then, whatever was thought before.
    pub(crate) fn expect(&mut self, ending: Ending, end: Time, ahead: Duration) {
        self.forget(ending);
        if end == Time::END {
            return;
        }
        let ahead = u64::try_from(ahead.as_nanos()).unwrap_or(u64::MAX);
        let at = Time::from_nanos(end.as_nanos().saturating_sub(ahead));
        self.0.push(Expected { ending, at, end });
    }

    /// It is over, or is not the socket's any more.
    pub(crate) fn forget(&mut self, ending: Ending) {
        self.0.retain(|expected| expected.ending != ending);
    }

    /// What is told now, with the moments at which it ends.
    pub(crate) fn take_due(&mut self, now: Time) -> Vec<(Ending, Time)> {
        let due = self.0.extract_if(.., |expected| expected.at <= now);
        due.map(|expected| (expected.ending, expected.end))
            .collect()
    }

    /// When something is to be told next.
    pub(crate) fn next(&self) -> Time {
        let moments = self.0.iter().map(|expected| expected.at);
        moments.min().unwrap_or(Time::END)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(secs: u64) -> Time {
        Time::ZERO + SECOND * u32::try_from(secs).expect("few")
    }

    #[test]
    fn what_ends_is_told_once_and_ahead() {
        let mut ends = Ends::default();
        ends.expect(Ending::Session, at(10), SECOND);
        ends.expect(Ending::Stay(3), at(5), SECOND);
        assert_eq!(ends.next(), at(4));
        assert_eq!(ends.take_due(at(3)), []);
        assert_eq!(ends.take_due(at(4)), [(Ending::Stay(3), at(5))]);
        assert_eq!(ends.take_due(at(9)), [(Ending::Session, at(10))]);
        assert_eq!(ends.take_due(at(20)), []);
    }

    #[test]
    fn what_ends_later_is_told_later_and_what_never_ends_never() {
        let mut ends = Ends::default();
        ends.expect(Ending::Session, at(10), SECOND);
        ends.expect(Ending::Session, at(30), SECOND);
        assert_eq!(ends.take_due(at(20)), []);
        ends.expect(Ending::Session, Time::END, SECOND);
        assert_eq!(ends.next(), Time::END);
    }
}
