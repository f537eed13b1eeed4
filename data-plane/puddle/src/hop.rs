//! What puddles of one node tell each other, and the credits that keep a ring
//! from overflowing. Never touches a ring.

use std::sync::Arc;

use porthouse_model::{ClientId, MessageKind, RoomId, RoomName};

/// One thing told. A shell's ring for a pair of puddles must hold
/// [`crate::Settings::hop_slots_max`] of them.
#[derive(Clone, Debug)]
pub enum Hop {
    /// I have sockets that want to be in this room: send me its messages.
    Enter {
        /// The room.
        room: RoomName,
    },
    /// From here on you get this room's messages.
    Entered {
        /// The room.
        room: RoomName,
    },
    /// I have no socket in this room any more.
    Leave {
        /// The room.
        room: RoomName,
    },
    /// A message of a room we both have.
    Message(Arc<RoomMessage>),
    /// I have handled so many of your hops, of so many payload bytes.
    Credit {
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
