//! Rooms that wait for their turn: in the order in which they came, those first
//! whose answer somebody waits for. Owns the order; never decides whose turn it is.

use std::collections::BTreeMap;

use porthouse_model::RoomName;

use crate::home::Wanted;

/// Of so many turns one is of those who wait longest for what nobody asked.
const INSIDE_EVERY: u64 = 4;

/// Rooms that wait, each once.
#[derive(Debug, Default)]
pub(super) struct Line {
    came: u64,
    went: u64,
    order: BTreeMap<(Wanted, u64), RoomName>,
    places: BTreeMap<RoomName, (Wanted, u64)>,
}

impl Line {
    /// A room waits from here on, or is waited for more than before.
    pub(super) fn join(&mut self, room: &RoomName, wanted: Wanted) {
        let before = self.places.get(room).copied();
        if before.is_some_and(|(before, _)| before <= wanted) {
            return;
        }
        self.leave(room);
        self.came += 1;
        let place = (wanted, self.came);
        self.order.insert(place, room.clone());
        self.places.insert(room.clone(), place);
    }

    /// Whose turn it is. It waits no more.
    pub(super) fn next(&mut self) -> Option<RoomName> {
        self.went += 1;
        let inside = self.order.range((Wanted::Inside, 0)..).next();
        let inside = inside.filter(|_| self.went.is_multiple_of(INSIDE_EVERY));
        let (_, room) = inside.or_else(|| self.order.first_key_value())?;
        let room = room.clone();
        self.leave(&room);
        Some(room)
    }

    fn leave(&mut self, room: &RoomName) {
        if let Some(place) = self.places.remove(room) {
            self.order.remove(&place);
        }
    }

    pub(super) fn contains(&self, room: &RoomName) -> bool {
        self.places.contains_key(room)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomName {
        name.parse().expect("a name")
    }

    #[test]
    fn who_is_asked_for_goes_first_and_nobody_waits_for_ever() {
        let mut line = Line::default();
        for name in ["a", "b"] {
            line.join(&room(name), Wanted::Inside);
        }
        for name in ["c", "d", "e", "f"] {
            line.join(&room(name), Wanted::Asked);
        }
        line.join(&room("b"), Wanted::Asked);
        line.join(&room("c"), Wanted::Inside);
        let order: Vec<RoomName> = std::iter::from_fn(|| line.next()).collect();
        assert_eq!(order, ["c", "d", "e", "a", "f", "b"].map(room));
        assert!(line.is_empty());
    }
}
