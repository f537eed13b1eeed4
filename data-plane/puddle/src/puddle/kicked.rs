//! Who was put out of a room and may not come back yet: kept in memory, of
//! transient rooms too. Owns the bound and the order in which it ends, and by
//! which right a client puts another out.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{Act, AddressRange, ClientId, Refused, RoomId, RoomName, Time};

use super::{Puddle, slot_of};
use crate::hop::Hop;
use crate::input::{PuddleId, SocketId};
use crate::output::{KeptOut, Output};
use crate::policy::Named;
use crate::room::{Governed, RoomIndex};
use crate::socket::{Habit, Who};
use crate::wire::multiplexed::{Comeback, Event as Told, Id};

/// Whom it keeps out. An anonymous client has another id with each socket, so it
/// is known by where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// A signed-in client.
    Client(ClientId),
    /// Anonymous clients from here.
    Anonymous(AddressRange),
}

impl Whom {
    /// A socket of this address: a customer's whole network, where IPv6 gives
    /// out no less (RFC 6177).
    fn at(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let bits = if address.is_ipv4() { 32 } else { 56 };
        let range = AddressRange::new(address, bits);
        Self::Anonymous(range.expect("an address has so many bits"))
    }
}

/// Who is kept out of which rooms, and until when.
#[derive(Debug)]
pub(super) struct Kicked {
    until: BTreeMap<(RoomName, Whom), Time>,
    order: BTreeSet<(Time, RoomName, Whom)>,
    kicked_max: usize,
}

impl Kicked {
    pub(super) const fn new(kicked_max: usize) -> Self {
        Self {
            until: BTreeMap::new(),
            order: BTreeSet::new(),
            kicked_max,
        }
    }

    /// Keeps somebody out until then, at least. When as many are as may be, the
    /// one whose time ends first may come back before it.
    fn add(&mut self, now: Time, room: RoomName, whom: Whom, until: Time) {
        let place = (room, whom);
        let before = self.until.get(&place).copied();
        if before.is_some_and(|before| before >= until) {
            return;
        }
        if let Some(before) = before {
            self.order
                .remove(&(before, place.0.clone(), place.1.clone()));
        }
        self.order.insert((until, place.0.clone(), place.1.clone()));
        self.until.insert(place, until);
        while let Some((first, ..)) = self.order.first()
            && (*first <= now || self.order.len() > self.kicked_max)
            && let Some((_, room, whom)) = self.order.pop_first()
        {
            self.until.remove(&(room, whom));
        }
    }

    fn keeps_out(&self, now: Time, room: &RoomName, whom: Whom) -> bool {
        let until = self.until.get(&(room.clone(), whom));
        until.is_some_and(|until| *until > now)
    }

    fn is_empty(&self) -> bool {
        self.until.is_empty()
    }
}

impl Puddle {
    /// Whether somebody was put out of a room and may not come back yet.
    pub(super) fn is_kept_out(&self, id: SocketId, room: &RoomName) -> bool {
        if self.kicked.is_empty() {
            return false;
        }
        let whom = self
            .sockets
            .get(id)
            .map(|socket| match socket.who().client() {
                Some(client) => Whom::Client(client),
                None => Whom::at(socket.address),
            });
        whom.is_some_and(|whom| self.kicked.keeps_out(self.now, room, whom))
    }

    /// A client that is put out here, if these sockets are its, or elsewhere on
    /// the node does not come back for so long.
    pub(super) fn keep_out(
        &mut self,
        client: ClientId,
        sockets: &[SocketId],
        room: &RoomName,
        time: Duration,
    ) {
        if time.is_zero() {
            return;
        }
        self.kept_out(room.clone(), Whom::Client(client), time);
        // Where an anonymous client comes from is known to its puddle alone.
        let anonymous = sockets.iter().filter_map(|id| self.sockets.get(*id));
        let anonymous = anonymous.filter(|socket| *socket.who() == Who::Anonymous);
        let places: BTreeSet<Whom> = anonymous.map(|socket| Whom::at(socket.address)).collect();
        for whom in places {
            for puddle in self.others.iter() {
                let (room, whom) = (room.clone(), whom.clone());
                self.peers.send(puddle, Hop::Kicked { room, whom, time });
            }
            self.kept_out(room.clone(), whom, time);
        }
    }

    /// A client inside puts another one out, on every puddle. The room's owner is
    /// put out by nobody but backends.
    pub(super) fn kick_from(
        &mut self,
        id: SocketId,
        request: Option<&Id>,
        room: &RoomName,
        (client, comeback): (ClientId, Comeback),
    ) {
        let Some((index, _)) = self.seat_in(id, room) else {
            return self.outside(id, request);
        };
        if !self.may(id, index, Act::Kick) || self.owner_of(index) == Some(client) {
            return self.refuse_line(id, request, Some(room), Refused::KickRefused);
        }
        if !self.behaves(id, Habit::Move, request) {
            return;
        }
        let kicked = Told::Kicked {
            id: request,
            room,
            client,
        };
        self.inform(id, |out| kicked.frame(out));
        let time = match comeback {
            Comeback::AtOnce => Duration::ZERO,
            Comeback::Later => self.settings.kick_block_time,
        };
        for puddle in self.others.iter() {
            let room = room.clone();
            self.peers.send(puddle, Hop::Kick { room, client, time });
        }
        let room_id = self.rooms.get(index).governed.id();
        let by = self.client_inside(id, index);
        self.kick(client, Some(room), time);
        if room_id.is_some() {
            self.keep_out_everywhere(room, room_id, (client, by), time);
        }
    }

    /// The client that somebody inside is.
    fn client_inside(&self, id: SocketId, index: RoomIndex) -> Option<ClientId> {
        let stay = self.sockets.get(id)?.stay(index)?;
        Some(self.rooms.get(index).seats.sitter(stay.seat).client)
    }

    /// A backend puts a client out of a room, and every puddle of the node is
    /// told: the room's home alone has it kept out on other nodes.
    pub(super) fn kicked_by_backend(&mut self, client: ClientId, room: &RoomName, time: Duration) {
        if self.home_of(room) != self.settings.puddle {
            return;
        }
        let room_id = match self.policy.room(self.now, room) {
            Some(Named::Room(policy)) => Some(policy.room.id),
            Some(Named::Templated(_) | Named::Absent) => return,
            None => None,
        };
        self.keep_out_everywhere(room, room_id, (client, None), time);
    }

    /// Has a signed-in client kept out of a room that was made, on all nodes and
    /// after a restart. An anonymous one is known by where it comes from, and who
    /// is signed in there may come in: it is kept out here alone.
    fn keep_out_everywhere(
        &mut self,
        room: &RoomName,
        room_id: Option<RoomId>,
        (client, by): (ClientId, Option<ClientId>),
        time: Duration,
    ) {
        if time.is_zero() || slot_of(client).is_some() {
            return;
        }
        self.outputs.push(Output::KeepOut(Box::new(KeptOut {
            room: room.clone(),
            room_id,
            client,
            by,
            time,
        })));
    }

    /// Who owns a room, if somebody does.
    fn owner_of(&self, index: RoomIndex) -> Option<ClientId> {
        match &self.rooms.get(index).governed {
            Governed::Persistent(policy) => policy.room.owner.map(ClientId::from),
            governed @ (Governed::Transient(_) | Governed::Templated(_)) => {
                governed.owned().map(|owned| owned.owner)
            }
        }
    }

    /// A puddle began anew: it is told whom this one keeps out, and for how much longer.
    pub(super) fn keep_out_anew(&mut self, puddle: PuddleId) {
        for (until, room, whom) in self
            .kicked
            .order
            .iter()
            .filter(|(until, ..)| *until > self.now)
        {
            let (room, whom, time) = (room.clone(), whom.clone(), until.since(self.now));
            self.peers.send(puddle, Hop::Kicked { room, whom, time });
        }
    }

    /// From here on somebody is kept out of a room.
    pub(super) fn kept_out(&mut self, room: RoomName, whom: Whom, time: Duration) {
        let until = self.now + time;
        self.kicked.add(self.now, room, whom, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_nanos(seconds * 1_000_000_000)
    }

    fn client(id: u8) -> Whom {
        Whom::Client(ClientId::from_bytes([id; 16]))
    }

    #[test]
    fn who_was_put_out_comes_back_when_the_time_is_over() {
        let room: RoomName = "lobby".parse().expect("a name");
        let mut kicked = Kicked::new(9);
        kicked.add(at(0), room.clone(), client(1), at(5));
        kicked.add(at(1), room.clone(), client(1), at(3));
        assert!(
            kicked.keeps_out(at(4), &room, client(1)),
            "the longer counts"
        );
        assert!(!kicked.keeps_out(at(4), &room, client(2)));
        assert!(!kicked.keeps_out(at(5), &room, client(1)));
        kicked.add(at(6), room, client(2), at(9));
        assert_eq!(kicked.until.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn so_many_are_kept_out_at_most() {
        let room: RoomName = "lobby".parse().expect("a name");
        let mut kicked = Kicked::new(2);
        for id in 1..=3 {
            kicked.add(at(0), room.clone(), client(id), at(id.into()));
        }
        assert!(!kicked.keeps_out(at(0), &room, client(1)), "it ended first");
        assert!(kicked.keeps_out(at(0), &room, client(3)));
    }

    #[test]
    fn a_network_is_one() {
        let at = |text: &str| Whom::at(text.parse().expect("an address"));
        assert_eq!(at("2001:db8:0:1::1"), at("2001:db8:0:ff::2"));
        assert_ne!(at("198.51.100.1"), at("198.51.100.2"));
    }
}
