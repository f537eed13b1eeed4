//! Clients: who they are, what they want, and what they do about it. They know the protocol from
//! its text, and nothing of the node.

pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod payload;
mod upgrading;
mod acting;
mod answering;
mod admitting;
mod asking;
mod reading;
mod returning;
mod resuming;
mod streaming;
mod handshaking;
mod posting;
mod ticketing;
mod led;

use crate::chance::Chance;
use crate::checker::line::Way;
use crate::plan::Plan;
pub(crate) use answering::Question;
use asking::Keyed;
use resuming::Token;
use streaming::Reader;
pub(crate) use ticketing::Ticket;

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// At a room's own address.
    Raw { room: u32 },
    /// At a room's own address, after a handshake in which it can be asked.
    Handshake { room: u32 },
    /// At a room's own address, to hear its events.
    Stream { room: u32 },
    /// At a room's own address, to post one message a connection.
    Post { room: u32 },
    /// `porthouse.v1`.
    Multiplexed,
}

impl Speech {
    /// The room at whose address it is.
    pub(crate) const fn room(self) -> Option<u32> {
        match self {
            Self::Raw { room }
            | Self::Handshake { room }
            | Self::Stream { room }
            | Self::Post { room } => Some(room),
            Self::Multiplexed => None,
        }
    }

    /// The way in which it is connected.
    pub(crate) const fn way(self) -> Way {
        match self {
            Self::Raw { .. } | Self::Multiplexed => Way::Frames,
            Self::Handshake { .. } => Way::Handshake,
            Self::Stream { .. } => Way::Events,
            Self::Post { .. } => Way::Post,
        }
    }

    /// Whether it speaks raw frames after a handshake.
    pub(crate) const fn shakes_hands(self) -> bool {
        matches!(self, Self::Handshake { .. })
    }

    /// Whether it can be asked for something.
    pub(crate) const fn can_be_asked(self) -> bool {
        matches!(self, Self::Handshake { .. } | Self::Multiplexed)
    }

    /// Whether it hears events.
    pub(crate) const fn is_stream(self) -> bool {
        matches!(self, Self::Stream { .. })
    }
}

/// How a client says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// A header.
    Bearer,
    /// A subprotocol, as browsers must.
    Subprotocol,
    /// A ticket in the URL; the header where it has none.
    Ticket,
    /// After connecting: the token.
    Token,
    /// After connecting: name and password.
    Password,
    /// After connecting: an issuer's word.
    Jwt,
}

/// One client: one socket at a time.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) user: Option<u32>,
    pub(crate) session: Option<u32>,
    pub(crate) speech: Speech,
    pub(crate) credentials: Credentials,
    /// It comes by a device token, and is a client of its own.
    pub(crate) device: bool,
    /// The address by which it comes, if it is not at a room's own or at `/`.
    pub(crate) port: Option<u32>,
    /// Sends an Origin.
    pub(crate) browser: bool,
    /// The rooms it wants to be in.
    pub(crate) rooms: Vec<u32>,
    pub(crate) socket: Option<u32>,
    /// By which it may go on where it was.
    pub(crate) tokens: Vec<Token>,
    /// Those it has shown, and was not answered.
    pub(crate) shown: Vec<Token>,
    /// Whether it has spoken since everybody is inside, by room.
    pub(crate) probed: Vec<u32>,
    /// It was told that its session is over.
    pub(crate) turned_away: bool,
    /// When it does its next thing: an earlier plan is forgotten.
    pub(crate) acts_at: u64,
    /// Messages it may send again.
    pub(crate) keyed: Vec<Keyed>,
    /// What it has posted, and something on the way posts again.
    pub(crate) posted: Option<Vec<u8>>,
    /// How far it is, if it hears events.
    pub(crate) reader: Reader,
}

impl Client {
    pub(crate) fn draw(plan: &Plan, chance: &mut Chance) -> Self {
        // At a room's address nobody goes on where they were, and nobody does without a name.
        let (raw, nameless) = if plan.coming_and_going {
            (6, 12)
        } else {
            (2, 4)
        };
        let is_raw = chance.one_in(raw);
        let user = (!chance.one_in(nameless)).then(|| chance.index_u32(plan.users));
        let room = chance.index_u32(plan.rooms);
        let mut rooms = vec![room];
        if !is_raw {
            let more = chance.below(4);
            rooms.extend((0..more).map(|_| chance.index_u32(plan.rooms)));
            rooms.sort_unstable();
            rooms.dedup();
        }
        // A password opens another session each time.
        let late: &[Credentials] = if plan.coming_and_going {
            &[Credentials::Token]
        } else {
            &[Credentials::Token, Credentials::Password]
        };
        let early = [Credentials::Bearer, Credentials::Subprotocol];
        let is_late = !is_raw && chance.one_in(2);
        Self {
            user,
            session: None,
            speech: if is_raw {
                Speech::Raw { room }
            } else {
                Speech::Multiplexed
            },
            credentials: *chance.pick(if is_late { late } else { &early }),
            device: false,
            port: None,
            browser: chance.one_in(3),
            rooms,
            socket: None,
            tokens: Vec::new(),
            shown: Vec::new(),
            probed: Vec::new(),
            turned_away: false,
            acts_at: 0,
            keyed: Vec::new(),
            posted: None,
            reader: Reader::default(),
        }
    }

    /// Whether a page opens its sockets, and its browser says so.
    pub(crate) const fn sends_an_origin(&self) -> bool {
        self.browser && !matches!(self.speech, Speech::Stream { .. } | Speech::Post { .. })
    }

    /// The same, or one that hears the events of its room instead, can be asked at its door, or
    /// posts, or is a device.
    pub(crate) fn or_reads(mut self, plan: &Plan, chance: &mut Chance) -> Self {
        let handshakes = plan.reach.handshakes;
        if handshakes > 0 && chance.percent(handshakes) {
            let room = self.rooms[0];
            self.rooms = vec![room];
            self.speech = Speech::Handshake { room };
            if !matches!(self.credentials, Credentials::Subprotocol) {
                self.credentials = Credentials::Bearer;
            }
        }
        let streams = plan.reach.streams;
        if streams > 0 && chance.percent(streams) {
            let room = self.rooms[0];
            self.rooms = vec![room];
            self.speech = Speech::Stream { room };
            self.credentials = Credentials::Bearer;
            self.browser = false;
        }
        let posts = plan.reach.posts;
        if posts > 0 && chance.percent(posts) {
            let room = self.rooms[0];
            self.rooms = vec![room];
            self.speech = Speech::Post { room };
            self.credentials = Credentials::Bearer;
            self.browser = false;
        }
        let devices = plan.reach.devices;
        let may_be = self.user.is_some()
            && self.speech == Speech::Multiplexed
            && self.credentials != Credentials::Password;
        self.device = devices > 0 && may_be && chance.percent(devices);
        let tickets = plan.reach.tickets;
        let may_have = self.user.is_some()
            && !self.device
            && !matches!(self.speech, Speech::Stream { .. } | Speech::Post { .. });
        if tickets > 0 && may_have && chance.percent(tickets) {
            self.credentials = Credentials::Ticket;
        }
        let issuers = plan.ruling.issuers;
        // Each time it opens another session.
        let may_come = self.user.is_some()
            && !self.device
            && !plan.coming_and_going
            && matches!(self.credentials, Credentials::Token | Credentials::Password);
        if issuers > 0 && may_come && chance.percent(issuers) {
            self.credentials = Credentials::Jwt;
        }
        self
    }
}
