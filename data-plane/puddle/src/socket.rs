//! A socket's life: upgrading, knocking, inside, closing. Owns what a puddle
//! remembers of each socket. Never decides: the phases' own files do.

mod conduct;
mod lobby;
mod ends;
mod signed_in;
mod sibling;

use core::net::IpAddr;
use std::sync::Arc;

use porthouse_model::{Address, ClientId, RoomName, Session, Time, TokenHash, UserId};

use crate::input::SocketId;
use crate::output::WireForm;
use crate::question::QuestionId;
use crate::room::RoomIndex;
use crate::sequence::Sequence;
use crate::upgrade::{Asks, Post, Posting, Upgrade};
use crate::wire::assembly::Assembly;
pub(crate) use conduct::{Conduct, Habit};
pub(crate) use ends::{Ending, Ends};
pub(crate) use lobby::{
    Entry, Given, LeadsTo, Lobby, Origin, Renewal, Return, SignIn, Stay, Tallied,
};
pub(crate) use sibling::{Beside, Binding, Offered, Sibling};
pub(crate) use signed_in::SignedIn;

/// A socket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Its name.
    pub id: SocketId,
    /// Where it comes from.
    pub address: IpAddr,
    /// When something last came from it.
    pub heard: Time,
    /// When its timer fires, if it is armed; it may then have more time.
    pub armed: Time,
    /// Bytes that came and could not be used yet. Boxed, for few have any.
    pub held: Option<Box<Held>>,
    /// A fragmented message under way.
    pub assembly: Assembly,
    /// So many bytes of the two before were counted.
    pub inbound_bytes: u32,
    /// Questions under way that it has asked.
    pub questions: u16,
    /// Whether it is read.
    pub reading: Reading,
    /// Whether a ping is under way.
    pub pinged: bool,
    /// Whether the answer to its request is queued, and nothing of it written.
    pub unanswered: bool,
    /// What few sockets have.
    pub particulars: Option<Box<Particulars>>,
    /// What it does often. Boxed, for most do nothing of it.
    pub conduct: Option<Box<Conduct>>,
    /// How it speaks; raw until its request says otherwise.
    pub form: WireForm,
    /// Where it is in its life.
    pub phase: Phase,
}

/// What few sockets have, and most take no room for.
#[derive(Debug, Default)]
pub(crate) struct Particulars {
    /// The page it is of, where a browser said so.
    pub page: Option<Box<str>>,
    /// The address it came by, if it did by one.
    pub via: Option<Via>,
    /// Its sibling, where it is a raw socket that has shown a secret.
    pub beside: Option<Beside>,
}

/// Bytes that came and could not be used yet.
#[derive(Debug)]
pub(crate) struct Held(pub Vec<u8>);

/// Whether a socket is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is.
    On,
    /// Not until its entry is decided: more came than is kept meanwhile.
    Full,
    /// Not until other puddles have taken what was sent to them.
    Clogged,
    /// Not until it has taken of its answers what may wait for it.
    Behind,
    /// Not until a room's home has said whether the key of its message is new.
    Claiming,
    /// Not until its raw socket's puddle has taken up what it asked.
    Ordering,
    /// Not for a while: a room that it speaks in is ahead of its rate.
    Resting,
}

/// How far a socket has come, for who shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Its request is read or decided.
    Coming,
    /// It is in its room, or speaks `porthouse.v1`, by which it may join rooms.
    Arrived,
    /// It was refused, or is put out: our last words are queued.
    Leaving,
    /// It is not here any more.
    Gone,
}

/// Where a socket is in its life.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The request has not come whole, or has not been brought to its room or
    /// lobby; not later than this.
    Upgrading {
        /// The last moment.
        until: Time,
        /// A whole request, until it is known what is at its address.
        routed: Option<Box<Routed>>,
        /// A whole request, until its ticket is judged.
        redeems: Option<Box<Redeems>>,
    },
    /// A socket of one room, or a message to it, before the room's door.
    Knocking(Box<Knock>),
    /// A raw socket or an event stream in its room.
    Raw(Stay, Who),
    /// A `porthouse.v1` socket.
    Multiplexed(Box<Lobby>),
    /// Our last frame is queued; not later than this.
    Closing {
        /// The last moment.
        until: Time,
        /// Whether nothing more comes from the peer that is waited for.
        answered: bool,
        /// What has come since, of no interest.
        ignored_bytes: usize,
    },
}

/// A request with a ticket.
#[derive(Debug)]
pub(crate) struct Redeems {
    /// The request.
    pub request: Upgrade,
    /// What was asked about its ticket.
    pub question: QuestionId,
}

/// A request to an address.
#[derive(Debug)]
pub(crate) struct Routed {
    /// The address.
    pub address: Address,
    /// The request.
    pub request: Upgrade,
    /// As whom.
    pub who: Who,
}

/// The address by which a socket came.
#[derive(Debug)]
pub(crate) struct Via {
    /// The address.
    pub address: Address,
    /// The rooms it led to when that was last looked at.
    pub rooms: Vec<RoomName>,
    /// It has changed since, and what must be known to judge that is asked for.
    pub unjudged: bool,
}

/// As whom a socket comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Nobody in particular.
    Anonymous,
    /// The holder of a session's token. Boxed, to keep anonymous sockets small.
    Session(Box<Holder>),
}

impl Who {
    /// The client, once that is known: of itself, not of its socket.
    pub(crate) fn client(&self) -> Option<ClientId> {
        match self {
            Self::Anonymous => None,
            Self::Session(holder) => holder.session.as_ref().map(|session| session.client()),
        }
    }

    /// The user, or a device's owner, once that is known.
    pub(crate) fn user(&self) -> Option<UserId> {
        match self {
            Self::Anonymous => None,
            Self::Session(holder) => holder.session.as_ref().map(|session| session.user),
        }
    }
}

/// Who holds a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The token's hash.
    pub token: TokenHash,
    /// The session it opens, once that is known; then the socket is found by it.
    pub session: Option<Arc<Session>>,
}

/// A raw socket's entry.
#[derive(Debug)]
pub(crate) struct Knock {
    /// As whom.
    pub who: Who,
    /// The entry.
    pub entry: Entry,
    /// What was said to its request.
    pub opening: Opening,
}

/// What was said to the request of a raw socket that knocks.
#[derive(Debug)]
pub(crate) enum Opening {
    /// Nothing: it is answered once the door has.
    Unanswered(Upgrade),
    /// Welcome; the handshake of `porthouse.raw.v1` runs.
    Handshake {
        /// What came of its bytes to be discarded.
        discarded_bytes: usize,
    },
    /// Welcome; the socket was inside before.
    Answered,
}

impl Opening {
    /// The request, if it is to be answered still.
    pub(crate) const fn request(&self) -> Option<&Upgrade> {
        match self {
            Self::Unanswered(request) => Some(request),
            Self::Handshake { .. } | Self::Answered => None,
        }
    }

    /// The request, if it is to be answered still.
    pub(crate) const fn request_mut(&mut self) -> Option<&mut Upgrade> {
        match self {
            Self::Unanswered(request) => Some(request),
            Self::Handshake { .. } | Self::Answered => None,
        }
    }

    /// The request, if it is to be answered still; it is, from here on.
    pub(crate) fn answer(&mut self) -> Option<Upgrade> {
        match std::mem::replace(self, Self::Answered) {
            Self::Unanswered(request) => Some(request),
            handshake @ Self::Handshake { .. } => {
                *self = handshake;
                None
            }
            Self::Answered => None,
        }
    }
}

impl Knock {
    /// The message whose sender knocks, if it is one that does.
    pub(crate) fn post(&self) -> Option<&Post> {
        match &self.opening.request()?.asks {
            Asks::Post(post) => Some(post),
            Asks::Socket(_) | Asks::Stream(_) | Asks::Preflight => None,
        }
    }

    /// How much is kept of what comes, of a message that was let in as much as it
    /// has.
    pub(crate) fn held_bytes_max(&self, undecided_max: usize) -> usize {
        match self.post() {
            Some(post) if post.stage == Posting::LetIn => post.bytes.max(undecided_max),
            Some(_) | None => undecided_max,
        }
    }

    /// Whether it has said the one message that it came to say.
    pub(crate) fn has_said(&self) -> bool {
        self.post().is_some_and(|post| post.stage == Posting::Said)
    }
}

impl Socket {
    pub(crate) fn new(id: SocketId, address: IpAddr, now: Time, until: Time) -> Self {
        Self {
            id,
            address,
            heard: now,
            armed: Time::END,
            held: None,
            assembly: Assembly::default(),
            inbound_bytes: 0,
            questions: 0,
            reading: Reading::On,
            pinged: false,
            unanswered: false,
            particulars: None,
            conduct: None,
            form: WireForm::Raw,
            phase: Phase::Upgrading {
                until,
                routed: None,
                redeems: None,
            },
        }
    }

    /// How far it has come.
    pub(crate) const fn arrival(&self) -> Arrival {
        match self.phase {
            Phase::Upgrading { .. } | Phase::Knocking(_) => Arrival::Coming,
            Phase::Raw(..) | Phase::Multiplexed(_) => Arrival::Arrived,
            Phase::Closing { .. } => Arrival::Leaving,
        }
    }

    /// Bytes that came and could not be used yet.
    pub(crate) fn inbound(&self) -> usize {
        let held = self.held.as_ref().map_or(0, |held| held.0.len());
        held + self.assembly.held_bytes()
    }

    /// The page it is of, where a browser said so.
    pub(crate) fn page(&self) -> Option<&str> {
        self.particulars.as_ref()?.page.as_deref()
    }

    /// Its sibling, where it is a raw socket that has shown a secret.
    pub(crate) fn beside(&self) -> Option<&Beside> {
        self.particulars.as_ref()?.beside.as_ref()
    }

    /// The same, to change it.
    pub(crate) fn beside_mut(&mut self) -> Option<&mut Beside> {
        self.particulars.as_mut()?.beside.as_mut()
    }

    /// What few sockets have, to have it from here on.
    pub(crate) fn particulars_mut(&mut self) -> &mut Particulars {
        self.particulars.get_or_insert_default()
    }

    /// As whom it comes.
    pub(crate) fn who(&self) -> &Who {
        match &self.phase {
            Phase::Knocking(knock) => &knock.who,
            Phase::Raw(_, who) => who,
            Phase::Multiplexed(lobby) => &lobby.who,
            Phase::Upgrading { .. } | Phase::Closing { .. } => &Who::Anonymous,
        }
    }

    /// As whom it comes, to learn more of them.
    pub(crate) fn who_mut(&mut self) -> Option<&mut Who> {
        match &mut self.phase {
            Phase::Knocking(knock) => Some(&mut knock.who),
            Phase::Raw(_, who) => Some(who),
            Phase::Multiplexed(lobby) => Some(&mut lobby.who),
            Phase::Upgrading { .. } | Phase::Closing { .. } => None,
        }
    }

    /// The seat it has in a room.
    pub(crate) fn stay(&self, room: RoomIndex) -> Option<Stay> {
        match &self.phase {
            Phase::Raw(stay, _) => (stay.room == room).then_some(*stay),
            Phase::Multiplexed(lobby) => lobby.stay(room),
            Phase::Upgrading { .. } | Phase::Knocking(_) | Phase::Closing { .. } => None,
        }
    }

    /// Another seat number in a room, for somebody left.
    pub(crate) fn reseat(&mut self, room: RoomIndex, seat: u32) {
        match &mut self.phase {
            Phase::Raw(stay, _) => stay.seat = seat,
            Phase::Multiplexed(lobby) => lobby.reseat(room, seat),
            Phase::Upgrading { .. } | Phase::Knocking(_) | Phase::Closing { .. } => {
                unreachable!("who has a seat is inside")
            }
        }
    }

    /// When this socket must be looked at, whatever comes from it.
    pub(crate) fn deadline(&self, silence_max: core::time::Duration) -> Time {
        let silence = self.heard
            + if self.pinged {
                silence_max * 2
            } else {
                silence_max
            };
        match &self.phase {
            Phase::Upgrading { until, .. } | Phase::Closing { until, .. } => *until,
            Phase::Knocking(knock) => knock.entry.until,
            Phase::Raw(stay, _) => silence.min(stay.until),
            Phase::Multiplexed(lobby) => silence.min(lobby.deadline()),
        }
    }
}

/// The sockets of a puddle, by slot.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    slots: Vec<Option<Socket>>,
    count: usize,
}

impl Sockets {
    pub(crate) fn insert(&mut self, socket: Socket) {
        let at = socket.id.slot as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        assert!(
            self.slots[at].is_none(),
            "a slot is free before it is used again"
        );
        self.slots[at] = Some(socket);
        self.count += 1;
    }

    /// The socket, unless it is gone.
    pub(crate) fn get(&self, id: SocketId) -> Option<&Socket> {
        let socket = self.slots.get(id.slot as usize)?.as_ref()?;
        (socket.id == id).then_some(socket)
    }

    /// The socket, unless it is gone.
    pub(crate) fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        let socket = self.slots.get_mut(id.slot as usize)?.as_mut()?;
        (socket.id == id).then_some(socket)
    }

    /// Whoever is in this slot.
    pub(crate) fn in_slot(&self, slot: u32) -> Option<&Socket> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Socket> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        let socket = slot.take_if(|socket| socket.id == id)?;
        self.count -= 1;
        Some(socket)
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Slots are below this.
    pub(crate) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("slots are 32 bits")
    }

    /// In the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.slots.iter().flatten()
    }
}
