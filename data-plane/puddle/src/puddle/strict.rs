//! Rooms that stop delivering when there is no word for too long, the strictest first, so that a
//! turn looks at those whose time has come and at no other. Owns the order; never puts anybody out.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::room::RoomIndex;

/// Strict rooms, by how old the last word may be.
#[derive(Debug, Default)]
pub(crate) struct Strict {
    by_room: BTreeMap<RoomIndex, Duration>,
    in_order: BTreeSet<(Duration, RoomIndex)>,
}

impl Strict {
    /// A room delivers while the last word is no older than that; `None`: however old it is.
    pub(super) fn note(&mut self, room: RoomIndex, age_max: Option<Duration>) {
        self.forget(room);
        if let Some(age_max) = age_max {
            self.by_room.insert(room, age_max);
            self.in_order.insert((age_max, room));
        }
    }

    /// A room is gone.
    pub(super) fn forget(&mut self, room: RoomIndex) {
        if let Some(age_max) = self.by_room.remove(&room) {
            self.in_order.remove(&(age_max, room));
        }
    }

    /// The rooms that deliver nothing when the last word is this old.
    pub(super) fn stale(&self, age: Duration) -> Vec<RoomIndex> {
        let stale = self.in_order.range(..(age, RoomIndex::MIN));
        stale.map(|(_, room)| *room).collect()
    }

    /// How old the last word may be until the first room is stale.
    pub(super) fn first(&self) -> Option<Duration> {
        self.in_order.first().map(|(age_max, _)| *age_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_is_stale_first_and_none_at_its_bound() {
        let seconds = Duration::from_secs;
        let mut strict = Strict::default();
        strict.note(1, Some(seconds(5)));
        strict.note(2, Some(seconds(3)));
        strict.note(3, Some(seconds(3)));
        strict.note(3, None);
        assert_eq!(strict.first(), Some(seconds(3)));
        assert!(strict.stale(seconds(3)).is_empty());
        assert_eq!(strict.stale(seconds(4)), [2]);
        assert_eq!(strict.stale(seconds(6)), [2, 1]);
        strict.note(2, Some(seconds(9)));
        assert_eq!(strict.stale(seconds(6)), [1]);
        strict.forget(1);
        assert_eq!(strict.first(), Some(seconds(9)));
        assert!(strict.stale(seconds(6)).is_empty());
    }
}
