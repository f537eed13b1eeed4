//! Promises of ownership, and a plain reference that it is held against.

use super::*;
use crate::seed::{Chance, Seed};

const HERE: PuddleId = PuddleId(0);
const RAW: WireForm = WireForm::Raw;
const LATER: Time = Time::from_nanos(1_000);

fn client(number: u8) -> ClientId {
    ClientId::from_bytes([number; 16])
}

/// A room made by client 0, with these inside, in this order.
fn room(life: RoomLife, inside: &[u8]) -> Ownership {
    let owned = Owned {
        life,
        owner: client(0),
        epoch: 1,
    };
    let mut room = Ownership::made(owned, LATER);
    for number in inside {
        room.arrive(HERE, client(*number), RAW);
    }
    room
}

#[test]
fn a_peer_room_ends_when_its_maker_leaves() {
    let mut room = room(RoomLife::Peer, &[0, 1]);
    assert_eq!(room.depart(HERE, client(1), RAW), Follows::Nothing);
    room.arrive(HERE, client(2), RAW);
    let ended = Follows::Ended(Refused::OwnerLeft);
    assert_eq!(room.depart(HERE, client(0), RAW), ended);
}

#[test]
fn a_peerless_room_passes_to_who_has_been_there_longest() {
    let mut room = room(RoomLife::Peerless, &[0, 1, 2, 1]);
    assert_eq!(room.depart(HERE, client(1), RAW), Follows::Nothing);
    let Follows::Passed(owned) = room.depart(HERE, client(0), RAW) else {
        panic!("it passes")
    };
    assert_eq!((owned.owner, owned.epoch), (client(1), 2));
    let Follows::Passed(owned) = room.depart(HERE, client(1), RAW) else {
        panic!("it passes again")
    };
    assert_eq!((owned.owner, owned.epoch), (client(2), 3));
    assert_eq!(room.depart(HERE, client(2), RAW), Follows::Empty);
}

#[test]
fn an_owner_with_a_socket_on_another_puddle_has_not_left() {
    let mut room = room(RoomLife::Peer, &[0, 1]);
    room.arrive(PuddleId(1), client(0), WireForm::Multiplexed);
    assert_eq!(room.lose(HERE), Follows::Nothing);
    assert_eq!(room.lose(PuddleId(1)), Follows::Empty);
}

#[test]
fn only_the_owner_passes_a_room_on_and_only_to_one_inside() {
    let mut room = room(RoomLife::Peer, &[0, 1]);
    assert_eq!(room.pass(client(1), client(1)), Err(Refused::RulesRefused));
    assert_eq!(room.pass(client(0), client(2)), Err(Refused::JoinRefused));
    let owned = room.pass(client(0), client(1)).expect("it may");
    assert_eq!((owned.owner, owned.epoch), (client(1), 2));
    assert_eq!(room.pass(client(0), client(0)), Err(Refused::RulesRefused));
    assert_eq!(room.depart(HERE, client(0), RAW), Follows::Nothing);
    room.arrive(HERE, client(2), RAW);
    let ended = Follows::Ended(Refused::OwnerLeft);
    assert_eq!(room.depart(HERE, client(1), RAW), ended);
}

#[test]
fn an_owner_who_is_only_heard_of_has_some_time_to_show_up() {
    let mut room = room(RoomLife::Peerless, &[1]);
    assert_eq!(room.depart(HERE, client(2), RAW), Follows::Nothing);
    assert_eq!(room.settle(Time::ZERO), Follows::Nothing);
    assert_eq!(room.due(), Some(LATER));
    let Follows::Passed(owned) = room.settle(LATER) else {
        panic!("it did not come")
    };
    assert_eq!(owned.owner, client(1));
    assert!(!room.claim(Owned { epoch: 2, ..owned }), "old news");
    assert!(room.claim(Owned { epoch: 3, ..owned }));
}

/// Clients in the order in which they came, with their sockets.
fn reference_owner(order: &[(u8, Vec<PuddleId>)]) -> Option<u8> {
    order.first().map(|(client, _)| *client)
}

#[test]
fn ten_thousand_random_comings_and_goings_have_one_owner_each() {
    let mut chance = Chance::new(Seed(3));
    let mut room = room(RoomLife::Peerless, &[0]);
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
                room.arrive(puddle, client(number), RAW);
                Follows::Nothing
            }
            (1..8, Some(at)) => {
                order[at].1.push(puddle);
                room.arrive(puddle, client(number), RAW);
                Follows::Nothing
            }
            (_, Some(at)) if order[at].1.contains(&puddle) => {
                let sockets = &mut order[at].1;
                let first = sockets.iter().position(|at| *at == puddle);
                sockets.remove(first.expect("it is among them"));
                room.depart(puddle, client(number), RAW)
            }
            _ => Follows::Nothing,
        };
        order.retain(|(_, sockets)| !sockets.is_empty());
        if order.iter().all(|(client, _)| *client != owner) {
            let Some(next) = reference_owner(&order) else {
                assert_eq!(follows, Follows::Empty);
                order.push((owner, vec![HERE]));
                room.arrive(HERE, client(owner), RAW);
                continue;
            };
            (owner, epoch) = (next, epoch + 1);
            let now = room.owned();
            assert_eq!(follows, Follows::Passed(now));
            assert_eq!((now.owner, now.epoch), (client(owner), epoch));
        } else {
            assert_eq!(follows, Follows::Nothing);
        }
        assert!(
            room.order.len() <= 2 * order.len() + GONE_MAX,
            "who has gone is forgotten"
        );
    }
}
