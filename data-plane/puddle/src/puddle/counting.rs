//! What is counted of an address or a client over all puddles: the puddle that
//! counts it is asked once for each entry, and the entry waits for the answer.
//!
//! Owns what is asked and not answered yet. The counts are in `counting`.

use std::collections::BTreeMap;

use porthouse_model::{ClientId, Refused, RoomName};

use super::Puddle;
use crate::counting::{Counted, CountingHop, Once, client_counted_at, counted_at};
use crate::hop::Hop;
use crate::input::{PuddleId, SocketId};
use crate::network::network_of;
use crate::room::{Governed, RoomIndex};
use crate::socket::{Origin, Tallied};

/// What this puddle has asked of those that count.
#[derive(Debug, Default)]
pub(super) struct Tallying {
    asked: u64,
    pending: BTreeMap<u64, Pending>,
    /// Who is about to make which room.
    making: BTreeMap<(SocketId, RoomName), Making>,
}

/// For whom something was asked.
#[derive(Debug)]
struct Pending {
    socket: SocketId,
    room: RoomName,
    /// Of whom.
    at: PuddleId,
    /// With what they are refused.
    over: Refused,
}

/// How far it is with a room that somebody is about to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Making {
    /// It is asked for, for this client.
    Asked(u64, ClientId),
    /// It may be, and this client's count says so until the room has an owner.
    Granted(ClientId),
}

impl Puddle {
    /// Whether an entry was counted, or need not be. If it must be, that is asked
    /// for now, and the entry goes on with the answer.
    pub(super) fn is_tallied(&mut self, id: SocketId, room: &RoomName, index: RoomIndex) -> bool {
        match self.entry(id, room).map(|entry| entry.tallied) {
            Some(Tallied::Yes) => return true,
            Some(Tallied::Asked(_)) | None => return false,
            Some(Tallied::No) => {}
        }
        let Some((once, over)) = self.counts_as(id, room, index) else {
            return true;
        };
        let at = counted_at(&once, self.settings.puddles);
        let ask = self.pend_count(id, room, (at, over));
        if let Some(entry) = self.entry_mut(id, room) {
            entry.tallied = Tallied::Asked(ask);
        }
        self.ask_count(at, ask, once);
        false
    }

    /// As what an entry is counted where its room asks for it. Who was inside
    /// already does not join; who only posts one message is counted as one that
    /// speaks, for it is its connection's only one.
    fn counts_as(
        &self,
        id: SocketId,
        name: &RoomName,
        index: RoomIndex,
    ) -> Option<(Once, Refused)> {
        let from = network_of(self.sockets.get(id)?.address);
        let rules = self.rooms.get(index).governed.rules().source();
        if self.post_of(id).is_some() {
            let rate = rules.messages.rates.per_socket?;
            let post = Once::Post(name.clone(), from, rate);
            return Some((post, Refused::SocketTooFast));
        }
        let rate = rules.connection.joins_per_address?;
        let joins = self.entry(id, name)?.origin == Origin::Asked;
        let join = Once::Join(name.clone(), from, rate);
        joins.then_some((join, Refused::JoinsTooFast))
    }

    /// Whether somebody may come in though they make the room by it, or do not
    /// make it. If that must be asked for, the entry goes on with the answer.
    pub(super) fn may_make(&mut self, id: SocketId, room: &RoomName, index: RoomIndex) -> bool {
        match self.tallying.making.get(&(id, room.clone())) {
            Some(Making::Granted(_)) => return true,
            Some(Making::Asked(..)) => return false,
            None => {}
        }
        let Some(client) = self.makes(id, index) else {
            return true;
        };
        let at = client_counted_at(client, self.settings.puddles);
        let ask = self.pend_count(id, room, (at, Refused::TooManyMade));
        let making = (id, room.clone());
        self.tallying
            .making
            .insert(making, Making::Asked(ask, client));
        self.ask_count(at, ask, Once::Make(room.clone(), client, id));
        false
    }

    /// The client that would own a room if it came in now, for nobody does yet,
    /// as far as is known here.
    fn makes(&self, id: SocketId, index: RoomIndex) -> Option<ClientId> {
        let known = self.rooms.get(index);
        let Governed::Transient(transient) = &known.governed else {
            return None;
        };
        let is_new = transient.owned.is_none() && known.elsewhere.is_empty();
        (is_new && transient.life.is_some()).then(|| self.guest(id).map(|guest| guest.client))?
    }

    /// A room's home has answered somebody who may have made the room, or will
    /// not: from here on what the home says of its owner is what counts.
    pub(super) fn made(&mut self, id: SocketId, room: &RoomName) {
        let making = self.tallying.making.remove(&(id, room.clone()));
        if let Some(Making::Granted(client)) = making {
            let at = client_counted_at(client, self.settings.puddles);
            self.tell_counting(at, Counted::Spent(room.clone(), client, id));
        }
    }

    fn pend_count(
        &mut self,
        id: SocketId,
        room: &RoomName,
        (at, over): (PuddleId, Refused),
    ) -> u64 {
        let tallying = &mut self.tallying;
        tallying.asked += 1;
        let pending = Pending {
            socket: id,
            room: room.clone(),
            at,
            over,
        };
        tallying.pending.insert(tallying.asked, pending);
        tallying.asked
    }

    fn ask_count(&mut self, at: PuddleId, ask: u64, what: Once) {
        self.tell_counting(at, Counted::Ask { ask, what });
    }

    fn tell_counting(&mut self, to: PuddleId, said: Counted) {
        if to == self.settings.puddle {
            self.counting_hop(to, said);
        } else {
            self.peers
                .send(to, Hop::Counting(Box::new(CountingHop(said))));
        }
    }

    /// Another puddle says something of it. Answers its payload bytes.
    pub(super) fn counting_hopped(&mut self, from: PuddleId, hop: CountingHop) -> u64 {
        self.counting_hop(from, hop.0);
        0
    }

    /// Something is said of what is counted, by another puddle or by this one.
    fn counting_hop(&mut self, from: PuddleId, said: Counted) {
        match said {
            Counted::Ask { ask, what } => {
                let may = self.counts.take(from, what, self.now);
                self.tell_counting(from, Counted::May { ask, may });
            }
            Counted::May { ask, may } => self.counted(ask, may),
            Counted::Spent(room, client, socket) => {
                self.counts.spent(client, &room, (from, socket));
            }
            Counted::Owns(room, client) => self.counts.owns(client, &room, true),
            Counted::OwnsNoMore(room, client) => self.counts.owns(client, &room, false),
        }
    }

    /// What was asked may be done once more, or not.
    fn counted(&mut self, ask: u64, may: bool) {
        let Some(pending) = self.tallying.pending.remove(&ask) else {
            return;
        };
        let Pending {
            socket, room, over, ..
        } = pending;
        if over == Refused::TooManyMade {
            return self.counted_making(ask, may, (socket, room));
        }
        let entry = self.entry_mut(socket, &room);
        let Some(entry) = entry.filter(|entry| entry.tallied == Tallied::Asked(ask)) else {
            return;
        };
        entry.tallied = Tallied::Yes;
        if may {
            self.hear(socket, &room);
        } else {
            self.refuse_entry(socket, &room, over);
        }
    }

    fn counted_making(&mut self, ask: u64, may: bool, making: (SocketId, RoomName)) {
        let asked = self.tallying.making.get(&making).copied();
        let Some(Making::Asked(by, client)) = asked else {
            return;
        };
        debug_assert_eq!(by, ask, "one at a time is asked for");
        let (id, room) = making.clone();
        if !may {
            self.tallying.making.remove(&making);
            if self.entry(id, &room).is_some() {
                self.refuse_entry(id, &room, Refused::TooManyMade);
            }
            return;
        }
        self.tallying.making.insert(making, Making::Granted(client));
        self.hear(id, &room);
        if !self.asking.arriving.contains_key(&(id, room.clone())) {
            self.made(id, &room);
        }
    }

    /// Puddles that count are told whose the rooms are whose home is here.
    pub(super) fn tell_owners(&mut self) {
        for (room, client, owned) in self.homes.take_owners() {
            let at = client_counted_at(client, self.settings.puddles);
            let said = if owned {
                Counted::Owns(room, client)
            } else {
                Counted::OwnsNoMore(room, client)
            };
            self.tell_counting(at, said);
        }
    }

    /// A puddle began anew: what it was asked is asked again, and it is told
    /// whose the rooms here are that it counts.
    pub(super) fn count_anew(&mut self, puddle: PuddleId) {
        self.counts.lose(puddle, self.settings.puddles);
        let puddles = self.settings.puddles;
        self.tallying.making.retain(|_, making| match making {
            Making::Asked(..) => true,
            Making::Granted(client) => client_counted_at(*client, puddles) != puddle,
        });
        let lost = self.tallying.pending.iter();
        let lost = lost.filter(|(_, pending)| pending.at == puddle);
        let lost: Vec<u64> = lost.map(|(ask, _)| *ask).collect();
        for ask in lost {
            if let Some(pending) = self.tallying.pending.remove(&ask) {
                self.ask_anew(ask, &pending);
            }
        }
        let owned: Vec<(RoomName, ClientId)> = self.homes.owned_rooms().collect();
        for (room, client) in owned {
            if client_counted_at(client, puddles) == puddle {
                self.tell_counting(puddle, Counted::Owns(room, client));
            }
        }
    }

    fn ask_anew(&mut self, ask: u64, lost: &Pending) {
        let (id, room) = (lost.socket, &lost.room);
        let making = (id, room.clone());
        if let Some(Making::Asked(by, _)) = self.tallying.making.get(&making)
            && *by == ask
        {
            self.tallying.making.remove(&making);
        }
        if let Some(entry) = self.entry_mut(id, room)
            && entry.tallied == Tallied::Asked(ask)
        {
            entry.tallied = Tallied::No;
        }
        self.hear(id, room);
    }
}
