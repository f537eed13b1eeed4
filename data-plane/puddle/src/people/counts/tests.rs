//! Promises of a room's places, and a plain reference that they are held
//! against.

use super::*;
use crate::seed::{Chance, Seed};

fn at(puddle: u8, slot: u32) -> At {
    let generation = 0;
    (PuddleId(puddle), SocketId { slot, generation })
}

fn client(number: u8) -> ClientId {
    ClientId::from_bytes([number; 16])
}

fn limits(sockets_max: Option<u32>, per_client: Option<(u32, Surplus)>) -> Limits {
    let per_client = per_client.map(|(sockets_max, surplus)| ClientSockets {
        sockets_max,
        surplus,
    });
    Limits {
        sockets_max,
        per_client,
    }
}

fn places(limits: Limits) -> Places {
    let mut places = Places::default();
    assert!(places.limit(limits).is_empty(), "nobody is there");
    places
}

#[test]
fn rules_without_limits_have_none() {
    let mut rules = ConnectionRules::default();
    assert!(!Limits::of(&rules).are_set());
    rules.sockets_max = Some(1);
    assert!(Limits::of(&rules).are_set());
}

#[test]
fn a_full_room_takes_nobody_until_somebody_goes() {
    let mut places = places(limits(Some(2), None));
    assert_eq!(places.ask(at(0, 1), client(1)), Verdict::Placed);
    assert_eq!(places.ask(at(1, 1), client(2)), Verdict::Placed);
    assert_eq!(places.ask(at(1, 1), client(2)), Verdict::Placed, "its own");
    let full = Verdict::Refused(Refused::RoomFull);
    assert_eq!(places.ask(at(2, 1), client(3)), full);
    assert_eq!(places.give_back(at(0, 1)), None);
    assert_eq!(places.give_back(at(0, 1)), None, "only once");
    assert_eq!(places.ask(at(2, 1), client(3)), Verdict::Placed);
}

#[test]
fn the_newest_of_a_client_is_refused_where_the_rule_says_so() {
    let mut places = places(limits(None, Some((1, Surplus::Newest))));
    assert_eq!(places.ask(at(0, 1), client(1)), Verdict::Placed);
    let full = Verdict::Refused(Refused::ClientFull);
    assert_eq!(places.ask(at(1, 1), client(1)), full);
    assert_eq!(places.ask(at(1, 2), client(2)), Verdict::Placed);
}

#[test]
fn the_newest_has_its_place_once_the_oldest_has_gone() {
    let mut places = places(limits(Some(1), Some((1, Surplus::Oldest))));
    assert_eq!(places.ask(at(0, 1), client(1)), Verdict::Placed);
    let after = Verdict::After(at(0, 1));
    assert_eq!(places.ask(at(1, 1), client(1)), after);
    let full = Verdict::Refused(Refused::RoomFull);
    assert_eq!(places.ask(at(1, 2), client(2)), full);
    assert_eq!(places.give_back(at(0, 1)), Some(at(1, 1)));
}

#[test]
fn who_waited_and_is_replaced_leaves_its_turn_to_the_next() {
    let mut places = places(limits(None, Some((1, Surplus::Oldest))));
    places.ask(at(0, 1), client(1));
    places.ask(at(1, 1), client(1));
    assert_eq!(places.ask(at(2, 1), client(1)), Verdict::After(at(1, 1)));
    assert_eq!(places.give_back(at(1, 1)), None, "the first is still there");
    assert_eq!(places.give_back(at(0, 1)), Some(at(2, 1)));
}

#[test]
fn a_lost_puddle_gives_back_its_places() {
    let mut places = places(limits(Some(2), Some((1, Surplus::Oldest))));
    places.ask(at(0, 1), client(1));
    places.ask(at(0, 2), client(2));
    places.ask(at(1, 1), client(1));
    assert_eq!(places.lose(PuddleId(0)), [at(1, 1)]);
    assert_eq!(places.ask(at(1, 2), client(3)), Verdict::Placed);
}

#[test]
fn a_lower_limit_names_those_who_go() {
    let mut places = Places::default();
    for slot in 0..3 {
        places.ask(at(0, slot), client(1));
        places.ask(at(1, slot), client(2 + u8::try_from(slot).expect("few")));
    }
    let surplus = places.limit(limits(Some(3), Some((2, Surplus::Oldest))));
    let gone = |socket, refused| Surplusage { socket, refused };
    assert_eq!(
        surplus,
        [
            gone(at(0, 0), Refused::Replaced),
            gone(at(1, 2), Refused::RoomFull),
            gone(at(0, 2), Refused::RoomFull),
        ]
    );
    for one in surplus {
        assert_eq!(places.give_back(one.socket), None);
    }
    let full = Verdict::Refused(Refused::RoomFull);
    assert_eq!(places.ask(at(2, 2), client(9)), full);
}

#[test]
fn who_was_let_in_before_has_a_place_beyond_the_limit() {
    let mut places = places(limits(Some(1), None));
    for slot in 0..2 {
        places.claim(at(0, slot), client(1));
        places.claim(at(0, slot), client(1));
    }
    places.give_back(at(0, 0));
    let full = Verdict::Refused(Refused::RoomFull);
    assert_eq!(places.ask(at(1, 1), client(2)), full);
    places.give_back(at(0, 1));
    assert!(places.held.is_empty());
}

/// Who is inside, and who has been told to go and has not yet.
#[derive(Default)]
struct Reference {
    inside: BTreeMap<At, ClientId>,
    told_to_go: Vec<At>,
    waiting: BTreeMap<At, ClientId>,
}

impl Reference {
    fn ask(&mut self, places: &mut Places, socket: At, client: ClientId) {
        // Whoever waits does so for one who is inside.
        let all = self.inside.len();
        let same = self.inside.values().filter(|other| **other == client);
        let same = same.count();
        let limits = places.limits;
        let room_full = limits.sockets_max.is_some_and(|max| all >= max as usize);
        let full = |max: &ClientSockets| same >= max.sockets_max as usize;
        let client_full = limits.per_client.filter(full);
        match places.ask(socket, client) {
            Verdict::Placed => {
                assert!(!room_full && client_full.is_none(), "there was a place");
                self.inside.insert(socket, client);
            }
            Verdict::After(oldest) => {
                assert!(client_full.is_some_and(|max| max.surplus == Surplus::Oldest));
                self.told_to_go.retain(|told| *told != oldest);
                self.told_to_go.push(oldest);
                self.waiting.insert(socket, client);
            }
            Verdict::Refused(Refused::ClientFull) => {
                assert!(client_full.is_some_and(|max| max.surplus == Surplus::Newest));
            }
            Verdict::Refused(refused) => {
                assert_eq!(refused, Refused::RoomFull);
                assert!(room_full && client_full.is_none());
            }
        }
    }

    fn go(&mut self, places: &mut Places, socket: At) {
        self.inside.remove(&socket);
        self.waiting.remove(&socket);
        self.told_to_go.retain(|told| *told != socket);
        if let Some(heir) = places.give_back(socket) {
            let client = self.waiting.remove(&heir).expect("it waited");
            self.inside.insert(heir, client);
        }
    }

    fn check(&self, limits: Limits) {
        let mut of_client = BTreeMap::<ClientId, u32>::new();
        for client in self.inside.values() {
            *of_client.entry(*client).or_default() += 1;
        }
        let inside = self.inside.len();
        assert!(limits.sockets_max.is_none_or(|max| inside <= max as usize));
        if let Some(max) = limits.per_client {
            assert!(of_client.values().all(|count| *count <= max.sockets_max));
        }
        assert!(self.waiting.is_empty() || !self.told_to_go.is_empty());
    }
}

#[test]
fn ten_thousand_random_comings_and_goings_never_pass_the_limits() {
    for (seed, surplus) in (0..8).zip([Surplus::Newest, Surplus::Oldest].into_iter().cycle()) {
        let mut chance = Chance::new(Seed(seed));
        let room = (seed % 3 > 0).then_some(12);
        let limits = limits(room, Some((2, surplus)));
        let mut places = places(limits);
        let mut reference = Reference::default();
        for step in 0..10_000 {
            let one = usize::try_from(chance.next() % 64).expect("small");
            match chance.next() % 4 {
                0 | 1 => {
                    let puddle = u8::try_from(chance.next() % 3).expect("three");
                    let client = client(u8::try_from(chance.next() % 10).expect("ten"));
                    reference.ask(&mut places, at(puddle, step), client);
                }
                2 => {
                    let known = reference.inside.iter().chain(&reference.waiting);
                    if let Some(socket) = known.map(|(at, _)| *at).nth(one) {
                        reference.go(&mut places, socket);
                    }
                }
                _ => {
                    if let Some(socket) = reference.told_to_go.get(one % 3).copied() {
                        reference.go(&mut places, socket);
                    }
                }
            }
            reference.check(limits);
        }
        while let Some(socket) = places.held.keys().next().copied() {
            reference.go(&mut places, socket);
        }
        assert!(places.held.is_empty() && places.going.is_empty() && places.waiting.is_empty());
        assert!(places.order.is_empty() && places.clients.is_empty());
    }
}
