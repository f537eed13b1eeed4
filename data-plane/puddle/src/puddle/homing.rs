//! A room's home and the puddles that have the room: what is asked goes there,
//! what it says comes back, and when the home is here no hop is made.
//!
//! Owns the asks that are not answered yet. What a home answers is in `home`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use porthouse_model::{Refused, RoomName};

use super::Puddle;
use super::people::Request;
use crate::home::{
    Ask, FromHome, Guest, Said, Stand, ToHome, Welcome, counts_guests, home_of, keeps,
};
use crate::hop::Hop;
use crate::input::{Changed, ChangedItem, PuddleId, SocketId};
use crate::outbox::Lane;
use crate::output::WireForm;
use crate::people::Arrival;
use crate::room::{Governed, Interest, Room, RoomIndex};
use crate::sequence::Event;
use crate::socket::Who;
use crate::wire::multiplexed::Event as Told;

/// What this puddle has asked of homes.
#[derive(Debug, Default)]
pub(super) struct Asking {
    asked: u64,
    /// What is done with each answer.
    pub pending: BTreeMap<u64, Pending>,
    /// Who waits in which door for a home's welcome.
    /// And with which ask.
    pub arriving: BTreeMap<(SocketId, RoomName), u64>,
    /// Who waits for an answer about a room's people.
    pub requesting: BTreeSet<(SocketId, RoomName)>,
    /// The welcome by which somebody is let in at this moment.
    welcome: Option<Welcome>,
}

/// For whom something was asked.
#[derive(Debug)]
pub(super) enum Pending {
    /// Somebody in a room's door.
    Arrival(SocketId, RoomName),
    /// A request about a room's people.
    Request(RoomName, Request),
}

impl Asking {
    /// The welcome by which somebody comes in now, if the room's home gave one.
    pub(super) const fn take_welcome(&mut self) -> Option<Welcome> {
        self.welcome.take()
    }
}

impl Puddle {
    /// The puddle that is a room's home.
    pub(super) fn home_of(&self, room: &RoomName) -> PuddleId {
        home_of(room, self.settings.puddles)
    }

    /// Everybody in front of this door hears all now. Goes on at once, or when
    /// the room's home has said where it stands.
    pub(super) fn hear(&mut self, id: SocketId, room: &RoomName) {
        let Some(index) = self.rooms.find(room) else {
            return;
        };
        let Some(sequence) = self.entry(id, room).map(|entry| entry.sequence) else {
            return;
        };
        let known = self.rooms.get(index);
        if !sequence.is_listening() || known.interest != Interest::Confirmed {
            return;
        }
        if !sequence.is_joining() || !counts_guests(&known.governed) {
            return self.advance(id, room, Event::Enlisted);
        }
        if self.asking.arriving.contains_key(&(id, room.clone())) {
            return;
        }
        if self.has_made_too_many(id, index) {
            return self.refuse_entry(id, room, Refused::TooManyMade);
        }
        let makes = self.entry(id, room).and_then(|entry| entry.makes);
        let ask = self.pend(Pending::Arrival(id, room.clone()));
        self.asking.arriving.insert((id, room.clone()), ask);
        if let Some(guest) = self.guest(id) {
            let guest = Guest { makes, ..guest };
            let governed = self.rooms.get(index).governed.clone();
            self.ask_home(room, governed, ask, Ask::Arrive(guest));
        }
    }

    /// Somebody who had arrived at a room's home has gone.
    pub(super) fn depart(&mut self, room: &RoomName, id: SocketId) {
        // It concerns no rule.
        let governed = Governed::Transient(self.transient());
        self.ask_home(room, governed, 0, Ask::Depart(id));
    }

    /// What the control plane says counts for the homes here at once, whether
    /// anybody is in the room here or not.
    pub(super) fn tell_homes(&mut self, changed: &Changed) {
        for item in &changed.items {
            if let ChangedItem::Room(policy) = item {
                let governed = Governed::Persistent(Arc::clone(policy));
                let (homes, chance) = (&mut self.homes, &mut self.chance);
                homes.ruled(&policy.room.name, &governed, changed.revision, chance);
                self.speak_of(&policy.room.name);
            }
        }
    }

    /// A room's rules changed, or its home began anew: it is told who is inside
    /// already, if that matters to it.
    pub(super) fn report_guests(&mut self, index: RoomIndex) {
        let known = self.rooms.get(index);
        if !counts_guests(&known.governed) {
            return;
        }
        let (name, governed) = (known.name.clone(), known.governed.clone());
        let unknown = self.rooms.get_mut(index).seats.report();
        for id in unknown {
            if let Some(guest) = self.guest(id) {
                self.ask_home(&name, governed.clone(), 0, Ask::Here(guest));
            }
        }
    }

    /// A puddle began anew, and with it the homes that were there.
    pub(super) fn home_restarted(&mut self, puddle: PuddleId) {
        self.homes.left_by(self.now, puddle, None);
        let deserted: Vec<_> = self.homes.rooms().cloned().collect();
        for room in deserted {
            self.speak_of(&room);
            self.home_deserted(&room);
        }
        let lost = self.asking.pending.iter().filter(|(_, pending)| {
            let (Pending::Arrival(_, room) | Pending::Request(room, _)) = pending;
            home_of(room, self.settings.puddles) == puddle
        });
        let lost: Vec<u64> = lost.map(|(ask, _)| *ask).collect();
        for ask in lost {
            self.unanswered(ask);
        }
        let theirs = self.rooms.iter().filter(|(_, room)| {
            home_of(&room.name, self.settings.puddles) == puddle && !room.seats.is_empty()
        });
        let theirs: Vec<RoomIndex> = theirs.map(|(index, _)| index).collect();
        for index in theirs {
            self.rooms.get_mut(index).seats.unreport();
            self.end_looking(index);
            self.report_guests(index);
        }
    }

    /// An ask whose answer went with the home it was asked of.
    fn unanswered(&mut self, ask: u64) {
        match self.asking.pending.remove(&ask) {
            Some(Pending::Arrival(id, room)) => {
                self.asking.arriving.remove(&(id, room.clone()));
                self.hear(id, &room);
            }
            Some(Pending::Request(room, request)) => self.ask_request(&room, request),
            None => {}
        }
    }

    /// Asks a room's home. Nothing is hopped when it is here.
    pub(super) fn ask_home(&mut self, room: &RoomName, governed: Governed, ask: u64, what: Ask) {
        let home = self.home_of(room);
        let asked = ToHome {
            room: room.clone(),
            ask,
            governed,
            as_of: self.policy.applied(),
            what,
        };
        if home == self.settings.puddle {
            self.home_asked(home, asked);
        } else {
            self.peers.send(home, Hop::ToHome(Box::new(asked)));
        }
    }

    /// This puddle is a room's home, and is asked something.
    pub(super) fn home_asked(&mut self, from: PuddleId, asked: ToHome) {
        let ToHome {
            room,
            ask,
            governed,
            as_of,
            what,
        } = asked;
        if let Ask::Depart(_) | Ask::LookAway = what {
            return self.gone_from(from, &room, &what);
        }
        // Leaving is told at once; what was asked before may come later.
        let inside = from == self.settings.puddle || self.rooms.is_elsewhere(&room, from);
        let home = if inside {
            let (homes, chance) = (&mut self.homes, &mut self.chance);
            homes.open(&room, &governed, as_of, chance)
        } else {
            Err(Refused::RoomClosed)
        };
        let (now, settings, claim) = (self.now, &self.settings, governed.owned());
        let said = match (home, what) {
            (Err(refused), _) => Some(Said::Refused(refused)),
            (Ok(home), Ask::Arrive(guest)) => {
                let arrival = Arrival {
                    now,
                    from,
                    ask,
                    guest,
                };
                home.place(arrival, claim, settings)
            }
            (Ok(home), Ask::Here(guest)) => Some(home.here(now, from, guest, claim, settings)),
            (Ok(home), Ask::Look(after)) => {
                let entries_max = settings.presence_entries_max.max(1);
                Some(Said::Present(home.people.look(from, after, entries_max)))
            }
            (Ok(home), Ask::Own { by, act }) => Some(home.act(by, &act, settings)),
            (Ok(_), Ask::Depart(_) | Ask::LookAway) => unreachable!("it was done with above"),
        };
        self.speak_of(&room);
        if let Some(what) = said {
            self.tell_puddle(from, FromHome { room, ask, what });
        }
    }

    /// Somebody is not there, or not looking, any more: no home begins for that.
    fn gone_from(&mut self, from: PuddleId, room: &RoomName, what: &Ask) {
        let Some(home) = self.homes.get_mut(room) else {
            return;
        };
        match what {
            Ask::Depart(socket) => home.depart(self.now, from, *socket),
            Ask::LookAway => home.people.look_away(from),
            Ask::Arrive(_) | Ask::Here(_) | Ask::Look(_) | Ask::Own { .. } => {}
        }
        self.speak_of(room);
    }

    /// What a home here has to say to a puddle.
    pub(super) fn tell_puddle(&mut self, to: PuddleId, said: FromHome) {
        if to == self.settings.puddle {
            self.home_said(said);
        } else {
            self.peers.send(to, Hop::FromHome(Box::new(said)));
        }
    }

    /// A room's home says something.
    pub(super) fn home_said(&mut self, said: FromHome) {
        let FromHome { room, ask, what } = said;
        let pending = self.asking.pending.remove(&ask);
        match (what, pending) {
            (Said::Welcome(welcome), Some(Pending::Arrival(id, _))) => {
                self.welcomed(id, &room, Ok(welcome));
            }
            (Said::Refused(refused), Some(Pending::Arrival(id, _))) => {
                self.welcomed(id, &room, Err(refused));
            }
            (said, Some(Pending::Request(_, request))) => {
                self.request_done(&room, &request, said);
            }
            (Said::Stands(stand), _) => self.stands(&room, stand),
            (Said::Go(socket, refused), _) => self.sent_away(socket, &room, refused),
            (Said::Changed(batch), _) => self.people_changed(&room, &batch),
            (Said::Owned(transient), _) => self.owned(&room, transient),
            (Said::Ended(refused), _) => self.ended(&room, refused),
            (Said::Welcome(_) | Said::Refused(_), None)
            | (Said::Present(_) | Said::Done(_) | Said::Unruly(_), _) => {}
        }
    }

    /// The room's home answers somebody in the door. If they do not come in in
    /// this turn, they are not there.
    fn welcomed(&mut self, id: SocketId, room: &RoomName, answer: Result<Welcome, Refused>) {
        self.asking.arriving.remove(&(id, room.clone()));
        let welcome = match answer {
            Ok(welcome) => welcome,
            Err(refused) => {
                if self.entry(id, room).is_some() {
                    self.refuse_entry(id, room, refused);
                }
                return;
            }
        };
        self.stands(room, welcome.stand);
        if let Some(transient) = welcome.transient.clone() {
            self.owned(room, transient);
        }
        self.asking.welcome = Some(welcome);
        self.advance(id, room, Event::Enlisted);
        if self.asking.welcome.take().is_some() {
            self.depart(room, id);
        }
    }

    /// A room's home stands here. If it is another than before, or the first, who
    /// is inside is told.
    fn stands(&mut self, name: &RoomName, stand: Stand) {
        let Some(index) = self.rooms.find(name) else {
            return;
        };
        let room = self.rooms.get_mut(index);
        let before = room.stand.replace(stand);
        let kept = keeps(room.governed.rules().source());
        if !kept || before.is_some_and(|before| before.epoch == stand.epoch) {
            return;
        }
        let epoch = Told::Epoch {
            room: name,
            epoch: stand.epoch,
            offset: stand.offset,
        };
        let lane = Lane::Room(index);
        let told = self.rooms.get(index).seats.as_slice().iter();
        let mut frame = None;
        for seat in told.filter(|seat| seat.form == WireForm::Multiplexed) {
            let outbox = &mut self.outbox;
            let frame =
                *frame.get_or_insert_with(|| outbox.frame(seat.form, lane, |out| epoch.frame(out)));
            self.outbox.push(seat.slot, frame, lane);
        }
    }

    /// Somebody has left a room whose home may be here.
    pub(super) fn home_deserted(&mut self, room: &RoomName) {
        if !self.rooms.is_live(room) {
            self.homes.emptied(room, self.now);
        }
    }

    /// How far a room is, where what is said there has offsets.
    pub(super) fn stand_of(&self, room: RoomIndex) -> Option<Stand> {
        let room = self.rooms.get(room);
        room.stand.filter(|_| keeps(room.governed.rules().source()))
    }

    /// Whether what is said in a room cannot go on its way now: then who says it
    /// is not read.
    pub(super) fn is_held_up(&self, room: &Room) -> bool {
        if !keeps(room.governed.rules().source()) {
            return self.peers.is_clogged(room.elsewhere);
        }
        let home = self.home_of(&room.name);
        if home == self.settings.puddle {
            self.peers.is_clogged(room.elsewhere)
        } else {
            self.peers.is_asked_out(home)
        }
    }

    pub(super) fn pend(&mut self, pending: Pending) -> u64 {
        self.asking.asked += 1;
        self.asking.pending.insert(self.asking.asked, pending);
        self.asking.asked
    }

    pub(super) fn guest(&self, id: SocketId) -> Option<Guest> {
        let session = match self.sockets.get(id)?.who() {
            Who::Anonymous => None,
            Who::Session(holder) => holder.session.as_deref(),
        };
        Some(Guest {
            socket: id,
            client: self.client_of(id, session),
            user: session.is_some(),
            username: session.map(|session| session.username.clone()),
            form: self.sockets.get(id)?.form,
            makes: None,
        })
    }
}
