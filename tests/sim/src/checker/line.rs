//! What the checker reads: one line an event that a client or an administrator could see. Numbers
//! stand for sockets, rooms, users and sessions, in the order in which they first appear. Knows
//! nothing of ours: another layer may write the same lines.

use serde::Serialize;

pub(crate) use super::door::{Door, Shown, Who};
pub(crate) use super::recovered::Resumes;
use super::stored::Level;

/// The opcode of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Text,
    Binary,
}

/// In which way somebody is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// By frames, raw or of many rooms.
    #[default]
    Frames,
    /// By raw frames, after a handshake in which it can be asked.
    Handshake,
    /// It hears a room's events.
    Events,
    /// It posts one message, and is never inside.
    Post,
}

/// One thing an administrator changed.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there are few, and none is kept")]
pub(crate) enum Edit {
    Room {
        room: u32,
        door: Door,
    },
    RoomGone {
        room: u32,
    },
    /// A template; what it does to each room is said of the room.
    Template {
        prefix: u32,
    },
    /// A room that no template covers any more, and that goes on by the node's rules.
    Uncovered {
        room: u32,
    },
    Member {
        identity: u64,
        user: u32,
    },
    MemberGone {
        identity: u64,
        user: u32,
    },
    Block {
        identity: u64,
        user: u32,
    },
    BlockGone {
        identity: u64,
        user: u32,
    },
    SessionGone {
        session: u32,
    },
    UserGone {
        user: u32,
    },
    /// A session that nobody has seen for too long.
    SessionIdle {
        session: u32,
    },
    /// A user has a label from now on, or has it no more.
    Labelled {
        user: u32,
        label: u32,
        some: bool,
    },
    /// Whoever has a label is a member of a room from now on, or is no more.
    Grouped {
        identity: u64,
        label: u32,
        some: bool,
    },
    /// An issuer is not trusted any more, and its sessions are over.
    IssuerGone {
        issuer: u32,
    },
    /// A device may enter these rooms, each by a bit.
    DeviceRooms {
        session: u32,
        rooms: u32,
    },
    /// An address leads to these rooms, each by a bit, whom it lets in.
    Port {
        port: u32,
        rooms: u32,
        users: bool,
        owner: Option<u32>,
    },
    /// An address leads nowhere any more.
    PortGone {
        port: u32,
    },
}

/// When a frame's first byte was written by the node.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Stamp {
    /// The step of the world.
    pub(crate) step: u64,
    /// The moment, in nanoseconds.
    pub(crate) at: u64,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    Auth,
    Join,
    Answer,
    Leave,
    Send,
    History,
    Presence,
    Decide,
    Ping,
    Junk,
}

/// Receivers that a sender names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Named<'a> {
    pub(crate) to: &'a [u128],
    pub(crate) except: &'a [u128],
}

/// What a ticket is bound to, or a socket is: the room of its path, and whether a page opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Bound {
    pub(crate) room: Option<u32>,
    pub(crate) page: bool,
}

/// A message as it was sent or as it came.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Body {
    pub(crate) kind: Kind,
    pub(crate) len: usize,
    pub(crate) hash: u64,
    pub(crate) shape: Shape,
}

/// What a message's bytes are, for certain; or what those of a room must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// None of these; of a room: anything.
    #[default]
    Plain,
    /// A number of eight digits that begins with a one, and spaces behind it.
    Digits,
    /// One text of `MessagePack`'s.
    Packed,
    /// One text of CBOR's.
    Cbor,
}

/// How far a room is, in an order of its own: which life of it, and the last offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Stand {
    pub(crate) epoch: u64,
    pub(crate) offset: u64,
}

/// A message's place in its room's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    /// It was said before.
    pub(crate) past: bool,
}

/// Which of what was said before is asked for; the offsets are not included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Range {
    pub(crate) since: Option<u64>,
    pub(crate) before: Option<u64>,
    pub(crate) last: Option<u64>,
}

/// A client that is told to be there, with so many sockets of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    pub(crate) client: u128,
    pub(crate) raw: u32,
    pub(crate) multiplexed: u32,
}

/// One event.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    /// An administrator's transaction was committed.
    Committed { revision: u64, edits: &'a [Edit] },
    /// Somebody signed in, and is this client by it.
    SignedIn {
        session: u32,
        user: u32,
        client: u128,
        /// The moment at which its session ends by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
        /// By whose word.
        #[serde(skip_serializing_if = "Option::is_none")]
        issuer: Option<u32>,
        /// For a device: the rooms it may enter, each by a bit.
        #[serde(skip_serializing_if = "Option::is_none")]
        rooms: Option<u32>,
    },
    /// An administrator trusts an issuer again.
    Trusted { issuer: u32 },
    /// The node says it has applied everything up to here.
    Acknowledged { revision: u64 },
    /// A part of the node panicked and began anew: who was connected to it is not any more.
    Panicked {
        puddle: u8,
        /// It was all of the node.
        all: bool,
    },
    /// An administrator who waited is told that everything up to here is applied.
    Waited { revision: u64 },
    /// A backend puts a client out, which may not come back for so many nanoseconds.
    Kicks {
        call: u64,
        client: u128,
        room: Option<u32>,
        block: u64,
    },
    /// The backend is told that it is out.
    Kicked { call: u64 },
    /// A socket is told that it was moved before another room's door.
    Moved { socket: u32, from: u32, to: u32 },
    /// A socket begins its upgrade. `room`: a raw one.
    Connect {
        socket: u32,
        room: Option<u32>,
        way: Way,
        session: Option<u32>,
        bogus: bool,
        /// Whether a page opens it.
        page: bool,
        network: u32,
    },
    /// Somebody has a ticket of a session's made, for one socket.
    Ticket {
        ticket: u32,
        session: u32,
        bound: Bound,
    },
    /// A socket shows a ticket at its upgrade, which is there.
    Shows {
        socket: u32,
        ticket: u32,
        bound: Bound,
    },
    /// A socket comes by an address that leads to its room, or to some.
    By { socket: u32, port: u32 },
    /// It is told that the ticket opens nothing.
    Unopened { socket: u32 },
    /// The upgrade was accepted. `admits`: a raw socket without an Origin is inside by it.
    Upgraded {
        socket: u32,
        admits: bool,
        written: Stamp,
    },
    /// It answers a room's question before it starts.
    Answered {
        socket: u32,
        room: u32,
        shown: Option<Shown>,
    },
    /// An owner's backend says whether it may enter, by this version of the room's hook.
    Decided {
        socket: u32,
        room: u32,
        version: u64,
        allowed: bool,
    },
    /// A socket inside lets in a client that waits, or turns it away.
    Admits {
        socket: u32,
        id: u64,
        room: u32,
        client: u128,
        allowed: bool,
    },
    /// A backend does.
    LetsIn {
        call: u64,
        room: u32,
        client: u128,
        allowed: bool,
    },
    /// And is told that it is done.
    WasLetIn { call: u64 },
    /// It is told that it has started: it is inside by it.
    Started { socket: u32, written: Stamp },
    /// What it has posted was taken.
    Posted { socket: u32 },
    /// The upgrade was refused.
    Rejected { socket: u32, status: u16 },
    /// A multiplexed socket asks.
    Request {
        socket: u32,
        id: u64,
        ask: Ask,
        room: Option<u32>,
        /// For an answer: what it is, if it is right.
        shown: Option<Shown>,
        /// For a join: from where it goes on.
        #[serde(skip_serializing_if = "Option::is_none")]
        resumes: Option<Resumes>,
    },
    /// It is answered.
    Reply { socket: u32, id: u64 },
    /// A multiplexed socket is now known by this session.
    Authenticated { socket: u32, session: Option<u32> },
    /// A room asks it something.
    Challenged { socket: u32, room: u32 },
    /// It is inside.
    Admitted {
        socket: u32,
        room: u32,
        client: u128,
        /// What was said after this comes, where the room has an order.
        stand: Option<Stand>,
        /// Whether that is all it missed, where it came to go on.
        #[serde(skip_serializing_if = "Option::is_none")]
        recovered: Option<bool>,
        written: Stamp,
    },
    /// The room's offsets begin anew.
    Epoch {
        socket: u32,
        room: u32,
        stand: Stand,
        written: Stamp,
    },
    /// Whoever reads a room's events is told that all comes since then, or that it may not.
    Recovers {
        socket: u32,
        room: u32,
        from: Option<Stand>,
        written: Stamp,
    },
    /// And how far the room is, after all of that.
    Stands {
        socket: u32,
        room: u32,
        stand: Stand,
        written: Stamp,
    },
    /// It is not, or no longer. `id`: as the answer to a request.
    Refused {
        socket: u32,
        room: u32,
        rule: &'a str,
        id: Option<u64>,
    },
    /// It has left.
    Left { socket: u32, room: u32 },
    /// It sends. `id` is given for a receipt. `message` grows by one each time.
    Sent {
        socket: u32,
        room: u32,
        message: u32,
        body: Body,
        id: Option<u64>,
        /// It has a key of its own.
        keyed: bool,
        /// What the receipt is to promise.
        level: Level,
        #[serde(skip_serializing_if = "Option::is_none")]
        named: Option<Named<'a>>,
    },
    /// A client sends a message again, under its key.
    Again {
        socket: u32,
        room: u32,
        message: u32,
        id: u64,
    },
    /// What it sent is refused.
    Unsaid { socket: u32, id: u64, rule: &'a str },
    /// What it sent was taken, at this offset where there are offsets.
    Receipt {
        socket: u32,
        room: u32,
        id: u64,
        level: Level,
        offset: Option<u64>,
    },
    /// It asks for what was said before.
    Reads {
        socket: u32,
        room: u32,
        id: u64,
        range: Range,
    },
    /// So many messages that came answer it, up to an offset.
    Read {
        socket: u32,
        room: u32,
        id: u64,
        count: u64,
        through: u64,
        complete: bool,
    },
    /// It asks who is there, after this client.
    Looks {
        socket: u32,
        id: u64,
        after: Option<u128>,
    },
    /// These are.
    There {
        socket: u32,
        room: u32,
        id: Option<u64>,
        seq: u64,
        count: u64,
        present: Option<&'a [Seen]>,
        more: bool,
    },
    /// That has changed.
    Changed {
        socket: u32,
        room: u32,
        seq: u64,
        count: u64,
        joined: &'a [Seen],
        left: &'a [u128],
        updated: &'a [Seen],
    },
    /// Nothing more is told of who is there.
    Unseen { socket: u32, room: u32 },
    /// A backend wants all that was said in a room up to an offset forgotten.
    Purges { call: u64, room: u32, through: u64 },
    /// And is told that it is.
    Purged { call: u64 },
    /// A backend sends.
    Published {
        room: u32,
        message: u32,
        body: Body,
        named: Named<'a>,
    },
    /// A message came. `message`: read from its bytes, where they were long enough to say.
    Delivered {
        socket: u32,
        room: Option<u32>,
        from: Option<u128>,
        message: Option<u32>,
        body: Body,
        #[serde(skip_serializing_if = "Option::is_none")]
        place: Option<Place>,
        written: Stamp,
    },
    /// It is told that so many messages of a room are missing here.
    Gap {
        socket: u32,
        room: u32,
        dropped: u32,
    },
    /// Its client sends a close frame.
    Closes { socket: u32 },
    /// Any other frame came, but a close frame.
    Other { socket: u32, written: Stamp },
    /// The node closed it.
    Closed {
        socket: u32,
        code: u16,
        written: Stamp,
    },
    /// It sent what no server may, or what no client can understand.
    Broken { socket: u32, what: &'a str },
    /// The connection ended, for whatever reason.
    Ended { socket: u32 },
    /// Faults have healed; nothing is changed any more.
    Healed,
    /// Everybody who may is inside; what is said from here on reaches everybody.
    Settled,
    /// Everybody should be inside, and this one may be and is not.
    Outside {
        client: u32,
        socket: Option<u32>,
        room: u32,
    },
    /// Half a minute after they healed.
    Finished,
    /// The node is told to go away by then.
    Drains { until: u64 },
    /// And must have by now.
    Drained,
}
