//! All that can happen to a switchboard. Owns the events' types; decides nothing.

use std::sync::Arc;

use porthouse_model::{
    Change, ClientId, RefusalId, Resolved, Revision, RoomName, Time, TokenHash, UnixTime,
};

use super::chain::{Chain, Position};
use crate::input::{ChangedItem, OrderId, Publish, PuddleId, SocketId};
use crate::output::Reply;
use crate::question::{Question, QuestionId, SignInVerdict, Verdict};
use crate::waiting::Decision;

/// Names one opening of the watch, so that what comes late from an earlier one
/// is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// Names a request to the control plane until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names a backend's call until it is completed. Given out by the shell, never
/// twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// Something that happened. What one puddle says comes in the order in which it
/// said it.
#[derive(Debug)]
pub enum Event {
    /// A puddle's [`crate::Output::Ask`].
    Asked {
        /// Who asks.
        puddle: PuddleId,
        /// The question's name there.
        question: QuestionId,
        /// The question.
        what: Question,
    },
    /// A puddle's [`crate::Output::Applied`].
    Applied {
        /// That one.
        puddle: PuddleId,
        /// Up to here.
        revision: Revision,
    },
    /// A puddle's [`crate::Output::Reply`].
    Replied {
        /// That one.
        puddle: PuddleId,
        /// The order.
        order: OrderId,
        /// The reply.
        reply: Reply,
    },
    /// A puddle panicked and a fresh one stands in its place. Nothing that the
    /// old one said comes after this, and nothing told before this reaches the
    /// fresh one.
    PuddleRestarted {
        /// That one.
        puddle: PuddleId,
    },
    /// The watch is open.
    WatchOpened {
        /// As named by [`super::Action::OpenWatch`].
        watch: WatchId,
        /// The log's head at that moment.
        head: Position,
    },
    /// The watch brought a revision.
    Changed {
        /// Which watch.
        watch: WatchId,
        /// What changed, read from `payload`.
        change: Change,
        /// The bytes that were stored and hashed.
        payload: Vec<u8>,
        /// The chain hash that came with them.
        chain: Chain,
    },
    /// The control plane has just read the log, and this is its head.
    Progress {
        /// Which watch.
        watch: WatchId,
        /// The head.
        head: Position,
    },
    /// The watch could not be opened, or has ended.
    WatchLost {
        /// Which watch.
        watch: WatchId,
        /// Why.
        reason: WatchEnd,
    },
    /// A [`super::Action::Resolve`] ended.
    Resolved {
        /// The request.
        request: RequestId,
        /// What was found; `None`: the control plane could not be asked.
        found: Option<Snapshot>,
    },
    /// A [`super::Action::Verify`] ended.
    Verified {
        /// The request.
        request: RequestId,
        /// How; `None`: the control plane could not be asked.
        verdict: Option<Verdict>,
    },
    /// A [`super::Action::SignIn`] ended.
    SignedIn {
        /// The request.
        request: RequestId,
        /// How; `None`: the control plane could not be asked.
        verdict: Option<SignInVerdict>,
    },
    /// A backend calls.
    Called {
        /// The call; completed exactly once, unless dropped first.
        call: CallId,
        /// What is called for.
        what: Call,
    },
    /// A backend's call is gone: cancelled, or its connection lost.
    CallDropped {
        /// That one.
        call: CallId,
    },
    /// What the wall clock says now. Sent at the start and each second.
    Wall(UnixTime),
    /// The node goes away; by then all sockets are closed.
    Drain {
        /// The last moment.
        until: Time,
    },
}

/// Why a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEnd {
    /// It may be gone on with from the last position.
    Retry,
    /// The position is unknown (`OUT_OF_RANGE`): the log was cut or rewound.
    Resync,
}

/// The answer to a request to resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The snapshot it was read from.
    pub revision: Revision,
    /// One answer a key, in the order of the keys; maybe to the first alone.
    pub found: Vec<Resolved>,
}

/// What a backend calls for.
#[derive(Clone, Debug)]
pub enum Call {
    /// How does this API key stand?
    Key {
        /// The hash of its secret.
        hash: TokenHash,
    },
    /// One message into a room.
    Publish(Arc<Publish>),
    /// Nothing that was said in a room up to an offset is kept any more.
    Purge {
        /// The room.
        room: RoomName,
        /// The last offset.
        through: u64,
    },
    /// The rooms that have sockets on this node.
    ListRooms {
        /// Only names after this one.
        after: Option<RoomName>,
        /// The most to list.
        rooms_max: usize,
    },
    /// Who is in a room, ordered by id.
    ListPresent {
        /// The room.
        room: RoomName,
        /// Only clients after this one.
        after: Option<ClientId>,
        /// The most to list.
        clients_max: usize,
    },
    /// The sockets in a room, ordered by puddle, then slot.
    ListSockets {
        /// The room.
        room: RoomName,
        /// Only those after this one.
        after: Option<(PuddleId, SocketId)>,
        /// The most to list.
        sockets_max: usize,
    },
    /// Move a client's sockets from one room to another.
    Move {
        /// Whose.
        client: ClientId,
        /// Out of this room.
        from: RoomName,
        /// Into this one.
        to: RoomName,
    },
    /// Who waits to be let in to a room.
    ListWaiting {
        /// The room.
        room: RoomName,
    },
    /// Decide about a client that waits.
    DecideWaiting {
        /// The room.
        room: RoomName,
        /// The client, all of whose sockets are meant.
        client: ClientId,
        /// What.
        decision: Decision,
    },
    /// What would this change do to those inside?
    Foresee(Arc<ChangedItem>),
    /// What did this refusal come of?
    Recall(RefusalId),
    /// Put a client out.
    Kick {
        /// Whom.
        client: ClientId,
        /// From this room only; `None`: all its sockets are closed.
        room: Option<RoomName>,
        /// How long it may not come back to the room; `None`: as is set.
        block: Option<core::time::Duration>,
    },
}
