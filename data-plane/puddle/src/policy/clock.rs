//! When something that is known ends by itself: told by the wall clock,
//! counted by the process's. Never reads either.

use porthouse_model::{Time, UnixTime};

/// One moment, by both clocks. What arrived then ends by this reading, whatever
/// the wall clock says later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    at: Time,
    wall: UnixTime,
}

impl Clock {
    /// The wall clock said this at that moment.
    pub(crate) const fn new(at: Time, wall: UnixTime) -> Self {
        Self { at, wall }
    }

    /// What the wall clock shows at a moment after this.
    pub(crate) fn shows(self, now: Time) -> UnixTime {
        let since = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        UnixTime::from_millis(self.wall.as_millis().saturating_add(since))
    }

    /// When a moment of the wall clock comes; at this moment, if it is over.
    pub(crate) fn moment(self, wall: UnixTime) -> Time {
        self.at + wall.since(self.wall)
    }
}

/// Something that ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lasting<T> {
    /// The thing.
    pub(crate) what: T,
    /// The first moment at which it counts no more.
    pub(crate) until: Time,
}

impl<T> Lasting<T> {
    /// What ends then, or never. Before the wall clock was told, all has ended.
    pub(super) fn new(what: T, clock: Option<Clock>, expires: Option<UnixTime>) -> Self {
        let moment = |expires| clock.map_or(Time::ZERO, |clock| clock.moment(expires));
        Self {
            what,
            until: expires.map_or(Time::END, moment),
        }
    }

    /// Whether it still counts.
    pub(crate) fn lasts(&self, now: Time) -> bool {
        self.until > now
    }
}
