//! What is one per room on a node: each room name has one home puddle, and this
//! is what that puddle keeps for it, whether it has sockets in the room or not.
//!
//! Owns the homes of a puddle: when each begins, whose rules it goes by, and
//! when it is forgotten. What a home keeps is in the files below, one for each
//! concern. Never touches a socket and never sends: it answers, and
//! `puddle/homing.rs` carries it.

mod asking;
mod guests;
mod people;

use core::hash::Hasher as _;
use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{Keep, Order, Refused, Revision, RoomName, RoomRules, Shown, Time};
use siphasher::sip::SipHasher13;

use crate::input::PuddleId;
use crate::people::{Limits, People};
use crate::room::Governed;
use crate::seed::Chance;
use crate::settings::Settings;
pub(crate) use asking::{Ask, OwnerAct, Said, Stand, Welcome};
pub use asking::{FromHome, ToHome};
pub(crate) use guests::{Guest, Guests};

/// Epochs are below this: what JSON's readers take for a whole number (RFC 8259,
/// section 6).
const EPOCH_BITS: u32 = 53;

/// The puddle that keeps what is one per room. The same on every puddle of a
/// node, and whatever the seed: a hash of the name (SipHash-1-3, key 0).
pub(crate) fn home_of(room: &RoomName, puddles: u8) -> PuddleId {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(room.as_str().as_bytes());
    let puddle = hasher.finish() % u64::from(puddles);
    PuddleId(u8::try_from(puddle).expect("it is below the number of puddles"))
}

/// Whether what is said in a room goes by its home, which puts it in order and
/// keeps what is to be kept.
pub(crate) fn keeps(rules: &RoomRules) -> bool {
    rules.delivery.order == Order::Ordered
        || rules.history.keep != Keep::None
        || rules.history.waiting.is_some()
        || rules.messages.rates.per_client.is_some()
        || rules.messages.rates.per_room.is_some()
}

/// Whether a room's home must know who comes in and who leaves.
pub(crate) fn counts_guests(governed: &Governed) -> bool {
    let rules = governed.rules().source();
    let owned = match governed {
        Governed::Transient(transient) => transient.life.is_some(),
        Governed::Persistent(_) | Governed::Templated(_) => false,
    };
    owned
        || keeps(rules)
        || Limits::of(&rules.connection).are_set()
        || rules.presence.shown != Shown::Off
}

/// One room, as its home knows it.
#[derive(Debug)]
pub(crate) struct Home {
    /// By which rules: those of the puddle that has heard of the latest
    /// revision.
    governed: Governed,
    as_of: Revision,
    /// Tells this life of the home from all others of the name.
    epoch: u64,
    /// Who is inside, of those it was told of.
    pub guests: Guests,
    /// How many of them there may be, what is shown of them, who owns the room.
    pub people: People,
    /// When something about them is due.
    alarm: Option<Time>,
    /// When it is forgotten, while nobody is inside.
    idle_until: Option<Time>,
}

/// All homes of a puddle.
#[derive(Debug)]
pub(crate) struct Homes {
    homes: BTreeMap<RoomName, Home>,
    /// Those with nobody inside, by when they are forgotten.
    idle: BTreeSet<(Time, RoomName)>,
    homes_max: usize,
    /// Rooms about whose people something is due, by when.
    alarms: BTreeSet<(Time, RoomName)>,
    /// Transient rooms that somebody owns.
    owned: BTreeSet<RoomName>,
    owned_max: usize,
}

impl Homes {
    pub(crate) const fn new(settings: &Settings) -> Self {
        Self {
            homes: BTreeMap::new(),
            idle: BTreeSet::new(),
            homes_max: settings.homes_max,
            alarms: BTreeSet::new(),
            owned: BTreeSet::new(),
            owned_max: settings
                .transient_rooms_max
                .div_ceil(settings.puddles as usize),
        }
    }

    /// The home of a room in which there is somebody, or is about to be. It
    /// begins anew where the room is another one than before.
    pub(crate) fn open(
        &mut self,
        room: &RoomName,
        governed: &Governed,
        as_of: Revision,
        chance: &mut Chance,
    ) -> Result<&mut Home, Refused> {
        self.awake(room);
        if !self.homes.contains_key(room) {
            if !self.may_make(governed) {
                return Err(Refused::TooMany);
            }
            if self.homes.len() >= self.homes_max {
                self.forget_one()?;
            }
            let home = Home::new(governed.clone(), as_of, chance);
            self.homes.insert(room.clone(), home);
        }
        let home = self.homes.get_mut(room).expect("it was there or was made");
        home.govern(governed, as_of, chance);
        Ok(home)
    }

    /// The home of a room, if it has one.
    pub(crate) fn get_mut(&mut self, room: &RoomName) -> Option<&mut Home> {
        self.homes.get_mut(room)
    }

    /// Nobody is in a room any more, on any puddle. A transient room is over; a
    /// persistent one is kept in mind while it keeps something.
    pub(crate) fn emptied(&mut self, room: &RoomName, now: Time) {
        let Some(home) = self.homes.get_mut(room) else {
            return;
        };
        match home.needed_until(now) {
            Some(until) if until > now => {
                if let Some(before) = home.idle_until.replace(until) {
                    self.idle.remove(&(before, room.clone()));
                }
                self.idle.insert((until, room.clone()));
            }
            Some(_) | None => self.forget(room),
        }
    }

    /// A room stands like this, as of a revision that was applied.
    pub(crate) fn ruled(
        &mut self,
        room: &RoomName,
        governed: &Governed,
        as_of: Revision,
        chance: &mut Chance,
    ) {
        if let Some(home) = self.homes.get_mut(room) {
            home.govern(governed, as_of, chance);
        }
    }

    /// Revisions begin anew: what is heard next counts, whatever its number.
    pub(crate) fn resync(&mut self) {
        for home in self.homes.values_mut() {
            home.as_of = Revision::default();
        }
    }

    /// A puddle began anew, or has nobody in a room any more: its guests are
    /// gone. `None`: in any room.
    pub(crate) fn left_by(&mut self, now: Time, puddle: PuddleId, room: Option<&RoomName>) {
        match room {
            Some(room) => {
                if let Some(home) = self.homes.get_mut(room) {
                    home.lose(now, puddle);
                }
            }
            None => {
                for home in self.homes.values_mut() {
                    home.lose(now, puddle);
                }
            }
        }
    }

    /// Rooms with a home here, in order.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &RoomName> {
        self.homes.keys()
    }

    /// Forgets what has been kept for long enough.
    pub(crate) fn keep(&mut self, now: Time) {
        while let Some((until, _)) = self.idle.first()
            && *until <= now
        {
            let (_, room) = self.idle.pop_first().expect("it was there");
            self.disarm(&room);
            self.homes.remove(&room);
        }
    }

    /// When something is to be forgotten or told.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let idle = self.idle.first().map(|(until, _)| *until);
        let alarm = self.alarms.first().map(|(at, _)| *at);
        idle.into_iter().chain(alarm).min()
    }

    fn awake(&mut self, room: &RoomName) {
        if let Some(home) = self.homes.get_mut(room)
            && let Some(until) = home.idle_until.take()
        {
            self.idle.remove(&(until, room.clone()));
        }
    }

    fn forget(&mut self, room: &RoomName) {
        self.awake(room);
        self.disarm(room);
        self.homes.remove(room);
    }

    fn forget_one(&mut self) -> Result<(), Refused> {
        let (_, room) = self.idle.first().ok_or(Refused::TooMany)?;
        let room = room.clone();
        self.forget(&room);
        Ok(())
    }

    /// Every invariant.
    pub(crate) fn check(&self) {
        let idle = self.homes.iter().filter_map(|(room, home)| {
            let until = home.idle_until?;
            assert!(home.guests.is_empty(), "nobody is inside an idle room");
            Some((until, room.clone()))
        });
        assert!(
            idle.collect::<BTreeSet<_>>() == self.idle,
            "idle homes are listed"
        );
        assert!(self.homes.len() <= self.homes_max, "homes are bounded");
        for home in self.homes.values() {
            home.guests.check();
        }
    }
}

impl Home {
    fn new(governed: Governed, as_of: Revision, chance: &mut Chance) -> Self {
        Self {
            as_of,
            epoch: chance.next() >> (u64::BITS - EPOCH_BITS),
            people: People::new(),
            governed,
            guests: Guests::default(),
            alarm: None,
            idle_until: None,
        }
    }

    /// Its rules, if these are not older than those it has. Another room of the
    /// same name is another home; only who is inside stays known.
    fn govern(&mut self, governed: &Governed, as_of: Revision, chance: &mut Chance) {
        if as_of < self.as_of {
            return;
        }
        if governed.id() != self.governed.id() {
            let guests = std::mem::take(&mut self.guests);
            *self = Self {
                guests,
                idle_until: self.idle_until,
                alarm: self.alarm,
                ..Self::new(governed.clone(), as_of, chance)
            };
        }
        self.as_of = as_of;
        let claimed = governed.owned().map(|owned| owned.epoch);
        let known = self.people.owned().map(|owned| owned.epoch);
        // What a transient room's owner has set is known here first, unless this
        // home began anew.
        let transient = matches!(governed, Governed::Transient(_))
            && matches!(self.governed, Governed::Transient(_));
        if !transient {
            self.people.disown();
        }
        if !transient || claimed > known {
            self.governed = governed.clone();
        }
        self.regard();
    }

    /// How far it is.
    pub(crate) const fn stand(&self) -> Stand {
        Stand {
            epoch: self.epoch,
            offset: 0,
        }
    }

    /// Somebody stands in the door: [`Said::Welcome`] or [`Said::Refused`].
    pub(crate) fn arrive(&mut self, from: PuddleId, guest: Guest) -> Said {
        self.guests.add(from, guest);
        Said::Welcome(Welcome {
            stand: self.stand(),
            transient: self.transient(),
        })
    }

    /// Until when something is kept here for which it is worth being; nothing,
    /// for a room that ends with its last socket.
    fn needed_until(&self, now: Time) -> Option<Time> {
        match self.governed {
            Governed::Transient(_) | Governed::Templated(_) => None,
            Governed::Persistent(_) => Some(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_puddle_finds_the_same_home_and_homes_are_spread() {
        let rooms = (0..1_000).map(|number| format!("room-{number}"));
        let homes = rooms.map(|room| home_of(&room.parse().expect("a name"), 4));
        let mut counts = [0; 4];
        for home in homes {
            counts[usize::from(home.0)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
        // Known by heart: it may not change while nodes of two versions share rooms.
        let lobby = "lobby".parse().expect("a name");
        assert_eq!(home_of(&lobby, 2), home_of(&lobby, 2));
        assert_eq!(home_of(&lobby, 1), PuddleId(0));
    }
}
