//! How long sessions last: until a moment that is known when they are opened and never moves. By
//! then they are over, and nobody needs to say so.

use porthouse_model::{Session, UnixTime};

use super::{Control, SessionRow};
use crate::plant::Plant;
use crate::queue::{MILLIS, Nanos};
use crate::world::wall;

/// Stands for no end.
pub(super) const NEVER: UnixTime = UnixTime::from_millis(u64::MAX / 2);

/// How long sessions last that are opened before a moment; by default for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lives {
    /// At the most; 0: for ever.
    pub(crate) longest: Nanos,
    pub(crate) before: Nanos,
}

impl Control {
    /// Sessions last so long from here on.
    pub(crate) const fn let_live(&mut self, lives: Lives) {
        self.lives = lives;
    }

    /// The moment it is.
    pub(crate) const fn tell_time(&mut self, now: Nanos) {
        self.now = now;
    }

    /// Whether a session opens nothing any more.
    pub(crate) fn is_over(&self, row: &SessionRow) -> bool {
        row.ended || row.until.is_some_and(|until| until <= self.now)
    }

    /// When a session that is opened now ends by itself. Devices' tokens do not.
    pub(super) fn draw_until(&mut self, device: bool) -> Option<Nanos> {
        let Lives { longest, before } = self.lives;
        if longest == 0 || device || self.now >= before {
            return None;
        }
        let lasts = self.chance.skewed(longest / 8, longest);
        // Ends are told in milliseconds.
        Some((self.now + lasts) / MILLIS * MILLIS)
    }

    /// A session as nodes are told of it.
    pub(super) fn told_of(&self, row: &SessionRow) -> Session {
        let mut told = row.session.clone();
        match self.plant {
            Some(Plant::SessionOutlives) => told.expires = NEVER,
            Some(Plant::SessionCutShort) => {
                let until = row.until.map(|until| until.min(self.now + 500 * MILLIS));
                told.expires = expires(until);
            }
            Some(_) | None => {}
        }
        told
    }
}

/// An end by the wall clock.
pub(super) fn expires(until: Option<Nanos>) -> UnixTime {
    until.map_or(NEVER, wall)
}
