//! The puddle: what happens comes in, a turn is settled, what to do goes out.
//!
//! Owns the parts and the order in which they act. Each of the files below is
//! one stretch of a message's way.

mod arriving;
mod routing;
mod reading;
mod inbound;
mod door;
mod entering;
mod verifying;
mod waiting;
mod handshake;
mod binding;
mod relaying;
mod signing_in;
mod redeeming;
mod renewing;
mod raw;
mod behaving;
mod posting;
mod streaming;
mod multiplexed;
mod speaking;
mod following;
mod resting;
mod hopping;
mod homing;
mod standing;
mod counting;
mod people;
mod keeping;
mod returning;
mod storing;
mod line;
mod forgetting;
mod foreign;
mod closing;
mod recalling;
mod foreseeing;
mod policing;
mod ordering;
mod devices;
mod kicked;
mod moving;
mod settling;
mod thinning;
mod strict;
#[cfg(test)]
mod tests;

use core::hash::Hasher as _;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use porthouse_model::{
    Address, ClientId, PolicyKey, RefusalId, Revision, RoomName, Session, Time, UnixTime,
};
use porthouse_rules::Rules;
use siphasher::sip::SipHasher13;

use self::kicked::Kicked;
pub use self::kicked::Whom;
use self::settling::Pacing;
use crate::counting::Counts;
use crate::home::Homes;
use crate::hop::{Peers, Puddles};
use crate::input::{Input, PuddleId, SocketId};
use crate::outbox::{Lane, Outbox};
use crate::output::{Deadline, Output, Shell};
use crate::policy::{Clock, Policy, PolicyLimits};
use crate::question::{Question, QuestionId};
use crate::recall::{REFUSALS_KEPT_MAX, Recall};
use crate::room::Rooms;
use crate::seed::{Chance, Map, Secrets, Seeds};
use crate::settings::Settings;
use crate::socket::{Arrival, Phase, SignedIn, Socket, Sockets};
use crate::timer::Timers;
use crate::waiting::WaitingRooms;
use counting::Tallying;
use foreign::Foreign;
use foreseeing::Foreseeing;
use homing::Asking;
use resting::Resting;
use storing::Storing;
use strict::Strict;

/// One worker of a node: its sockets, its part of the rooms, and what it knows.
///
/// The calling contract: [`Puddle::handle`] any number of times, then
/// [`Puddle::settle`], and again no later than the deadline that answered. `now`
/// never goes back. Every question is answered once, and every revision comes in
/// order. At the start it is told the wall clock and, by a resync, where the log
/// stands.
#[derive(Debug)]
pub struct Puddle {
    settings: Settings,
    transient_rules: Arc<Rules>,
    now: Time,
    chance: Chance,
    secrets: Secrets,
    /// Makes anonymous clients' ids unguessable in advance: a secret, for what
    /// chance gives is shown elsewhere and tells what came before it.
    client_key: (u64, u64),
    policy: Policy,
    sockets: Sockets,
    /// Handshakes under way, by address.
    handshakes: Map<IpAddr, usize>,
    rooms: Rooms,
    /// What this puddle counts for its node.
    counts: Counts,
    /// What is asked of those that count.
    tallying: Tallying,
    /// Rooms that stop delivering when there is no word for too long.
    strict: Strict,
    others: Puddles,
    outbox: Outbox,
    /// What all sockets have sent that cannot be used yet.
    inbound_bytes: usize,
    /// Who has asked what is being asked about.
    askers: Map<PolicyKey, SocketId>,
    peers: Peers,
    /// The rooms whose home this puddle is.
    homes: Homes,
    /// What is asked of homes.
    asking: Asking,
    /// What is asked of the store.
    storing: Storing,
    timers: Timers,
    /// Who waits until something is known.
    waiting: Map<PolicyKey, BTreeSet<SocketId>>,
    /// Who came by which address, or asks what is there.
    arrived: Map<Address, BTreeSet<SocketId>>,
    /// Who knocks at which room's door.
    doors: Map<RoomName, BTreeSet<SocketId>>,
    /// Whose answer is being verified, and at which door.
    verifying: Map<QuestionId, Verifying>,
    /// Rooms whose owner is another: all inside are being judged, and then those of the rest.
    handed_on: Vec<RoomName>,
    /// Who waits to be let in to the rooms whose home is here.
    waiting_rooms: WaitingRooms,
    /// Who waits, as far as we were told, for the rooms we have.
    crowds: BTreeMap<RoomName, Arc<[ClientId]>>,
    /// Who was put out and may not come back yet.
    kicked: Kicked,
    /// Who is signed in on which sockets.
    signed_in: SignedIn,
    /// When it is next told whose sessions have sockets.
    seen_next: Time,
    /// Sockets that are not read until other puddles have taken more.
    clogged: Vec<SocketId>,
    /// Sockets that are not read for a while.
    resting: Resting,
    /// Sockets that are not read until they have taken what is queued for them.
    behind: BTreeSet<SocketId>,
    /// What the shell is told at the end of the turn.
    outputs: Vec<Output>,
    /// No room that was written to since the last pause is written to before this.
    paced_until: Time,
    pacing: Pacing,
    /// What is logged of pages that are refused.
    foreign: Foreign,
    /// The revision last said to be applied.
    acknowledged: Revision,
    drain: Option<Drain>,
    /// Whose fate is counted.
    foreseeing: Foreseeing,
    /// The last refusals, which can be explained.
    recall: Recall,
    counters: Counters,
}

/// The node goes away: sockets are closed one after the other.
#[derive(Clone, Debug)]
struct Drain {
    began: Time,
    until: Time,
    /// Sockets in slots before this one are told.
    slot: u32,
    slots: u32,
    /// Those whose turn has come, but who are still being told something.
    busy: Vec<SocketId>,
}

impl Drain {
    fn is_under_way(&self) -> bool {
        self.slot < self.slots || !self.busy.is_empty()
    }
}

/// For what a verification is.
#[derive(Debug)]
enum Verifying {
    /// What was shown at a room's door.
    Door(SocketId, RoomName),
    /// A name and a password, or a code.
    SignIn(SocketId),
    /// A request's ticket.
    Ticket(SocketId),
}

/// What a puddle has done since it began, and what it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sockets now.
    pub sockets: u64,
    /// Rooms now.
    pub rooms: u64,
    /// Bytes queued now, shared ones counted once.
    pub held_bytes: u64,
    /// Entries admitted.
    pub admitted: u64,
    /// Refusals told.
    pub refused: u64,
    /// Those of them to pages of an origin that the room does not name.
    pub pages_refused: u64,
    /// Those of them to pages that may not use the session cookie they came with.
    pub cookies_refused: u64,
    /// Messages taken from sockets and backends.
    pub messages: u64,
    /// Messages queued for a socket.
    pub deliveries: u64,
    /// Sockets put out for reading too slowly.
    pub slow: u64,
    /// Messages that sockets missed for reading too slowly.
    pub dropped: u64,
}

impl Puddle {
    /// A puddle without sockets that knows nothing yet.
    ///
    /// # Panics
    ///
    /// When the settings' transient rules cannot be kept, or there are not 1 to
    /// 64 puddles of which this is one.
    #[must_use]
    pub fn new(settings: Settings, seeds: Seeds, now: Time) -> Self {
        assert!(
            (1..=64).contains(&settings.puddles),
            "a node has 1 to 64 puddles"
        );
        assert!(
            settings.puddle.0 < settings.puddles,
            "a puddle is one of its node's"
        );
        let mut chance = Chance::new(seeds.chance);
        let hasher = chance.hasher();
        let others = Puddles::others(settings.puddle, settings.puddles);
        let mut secrets = Secrets::new(seeds.secrets);
        let transient_rules = Rules::compile(settings.transient_rules.clone());
        Self {
            transient_rules: Arc::new(transient_rules.expect("transient rules can be kept")),
            now,
            client_key: secrets.key(),
            secrets,
            policy: Policy::new(PolicyLimits::from(&settings), hasher),
            sockets: Sockets::default(),
            handshakes: Map::with_hasher(hasher),
            others,
            rooms: Rooms::new(others, settings.rooms_max, hasher),
            counts: Counts::new(&settings, now),
            tallying: Tallying::default(),
            outbox: Outbox::default(),
            inbound_bytes: 0,
            askers: Map::with_hasher(hasher),
            peers: Peers::new(&settings),
            homes: Homes::new(&settings),
            asking: Asking::default(),
            storing: Storing::default(),
            timers: Timers::default(),
            waiting: Map::with_hasher(hasher),
            verifying: Map::with_hasher(hasher),
            handed_on: Vec::new(),
            arrived: Map::with_hasher(hasher),
            doors: Map::with_hasher(hasher),
            waiting_rooms: WaitingRooms::new(settings.waiting_max),
            crowds: BTreeMap::new(),
            signed_in: SignedIn::new(hasher),
            seen_next: now + settings.seen_every,
            kicked: Kicked::new(settings.kicked_max),
            strict: Strict::default(),
            clogged: Vec::new(),
            resting: Resting::default(),
            behind: BTreeSet::new(),
            outputs: Vec::new(),
            paced_until: now,
            pacing: Pacing::default(),
            foreign: Foreign::new(now),
            acknowledged: Revision::default(),
            drain: None,
            foreseeing: Foreseeing::default(),
            recall: Recall::new(REFUSALS_KEPT_MAX),
            counters: Counters::default(),
            chance,
            settings,
        }
    }

    /// Something happened. Never fails: a peer's fault is an answer, not an error.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        self.now = self.now.max(now);
        self.pace();
        match input {
            Input::Connected { socket, address } => self.connected(socket, address),
            Input::Received { socket, bytes } => self.received(socket, bytes),
            Input::Writable { socket } => self.writable(socket),
            Input::Lost { socket } => self.lost(socket),
            Input::Hopped { from, hop } => self.hopped(from, hop),
            Input::Restarted { puddle } => self.restarted(puddle),
            Input::Answered { question, answer } => self.answered(question, answer),
            Input::Changed(changed) => self.changed(&changed),
            Input::Fresh { revision } => self.policy.fresh(self.now, revision),
            Input::Resync { revision } => self.resync(revision),
            Input::Ordered { order, command } => self.ordered(order, command),
            Input::Follow { room } => self.follow(room),
            Input::Unfollow { room } => self.unfollow(&room),
            Input::Bridged { request, answer } => self.bridged(request, answer),
            Input::Wall(wall) => {
                self.policy.wall(Clock::new(self.now, wall));
                self.tell_seen();
            }
            Input::Drain { until } => self.drain(until),
        }
    }

    /// Ends a turn: due deadlines, outputs, then one write to each socket that
    /// has something to be told. Answers when to settle again, at the latest.
    pub fn settle(&mut self, now: Time, shell: &mut impl Shell) -> Option<Deadline> {
        self.now = self.now.max(now);
        self.pace();
        self.wake();
        self.keep_staleness();
        self.keep_draining();
        self.wake_rested();
        self.keep_resyncing();
        self.homes.keep(self.now);
        self.keep_people();
        self.keep_storing();
        self.keep_foreseeing();
        self.tell_owners();
        self.peers.give_back_asks();
        self.keep_waiting_rooms();
        // Before the flush: the other puddles write at the same time.
        for (to, hop) in self.peers.drain() {
            shell.output(Output::Hop { to, hop });
        }
        self.flush(shell);
        self.acknowledge();
        self.catch_up();
        for (to, hop) in self.peers.drain() {
            shell.output(Output::Hop { to, hop });
        }
        for output in self.outputs.drain(..) {
            shell.output(output);
        }
        self.next_deadline()
    }

    /// What it has done and what it holds.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            sockets: self.sockets.len() as u64,
            rooms: self.rooms.len() as u64,
            held_bytes: self.outbox.held_bytes() as u64,
            ..self.counters
        }
    }

    /// How far a socket has come.
    #[must_use]
    pub fn arrival(&self, id: SocketId) -> Arrival {
        let socket = self.sockets.get(id);
        socket.map_or(Arrival::Gone, Socket::arrival)
    }

    /// Every invariant; for the simulator and for tests.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    pub fn check(&self) {
        self.policy.check();
        self.waiting_rooms.check();
        self.rooms.check();
        self.homes.check();
        self.outbox.check();
        for (index, room) in self.rooms.iter() {
            for (seat, sitter) in room.seats.sitters().iter().enumerate() {
                let socket = self.sockets.get(sitter.socket).expect("who sits is here");
                let stay = socket.stay(index).expect("who sits knows it");
                assert_eq!(stay.seat as usize, seat, "a socket knows its seat");
            }
            for entrant in &room.entrants {
                assert!(self.sockets.get(*entrant).is_some(), "who waits is here");
            }
        }
        self.check_inbound();
        for socket in self.sockets.iter() {
            let deadline = socket.deadline(self.settings.silence_time_max);
            assert!(socket.armed <= deadline, "a socket is woken in time");
        }
    }

    fn refusal_id(&mut self) -> RefusalId {
        RefusalId(self.chance.next())
    }

    fn ask(&mut self, question: QuestionId, what: Question, by: Option<SocketId>) {
        self.outputs.push(Output::Ask { question, what, by });
    }

    /// When a moment of the wall clock comes; at once when the wall clock is not
    /// known yet. From here on it is the process's clock that counts.
    fn moment(&self, wall: UnixTime) -> Time {
        let clock = self.policy.clock();
        clock.map_or(self.now, |clock| clock.moment(wall))
    }

    /// What the wall clock shows; nothing while that is not known.
    fn wall_now(&self) -> Option<UnixTime> {
        self.policy.clock().map(|clock| clock.shows(self.now))
    }

    /// The page a socket is of, where a browser said so.
    fn page_of(&self, id: SocketId) -> Option<&str> {
        self.sockets.get(id)?.page()
    }

    /// Whom a socket's messages are from: a user, a device, or a client of its own whose id
    /// tells the slot, so that it can be found, and nothing else.
    fn client_of(&self, id: SocketId, session: Option<&Session>) -> ClientId {
        match session {
            Some(session) => session.client(),
            None => anonymous(self.client_key, self.settings.puddle, id),
        }
    }

    /// Queues bytes for one socket alone, before what rooms say.
    fn tell(&mut self, socket: SocketId, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(known) = self.sockets.get(socket) else {
            return;
        };
        let frame = self.outbox.frame(known.form, Lane::Control, write);
        self.outbox.push(socket.slot, frame, Lane::Control);
    }

    /// Answers what a socket has asked, perhaps a while ago: nothing follows a
    /// close frame.
    fn reply(&mut self, socket: SocketId, write: impl FnOnce(&mut Vec<u8>)) {
        let phase = self.sockets.get(socket).map(|known| &known.phase);
        if !matches!(phase, Some(Phase::Closing { .. })) {
            self.tell(socket, write);
        }
    }

    /// Arms a socket's timer, unless it fires in time anyway.
    fn arm(&mut self, socket: SocketId) {
        let silence_max = self.settings.silence_time_max;
        let Some(known) = self.sockets.get_mut(socket) else {
            return;
        };
        let deadline = known.deadline(silence_max);
        if known.armed > deadline {
            known.armed = deadline;
            self.timers.arm(socket, deadline);
        }
    }
}

/// An anonymous client's id, a UUID of version 8 (RFC 9562, section 5.8): 46
/// bits of a keyed hash (SipHash-1-3) that nobody computes without the key, the
/// puddle, the slot and its generation.
fn anonymous(key: (u64, u64), puddle: PuddleId, id: SocketId) -> ClientId {
    let place = u64::from(id.slot) << 32 | u64::from(id.generation);
    let (first, second) = key;
    let mut hasher = SipHasher13::new_with_keys(first, second);
    hasher.write_u64(place);
    let mixed = hasher.finish().to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&mixed[..6]);
    bytes[6] = 0x80 | puddle.0 >> 4;
    bytes[7] = puddle.0 << 4 | mixed[6] & 0xf;
    let [slot @ .., _, _, _, _] = place.to_be_bytes();
    bytes[8] = 0x80;
    bytes[9..13].copy_from_slice(&slot);
    bytes[13..].copy_from_slice(&id.generation.to_be_bytes()[1..]);
    ClientId::from_bytes(bytes)
}

/// The socket of an anonymous client's id, if it is one of this puddle's.
fn slot_of(client: ClientId) -> Option<u32> {
    let bytes = client.as_bytes();
    (bytes[6] & 0xf0 == 0x80)
        .then(|| u32::from_be_bytes([bytes[9], bytes[10], bytes[11], bytes[12]]))
}
