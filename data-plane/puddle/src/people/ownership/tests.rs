//! Promises of ownership, and a plain reference that it is held against.

use super::*;
use crate::home::Guest;
use crate::input::{PuddleId, SocketId};
use crate::seed::{Chance, Seed};

const HERE: PuddleId = PuddleId(0);
const LATER: Time = Time::from_nanos(1_000);

fn client(number: u8) -> ClientId {
    ClientId::from_bytes([number; 16])
}

/// A room and who is inside.
struct Room {
    ownership: Ownership,
    guests: Guests,
    sockets: Vec<(PuddleId, u8, SocketId)>,
}

impl Room {
    /// Made by client 0, with these inside, in this order.
    fn new(life: RoomLife, inside: &[u8]) -> Self {
        let owned = Owned {
            life,
            owner: client(0),
            epoch: 1,
        };
        let guests = Guests::default();
        let mut room = Self {
            ownership: Ownership::made(owned, LATER, &guests),
            guests,
            sockets: Vec::new(),
        };
        for number in inside {
            room.arrive(HERE, *number);
        }
        room
    }

    fn arrive(&mut self, puddle: PuddleId, number: u8) {
        let taken = |slot: &u32| !self.sockets.iter().any(|(_, _, at)| at.slot == *slot);
        let slot = (0..=u32::MAX).find(taken).expect("a free slot");
        let guest = Guest::of(slot, client(number));
        self.sockets.push((puddle, number, guest.socket));
        if let Some(since) = self.guests.add(puddle, guest) {
            self.ownership.arrive(client(number), since);
        }
    }

    fn depart(&mut self, puddle: PuddleId, number: u8) -> Follows {
        let mut all = self.sockets.iter();
        if let Some(at) = all.position(|(at, of, _)| (*at, *of) == (puddle, number)) {
            let (_, _, socket) = self.sockets.remove(at);
            self.guests.remove(puddle, socket);
        }
        self.ownership.depart(&self.guests)
    }

    fn lose(&mut self, puddle: PuddleId) -> Follows {
        self.sockets.retain(|(at, _, _)| *at != puddle);
        self.guests.gone_with(puddle);
        self.ownership.depart(&self.guests)
    }

    fn pass(&mut self, by: u8, to: u8) -> Result<Owned, Refused> {
        self.ownership.pass(client(by), client(to), &self.guests)
    }
}

#[test]
fn a_peer_room_ends_when_its_maker_leaves() {
    let mut room = Room::new(RoomLife::Peer, &[0, 1]);
    assert_eq!(room.depart(HERE, 1), Follows::Nothing);
    room.arrive(HERE, 2);
    let ended = Follows::Ended(Refused::OwnerLeft);
    assert_eq!(room.depart(HERE, 0), ended);
}

#[test]
fn a_peerless_room_passes_to_who_has_been_there_longest() {
    let mut room = Room::new(RoomLife::Peerless, &[0, 1, 2, 1]);
    assert_eq!(room.depart(HERE, 1), Follows::Nothing);
    let Follows::Passed(owned) = room.depart(HERE, 0) else {
        panic!("it passes")
    };
    assert_eq!((owned.owner, owned.epoch), (client(1), 2));
    let Follows::Passed(owned) = room.depart(HERE, 1) else {
        panic!("it passes again")
    };
    assert_eq!((owned.owner, owned.epoch), (client(2), 3));
    assert_eq!(room.depart(HERE, 2), Follows::Empty);
}

#[test]
fn an_owner_with_a_socket_on_another_puddle_has_not_left() {
    let mut room = Room::new(RoomLife::Peer, &[0, 1]);
    room.arrive(PuddleId(1), 0);
    assert_eq!(room.lose(HERE), Follows::Nothing);
    assert_eq!(room.lose(PuddleId(1)), Follows::Empty);
}

#[test]
fn only_the_owner_passes_a_room_on_and_only_to_one_inside() {
    let mut room = Room::new(RoomLife::Peer, &[0, 1]);
    assert_eq!(room.pass(1, 1), Err(Refused::RulesRefused));
    assert_eq!(room.pass(0, 2), Err(Refused::JoinRefused));
    let owned = room.pass(0, 1).expect("it may");
    assert_eq!((owned.owner, owned.epoch), (client(1), 2));
    assert_eq!(room.pass(0, 0), Err(Refused::RulesRefused));
    assert_eq!(room.depart(HERE, 0), Follows::Nothing);
    room.arrive(HERE, 2);
    let ended = Follows::Ended(Refused::OwnerLeft);
    assert_eq!(room.depart(HERE, 1), ended);
}

#[test]
fn an_owner_who_is_only_heard_of_has_some_time_to_show_up() {
    let mut room = Room::new(RoomLife::Peerless, &[1]);
    assert_eq!(room.depart(HERE, 2), Follows::Nothing);
    assert_eq!(
        room.ownership.settle(Time::ZERO, &room.guests),
        Follows::Nothing
    );
    assert_eq!(room.ownership.due(), Some(LATER));
    let Follows::Passed(owned) = room.ownership.settle(LATER, &room.guests) else {
        panic!("it did not come")
    };
    assert_eq!(owned.owner, client(1));
    assert!(
        !room.ownership.claim(Owned { epoch: 2, ..owned }),
        "old news"
    );
    assert!(room.ownership.claim(Owned { epoch: 3, ..owned }));
}

/// Clients in the order in which they came, with their sockets.
fn reference_owner(order: &[(u8, Vec<PuddleId>)]) -> Option<u8> {
    order.first().map(|(client, _)| *client)
}

#[test]
fn ten_thousand_random_comings_and_goings_have_one_owner_each() {
    let mut chance = Chance::new(Seed(3));
    let mut room = Room::new(RoomLife::Peerless, &[0]);
    let mut order = vec![(0_u8, vec![HERE])];
    let mut owner = 0_u8;
    let mut epoch = 1;
    for _ in 0..10_000 {
        let number = u8::try_from(chance.next() % 8).expect("eight");
        let puddle = PuddleId(u8::try_from(chance.next() % 3).expect("three"));
        let known = order.iter().position(|(client, _)| *client == number);
        let follows = match (chance.next() % 16, known) {
            (0, _) => {
                for (_, sockets) in &mut order {
                    sockets.retain(|at| *at != puddle);
                }
                room.lose(puddle)
            }
            (1..8, None) => {
                order.push((number, vec![puddle]));
                room.arrive(puddle, number);
                Follows::Nothing
            }
            (1..8, Some(at)) => {
                order[at].1.push(puddle);
                room.arrive(puddle, number);
                Follows::Nothing
            }
            (_, Some(at)) if order[at].1.contains(&puddle) => {
                let sockets = &mut order[at].1;
                let first = sockets.iter().position(|at| *at == puddle);
                sockets.remove(first.expect("it is among them"));
                room.depart(puddle, number)
            }
            _ => Follows::Nothing,
        };
        order.retain(|(_, sockets)| !sockets.is_empty());
        if order.iter().all(|(client, _)| *client != owner) {
            let Some(next) = reference_owner(&order) else {
                assert_eq!(follows, Follows::Empty);
                order.push((owner, vec![HERE]));
                room.arrive(HERE, owner);
                continue;
            };
            (owner, epoch) = (next, epoch + 1);
            let now = room.ownership.owned();
            assert_eq!(follows, Follows::Passed(now));
            assert_eq!((now.owner, now.epoch), (client(owner), epoch));
        } else {
            assert_eq!(follows, Follows::Nothing);
        }
        assert!(
            room.ownership.order.len() <= 2 * order.len() + GONE_MAX,
            "who has gone is forgotten"
        );
        room.ownership.check(&room.guests);
    }
}
