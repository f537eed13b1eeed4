//! The people of a room, where its sockets are: who looks at presence, what an
//! owner does, and what the room's home says of either.
//!
//! Owns what is asked of a home for one socket. Decides nothing that is one per
//! room: the home does.

use std::sync::Arc;

use porthouse_model::{Act, ClientId, EntryStep, Refused, RoomName, Shown};

use super::Puddle;
use super::homing::Pending;
use crate::home::{Ask, FromHome, Gone, OwnerAct, Said};
use crate::input::SocketId;
use crate::outbox::Lane;
use crate::output::{ListedClient, ListedPresent, WireForm};
use crate::people::{Batch, OwnerRuleFault, Page, Say};
use crate::room::{Governed, RoomIndex, Transient};
use crate::socket::Habit;
use crate::wire::multiplexed::{Id, LineError, PeopleEvent};

/// A request about a room's people that waits for the room's home.
#[derive(Debug)]
pub(super) struct Request {
    /// Whose.
    socket: SocketId,
    /// Its name there.
    id: Option<Id>,
    /// What is asked.
    what: Wanted,
}

/// What a request wants.
#[derive(Debug)]
enum Wanted {
    /// To see who is there, after this client.
    Look(Option<ClientId>),
    /// To do what owners do.
    Own(ClientId, OwnerAct),
}

/// What a request is answered with, where it is not done.
const OUTSIDE: LineError = LineError::new("room", "a room this socket is in: join it first");
const SHOWN_OFF: LineError = LineError::new("presence", "a room that shows who is there");
const UNOWNED: LineError = LineError::new("room", "a transient room, which somebody owns");
const ONE_AT_A_TIME: LineError =
    LineError::new("room", "one request about a room's people at a time");

impl Puddle {
    /// A socket wants to see who is in a room, and is told what changes from
    /// there on.
    pub(super) fn look(
        &mut self,
        id: SocketId,
        request: Option<Id>,
        room: &RoomName,
        after: Option<ClientId>,
    ) {
        if !self.behaves(id, Habit::Read, request.as_ref()) {
            return;
        }
        let Some((index, _)) = self.seat_in(id, room) else {
            return self.tell_error(id, request.as_ref(), &OUTSIDE);
        };
        let rules = self.rooms.get(index).governed.rules();
        if rules.source().presence.shown == Shown::Off {
            return self.tell_error(id, request.as_ref(), &SHOWN_OFF);
        }
        if !self.may(id, index, Act::SeePresence) {
            let refused = Refused::PresenceRefused;
            return self.refuse_line(id, request.as_ref(), Some(room), refused);
        }
        self.request(id, request, index, Wanted::Look(after));
    }

    /// A socket wants to do what only the room's owner may.
    pub(super) fn own(
        &mut self,
        id: SocketId,
        request: Option<Id>,
        room: &RoomName,
        act: OwnerAct,
    ) {
        if !self.behaves(id, Habit::Move, request.as_ref()) {
            return;
        }
        let Some((index, seat)) = self.seat_in(id, room) else {
            return self.tell_error(id, request.as_ref(), &OUTSIDE);
        };
        let known = self.rooms.get(index);
        if known.governed.owned().is_none() {
            return self.tell_error(id, request.as_ref(), &UNOWNED);
        }
        let by = known.seats.sitter(seat).client;
        self.request(id, request, index, Wanted::Own(by, act));
    }

    fn request(&mut self, socket: SocketId, id: Option<Id>, index: RoomIndex, what: Wanted) {
        let room = self.rooms.get(index).name.clone();
        if !self.asking.requesting.insert((socket, room.clone())) {
            return self.tell_error(socket, id.as_ref(), &ONE_AT_A_TIME);
        }
        self.ask_request(&room, Request { socket, id, what });
    }

    /// Asks the room's home, at first or because the one that was asked is gone.
    pub(super) fn ask_request(&mut self, room: &RoomName, request: Request) {
        let governed = match self.rooms.find(room) {
            Some(index) => self.rooms.get(index).governed.clone(),
            None => Governed::Transient(self.transient()),
        };
        let ask = match &request.what {
            Wanted::Look(after) => Ask::Look(*after),
            Wanted::Own(by, act) => Ask::Own {
                by: *by,
                act: act.clone(),
            },
        };
        let pending = self.pend(Pending::Request(room.clone(), request));
        self.ask_home(room, governed, pending, ask);
    }

    /// A room's home answers a request.
    pub(super) fn request_done(&mut self, room: &RoomName, request: &Request, said: Said) {
        let Request { socket, id, what } = request;
        let (socket, id) = (*socket, id.as_ref());
        self.asking.requesting.remove(&(socket, room.clone()));
        match (said, what) {
            (Said::Present(page), _) => self.presented(socket, id, room, page.as_ref()),
            (Said::Done(transient), Wanted::Own(_, act)) => {
                self.owned(room, transient.clone(), Some(socket));
                let Some(owned) = transient.owned else {
                    return;
                };
                let done = match act {
                    OwnerAct::Pass(_) => PeopleEvent::owner(id, room, owned),
                    OwnerAct::Rule(_) => PeopleEvent::Rules {
                        id,
                        room,
                        epoch: owned.epoch,
                    },
                };
                self.inform(socket, |out| done.frame(out));
            }
            (Said::Unruly(OwnerRuleFault { rule, needed }), _) => {
                self.tell_error(socket, id, &LineError::new(rule, needed));
            }
            (Said::Refused(refused), _) => self.refuse_line(socket, id, Some(room), refused),
            (said, _) => unreachable!("{said:?} answers no request"),
        }
    }

    /// Here they are, and what changes from here on is told.
    fn presented(
        &mut self,
        id: SocketId,
        request: Option<&Id>,
        room: &RoomName,
        page: Option<&Page>,
    ) {
        let Some((index, _)) = self.seat_in(id, room) else {
            self.tell_error(id, request, &OUTSIDE);
            return self.look_away(room);
        };
        let Some(page) = page else {
            return self.tell_error(id, request, &SHOWN_OFF);
        };
        self.rooms.get_mut(index).lookers.insert(id);
        // In the room's lane: the changes before it and after it are in order.
        let event = PeopleEvent::page(request, room, page);
        self.announce_to(index, &[id], &event);
    }

    /// Who is there has changed: encoded once, queued for each who looks.
    pub(super) fn people_changed(&mut self, room: &RoomName, batch: &Batch) {
        if let Some(index) = self.rooms.find(room) {
            let event = PeopleEvent::batch(room, batch);
            let lookers = &self.rooms.get(index).lookers;
            let lookers: Vec<SocketId> = lookers.iter().copied().collect();
            self.announce_to(index, &lookers, &event);
        }
    }

    /// Nothing more is shown to those who look, unless they ask again.
    pub(super) fn end_looking(&mut self, index: RoomIndex) {
        let lookers = std::mem::take(&mut self.rooms.get_mut(index).lookers);
        if lookers.is_empty() {
            return;
        }
        let room = self.rooms.get(index).name.clone();
        let lookers: Vec<SocketId> = lookers.into_iter().collect();
        self.announce_to(index, &lookers, &PeopleEvent::ended(&room));
        self.look_away(&room);
    }

    /// A socket does not look any more.
    pub(super) fn stop_looking(&mut self, id: SocketId, index: RoomIndex) {
        let known = self.rooms.get_mut(index);
        if known.lookers.remove(&id) {
            let room = known.name.clone();
            self.look_away(&room);
        }
    }

    /// A socket that looks and may not any more is told that it is over.
    pub(super) fn keep_looking(&mut self, id: SocketId, index: RoomIndex) {
        if !self.rooms.get(index).lookers.contains(&id) || self.may(id, index, Act::SeePresence) {
            return;
        }
        let room = self.rooms.get(index).name.clone();
        self.announce_to(index, &[id], &PeopleEvent::ended(&room));
        self.stop_looking(id, index);
    }

    /// The room's home need not tell what changes, if nobody here looks.
    fn look_away(&mut self, room: &RoomName) {
        let looked_at = self.rooms.find(room).is_some_and(|index| {
            let known = self.rooms.get(index);
            !known.lookers.is_empty()
        });
        // Who has asked and is not answered yet will look.
        let looks = |pending: &Pending| match pending {
            Pending::Request(of, request) => of == room && matches!(request.what, Wanted::Look(_)),
            Pending::Arrival(..)
            | Pending::Sending(..)
            | Pending::Posting(..)
            | Pending::Claiming(..)
            | Pending::Reading(..) => false,
        };
        if !looked_at && !self.asking.pending.values().any(looks) {
            let governed = Governed::Transient(self.transient());
            self.ask_home(room, governed, 0, Ask::LookAway);
        }
    }

    /// Who is in a room whose home is here, for a backend.
    pub(super) fn list_present(
        &mut self,
        room: &RoomName,
        after: Option<ClientId>,
        clients_max: usize,
    ) -> Option<ListedPresent> {
        let page = self.homes.get_mut(room)?.people.page(after, clients_max)?;
        let present = page.present.unwrap_or_default().into_iter();
        let listed = present.map(|one| ListedClient {
            client: one.client,
            username: one.username,
            raw: one.devices.raw,
            multiplexed: one.devices.multiplexed,
            event_streams: one.devices.event_streams,
        });
        Some(ListedPresent {
            clients: page.count as u64,
            present: listed.collect(),
            more: page.more,
        })
    }

    /// Tells those who look: each on its socket, or on its sibling.
    fn announce_to(&mut self, index: RoomIndex, lookers: &[SocketId], event: &PeopleEvent<'_>) {
        let (beside, own): (Vec<SocketId>, Vec<SocketId>) =
            lookers.iter().partition(|id| self.beside(**id).is_some());
        let slots: Vec<u32> = own.iter().map(|id| id.slot).collect();
        self.announce(WireForm::Multiplexed, index, &slots, |out| event.frame(out));
        self.inform_beside(&beside, |out| event.frame(out));
    }

    /// Tells everybody inside who can be told, but for one: each on its socket, or on
    /// its sibling.
    pub(super) fn announce_inside(
        &mut self,
        index: RoomIndex,
        except: Option<SocketId>,
        write: impl Fn(&mut Vec<u8>),
    ) {
        let seats = &self.rooms.get(index).seats;
        let mut slots = seats.slots(WireForm::Multiplexed);
        slots.retain(|slot| except.is_none_or(|id| id.slot != *slot));
        let sitters = seats.sitters().iter().map(|sitter| sitter.socket);
        let told = sitters.filter(|id| Some(*id) != except);
        let paired: Vec<SocketId> = told.filter(|id| self.beside(*id).is_some()).collect();
        self.announce(WireForm::Multiplexed, index, &slots, |out| write(out));
        self.inform_beside(&paired, |out| write(out));
    }

    /// Queues one frame for some sockets of one form in a room.
    pub(super) fn announce(
        &mut self,
        form: WireForm,
        index: RoomIndex,
        slots: &[u32],
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if slots.is_empty() {
            return;
        }
        let lane = Lane::Room(index);
        let frame = self.outbox.frame(form, lane, write);
        for slot in slots {
            self.outbox.push(*slot, frame, lane);
        }
    }

    /// Whether a socket inside may do this.
    pub(super) fn may(&self, id: SocketId, index: RoomIndex, act: Act) -> bool {
        let stay = self.sockets.get(id).and_then(|socket| socket.stay(index));
        let seats = &self.rooms.get(index).seats;
        stay.is_some_and(|stay| seats.sitter(stay.seat).rights.acts.has(act))
    }

    /// Puddles are told what a home here has to say of its people.
    pub(super) fn speak_of(&mut self, room: &RoomName) {
        let says = self.homes.stir(room);
        // Whoever is told to come in is counted as the owner before.
        self.tell_owners();
        for say in says {
            let tell = |ask, what| FromHome {
                room: room.clone(),
                ask,
                what,
            };
            match say {
                Say::Placed(puddle, ask, guest) => {
                    let now = self.now;
                    let said = self.homes.with(room, |home, allowance| {
                        home.arrive(puddle, guest, now, allowance)
                    });
                    if let Some(said) = said {
                        self.tell_puddle(puddle, tell(ask, said));
                    }
                }
                Say::Go((puddle, socket), refused) => {
                    self.tell_puddle(puddle, tell(0, Said::Go(socket, refused)));
                }
                Say::Batch(watching, batch) => {
                    for puddle in watching.iter() {
                        self.tell_puddle(puddle, tell(0, Said::Changed(Arc::clone(&batch))));
                    }
                }
                Say::Owned => {
                    let home = self.homes.get_mut(room);
                    if let Some(transient) = home.and_then(|home| home.transient()) {
                        self.tell_all(room, &Said::Owned(transient));
                    }
                }
                Say::Ended(refused) => self.tell_all(room, &Said::Ended(refused)),
            }
        }
    }

    pub(super) fn tell_all(&mut self, room: &RoomName, what: &Said) {
        let mut puddles = self.rooms.elsewhere(room);
        if self.rooms.find(room).is_some() {
            puddles.insert(self.settings.puddle);
        }
        for puddle in puddles.iter() {
            let said = FromHome {
                room: room.clone(),
                ask: 0,
                what: what.clone(),
            };
            self.tell_puddle(puddle, said);
        }
    }

    /// Tells what is due in the rooms whose home is here.
    pub(super) fn keep_people(&mut self) {
        let entries_max = self.settings.presence_entries_max.max(1);
        while let Some(room) = self.homes.due(self.now, entries_max) {
            self.speak_of(&room);
        }
    }

    /// A socket must go: it is one too many.
    pub(super) fn sent_away(&mut self, id: SocketId, room: &RoomName, refused: Refused) {
        let seat = self.seat_in(id, room);
        if let Some((index, _)) = seat {
            return self.put_out(id, index, refused);
        }
        let arriving = self.asking.arriving.remove(&(id, room.clone()));
        if let Some(ask) = arriving {
            self.asking.pending.remove(&ask);
            self.made(id, room);
            if self.entry(id, room).is_some() {
                self.refuse_entry(id, room, refused);
            }
            self.depart(room, id, Gone::Outside);
        }
    }

    /// A transient room has another owner or other rules, which everybody is told but
    /// who is answered so.
    pub(super) fn owned(&mut self, room: &RoomName, now: Transient, answered: Option<SocketId>) {
        let Some(index) = self.rooms.find(room) else {
            return;
        };
        let Governed::Transient(before) = self.rooms.get(index).governed.clone() else {
            return;
        };
        let same = before.owned.map(|owned| owned.owner) == now.owned.map(|owned| owned.owner);
        let ruled = before.rules != now.rules;
        let shown = |transient: &Transient| transient.rules.source().presence.shown;
        let (was_shown, is_shown) = (shown(&before), shown(&now));
        let owned = now.owned;
        let known = self.rooms.get_mut(index);
        known.governed = Governed::Transient(now);
        self.note_order(index);
        if let Some(owned) = owned {
            let epoch = owned.epoch;
            let event = match (same, ruled) {
                (false, _) => Some(PeopleEvent::owner(None, room, owned)),
                (true, true) => Some(PeopleEvent::Rules {
                    id: None,
                    room,
                    epoch,
                }),
                (true, false) => None,
            };
            if let Some(event) = event {
                self.announce_inside(index, answered, |out| event.frame(out));
            }
        }
        if was_shown != is_shown {
            self.end_looking(index);
        }
        if ruled {
            self.note_strictness(index);
            self.approve_all(index);
        }
        if ruled || !same {
            self.judge_handed_on(room);
        }
    }

    /// Judges all who are inside. Whoever has to go may have been the next owner, and the room
    /// is handed on meanwhile: then all are judged once more, and not from within.
    fn judge_handed_on(&mut self, room: &RoomName) {
        let is_first = self.handed_on.is_empty();
        if is_first || !self.handed_on[1..].contains(room) {
            self.handed_on.push(room.clone());
        }
        if !is_first {
            return;
        }
        while let Some(room) = self.handed_on.first().cloned() {
            if let Some(index) = self.rooms.find(&room) {
                self.judge_all(index);
            }
            self.handed_on.remove(0);
        }
    }

    /// Who is inside before an owner wants to let everybody in has been let in.
    fn approve_all(&mut self, index: RoomIndex) {
        let known = self.rooms.get_mut(index);
        let steps = &known.governed.rules().source().entry.steps;
        if steps.contains(&EntryStep::Approval) {
            for sitter in known.seats.sitters_mut() {
                sitter.passed.approve();
            }
        }
    }

    /// A transient room is over: everybody is out.
    pub(super) fn ended(&mut self, room: &RoomName, refused: Refused) {
        let Some(index) = self.rooms.find(room) else {
            return;
        };
        if !matches!(self.rooms.get(index).governed, Governed::Transient(_)) {
            return;
        }
        let sitters = self.rooms.get(index).seats.sitters().iter();
        let sockets: Vec<SocketId> = sitters.map(|sitter| sitter.socket).collect();
        for id in sockets {
            self.put_out(id, index, refused);
        }
    }
}
