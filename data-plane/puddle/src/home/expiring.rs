//! What homes keep ends by its age, whether anybody says anything there or not.
//! Owns when each home is looked at; what is too old is known where it is kept.

use core::time::Duration;

use porthouse_model::{RoomName, Time};

use super::{Allowance, Home, Homes};

/// A home is looked at no more often than this.
const PAUSE: Duration = Duration::from_secs(1);

impl Homes {
    /// Something that ends is kept in a room's home now: it is looked at then, or
    /// before.
    pub(super) fn expect(&mut self, room: &RoomName) {
        let allowance = self.allowance;
        if let Some(home) = self.homes.get_mut(room)
            && home.looked_at.is_none()
            && let Some(due) = home.due(&allowance)
        {
            home.looked_at = Some(due);
            self.expiring.insert((due, room.clone()));
        }
    }

    /// A home is not looked at any more.
    pub(super) fn expect_nothing(&mut self, room: &RoomName) {
        if let Some(home) = self.homes.get_mut(room)
            && let Some(due) = home.looked_at.take()
        {
            self.expiring.remove(&(due, room.clone()));
        }
    }

    /// What is too old is forgotten, in every home.
    pub(super) fn expire(&mut self, now: Time) {
        while let Some((due, room)) = self.expiring.first()
            && *due <= now
        {
            let room = room.clone();
            self.expect_nothing(&room);
            self.with(&room, |home, allowance| home.expire(now, allowance));
        }
    }

    /// When the next is looked at.
    pub(super) fn expires(&self) -> Option<Time> {
        self.expiring.first().map(|(due, _)| *due)
    }

    pub(super) fn check_expiring(&self) {
        let due = self.homes.values().filter(|home| home.looked_at.is_some());
        assert_eq!(due.count(), self.expiring.len(), "what ends is listed");
    }
}

impl Home {
    fn due(&self, allowance: &Allowance) -> Option<Time> {
        let history = &self.governed.rules().source().history;
        let away = history.waiting.map(|waiting| waiting.age_max);
        let due = [
            self.keys.due(allowance.key_time_max),
            self.strands.due(allowance.resume_time_max),
            self.shelf.due(self.retention().age_max),
            away.and_then(|age_max| self.away.due(age_max)),
        ];
        due.into_iter().flatten().min().map(|due| due + PAUSE)
    }

    fn expire(&mut self, now: Time, allowance: &Allowance) {
        self.keys.forget(now, allowance.key_time_max);
        self.strands.keep(now, allowance.resume_time_max);
        let retention = self.retention();
        self.shelf.trim(now, &retention);
        if let Some(waiting) = self.governed.rules().source().history.waiting {
            self.away.forget(now, waiting.age_max);
        }
    }
}
