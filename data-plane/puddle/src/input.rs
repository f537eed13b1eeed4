//! All that can happen to a puddle. Owns the inputs' types; decides nothing.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    Change, ChangeItem, ClientId, MessageKind, NamePrefix, RefusalId, Revision, RoomId, RoomName,
    Template, Time, UnixTime,
};

use crate::bridge::{FromStore, StoreRequest};
use crate::hop::Hop;
use crate::policy::{RoomPolicy, TemplatePolicy};
use crate::question::{Answer, QuestionId};
use crate::waiting::Decision;

/// A socket of this puddle. The shell gives them out: a slot, and a generation
/// that grows each time the slot is used again, so that what comes late for a
/// dead socket is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId {
    /// The slot; below [`crate::Settings::sockets_max`].
    pub slot: u32,
    /// How often the slot was used before.
    pub generation: u32,
}

/// A puddle of this node: 0 to one less than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PuddleId(pub u8);

/// Names an order until it is replied to. Given out by the switchboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A connection was accepted. Its first bytes follow as `Received`.
    Connected {
        /// The slot must be free.
        socket: SocketId,
        /// Where it comes from.
        address: IpAddr,
    },
    /// Bytes came. They are read, and unmasked, in place.
    Received {
        /// From here.
        socket: SocketId,
        /// As they were read, at least one.
        bytes: &'a mut [u8],
    },
    /// A socket that had not taken everything takes more.
    Writable {
        /// This one.
        socket: SocketId,
    },
    /// A connection is gone: closed by the peer, reset, or timed out. The shell
    /// has forgotten it and may use the slot again, with the next generation.
    Lost {
        /// This one.
        socket: SocketId,
    },
    /// Another puddle says something.
    Hopped {
        /// That one.
        from: PuddleId,
        /// What it says.
        hop: Hop,
    },
    /// Another puddle began anew, and both rings shared with it are empty.
    Restarted {
        /// That one.
        puddle: PuddleId,
    },
    /// A question has its answer; each has exactly one.
    Answered {
        /// The question, as asked.
        question: QuestionId,
        /// The answer.
        answer: Answer,
    },
    /// The next revision. They come in order, none missing.
    Changed(Arc<Changed>),
    /// The control plane was heard: there is nothing after this revision.
    Fresh {
        /// The log's head, which this puddle has been told.
        revision: Revision,
    },
    /// The log was cut or rewound: everything known is asked for again, as of
    /// this revision at least. Changes after it follow.
    Resync {
        /// The head of the log that is followed from here.
        revision: Revision,
    },
    /// A backend orders something; replied to exactly once.
    Ordered {
        /// The order.
        order: OrderId,
        /// What is ordered.
        command: Command,
    },
    /// What is said in this room is wanted as [`crate::Output::Followed`], however
    /// often this is said, until [`Input::Unfollow`].
    Follow {
        /// The room, which nobody need be in.
        room: RoomName,
    },
    /// It is not wanted any more.
    Unfollow {
        /// The room.
        room: RoomName,
    },
    /// The store answers; each request has exactly one answer.
    Bridged {
        /// The request, as made.
        request: StoreRequest,
        /// The answer.
        answer: FromStore,
    },
    /// What the wall clock says now. Sent at the start and each second.
    Wall(UnixTime),
    /// The node goes away: sockets are told to come back elsewhere, and by then
    /// all are closed.
    Drain {
        /// The last moment.
        until: Time,
    },
}

/// A revision's changes, its rooms' rules compiled once for all puddles.
#[derive(Debug)]
pub struct Changed {
    /// Its place in the log.
    pub revision: Revision,
    /// What changed, in order.
    pub items: Vec<ChangedItem>,
}

/// One change.
#[derive(Debug)]
pub enum ChangedItem {
    /// A room stands like this now.
    Room(Arc<RoomPolicy>),
    /// A room is gone.
    RoomGone {
        /// Its identity.
        id: RoomId,
        /// The name it had.
        name: RoomName,
        /// What covers the name now.
        template: Option<Arc<TemplatePolicy>>,
    },
    /// A template stands like this now.
    Template(Arc<TemplatePolicy>),
    /// A template is gone.
    TemplateGone {
        /// The prefix it had.
        prefix: NamePrefix,
        /// What covers all names with that prefix now.
        next: Option<Arc<TemplatePolicy>>,
    },
    /// Anything else: no rules are in it.
    Other(ChangeItem),
}

impl Changed {
    /// Compiles a change.
    #[must_use]
    pub fn compile(change: Change) -> Self {
        let items = change.items.into_iter().map(|item| match item {
            ChangeItem::Room(room) => ChangedItem::Room(Arc::new(RoomPolicy::compile(room))),
            ChangeItem::RoomGone { id, name, template } => ChangedItem::RoomGone {
                id,
                name,
                template: template.map(compiled),
            },
            ChangeItem::Template(template) => ChangedItem::Template(compiled(template)),
            ChangeItem::TemplateGone { prefix, next, .. } => ChangedItem::TemplateGone {
                prefix,
                next: next.map(compiled),
            },
            other @ (ChangeItem::Member(_)
            | ChangeItem::MemberGone { .. }
            | ChangeItem::Session(_)
            | ChangeItem::DeviceToken(..)
            | ChangeItem::Block(_)
            | ChangeItem::BlockGone { .. }
            | ChangeItem::SessionGone(_)
            | ChangeItem::UserGone(_)
            | ChangeItem::ApiKeyGone(_)
            | ChangeItem::Endpoint(_)
            | ChangeItem::EndpointGone(_)) => ChangedItem::Other(other),
        });
        Self {
            revision: change.revision,
            items: items.collect(),
        }
    }
}

fn compiled(template: Template) -> Arc<TemplatePolicy> {
    Arc::new(TemplatePolicy::compile(template))
}

/// What a backend orders.
#[derive(Clone, Debug)]
pub enum Command {
    /// One message into a room.
    Publish(Arc<Publish>),
    /// Nothing that was said in a room up to an offset is kept any more.
    Purge {
        /// The room.
        room: RoomName,
        /// The last offset.
        through: u64,
    },
    /// The rooms that have sockets here.
    ListRooms {
        /// Only names after this one.
        after: Option<RoomName>,
        /// The most to list.
        rooms_max: usize,
    },
    /// The sockets in a room.
    ListSockets {
        /// The room.
        room: RoomName,
        /// Only those after this one.
        after: Option<SocketId>,
        /// The most to list.
        sockets_max: usize,
    },
    /// Who is in a room. Ordered of the room's home alone.
    ListPresent {
        /// The room.
        room: RoomName,
        /// Only clients after this one.
        after: Option<ClientId>,
        /// The most to list.
        clients_max: usize,
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
    /// Who waits to be let in to a room. Ordered of the room's home alone, as the
    /// next.
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
        block: Option<Duration>,
    },
}

/// A backend's message.
#[derive(Debug)]
pub struct Publish {
    /// Into this room.
    pub room: RoomName,
    /// Of this kind.
    pub kind: MessageKind,
    /// The bytes.
    pub payload: Box<[u8]>,
    /// Only to these, if any.
    pub to: Vec<ClientId>,
    /// Not to these.
    pub except: Vec<ClientId>,
}
