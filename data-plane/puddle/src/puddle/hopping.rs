//! What other puddles say: which rooms they have, what was said there, and what
//! they have taken of ours.

use porthouse_model::{PolicyKey, RoomName};

use super::Puddle;
use crate::home::Gone;
use crate::hop::Hop;
use crate::input::{PuddleId, SocketId};
use crate::room::RoomIndex;

impl Puddle {
    pub(super) fn hopped(&mut self, from: PuddleId, hop: Hop) {
        let bytes = match hop {
            Hop::Credit { hops, bytes } => {
                if self.peers.credit(from, hops, bytes) {
                    self.unclog();
                }
                return;
            }
            Hop::CreditAsks { hops, bytes } => {
                if self.peers.credit_asks(from, hops, bytes) {
                    self.unclog();
                }
                return;
            }
            Hop::ToHome(asked) => {
                let bytes = asked.bytes();
                self.home_asked(from, *asked);
                return self.peers.handled_ask(from, bytes);
            }
            Hop::Placed(placed) => {
                self.placed(&placed);
                placed.bytes()
            }
            Hop::FromHome(said) => {
                let bytes = said.bytes();
                self.home_said(*said);
                bytes
            }
            Hop::Enter { room, visit } => {
                self.rooms.entered_elsewhere(room.clone(), from);
                self.show_crowd_to(from, &room);
                self.peers.send(from, Hop::Entered { room, visit });
                0
            }
            Hop::Entered { room, visit } => {
                self.confirmed(&room, from, visit);
                0
            }
            Hop::Leave { room } => {
                // Each who was inside says so itself, behind what it had asked.
                self.rooms.left_elsewhere(&room, from);
                self.home_deserted(&room);
                0
            }
            Hop::Kicked { room, whom, time } => {
                self.kept_out(room, whom, time);
                0
            }
            Hop::Kick { room, client, time } => {
                self.kick(client, Some(&room), time);
                0
            }
            Hop::Waiting(hop) => {
                let bytes = hop.bytes();
                self.waiting_hop(from, *hop);
                bytes
            }
            Hop::Counting(hop) => self.counting_hopped(from, *hop),
            Hop::Sibling(hop) => {
                let bytes = hop.bytes();
                self.sibling_hop(from, *hop);
                bytes
            }
            Hop::Message(message) => {
                self.overheard(&message);
                message.payload.len() as u64
            }
        };
        self.peers.handled(from, bytes);
    }

    fn confirmed(&mut self, name: &RoomName, from: PuddleId, visit: u64) {
        let Some(room) = self.rooms.find(name) else {
            return;
        };
        if self.rooms.get_mut(room).confirmed_by(from, visit) {
            for entrant in self.rooms.get(room).entrants.clone() {
                self.hear(entrant, name);
            }
        }
    }

    /// Other puddles took something: who was not read for their sake is again.
    fn unclog(&mut self) {
        for socket in std::mem::take(&mut self.clogged) {
            self.resume(socket);
        }
    }

    /// A puddle began anew: it is told of our rooms, and asked for its own.
    pub(super) fn restarted(&mut self, puddle: PuddleId) {
        self.peers.restarted(puddle);
        self.wait_anew(puddle);
        self.part_from(puddle);
        for (room, visit) in self.rooms.restarted(puddle) {
            self.peers.send(puddle, Hop::Enter { room, visit });
        }
        self.home_restarted(puddle);
        self.count_anew(puddle);
        self.keep_out_anew(puddle);
        self.unclog();
    }

    /// A room without sockets is forgotten, here and elsewhere.
    pub(super) fn close_room_if_empty(&mut self, room: RoomIndex) {
        let Some(name) = self.rooms.close_if_empty(room) else {
            return;
        };
        self.outbox.forget_room(room);
        self.strict.forget(room);
        self.policy.unpin(&PolicyKey::Room(name.clone()));
        self.crowds.remove(&name);
        for puddle in self.others.iter() {
            self.peers.send(puddle, Hop::Leave { room: name.clone() });
        }
        self.home_deserted(&name);
    }

    /// A socket gives up its seat.
    pub(super) fn leave_room(&mut self, id: SocketId, room: RoomIndex, seat: u32, gone: Gone) {
        self.stop_looking(id, room);
        let known = self.rooms.get_mut(room);
        debug_assert_eq!(
            known.seats.sitter(seat).socket,
            id,
            "everybody leaves their own seat"
        );
        let sitter = known.seats.sitter(seat);
        let (pinned, reported) = (sitter.pinned.clone(), sitter.reported);
        let visit = known.visit;
        let gone = sitter.goes.unwrap_or(gone);
        if let Some(moved) = known.seats.remove(seat) {
            let moved = self.sockets.get_mut(moved).expect("who sits is here");
            moved.reseat(room, seat);
        }
        for key in pinned.into_iter().flat_map(|pinned| pinned.keys()) {
            self.policy.unpin(&key);
        }
        if reported {
            let name = self.rooms.get(room).name.clone();
            self.depart(&name, id, gone);
        }
        // Whoever was left may have had to go by that.
        if self.rooms.is_here(room, visit) {
            self.close_room_if_empty(room);
        }
    }
}
