//! What one address, or one client, does on all puddles of a node together: each
//! is counted by one puddle, found by a hash, as a room has its home.
//!
//! Owns the counts of a puddle and what puddles tell each other about them. Never
//! touches a socket; what is over a limit is refused where the socket is.

use core::hash::Hasher as _;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{ClientId, Rate, RoomName, Time};
use siphasher::sip::SipHasher13;

use crate::home::home_of;
use crate::input::{PuddleId, SocketId};
use crate::room::Joins;
use crate::settings::Settings;

/// Something that may be done so often by all who count as one.
#[derive(Clone, Debug)]
pub(crate) enum Once {
    /// A join of a room from this network.
    Join(RoomName, IpAddr, Rate),
    /// A message posted to a room from this network.
    Post(RoomName, IpAddr, Rate),
    /// A transient room that this client makes, on this socket.
    Make(RoomName, ClientId, SocketId),
}

/// What puddles tell each other about what they count. The first goes to the
/// puddle that counts, the second comes from it.
#[derive(Clone, Debug)]
pub struct CountingHop(pub(crate) Counted);

/// See [`CountingHop`].
#[derive(Clone, Debug)]
pub(crate) enum Counted {
    /// May it be done once more?
    Ask {
        /// What the answer is to be given with.
        ask: u64,
        /// What.
        what: Once,
    },
    /// Whether it may.
    May {
        /// What was asked.
        ask: u64,
        /// Whether.
        may: bool,
    },
    /// What was granted to make a room is of no use any more: the room has an
    /// owner now, or is not made.
    Spent(RoomName, ClientId, SocketId),
    /// I am the home of a room, and this client owns it now.
    Owns(RoomName, ClientId),
    /// The client does no more.
    OwnsNoMore(RoomName, ClientId),
}

/// The puddle that counts a thing. The same on every puddle of a node, and
/// whatever the seed.
pub(crate) fn counted_at(what: &Once, puddles: u8) -> PuddleId {
    match what {
        Once::Join(room, from, _) | Once::Post(room, from, _) => {
            let mut hasher = SipHasher13::new_with_keys(0, 0);
            hasher.write(room.as_str().as_bytes());
            match from {
                IpAddr::V4(address) => hasher.write(&address.octets()),
                IpAddr::V6(address) => hasher.write(&address.octets()),
            }
            puddle_of(hasher, puddles)
        }
        Once::Make(_, client, _) => client_counted_at(*client, puddles),
    }
}

/// The puddle that counts what a client makes.
pub(crate) fn client_counted_at(client: ClientId, puddles: u8) -> PuddleId {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(client.as_bytes());
    puddle_of(hasher, puddles)
}

fn puddle_of(hasher: SipHasher13, puddles: u8) -> PuddleId {
    let puddle = hasher.finish() % u64::from(puddles);
    PuddleId(u8::try_from(puddle).expect("it is below the number of puddles"))
}

/// What a puddle counts for its node.
#[derive(Debug)]
pub(crate) struct Counts {
    joins: Joins,
    posts: Joins,
    makers: Makers,
}

impl Counts {
    pub(crate) fn new(settings: &Settings, now: Time) -> Self {
        Self {
            joins: Joins::new(settings.joining_addresses_max, now),
            posts: Joins::new(settings.joining_addresses_max, now),
            makers: Makers {
                by_client: BTreeMap::new(),
                rooms_max: settings.transient_rooms_per_client_max,
            },
        }
    }

    /// Once more, for a puddle; answers whether it may be.
    pub(crate) fn take(&mut self, from: PuddleId, what: Once, now: Time) -> bool {
        match what {
            Once::Join(room, network, rate) => self.joins.take(&room, network, rate, now),
            Once::Post(room, network, rate) => self.posts.take(&room, network, rate, now),
            Once::Make(room, client, socket) => self.makers.grant(client, room, (from, socket)),
        }
    }

    /// A grant to make a room is of no use any more.
    pub(crate) fn spent(&mut self, client: ClientId, room: &RoomName, by: (PuddleId, SocketId)) {
        self.makers.change(client, room, |making| {
            making.granted.remove(&by);
        });
    }

    /// A room has this owner, or has it no more.
    pub(crate) fn owns(&mut self, client: ClientId, room: &RoomName, owned: bool) {
        self.makers
            .change(client, room, |making| making.owned = owned);
    }

    /// A puddle began anew: nothing is made there, and the homes there will say
    /// whose their rooms are.
    pub(crate) fn lose(&mut self, puddle: PuddleId, puddles: u8) {
        self.makers.by_client.retain(|_, rooms| {
            rooms.retain(|room, making| {
                making.granted.retain(|(by, _)| *by != puddle);
                making.owned &= home_of(room, puddles) != puddle;
                making.counts()
            });
            !rooms.is_empty()
        });
    }
}

/// Who makes transient rooms. As large as there are owned rooms on the node and
/// sockets about to make one.
#[derive(Debug)]
struct Makers {
    by_client: BTreeMap<ClientId, BTreeMap<RoomName, Making>>,
    rooms_max: usize,
}

/// A client's room, or one that it is about to make.
#[derive(Debug, Default)]
struct Making {
    owned: bool,
    granted: BTreeSet<(PuddleId, SocketId)>,
}

impl Making {
    fn counts(&self) -> bool {
        self.owned || !self.granted.is_empty()
    }
}

impl Makers {
    fn grant(&mut self, client: ClientId, room: RoomName, by: (PuddleId, SocketId)) -> bool {
        let rooms = self.by_client.entry(client).or_default();
        let may = rooms.contains_key(&room) || rooms.len() < self.rooms_max;
        if may {
            rooms.entry(room).or_default().granted.insert(by);
        } else if rooms.is_empty() {
            self.by_client.remove(&client);
        }
        may
    }

    fn change(&mut self, client: ClientId, room: &RoomName, change: impl FnOnce(&mut Making)) {
        let rooms = self.by_client.entry(client).or_default();
        let making = rooms.entry(room.clone()).or_default();
        change(making);
        if !making.counts() {
            rooms.remove(room);
        }
        if rooms.is_empty() {
            self.by_client.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: PuddleId = PuddleId(0);
    const THERE: PuddleId = PuddleId(1);
    const ADA: ClientId = ClientId::from_bytes([1; 16]);

    fn counts(rooms_max: usize) -> Counts {
        let mut settings = Settings::new(HERE, 2);
        settings.transient_rooms_per_client_max = rooms_max;
        Counts::new(&settings, Time::ZERO)
    }

    fn room(name: &str) -> RoomName {
        name.parse().expect("a room's name")
    }

    fn socket(slot: u32) -> SocketId {
        SocketId {
            slot,
            generation: 0,
        }
    }

    fn make(counts: &mut Counts, name: &str, (from, slot): (PuddleId, u32)) -> bool {
        let make = Once::Make(room(name), ADA, socket(slot));
        counts.take(from, make, Time::ZERO)
    }

    #[test]
    fn what_is_about_to_be_made_counts_until_it_is_owned_or_not_made() {
        let mut counts = counts(1);
        assert!(make(&mut counts, "a", (HERE, 1)));
        assert!(!make(&mut counts, "b", (THERE, 2)), "one is being made");
        assert!(make(&mut counts, "a", (THERE, 2)), "the same one");
        counts.spent(ADA, &room("a"), (HERE, socket(1)));
        assert!(!make(&mut counts, "b", (HERE, 3)), "there is another grant");
        counts.owns(ADA, &room("a"), true);
        counts.spent(ADA, &room("a"), (THERE, socket(2)));
        assert!(!make(&mut counts, "b", (HERE, 3)), "it is owned");
        counts.owns(ADA, &room("a"), false);
        assert!(make(&mut counts, "b", (HERE, 3)));
        counts.spent(ADA, &room("b"), (HERE, socket(3)));
        assert!(counts.makers.by_client.is_empty(), "nothing is kept");
    }

    #[test]
    fn what_a_lost_puddle_had_made_or_granted_is_not_counted() {
        let mut counts = counts(2);
        let there = (0..).map(|number| format!("room-{number}"));
        let there = there.filter(|name| home_of(&room(name), 2) == THERE);
        let owned: Vec<String> = there.take(1).collect();
        counts.owns(ADA, &room(&owned[0]), true);
        assert!(make(&mut counts, "b", (THERE, 1)));
        assert!(!make(&mut counts, "c", (HERE, 2)));
        counts.lose(THERE, 2);
        assert!(counts.makers.by_client.is_empty());
        assert!(make(&mut counts, "c", (HERE, 2)));
        counts.lose(THERE, 2);
        assert!(!counts.makers.by_client.is_empty(), "ours is kept");
    }

    #[test]
    fn every_puddle_asks_the_same_one_and_the_counts_are_spread() {
        let network = |last| IpAddr::from([192, 0, 2, last]);
        let rate = Rate {
            per_second: core::num::NonZeroU32::MIN,
            burst: core::num::NonZeroU32::MIN,
        };
        let joins = (0..=255).map(|last| Once::Join(room("lobby"), network(last), rate));
        let mut spread = [0; 4];
        for join in joins {
            let at = counted_at(&join, 4);
            assert_eq!(at, counted_at(&join, 4));
            spread[usize::from(at.0)] += 1;
        }
        assert!(spread.iter().all(|count| *count > 32), "{spread:?}");
    }
}
