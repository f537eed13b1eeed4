//! What is one per room on a node: each room name has one home puddle, and this
//! is what that puddle keeps for it, whether it has sockets in the room or not.
//!
//! Owns the homes of a puddle: when each begins, whose rules it goes by, and
//! when it is forgotten. What a home keeps is in the files below, one for each
//! concern. Never touches a socket and never sends: it answers, and
//! `puddle/homing.rs` carries it.

mod whereabouts;
mod asking;
mod allowance;
mod placed;
mod guests;
mod people;
mod taking;
mod rates;
mod keys;
mod shelf;
mod strands;
mod returning;
mod missed;
mod durable;
mod storing;
mod restoring;
mod record;
mod away;
mod covered;
mod expiring;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use porthouse_model::{ClientId, Keep, Refused, Revision, RoomId, RoomName, Time};

use crate::hop::RoomMessage;
use crate::input::{PuddleId, SocketId};
use crate::people::People;
use crate::room::Governed;
use crate::seed::Chance;
use crate::settings::Settings;
pub(crate) use allowance::Allowance;
use allowance::Held;
pub(crate) use asking::{Ask, OwnerAct, Said, Saying, Stand, Unsaid, Welcome};
pub use asking::{FromHome, ToHome};
pub(crate) use away::Absence;
use away::Away;
use durable::Durable;
pub(crate) use durable::{By, Deferred, Done, Moment, Step, Wanted, stored_as};
pub(crate) use guests::{Guest, Guests, Known};
pub(crate) use keys::Claim;
use keys::Keys;
pub(crate) use missed::Heard;
pub use placed::Placed;
pub(crate) use placed::Viewer;
pub(crate) use rates::Rated;
use rates::Spent;
use returning::rules_alike;
use shelf::Shelf;
pub(crate) use shelf::{Page, Range};
pub(crate) use strands::{Gone, Resumes, Thread};
use strands::{Ruling, Strands};
pub(crate) use taking::{Answer, Asker, Outcome, Since};
pub(crate) use whereabouts::{counts_guests, home_of, keeps};

/// Epochs, and offsets that are read again, are below this: what JSON's readers take for a whole number (RFC 8259,
/// section 6).
const EPOCH_BITS: u32 = 53;

/// One room, as its home knows it.
#[derive(Debug)]
pub(crate) struct Home {
    name: RoomName,
    /// By which rules: those of the puddle that has heard of the latest
    /// revision.
    governed: Governed,
    as_of: Revision,
    /// Tells this life of the home from all others of the name.
    epoch: u64,
    /// The offset of the last message.
    offset: u64,
    /// What is kept of what was said.
    shelf: Shelf,
    /// What a newcomer hears first.
    latest: Option<Arc<Placed>>,
    /// What is known of the store, where history survives the node.
    durable: Option<Box<Durable>>,
    /// What was to be stored and was not, until it is told.
    undone: Vec<Done>,
    /// Senders' own names for their messages.
    keys: Keys,
    /// How often it was said.
    spent: Spent,
    /// Who is away.
    away: Away,
    /// Who may come back to where they were.
    strands: Strands,
    /// By what it is ruled.
    ruling: Ruling,
    /// The revision that last changed what is known of any client here.
    touched: Revision,
    /// Under which identity changes to its clients find it.
    listed: Option<RoomId>,
    /// Who is inside, of those it was told of.
    pub guests: Guests,
    /// How many of them there may be, what is shown of them, who owns the room.
    pub people: People,
    /// When something about them is due.
    alarm: Option<Time>,
    /// When it is forgotten, while nobody is inside.
    idle_until: Option<Time>,
    /// When it is looked at for what is too old.
    looked_at: Option<Time>,
}

/// All homes of a puddle.
#[derive(Debug)]
pub(crate) struct Homes {
    homes: BTreeMap<RoomName, Home>,
    /// Those of persistent rooms.
    by_id: BTreeMap<RoomId, RoomName>,
    /// Those with nobody inside, by when they are forgotten.
    idle: BTreeSet<(Time, RoomName)>,
    /// Those in which something ends by its age, by when they are looked at.
    expiring: BTreeSet<(Time, RoomName)>,
    /// What all of them keep.
    held: Held,
    /// What was to be stored and was not.
    undone: Vec<(RoomName, Done)>,
    homes_max: usize,
    /// Rooms about whose people something is due, by when.
    alarms: BTreeSet<(Time, RoomName)>,
    /// Transient rooms that somebody owns, and who.
    owned: BTreeMap<RoomName, ClientId>,
    /// Who owns a room now, or does no more, until it is told.
    owners: Vec<(RoomName, ClientId, bool)>,
    owned_max: usize,
    allowance: Allowance,
}

impl Homes {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            homes: BTreeMap::new(),
            by_id: BTreeMap::new(),
            idle: BTreeSet::new(),
            expiring: BTreeSet::new(),
            held: Held::default(),
            undone: Vec::new(),
            homes_max: settings.homes_max,
            alarms: BTreeSet::new(),
            owned: BTreeMap::new(),
            owners: Vec::new(),
            owned_max: settings
                .transient_rooms_max
                .div_ceil(settings.puddles as usize),
            allowance: Allowance::of(settings),
        }
    }

    /// Does something at the home of a room in which there is somebody, or is
    /// about to be. It begins anew where the room is another one than before.
    pub(crate) fn at<R>(
        &mut self,
        room: &RoomName,
        (governed, as_of): (&Governed, Revision),
        chance: &mut Chance,
        act: impl FnOnce(&mut Home, &Allowance, &mut Chance) -> R,
    ) -> Result<R, Refused> {
        self.awake(room);
        if !self.homes.contains_key(room) {
            if !self.may_make(governed) {
                return Err(Refused::TooMany);
            }
            if self.homes.len() >= self.homes_max {
                self.forget_one()?;
            }
            let mut home = Home::new(room.clone(), governed.clone(), as_of, chance);
            home.regard();
            self.homes.insert(room.clone(), home);
        }
        let done = self.with(room, |home, allowance| {
            home.govern(governed, as_of, chance);
            act(home, allowance, chance)
        });
        Ok(done.expect("it was there or was made"))
    }

    /// Does something at the home of a room, if it has one. What it keeps then
    /// is counted, and bounded: a room that keeps more than it may, or makes the
    /// puddle do so, loses what it has kept longest.
    pub(crate) fn with<R>(
        &mut self,
        room: &RoomName,
        act: impl FnOnce(&mut Home, &Allowance) -> R,
    ) -> Option<R> {
        let home = self.homes.get_mut(room)?;
        let before = home.held();
        let allowance = Allowance {
            keys_left: self.allowance.keys_left.saturating_sub(self.held.keys),
            store_bytes_left: (self.allowance.store_bytes_left)
                .saturating_sub(self.held.store_bytes),
            ..self.allowance
        };
        let done = act(home, &allowance);
        let others = self.held.bytes - before.bytes;
        let bytes_max = allowance.history_bytes_max.saturating_sub(others);
        home.shrink(bytes_max.min(allowance.room_history_bytes_max));
        let elsewhere = self.held.strands - before.strands;
        let strands_max = allowance.resumes_max.saturating_sub(elsewhere);
        home.strands.shrink(strands_max);
        let after = home.held();
        self.held.bytes = others + after.bytes;
        self.held.keys = self.held.keys - before.keys + after.keys;
        self.held.strands = elsewhere + after.strands;
        self.held.store_bytes = self.held.store_bytes - before.store_bytes + after.store_bytes;
        let undone = home.undone.drain(..).map(|undone| (room.clone(), undone));
        self.undone.extend(undone);
        self.list(room);
        self.expect(room);
        Some(done)
    }

    /// What was to be stored and was not, and where.
    pub(crate) fn take_undone(&mut self) -> Vec<(RoomName, Done)> {
        std::mem::take(&mut self.undone)
    }

    /// The home of a room, if it has one.
    pub(crate) fn get(&self, room: &RoomName) -> Option<&Home> {
        self.homes.get(room)
    }

    /// The home of a room, if it has one; what it keeps is not touched so.
    pub(crate) fn get_mut(&mut self, room: &RoomName) -> Option<&mut Home> {
        self.homes.get_mut(room)
    }

    /// What is said into a room by nobody inside, if it has a home that keeps.
    pub(crate) fn publish(
        &mut self,
        room: &RoomName,
        message: impl FnOnce(&Governed) -> Result<RoomMessage, Refused>,
        now: Time,
    ) -> Option<Result<Arc<Placed>, Refused>> {
        self.with(room, |home, _| {
            if !keeps(home.governed.rules().source()) {
                return None;
            }
            let said =
                message(&home.governed).and_then(|said| home.take_published(now).map(|()| said));
            Some(said.map(|said| home.put(now, &Arc::new(said), None)))
        })?
    }

    /// Nobody is in a room any more, on any puddle. A transient room is over; a
    /// persistent one is kept in mind while it keeps something. Not before all
    /// who were inside have said how they went.
    pub(crate) fn emptied(&mut self, room: &RoomName, now: Time) {
        let home = self.homes.get_mut(room);
        let Some(home) = home.filter(|home| home.guests.is_empty()) else {
            return;
        };
        match home.needed_until(now, &self.allowance) {
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
        self.with(room, |home, _| home.govern(governed, as_of, chance));
    }

    /// A room was deleted: nothing of it is kept.
    pub(crate) fn deleted(&mut self, room: &RoomName, id: RoomId, chance: &mut Chance) {
        self.with(room, |home, _| {
            if home.governed.id() == Some(id) {
                home.leave_store();
                home.begin_anew(chance);
            }
        });
        if self
            .homes
            .get(room)
            .is_some_and(|home| home.idle_until.is_some())
        {
            self.forget(room);
        }
    }

    /// Revisions begin anew: what is heard next counts, whatever its number.
    pub(crate) fn resync(&mut self) {
        for home in self.homes.values_mut() {
            home.as_of = Revision::default();
            self.held.strands -= home.strands.len();
            home.begin_ruling();
        }
    }

    /// A puddle began anew: its guests are gone.
    pub(crate) fn left_by(&mut self, now: Time, puddle: PuddleId) {
        let rooms: Vec<RoomName> = self.homes.keys().cloned().collect();
        for room in rooms {
            self.with(&room, |home, allowance| {
                home.abandoned_by(puddle);
                home.lose(now, puddle, allowance);
            });
        }
    }

    /// Whether a home knows a socket to be inside.
    pub(crate) fn has_guest(
        &self,
        room: &RoomName,
        (puddle, socket): (PuddleId, SocketId),
    ) -> bool {
        let home = self.homes.get(room);
        home.is_some_and(|home| home.guests.get(puddle, socket).is_some())
    }

    /// Whether a room has a home whose history survives the node.
    pub(crate) fn is_durable(&self, room: &RoomName) -> bool {
        self.homes.get(room).is_some_and(Home::is_durable)
    }

    /// Rooms with a home here, in order.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &RoomName> {
        self.homes.keys()
    }

    /// Forgets what has been kept for long enough.
    pub(crate) fn keep(&mut self, now: Time) {
        self.expire(now);
        while let Some((until, _)) = self.idle.first()
            && *until <= now
        {
            let (_, room) = self.idle.first().expect("it was there");
            let room = room.clone();
            self.forget(&room);
        }
    }

    /// When something is to be forgotten or told.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let idle = self.idle.first().map(|(until, _)| *until);
        let alarm = self.alarms.first().map(|(at, _)| *at);
        idle.into_iter().chain(alarm).chain(self.expires()).min()
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
        self.expect_nothing(room);
        if let Some(mut home) = self.homes.remove(room) {
            let held = home.held();
            self.held.bytes -= held.bytes;
            self.held.keys -= held.keys;
            self.held.strands -= held.strands;
            if let Some(id) = home.listed {
                self.by_id.remove(&id);
            }
            self.held.store_bytes -= held.store_bytes;
            home.leave_store();
            let undone = home.undone.into_iter().map(Done::refused);
            let undone = undone.map(|undone| (room.clone(), undone));
            self.undone.extend(undone);
        }
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
        let mut held = Held::default();
        for home in self.homes.values() {
            home.check();
            held.bytes += home.held().bytes;
            held.keys += home.held().keys;
            held.strands += home.held().strands;
            held.store_bytes += home.held().store_bytes;
        }
        self.check_list();
        self.check_expiring();
        assert_eq!(held, self.held, "what is kept is counted");
        let bytes_max = self.allowance.history_bytes_max;
        assert!(held.bytes <= bytes_max, "what is kept is bounded");
        let store_bytes_max = self.allowance.store_bytes_left;
        assert!(
            held.store_bytes <= store_bytes_max,
            "what waits for the store is bounded"
        );
    }
}

impl Home {
    fn new(name: RoomName, governed: Governed, as_of: Revision, chance: &mut Chance) -> Self {
        let stored = stored_as(&governed, &name);
        Self {
            durable: stored.map(|room| Box::new(Durable::new(room))),
            undone: Vec::new(),
            name,
            as_of,
            epoch: epoch(chance),
            offset: 0,
            shelf: Shelf::default(),
            latest: None,
            keys: Keys::default(),
            spent: Spent::default(),
            away: Away::default(),
            strands: Strands::after(chance.next() >> 1),
            ruling: Ruling {
                revision: as_of,
                times: 0,
            },
            touched: as_of,
            listed: None,
            people: People::new(),
            governed,
            guests: Guests::default(),
            alarm: None,
            idle_until: None,
            looked_at: None,
        }
    }

    /// Its rules, if these are not older than those it has. Another room of the
    /// same name is another home; only who is inside stays known.
    fn govern(&mut self, governed: &Governed, as_of: Revision, chance: &mut Chance) {
        let is_known = as_of == self.as_of && governed.is_same(&self.governed);
        if as_of < self.as_of || is_known {
            return;
        }
        if governed.id() != self.governed.id() {
            self.leave_store();
            *self = Self {
                guests: std::mem::take(&mut self.guests),
                undone: std::mem::take(&mut self.undone),
                idle_until: self.idle_until,
                alarm: self.alarm,
                looked_at: self.looked_at,
                listed: self.listed,
                ..Self::new(self.name.clone(), governed.clone(), as_of, chance)
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
            if !rules_alike(governed, &self.governed) {
                self.ruling.revision = as_of;
            }
            self.governed = governed.clone();
        }
        self.regard_store(chance);
        self.regard();
        self.curtail();
    }

    /// What the rules no longer keep is gone.
    fn curtail(&mut self) {
        if self.governed.rules().source().history.keep != Keep::Latest {
            self.latest = None;
        }
        let kept_max = self.retention().messages_max;
        self.shelf.keep_last(kept_max);
    }

    /// Nothing that was said is known any more.
    fn begin_anew(&mut self, chance: &mut Chance) {
        self.begin_with(epoch(chance), 0);
        self.spent = Spent::default();
        self.away = Away::default();
    }

    /// It is this epoch, and nothing is known up to this offset.
    fn begin_with(&mut self, epoch: u64, offset: u64) {
        self.epoch = epoch;
        self.offset = offset;
        self.shelf = Shelf::default();
        self.shelf.begin_after(offset);
        self.latest = None;
        self.keys = Keys::default();
        self.strands.end_all();
    }

    /// How far it is.
    pub(crate) const fn stand(&self) -> Stand {
        Stand {
            epoch: self.epoch,
            offset: self.offset,
        }
    }

    fn check(&self) {
        self.guests.check();
        self.people.check(&self.guests);
        self.shelf.check();
        self.keys.check();
        self.away.check();
        self.strands.check();
        if let Some(durable) = &self.durable {
            durable.check();
        }
        assert!(self.undone.is_empty(), "what was not stored is told");
    }
}

/// The name of a life of offsets.
const fn epoch(chance: &mut Chance) -> u64 {
    chance.next() >> (u64::BITS - EPOCH_BITS)
}
