//! What the two sockets of a pair know of each other: a sibling of the raw
//! socket whose commands it carries, a raw socket of its sibling.

use porthouse_model::{RoomName, Time, TokenHash};

use super::Renewal;
use crate::input::{PuddleId, SocketId};

/// A command socket's part of a pair.
#[derive(Debug)]
pub(crate) enum Sibling {
    /// No raw socket has shown its secret yet.
    Offered(Offered),
    /// It carries the commands of this one.
    Bound {
        /// The raw socket's puddle.
        puddle: PuddleId,
        /// The raw socket there.
        raw: SocketId,
        /// Its room.
        room: RoomName,
    },
}

/// See [`Sibling::Offered`].
#[derive(Debug)]
pub(crate) struct Offered {
    /// The one room whose raw sockets may be its own, if it is for one.
    pub room: Option<RoomName>,
    /// The secret's hash, once it was given: not before it is known as whom the
    /// sibling comes.
    pub secret: Option<TokenHash>,
    /// The last moment for a raw socket to show it.
    pub until: Time,
}

/// A raw socket's part of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    /// The sibling's puddle.
    pub puddle: PuddleId,
    /// The sibling there.
    pub sibling: SocketId,
    /// How far it is.
    pub binding: Binding,
    /// Whether the session is being renewed, as the sibling's was.
    pub renewal: Renewal,
}

/// How far a raw socket and a sibling are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// The secret was shown; until it is known to be right, nothing goes on.
    Asked,
    /// They are a pair.
    Bound,
}
