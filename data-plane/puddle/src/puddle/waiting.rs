//! Somebody waits to be let in: their puddle tells the room's home, which tells
//! the puddles that have the room, where those who may let others in are told.
//! A decision goes the same way back. Keeps nobody: `waiting` does.

use std::collections::BTreeSet;
use std::sync::Arc;

use porthouse_model::{Act, ClientId, Refused, RoomName};

use super::Puddle;
use super::door::Seen;
use crate::home::home_of;
use crate::hop::Hop;
use crate::input::{PuddleId, SocketId};
use crate::sequence::Event;
use crate::socket::{LeadsTo, Phase};
use crate::waiting::{Applicant, Decision, Fate, WaitingHop};
use crate::wire::multiplexed::{AskedStep, Event as Told, Id, LineError};

impl Puddle {
    /// A socket waits from here on.
    pub(super) fn apply(&mut self, id: SocketId, room: &RoomName, seen: &Seen) {
        let Seen::Open {
            governed, session, ..
        } = seen
        else {
            unreachable!("only an open door asks for approval");
        };
        let client = self.client_of(id, session.as_deref());
        let leads_to = governed.verified_as().map_or(LeadsTo::Any, LeadsTo::Only);
        let until = self.now + self.settings.approval_time_max;
        if let Some(entry) = self.entry_mut(id, room) {
            entry.leads_to = leads_to;
            entry.until = until;
        }
        self.arm(id);
        self.challenge(id, room, AskedStep::Approval, None);
        let (room, socket) = (room.clone(), id);
        let username = session.as_ref().map(|session| session.username.clone());
        self.tell_home(WaitingHop::Apply {
            room,
            socket,
            client,
            username,
        });
    }

    /// A socket waits no longer.
    pub(super) fn withdraw(&mut self, id: SocketId, room: &RoomName) {
        let (room, socket) = (room.clone(), id);
        self.tell_home(WaitingHop::Withdraw { room, socket });
    }

    /// A client inside decides about one who waits.
    pub(super) fn decide(
        &mut self,
        id: SocketId,
        request: Option<&Id>,
        room: &RoomName,
        client: ClientId,
        decision: Decision,
    ) {
        if self.seat_in(id, room).is_none() {
            let outside = LineError::new("room", "a room this socket is in: join it first");
            return self.tell_error(id, request, &outside);
        }
        if !self.may_invite(id, room) {
            return self.refuse_line(id, request, Some(room), Refused::InviteRefused);
        }
        let waits = self
            .crowds
            .get(room)
            .is_some_and(|crowd| crowd.contains(&client));
        if !waits {
            let nobody = LineError::new("client", "a client that waits to be let in");
            return self.tell_error(id, request, &nobody);
        }
        self.tell_home(WaitingHop::Decide {
            room: room.clone(),
            client,
            decision,
        });
        let decided = Told::Decided {
            id: request,
            room,
            client,
        };
        self.inform(id, |out| decided.frame(out));
    }

    /// Whoever may let others in learns, on coming in, who waits.
    pub(super) fn show_crowd(&mut self, id: SocketId, room: &RoomName) {
        if self.home_of(room) == self.settings.puddle {
            let crowd = self.waiting_rooms.crowd(room);
            if !crowd.is_empty() {
                self.crowds.insert(room.clone(), crowd);
            }
        }
        if let Some(clients) = self.crowds.get(room).cloned()
            && self.may_invite(id, room)
        {
            self.tell_crowd(id, room, &clients);
        }
    }

    /// What is said about a waiting room, by another puddle or by this one.
    pub(super) fn waiting_hop(&mut self, from: PuddleId, hop: WaitingHop) {
        match hop {
            WaitingHop::Apply {
                room,
                socket,
                client,
                username,
            } => {
                let at = (from, socket);
                let applicant = Applicant { client, username };
                if self.waiting_rooms.apply(&room, at, applicant).is_err() {
                    self.end_wait(room, at, Fate::Crowded);
                }
            }
            WaitingHop::Withdraw { room, socket } => {
                self.waiting_rooms.withdraw(&room, (from, socket));
            }
            WaitingHop::Decide {
                room,
                client,
                decision,
            } => {
                self.decide_here(&room, client, decision);
            }
            WaitingHop::Ended { room, socket, fate } => self.wait_ended(socket, &room, fate),
            WaitingHop::Crowd { room, clients } => self.crowd_changed(&room, &clients),
        }
    }

    /// It is decided about all sockets of a client that wait for a room whose home
    /// is here. Answers how many there are.
    pub(super) fn decide_here(
        &mut self,
        room: &RoomName,
        client: ClientId,
        decision: Decision,
    ) -> u64 {
        let decided = self.waiting_rooms.decide(room, client);
        let sockets = decided.len() as u64;
        for at in decided {
            self.end_wait(room.clone(), at, Fate::Decided(decision));
        }
        sockets
    }

    /// Whose crowd has changed is told, once a turn.
    pub(super) fn keep_waiting_rooms(&mut self) {
        let me = self.settings.puddle;
        for room in self.waiting_rooms.take_changed() {
            let clients = self.waiting_rooms.crowd(&room);
            for to in self.rooms.elsewhere(&room).iter() {
                let (room, clients) = (room.clone(), Arc::clone(&clients));
                self.carry(to, WaitingHop::Crowd { room, clients });
            }
            self.carry(me, WaitingHop::Crowd { room, clients });
        }
    }

    /// A puddle that has a room from here on learns who waits for it.
    pub(super) fn show_crowd_to(&mut self, puddle: PuddleId, room: &RoomName) {
        let clients = self.waiting_rooms.crowd(room);
        if !clients.is_empty() {
            let room = room.clone();
            self.carry(puddle, WaitingHop::Crowd { room, clients });
        }
    }

    /// A puddle began anew: nobody waits there, and as a home it knows of nobody
    /// who waits here.
    pub(super) fn wait_anew(&mut self, puddle: PuddleId) {
        self.waiting_rooms.forget(puddle);
        let puddles = self.settings.puddles;
        self.crowds
            .retain(|room, _| home_of(room, puddles) != puddle);
        let waits = self.sockets.iter().flat_map(|socket| {
            let entries = match &socket.phase {
                Phase::Knocking(knock) => std::slice::from_ref(&knock.entry),
                Phase::Multiplexed(lobby) => &lobby.entries,
                Phase::Upgrading { .. } | Phase::Raw(..) | Phase::Closing { .. } => &[],
            };
            let waiting = entries.iter().filter(|entry| entry.sequence.is_waiting());
            waiting.map(|entry| (socket.id, entry.room.clone()))
        });
        let waits: Vec<_> = waits
            .filter(|(_, room)| home_of(room, puddles) == puddle)
            .collect();
        for (socket, room) in waits {
            let session = self.session_of(socket);
            let client = self.client_of(socket, session.as_deref());
            let username = session.map(|session| session.username.clone());
            self.tell_home(WaitingHop::Apply {
                room,
                socket,
                client,
                username,
            });
        }
    }

    fn end_wait(&mut self, room: RoomName, (puddle, socket): (PuddleId, SocketId), fate: Fate) {
        self.carry(puddle, WaitingHop::Ended { room, socket, fate });
    }

    fn wait_ended(&mut self, id: SocketId, room: &RoomName, fate: Fate) {
        let until = self.now + self.settings.entry_time_max;
        let entry = self.entry_mut(id, room);
        let Some(entry) = entry.filter(|entry| entry.sequence.is_waiting()) else {
            return;
        };
        entry.until = until;
        self.arm(id);
        let event = match fate {
            Fate::Decided(Decision::Admit) => Event::Approved,
            Fate::Decided(Decision::Refuse) => Event::Declined,
            Fate::Crowded => Event::Crowded,
        };
        self.advance(id, room, event);
    }

    fn crowd_changed(&mut self, room: &RoomName, clients: &Arc<[ClientId]>) {
        let Some(index) = self.rooms.find(room) else {
            self.crowds.remove(room);
            return;
        };
        if clients.is_empty() {
            self.crowds.remove(room);
        } else {
            self.crowds.insert(room.clone(), Arc::clone(clients));
        }
        let sitters = self.rooms.get(index).seats.sitters().iter();
        let sockets: BTreeSet<SocketId> = sitters.map(|sitter| sitter.socket).collect();
        for id in sockets {
            if self.hears_us(id) && self.may_invite(id, room) {
                self.tell_crowd(id, room, clients);
            }
        }
    }

    fn tell_crowd(&mut self, id: SocketId, room: &RoomName, clients: &[ClientId]) {
        let waiting = Told::Waiting {
            room,
            count: clients.len(),
            clients,
        };
        self.inform(id, |out| waiting.frame(out));
    }

    /// Whether a socket that is inside may let others in.
    fn may_invite(&mut self, id: SocketId, room: &RoomName) -> bool {
        let rights = self.see(id, room, true).rights();
        rights.is_some_and(|rights| rights.acts.has(Act::Invite))
    }

    fn tell_home(&mut self, hop: WaitingHop) {
        let (WaitingHop::Apply { room, .. }
        | WaitingHop::Withdraw { room, .. }
        | WaitingHop::Decide { room, .. }
        | WaitingHop::Ended { room, .. }
        | WaitingHop::Crowd { room, .. }) = &hop;
        let home = self.home_of(room);
        self.carry(home, hop);
    }

    fn carry(&mut self, to: PuddleId, hop: WaitingHop) {
        let me = self.settings.puddle;
        if to == me {
            self.waiting_hop(me, hop);
        } else {
            self.peers.send(to, Hop::Waiting(Box::new(hop)));
        }
    }
}
