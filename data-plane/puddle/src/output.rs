//! All that a puddle can ask of its shell. Owns the outputs' types and the
//! [`Shell`] trait; decides nothing.

use core::net::IpAddr;
use core::time::Duration;
use std::io::IoSlice;
use std::sync::Arc;

use porthouse_model::{
    ClientId, Refusal, Refused, Revision, RoomId, RoomName, SessionId, Time, Username,
};

use crate::bridge::{StoreRequest, StoredRoom, ToStore};
use crate::hop::{Hop, RoomMessage};
use crate::input::{OrderId, PuddleId, SocketId};
use crate::question::{Question, QuestionId};
use crate::recall::Recalled;

/// What a puddle needs from the world. Implemented twice: by the node's thread
/// and by the simulator.
pub trait Shell {
    /// Writes to a socket, once. Never called again for a socket that answered
    /// [`Wrote::Part`] before [`crate::Input::Writable`] came for it.
    fn write(&mut self, socket: SocketId, bytes: &[IoSlice<'_>]) -> Wrote;

    /// Does something else. Never fails and never waits.
    fn output(&mut self, output: Output);
}

/// How much a socket took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// Everything.
    All,
    /// So many bytes, fewer than offered; `Writable` comes when it takes more.
    Part(usize),
    /// Nothing: the connection is broken. `Lost` need not follow.
    Gone,
}

/// Something the shell does.
#[derive(Debug)]
pub enum Output {
    /// Close the connection once what was written is sent. The shell forgets the
    /// socket and may use the slot again, with the next generation.
    Close {
        /// This one.
        socket: SocketId,
    },
    /// Stop reading it. What was read already is kept here.
    Pause {
        /// This one.
        socket: SocketId,
    },
    /// Read it again.
    Resume {
        /// This one.
        socket: SocketId,
    },
    /// It asked for one of the node's own routes: the shell goes on from the
    /// bytes read so far, and the puddle has forgotten it.
    HandOver {
        /// This one. The slot is free again, with the next generation.
        socket: SocketId,
        /// Where its client is.
        from: IpAddr,
        /// The bytes read so far.
        head: Vec<u8>,
    },
    /// Tell another puddle.
    Hop {
        /// That one.
        to: PuddleId,
        /// What.
        hop: Hop,
    },
    /// Ask the switchboard.
    Ask {
        /// The question's name, for its answer.
        question: QuestionId,
        /// The question.
        what: Question,
        /// The socket whose entry waits for it first; `None`: no one socket's.
        by: Option<SocketId>,
    },
    /// Ask the store.
    Bridge {
        /// The request's name, for its answer.
        request: StoreRequest,
        /// The room.
        room: StoredRoom,
        /// What is asked.
        what: ToStore,
    },
    /// Everything up to this revision was applied, and its consequences written
    /// or next to be written.
    Applied {
        /// The revision.
        revision: Revision,
    },
    /// These sessions had a socket here since this was last said, or have one now.
    Seen {
        /// In order.
        sessions: Vec<SessionId>,
    },
    /// This was said in a room that is followed, not to some only. Each message is
    /// given by one puddle.
    Followed {
        /// The message.
        message: Arc<RoomMessage>,
        /// Its epoch and its offset, where the room keeps messages.
        place: Option<(u64, u64)>,
    },
    /// Have somebody kept out of a room on all nodes who was put out of it here,
    /// and is kept out here already.
    KeepOut(Box<KeptOut>),
    /// The reply to an order.
    Reply {
        /// The order.
        order: OrderId,
        /// The reply.
        reply: Reply,
    },
}

/// A signed-in client that was put out of a room for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOut {
    /// The room.
    pub room: RoomName,
    /// Which room of that name; `None`: it is not known here whether one was made.
    pub room_id: Option<RoomId>,
    /// Who.
    pub client: ClientId,
    /// Who put them out; `None`: a backend.
    pub by: Option<ClientId>,
    /// For how long.
    pub time: Duration,
}

/// The reply to a [`crate::Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The message was queued for so many sockets here; `None`: no such room here.
    Published {
        /// How many.
        receivers: Option<u64>,
    },
    /// The message has this place in a room that keeps, whose home is here; it
    /// was queued for so many sockets here, and the other puddles are told.
    Placed {
        /// How many.
        receivers: u64,
        /// Which life of the room's offsets.
        epoch: u64,
        /// Its offset.
        offset: u64,
    },
    /// So many sockets here get the message if the room's home takes it.
    Counted {
        /// How many.
        receivers: u64,
    },
    /// Of what a room whose home is here has kept, so many messages are
    /// forgotten; `None`: there is no such home here.
    Purged {
        /// How many.
        messages: Option<u64>,
    },
    /// The room's rules refuse the message.
    Refused(Refused),
    /// Rooms, ordered by name.
    Rooms(Vec<ListedRoom>),
    /// Sockets, ordered by slot.
    Sockets(Vec<ListedSocket>),
    /// Who is in the room; `None`: nobody is, or its rules do not show it.
    Present(Option<ListedPresent>),
    /// What became of the client's sockets that were in the room here.
    Moved(Vec<MovedSocket>),
    /// Who waits to be let in, ordered by id.
    Waiting(Vec<ListedWaiting>),
    /// What the change would do to those inside.
    Foreseen(Foreseen),
    /// What the refusal came of; `None`: it was not here, or is not kept any more.
    Recalled(Option<Box<Recalled>>),
    /// It was decided about so many sockets.
    Decided {
        /// How many.
        sockets: u64,
    },
    /// So many sockets left.
    Kicked {
        /// How many.
        sockets: u64,
    },
}

/// What a change would do to sockets that are inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// They would leave.
    pub leaving: u64,
    /// They would be asked something before they are inside again.
    pub asked: u64,
    /// Of these something must be known first, which is being asked for.
    pub unsure: u64,
}

/// A live room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRoom {
    /// Its name.
    pub name: RoomName,
    /// Whether the control plane keeps it.
    pub persistent: bool,
    /// Sockets in it here.
    pub sockets: u64,
}

/// A socket in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSocket {
    /// The socket.
    pub socket: SocketId,
    /// Its client.
    pub client: ClientId,
    /// The client's user name, unless anonymous.
    pub username: Option<Username>,
    /// How it speaks.
    pub wire_form: WireForm,
}

/// Who is in a room, on all puddles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPresent {
    /// How many clients.
    pub clients: u64,
    /// Some of them, ordered by id; none where only their number is shown.
    pub present: Vec<ListedClient>,
    /// Whether more follow.
    pub more: bool,
}

/// A client in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedClient {
    /// The client.
    pub client: ClientId,
    /// Its user name, unless anonymous.
    pub username: Option<Username>,
    /// Its raw sockets.
    pub raw: u32,
    /// Its sockets of `porthouse.v1`.
    pub multiplexed: u32,
    /// Its event streams.
    pub event_streams: u32,
}

/// A socket that was to be moved to another room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedSocket {
    /// How it speaks.
    pub wire_form: WireForm,
    /// What became of it.
    pub became: Moved,
}

/// What became of a socket that was to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It is in the other room.
    Inside,
    /// It has left, and stands before the other room's door: something must be
    /// known, or answered, first.
    Entering,
    /// It stays where it was: the other room refuses it.
    Refused(Refusal),
    /// It stays where it was: it is in the other room too, or at its door.
    ThereBefore,
    /// It has left, and was then refused by the other room.
    PutOut,
}

/// A client that waits to be let in to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedWaiting {
    /// The client.
    pub client: ClientId,
    /// Its user name, unless anonymous.
    pub username: Option<Username>,
    /// Its sockets that wait.
    pub sockets: u32,
}

/// How a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WireForm {
    /// One room, frames untouched.
    Raw,
    /// `porthouse.v1`: every frame a header line, then the payload.
    Multiplexed,
    /// One room as server-sent events, to be heard only.
    EventStream,
}

/// When the puddle must be settled again, at the latest, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// The moment.
    pub at: Time,
    /// The reason, for people.
    pub reason: &'static str,
}
