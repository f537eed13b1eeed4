//! Who waits to be let in, by room: kept by the one puddle that is the room's
//! home, shown to those inside who may let others in.
//!
//! Owns the bounded waiting rooms and what puddles tell each other about them.
//! Never decides who may decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use porthouse_model::{ClientId, RoomName, Username};

use crate::input::{PuddleId, SocketId};
use crate::output::ListedWaiting;

/// What somebody inside decides about who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let in.
    Admit,
    /// Turned away.
    Refuse,
}

/// How it ended for one who waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Decided by somebody inside.
    Decided(Decision),
    /// As many wait as may.
    Crowded,
}

/// What puddles tell each other about a room's waiting room. The first three go
/// to the room's home, the others come from it.
#[derive(Clone, Debug)]
pub enum WaitingHop {
    /// A socket of ours waits to be let in.
    Apply {
        /// The room.
        room: RoomName,
        /// The socket.
        socket: SocketId,
        /// Its client.
        client: ClientId,
        /// The client's user name, unless anonymous.
        username: Option<Username>,
    },
    /// It waits no longer.
    Withdraw {
        /// The room.
        room: RoomName,
        /// The socket.
        socket: SocketId,
    },
    /// Somebody inside, who may, has decided about a client.
    Decide {
        /// The room.
        room: RoomName,
        /// The client, all of whose sockets are meant.
        client: ClientId,
        /// What.
        decision: Decision,
    },
    /// How it ended for a socket of yours.
    Ended {
        /// The room.
        room: RoomName,
        /// The socket.
        socket: SocketId,
        /// How.
        fate: Fate,
    },
    /// Who waits now.
    Crowd {
        /// The room.
        room: RoomName,
        /// All who wait, each once, in order.
        clients: Arc<[ClientId]>,
    },
}

impl WaitingHop {
    /// What it costs on a ring, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Crowd { clients, .. } => 16 * clients.len() as u64,
            Self::Apply { .. }
            | Self::Withdraw { .. }
            | Self::Decide { .. }
            | Self::Ended { .. } => 0,
        }
    }
}

/// One who waits: where, and as whom.
type Applicants = BTreeMap<(PuddleId, SocketId), Applicant>;

/// As whom somebody waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applicant {
    /// The client.
    pub client: ClientId,
    /// Its user name, unless anonymous.
    pub username: Option<Username>,
}

/// As many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The waiting rooms whose home is here.
#[derive(Debug)]
pub(crate) struct WaitingRooms {
    rooms: BTreeMap<RoomName, Applicants>,
    /// Those whose crowd has changed since it was last told.
    changed: BTreeSet<RoomName>,
    waiting_max: usize,
}

impl WaitingRooms {
    pub(crate) const fn new(waiting_max: usize) -> Self {
        Self {
            rooms: BTreeMap::new(),
            changed: BTreeSet::new(),
            waiting_max,
        }
    }

    /// Somebody waits.
    pub(crate) fn apply(
        &mut self,
        room: &RoomName,
        at: (PuddleId, SocketId),
        applicant: Applicant,
    ) -> Result<(), Full> {
        let waiting_max = self.waiting_max;
        let applicants = self.rooms.entry(room.clone()).or_default();
        if applicants.len() >= waiting_max && !applicants.contains_key(&at) {
            return Err(Full);
        }
        applicants.insert(at, applicant);
        self.changed.insert(room.clone());
        Ok(())
    }

    /// Somebody waits no longer.
    pub(crate) fn withdraw(&mut self, room: &RoomName, at: (PuddleId, SocketId)) {
        self.retain(room, |known, _| *known != at);
    }

    /// Takes out all of a client's sockets, and answers where they are.
    pub(crate) fn decide(
        &mut self,
        room: &RoomName,
        client: ClientId,
    ) -> Vec<(PuddleId, SocketId)> {
        let mut decided = Vec::new();
        self.retain(room, |at, waits| {
            let stays = waits.client != client;
            if !stays {
                decided.push(*at);
            }
            stays
        });
        decided
    }

    /// A puddle began anew: nobody waits there.
    pub(crate) fn forget(&mut self, puddle: PuddleId) {
        for room in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.retain(&room, |(at, _), _| *at != puddle);
        }
    }

    /// Who waits for a room, each once, in order.
    pub(crate) fn crowd(&self, room: &RoomName) -> Arc<[ClientId]> {
        let applicants = self.rooms.get(room).into_iter().flatten();
        let clients: BTreeSet<ClientId> = applicants.map(|(_, waits)| waits.client).collect();
        clients.into_iter().collect()
    }

    /// The same for a backend.
    pub(crate) fn list(&self, room: &RoomName) -> Vec<ListedWaiting> {
        let applicants = self.rooms.get(room).into_iter().flatten();
        let mut listed: BTreeMap<ClientId, ListedWaiting> = BTreeMap::new();
        for (_, waits) in applicants {
            let one = listed.entry(waits.client).or_insert(ListedWaiting {
                client: waits.client,
                username: waits.username.clone(),
                sockets: 0,
            });
            one.sockets += 1;
        }
        listed.into_values().collect()
    }

    /// The rooms whose crowd has changed, to be told.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<RoomName> {
        std::mem::take(&mut self.changed)
    }

    fn retain(
        &mut self,
        room: &RoomName,
        mut stays: impl FnMut(&(PuddleId, SocketId), &Applicant) -> bool,
    ) {
        let Some(applicants) = self.rooms.get_mut(room) else {
            return;
        };
        let before = applicants.len();
        applicants.retain(|at, client| stays(at, client));
        if applicants.len() < before {
            self.changed.insert(room.clone());
        }
        if applicants.is_empty() {
            self.rooms.remove(room);
        }
    }

    /// Every invariant.
    pub(crate) fn check(&self) {
        for applicants in self.rooms.values() {
            assert!(!applicants.is_empty(), "a waiting room ends with its last");
            assert!(
                applicants.len() <= self.waiting_max,
                "a waiting room is bounded"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(slot: u32) -> (PuddleId, SocketId) {
        let generation = 0;
        (PuddleId(0), SocketId { slot, generation })
    }

    fn client(number: u8) -> ClientId {
        ClientId::from_bytes([number; 16])
    }

    fn waits(number: u8) -> Applicant {
        Applicant {
            client: client(number),
            username: None,
        }
    }

    #[test]
    fn a_waiting_room_is_bounded_and_who_waits_may_ask_again() {
        let room: RoomName = "vault".parse().expect("a name");
        let mut rooms = WaitingRooms::new(1);
        assert_eq!(rooms.apply(&room, at(1), waits(1)), Ok(()));
        assert_eq!(rooms.apply(&room, at(2), waits(2)), Err(Full));
        assert_eq!(rooms.apply(&room, at(1), waits(1)), Ok(()));
        rooms.withdraw(&room, at(1));
        assert_eq!(rooms.apply(&room, at(2), waits(2)), Ok(()));
        rooms.check();
    }

    #[test]
    fn a_decision_is_about_all_of_a_clients_sockets() {
        let room: RoomName = "vault".parse().expect("a name");
        let mut rooms = WaitingRooms::new(9);
        for (slot, number) in [(1, 1), (2, 2), (3, 1)] {
            assert_eq!(rooms.apply(&room, at(slot), waits(number)), Ok(()));
        }
        assert_eq!(*rooms.crowd(&room), [client(1), client(2)]);
        let listed = rooms.list(&room).into_iter();
        let listed: Vec<_> = listed.map(|one| (one.client, one.sockets)).collect();
        assert_eq!(listed, [(client(1), 2), (client(2), 1)]);
        assert_eq!(rooms.decide(&room, client(1)), [at(1), at(3)]);
        assert_eq!(*rooms.crowd(&room), [client(2)]);
        assert_eq!(rooms.decide(&room, client(1)), []);
    }

    #[test]
    fn who_waited_on_a_puddle_that_began_anew_is_forgotten() {
        let room: RoomName = "vault".parse().expect("a name");
        let mut rooms = WaitingRooms::new(9);
        assert_eq!(rooms.apply(&room, at(1), waits(1)), Ok(()));
        assert_eq!(rooms.take_changed().len(), 1);
        rooms.forget(PuddleId(0));
        assert_eq!(rooms.take_changed().len(), 1);
        assert!(rooms.crowd(&room).is_empty());
        rooms.check();
    }
}
