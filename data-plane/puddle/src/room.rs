//! Rooms of a puddle: who sits in them here, which other puddles have them too,
//! and who receives what is said.
//!
//! Owns seats and interest. Never judges who may enter: that is decided before
//! a seat is given, in the same turn.

mod seats;
mod receivers;
mod joins;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use porthouse_model::{RoomId, RoomName};
use porthouse_rules::Rules;

use crate::home::Stand;
use crate::hop::Puddles;
use crate::input::{PuddleId, SocketId};
use crate::people::{Owned, RoomLife};
use crate::policy::{RoomPolicy, TemplatePolicy};
use crate::seed::{Hasher, Map};
pub(crate) use joins::Joins;
pub(crate) use receivers::{Message, count, deliver, encode};
pub(crate) use seats::{Pinned, Rights, Seats, Sitter, Steps};

/// A room's place in [`Rooms`]; used again once the room is gone.
pub(crate) type RoomIndex = u32;

/// Whose rules a room has.
#[derive(Clone, Debug)]
pub(crate) enum Governed {
    /// The control plane's: it is persistent.
    Persistent(Arc<RoomPolicy>),
    /// A template's that covers its name: it is transient in its life.
    Templated(Arc<TemplatePolicy>),
    /// The node's, and its owner's: it is transient.
    Transient(Transient),
}

/// How a transient room is governed.
#[derive(Clone, Debug)]
pub(crate) struct Transient {
    /// Its rules: the node's, as its owner has changed them.
    pub rules: Arc<Rules>,
    /// How long it lives unless its maker says otherwise; `None`: nobody owns
    /// it, and it lives as long as anybody is inside.
    pub life: Option<RoomLife>,
    /// Who owns it, once its home has said so.
    pub owned: Option<Owned>,
}

impl Governed {
    pub(crate) fn rules(&self) -> &Rules {
        match self {
            Self::Persistent(policy) => &policy.rules,
            Self::Templated(policy) => &policy.rules,
            Self::Transient(transient) => &transient.rules,
        }
    }

    /// Who owns the room, where it is transient and owned.
    pub(crate) const fn owned(&self) -> Option<Owned> {
        match self {
            Self::Persistent(_) | Self::Templated(_) => None,
            Self::Transient(transient) => transient.owned,
        }
    }

    /// The identity of a persistent room.
    pub(crate) fn id(&self) -> Option<RoomId> {
        match self {
            Self::Persistent(policy) => Some(policy.room.id),
            Self::Templated(_) | Self::Transient(_) => None,
        }
    }

    /// Whether they are one and the same policy of the control plane. Of what
    /// owners set this says nothing.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Persistent(one), Self::Persistent(other)) => Arc::ptr_eq(one, other),
            (Self::Templated(one), Self::Templated(other)) => Arc::ptr_eq(one, other),
            (Self::Persistent(_) | Self::Templated(_) | Self::Transient(_), _) => false,
        }
    }

    /// By which the steps of an entry are verified: what was passed at one is
    /// not passed at another.
    pub(crate) fn verified_as(&self) -> Option<RoomId> {
        match self {
            Self::Persistent(policy) => Some(policy.room.id),
            Self::Templated(policy) => Some(policy.template.id),
            Self::Transient(_) => None,
        }
    }
}

/// Whether the other puddles send us a room's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// These have not said so yet.
    Asked(Puddles),
    /// All do.
    Confirmed,
}

/// A room with sockets of this puddle in it, or about to be.
#[derive(Debug)]
pub(crate) struct Room {
    /// Its name.
    pub name: RoomName,
    /// Its rules.
    pub governed: Governed,
    /// Who sits in it here.
    pub seats: Seats,
    /// Other puddles with sockets in it.
    pub elsewhere: Puddles,
    /// Tells this life of the room here from the one before.
    pub visit: u64,
    /// Whether we get what is said on other puddles.
    pub interest: Interest,
    /// Who waits for that.
    pub entrants: BTreeSet<SocketId>,
    /// How far the room is, as its home said last; nothing where nobody asked.
    pub stand: Option<Stand>,
    /// Sockets here that look at who is there.
    pub lookers: BTreeSet<SocketId>,
    /// Whether a backend follows it.
    pub followed: bool,
}

/// All rooms of a puddle.
#[derive(Debug)]
pub(crate) struct Rooms {
    rooms: Vec<Option<Room>>,
    free: Vec<RoomIndex>,
    by_name: Map<RoomName, RoomIndex>,
    /// Which other puddles have which rooms, whether we do or not.
    elsewhere: BTreeMap<RoomName, Puddles>,
    /// Which rooms backends follow, whether they are here or not.
    followed: BTreeSet<RoomName>,
    others: Puddles,
    visits: u64,
    rooms_max: usize,
}

impl Rooms {
    pub(crate) fn new(others: Puddles, rooms_max: usize, hasher: Hasher) -> Self {
        Self {
            rooms: Vec::new(),
            free: Vec::new(),
            by_name: Map::with_hasher(hasher),
            elsewhere: BTreeMap::new(),
            followed: BTreeSet::new(),
            others,
            visits: 0,
            rooms_max,
        }
    }

    pub(crate) fn find(&self, name: &RoomName) -> Option<RoomIndex> {
        self.by_name.get(name).copied()
    }

    /// By a name as it was written, which need not be a room's.
    pub(crate) fn find_str(&self, name: &str) -> Option<RoomIndex> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, index: RoomIndex) -> &Room {
        self.rooms[index as usize]
            .as_ref()
            .expect("an index held by a socket is of a room")
    }

    pub(crate) fn get_mut(&mut self, index: RoomIndex) -> &mut Room {
        self.rooms[index as usize]
            .as_mut()
            .expect("an index held by a socket is of a room")
    }

    /// The other puddles that have a room, whether we do or not.
    pub(crate) fn elsewhere(&self, name: &RoomName) -> Puddles {
        self.elsewhere.get(name).copied().unwrap_or_default()
    }

    /// Whether anybody on this node is in a room of this name.
    pub(crate) fn is_live(&self, name: &RoomName) -> bool {
        self.by_name.contains_key(name) || self.elsewhere.contains_key(name)
    }

    /// Finds or makes a room. `None` when there are as many as there may be. A
    /// new one's interest is not confirmed by anybody yet.
    pub(crate) fn open(&mut self, name: &RoomName, governed: &Governed) -> Option<RoomIndex> {
        if let Some(index) = self.find(name) {
            return Some(index);
        }
        if self.by_name.len() >= self.rooms_max {
            return None;
        }
        let interest = if self.others.is_empty() {
            Interest::Confirmed
        } else {
            Interest::Asked(self.others)
        };
        self.visits += 1;
        let room = Room {
            visit: self.visits,
            name: name.clone(),
            governed: governed.clone(),
            seats: Seats::default(),
            elsewhere: self.elsewhere.get(name).copied().unwrap_or_default(),
            interest,
            entrants: BTreeSet::new(),
            stand: None,
            lookers: BTreeSet::new(),
            followed: self.followed.contains(name),
        };
        let index = if let Some(index) = self.free.pop() {
            self.rooms[index as usize] = Some(room);
            index
        } else {
            self.rooms.push(Some(room));
            u32::try_from(self.rooms.len() - 1).expect("rooms_max fits 32 bits")
        };
        self.by_name.insert(name.clone(), index);
        Some(index)
    }

    /// Whether a room that was here in this visit still is.
    pub(crate) fn is_here(&self, index: RoomIndex, visit: u64) -> bool {
        let known = self.rooms[index as usize].as_ref();
        known.is_some_and(|known| known.visit == visit)
    }

    /// Forgets a room that nobody is in or about to enter; answers its name if so.
    pub(crate) fn close_if_empty(&mut self, index: RoomIndex) -> Option<RoomName> {
        let room = self.get(index);
        if !room.seats.is_empty() || !room.entrants.is_empty() {
            return None;
        }
        let room = self.rooms[index as usize].take()?;
        self.by_name.remove(&room.name);
        self.free.push(index);
        Some(room.name)
    }

    /// A room is followed from here on, now or once it is here.
    pub(crate) fn follow(&mut self, name: RoomName) {
        if let Some(index) = self.find(&name) {
            self.get_mut(index).followed = true;
        }
        self.followed.insert(name);
    }

    /// A room is not followed any more.
    pub(crate) fn unfollow(&mut self, name: &RoomName) {
        if let Some(index) = self.find(name) {
            self.get_mut(index).followed = false;
        }
        self.followed.remove(name);
    }

    /// Whether a room is followed, be it here or not.
    pub(crate) fn is_followed(&self, name: &RoomName) -> bool {
        self.followed.contains(name)
    }

    /// Another puddle has this room.
    pub(crate) fn entered_elsewhere(&mut self, name: RoomName, puddle: PuddleId) {
        if let Some(index) = self.find(&name) {
            self.get_mut(index).elsewhere.insert(puddle);
        }
        self.elsewhere.entry(name).or_default().insert(puddle);
    }

    /// Whether another puddle has this room.
    pub(crate) fn is_elsewhere(&self, name: &RoomName, puddle: PuddleId) -> bool {
        self.elsewhere(name).contains(puddle)
    }

    /// Another puddle no longer has this room.
    pub(crate) fn left_elsewhere(&mut self, name: &RoomName, puddle: PuddleId) {
        if let Some(index) = self.find(name) {
            self.get_mut(index).elsewhere.remove(puddle);
        }
        if let Some(puddles) = self.elsewhere.get_mut(name) {
            puddles.remove(puddle);
            if puddles.is_empty() {
                self.elsewhere.remove(name);
            }
        }
    }

    /// Another puddle began anew: it has no rooms, and was told of none of ours.
    /// Answers ours, whose interest it must be told.
    pub(crate) fn restarted(&mut self, puddle: PuddleId) -> Vec<(RoomName, u64)> {
        self.elsewhere.retain(|_, puddles| {
            puddles.remove(puddle);
            !puddles.is_empty()
        });
        let mut names = Vec::new();
        for room in self.rooms.iter_mut().flatten() {
            room.elsewhere.remove(puddle);
            if let Interest::Asked(unconfirmed) = &mut room.interest {
                unconfirmed.insert(puddle);
            }
            names.push((room.name.clone(), room.visit));
        }
        names
    }

    /// Rooms with their places, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RoomIndex, &Room)> {
        let numbered = self.rooms.iter().enumerate();
        numbered.filter_map(|(index, room)| {
            let index = u32::try_from(index).expect("rooms_max fits 32 bits");
            room.as_ref().map(|room| (index, room))
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Every invariant.
    pub(crate) fn check(&self) {
        for (index, room) in self.iter() {
            assert_eq!(
                self.find(&room.name),
                Some(index),
                "a room is found by its name"
            );
            let elsewhere = self.elsewhere.get(&room.name).copied().unwrap_or_default();
            assert_eq!(room.elsewhere, elsewhere, "a room knows where else it is");
            let followed = self.is_followed(&room.name);
            assert_eq!(
                room.followed, followed,
                "a room knows whether it is followed"
            );
            assert!(
                !room.seats.is_empty() || !room.entrants.is_empty(),
                "a room ends with its last socket"
            );
            room.seats.check();
        }
        assert_eq!(self.iter().count(), self.len(), "rooms are counted");
        assert_eq!(
            self.rooms.len(),
            self.len() + self.free.len(),
            "no place is lost"
        );
    }
}

impl Room {
    /// One more puddle sends us what is said there. Answers whether that was the
    /// last to be waited for.
    pub(crate) fn confirmed_by(&mut self, puddle: PuddleId, visit: u64) -> bool {
        match &mut self.interest {
            Interest::Asked(unconfirmed) if visit == self.visit => {
                unconfirmed.remove(puddle);
                let all = unconfirmed.is_empty();
                if all {
                    self.interest = Interest::Confirmed;
                }
                all
            }
            Interest::Asked(_) | Interest::Confirmed => false,
        }
    }
}
