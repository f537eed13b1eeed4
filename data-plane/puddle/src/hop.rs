//! What puddles of one node tell each other, and the credits that keep a ring
//! from overflowing. Never touches a ring.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use porthouse_model::{ClientId, MessageKind, RoomId, RoomName};

use crate::counting::CountingHop;
use crate::home::{FromHome, Placed, ToHome};
use crate::input::PuddleId;
use crate::puddle::Whom;
use crate::settings::Settings;
use crate::sibling::SiblingHop;
use crate::waiting::WaitingHop;

/// One thing told. A shell's ring for a pair of puddles must hold
/// [`crate::Settings::hop_ring_slots`] of them.
#[derive(Clone, Debug)]
pub enum Hop {
    /// I have sockets that want to be in this room: send me its messages.
    Enter {
        /// The room.
        room: RoomName,
        /// Which time we enter, to be answered with.
        visit: u64,
    },
    /// From here on you get this room's messages.
    Entered {
        /// The room.
        room: RoomName,
        /// The visit that is confirmed: a late answer to an earlier one is not.
        visit: u64,
    },
    /// I have no socket in this room any more.
    Leave {
        /// The room.
        room: RoomName,
    },
    /// A message of a room we both have.
    Message(Arc<RoomMessage>),
    /// You are this room's home: something is asked of you.
    ToHome(Box<ToHome>),
    /// I am this room's home, and this was said there.
    Placed(Arc<Placed>),
    /// I am this room's home, and say this.
    FromHome(Box<FromHome>),
    /// About those who wait to be let in to a room.
    Waiting(Box<WaitingHop>),
    /// About a raw socket and the command socket beside it.
    Sibling(Box<SiblingHop>),
    /// About what is counted over all puddles.
    Counting(Box<CountingHop>),
    /// Somebody was put out of a room, and does not come back for so long.
    Kicked {
        /// The room.
        room: RoomName,
        /// Whom it keeps out.
        whom: Whom,
        /// For how long.
        time: Duration,
    },
    /// Somebody inside, who may, puts a client out of a room, all of its sockets,
    /// and it does not come back for so long.
    Kick {
        /// The room.
        room: RoomName,
        /// Whom.
        client: ClientId,
        /// For how long.
        time: Duration,
    },
    /// I have handled so many of your hops, of so many payload bytes.
    Credit {
        /// Hops.
        hops: u32,
        /// Payload bytes.
        bytes: u64,
    },
    /// The same of what was asked of homes. It comes back only once what came
    /// of it has found its way out.
    CreditAsks {
        /// Hops.
        hops: u32,
        /// Payload bytes.
        bytes: u64,
    },
}

/// A message on its way to a room's sockets on other puddles.
#[derive(Debug, PartialEq, Eq)]
pub struct RoomMessage {
    /// The room.
    pub room: RoomName,
    /// Its identity where it is persistent: a message never crosses from a room
    /// to its successor of the same name.
    pub room_id: Option<RoomId>,
    /// Who sent it; `None`: a backend.
    pub from: Option<ClientId>,
    /// Its kind.
    pub kind: MessageKind,
    /// Its bytes.
    pub payload: Box<[u8]>,
    /// Only to these, if any; sorted.
    pub to: Box<[ClientId]>,
    /// Not to these; sorted.
    pub except: Box<[ClientId]>,
}

/// Credits that come back are told once a quarter of a window has gathered, so
/// that at most this many of either kind are ever under way: they need no
/// credit.
const CREDITS_UNDER_WAY_MAX: u32 = 16;

/// The ring a shell needs for each ordered pair of puddles.
pub(crate) const fn ring_slots(hop_slots_max: u32, ask_slots_max: u32) -> u32 {
    hop_slots_max + ask_slots_max + CREDITS_UNDER_WAY_MAX
}

impl Hop {
    /// What a hop costs in payload bytes.
    fn bytes(&self) -> u64 {
        match self {
            Self::Message(message) => message.payload.len() as u64,
            Self::Placed(placed) => placed.bytes(),
            Self::ToHome(asked) => asked.bytes(),
            Self::FromHome(said) => said.bytes(),
            Self::Waiting(hop) => hop.bytes(),
            Self::Sibling(hop) => hop.bytes(),
            Self::Enter { .. }
            | Self::Entered { .. }
            | Self::Leave { .. }
            | Self::Counting(_)
            | Self::Kicked { .. }
            | Self::Kick { .. }
            | Self::Credit { .. }
            | Self::CreditAsks { .. } => 0,
        }
    }
}

/// Some puddles of the node: a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Puddles(u64);

impl Puddles {
    pub(crate) const fn others(me: PuddleId, puddles: u8) -> Self {
        let all = if puddles >= 64 {
            u64::MAX
        } else {
            (1 << puddles) - 1
        };
        Self(all & !(1 << me.0))
    }

    pub(crate) const fn insert(&mut self, puddle: PuddleId) {
        self.0 |= 1 << puddle.0;
    }

    pub(crate) const fn remove(&mut self, puddle: PuddleId) {
        self.0 &= !(1 << puddle.0);
    }

    pub(crate) const fn contains(self, puddle: PuddleId) -> bool {
        self.0 & 1 << puddle.0 != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = PuddleId> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let puddle = u8::try_from(left.trailing_zeros()).expect("64 bits");
            left &= left.checked_sub(1)?;
            Some(PuddleId(puddle))
        })
    }
}

/// What is under way to one other puddle, and what is owed to it.
///
/// What is asked of homes has a window of its own: its credit comes back only
/// when what came of it is on its way, so that a home never gathers without
/// bound, while all else is handled as it comes. If they shared a window, two
/// homes could wait for each other.
#[derive(Debug)]
struct Peer {
    hops: Window,
    asks: Window,
}

#[derive(Debug)]
struct Window {
    slots_max: u32,
    bytes_max: u64,
    slots_free: u32,
    bytes_free: u64,
    waiting: VecDeque<Hop>,
    owed_hops: u32,
    owed_bytes: u64,
}

/// All the other puddles.
#[derive(Debug)]
pub(crate) struct Peers {
    /// By puddle; the own place is never used.
    peers: Vec<Peer>,
    ready: Vec<(PuddleId, Hop)>,
}

impl Peers {
    pub(crate) fn new(settings: &Settings) -> Self {
        let peer = || Peer {
            hops: Window::new(settings.hop_slots_max, settings.hop_bytes_max),
            asks: Window::new(settings.ask_slots_max, settings.ask_bytes_max),
        };
        Self {
            peers: (0..settings.puddles).map(|_| peer()).collect(),
            ready: Vec::new(),
        }
    }

    /// Sends a hop, or keeps it until there is credit. Room messages are only
    /// sent where [`Self::is_clogged`] said no, and asks where
    /// [`Self::is_asked_out`] did, so that little ever waits. An ask never
    /// overtakes what was sent before it.
    pub(crate) fn send(&mut self, to: PuddleId, hop: Hop) {
        let peer = &mut self.peers[usize::from(to.0)];
        let ask = matches!(hop, Hop::ToHome(_));
        let blocked = ask && !peer.hops.waiting.is_empty();
        let window = if ask { &mut peer.asks } else { &mut peer.hops };
        if !blocked && window.waiting.is_empty() && window.spend(hop.bytes()) {
            self.ready.push((to, hop));
        } else {
            window.waiting.push_back(hop);
        }
    }

    /// Whether something waits for credit to one of these puddles: then senders
    /// are not read until it came back.
    pub(crate) fn is_clogged(&self, to: Puddles) -> bool {
        to.iter()
            .any(|puddle| !self.peers[usize::from(puddle.0)].hops.waiting.is_empty())
    }

    /// Whether something that is asked of a home there waits for credit.
    pub(crate) fn is_asked_out(&self, home: PuddleId) -> bool {
        !self.peers[usize::from(home.0)].asks.waiting.is_empty()
    }

    /// A hop was handled: its credit is owed, unless it was credit itself.
    pub(crate) fn handled(&mut self, from: PuddleId, bytes: u64) {
        let window = &mut self.peers[usize::from(from.0)].hops;
        window.owe(bytes);
        if let Some((hops, bytes)) = window.due() {
            self.ready.push((from, Hop::Credit { hops, bytes }));
        }
    }

    /// What was asked of a home here was handled. Its credit waits for
    /// [`Self::give_back_asks`].
    pub(crate) fn handled_ask(&mut self, from: PuddleId, bytes: u64) {
        self.peers[usize::from(from.0)].asks.owe(bytes);
    }

    /// Credit for what was asked goes back, unless what came of it still waits.
    pub(crate) fn give_back_asks(&mut self) {
        let clogged = |peer: &Peer| !peer.hops.waiting.is_empty();
        if self.peers.iter().any(clogged) {
            return;
        }
        for (at, peer) in self.peers.iter_mut().enumerate() {
            if let Some((hops, bytes)) = peer.asks.due() {
                let to = PuddleId(u8::try_from(at).expect("64 puddles at most"));
                self.ready.push((to, Hop::CreditAsks { hops, bytes }));
            }
        }
    }

    /// Credit came back. Answers whether nothing waits any more.
    pub(crate) fn credit(&mut self, from: PuddleId, hops: u32, bytes: u64) -> bool {
        let peer = &mut self.peers[usize::from(from.0)];
        peer.hops.refill(hops, bytes);
        peer.hops.release(from, &mut self.ready);
        let free = peer.hops.waiting.is_empty();
        if free {
            peer.asks.release(from, &mut self.ready);
        }
        free
    }

    /// Credit for what was asked came back. Answers whether nothing of it waits
    /// any more.
    pub(crate) fn credit_asks(&mut self, from: PuddleId, hops: u32, bytes: u64) -> bool {
        let peer = &mut self.peers[usize::from(from.0)];
        peer.asks.refill(hops, bytes);
        if peer.hops.waiting.is_empty() {
            peer.asks.release(from, &mut self.ready);
        }
        peer.asks.waiting.is_empty()
    }

    /// A puddle began anew: nothing is under way to it, nothing is owed.
    pub(crate) fn restarted(&mut self, puddle: PuddleId) {
        let peer = &mut self.peers[usize::from(puddle.0)];
        peer.hops.begin_anew();
        peer.asks.begin_anew();
        self.ready.retain(|(to, _)| *to != puddle);
    }

    /// What goes out at the end of the turn, in order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (PuddleId, Hop)> {
        self.ready.drain(..)
    }
}

impl Window {
    const fn new(slots_max: u32, bytes_max: u64) -> Self {
        Self {
            slots_max,
            bytes_max,
            slots_free: slots_max,
            bytes_free: bytes_max,
            waiting: VecDeque::new(),
            owed_hops: 0,
            owed_bytes: 0,
        }
    }

    fn spend(&mut self, bytes: u64) -> bool {
        let bytes = self.charged(bytes);
        if self.slots_free == 0 || self.bytes_free < bytes {
            return false;
        }
        self.slots_free -= 1;
        self.bytes_free -= bytes;
        true
    }

    fn owe(&mut self, bytes: u64) {
        self.owed_hops += 1;
        self.owed_bytes += self.charged(bytes);
    }

    /// What is owed, once it is worth a hop.
    fn due(&mut self) -> Option<(u32, u64)> {
        let due = self.owed_hops >= self.slots_max.div_ceil(4)
            || self.owed_bytes >= self.bytes_max.div_ceil(4);
        due.then(|| {
            (
                std::mem::take(&mut self.owed_hops),
                std::mem::take(&mut self.owed_bytes),
            )
        })
    }

    fn refill(&mut self, hops: u32, bytes: u64) {
        self.slots_free += hops;
        self.bytes_free += bytes;
        assert!(
            self.slots_free <= self.slots_max,
            "no more credit comes back than was given"
        );
        assert!(
            self.bytes_free <= self.bytes_max,
            "no more credit comes back than was given"
        );
    }

    /// What waits goes as far as there is credit.
    fn release(&mut self, to: PuddleId, ready: &mut Vec<(PuddleId, Hop)>) {
        while let Some(hop) = self.waiting.front() {
            let bytes = hop.bytes();
            if !self.spend(bytes) {
                return;
            }
            ready.extend(self.waiting.pop_front().map(|hop| (to, hop)));
        }
    }

    fn begin_anew(&mut self) {
        *self = Self::new(self.slots_max, self.bytes_max);
    }

    /// What a hop is charged: half the window at most, so that a giant can go
    /// even while the last quarter of the credit is owed.
    fn charged(&self, bytes: u64) -> u64 {
        bytes.min(self.bytes_max / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(slots: u32, bytes: u64) -> Peers {
        let mut settings = Settings::new(PuddleId(0), 2);
        settings.hop_slots_max = slots;
        settings.hop_bytes_max = bytes;
        Peers::new(&settings)
    }

    fn message(bytes: usize) -> Hop {
        Hop::Message(Arc::new(RoomMessage {
            room: "lobby".parse().expect("a room name"),
            room_id: None,
            from: None,
            kind: MessageKind::Binary,
            payload: vec![0; bytes].into(),
            to: Box::default(),
            except: Box::default(),
        }))
    }

    #[test]
    fn puddles_are_listed_in_order() {
        let mut some = Puddles::others(PuddleId(1), 3);
        some.insert(PuddleId(63));
        assert!(some.iter().eq([0, 2, 63].map(PuddleId)));
        assert_eq!(Puddles::default().iter().count(), 0);
    }

    #[test]
    fn a_ring_is_never_sent_more_than_it_holds() {
        let mut peers = peers(2, 100);
        let other = PuddleId(1);
        let only = Puddles::others(PuddleId(0), 2);
        for _ in 0..3 {
            peers.send(other, message(1));
        }
        assert_eq!(peers.drain().count(), 2);
        assert!(peers.is_clogged(only));
        assert!(peers.credit(other, 1, 1));
        assert_eq!(peers.drain().count(), 1);
        assert!(!peers.is_clogged(only));
    }

    #[test]
    fn bytes_under_way_are_bounded_too_and_a_giant_counts_as_half() {
        let mut peers = peers(10, 100);
        let other = PuddleId(1);
        peers.send(other, message(1_000));
        peers.send(other, message(1_000));
        peers.send(other, message(1));
        assert_eq!(peers.drain().count(), 2);
        assert!(peers.credit(other, 1, 50));
        assert_eq!(peers.drain().count(), 1);
    }

    #[test]
    fn credit_is_owed_until_a_quarter_has_gathered() {
        let mut peers = peers(8, 100);
        peers.handled(PuddleId(1), 3);
        assert_eq!(peers.drain().count(), 0);
        peers.handled(PuddleId(1), 3);
        let owed: Vec<_> = peers.drain().collect();
        assert!(matches!(
            owed[..],
            [(PuddleId(1), Hop::Credit { hops: 2, bytes: 6 })]
        ));
    }

    #[test]
    fn a_puddle_that_began_anew_has_the_whole_window() {
        let mut peers = peers(1, 100);
        peers.send(PuddleId(1), message(1));
        peers.send(PuddleId(1), message(1));
        peers.restarted(PuddleId(1));
        assert_eq!(peers.drain().count(), 0);
        peers.send(PuddleId(1), message(1));
        assert_eq!(peers.drain().count(), 1);
    }
}
