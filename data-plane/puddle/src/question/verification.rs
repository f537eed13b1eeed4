//! What is shown at a room's door and only the control plane can judge, and its
//! verdicts. Owns the types; decides nothing, and shows no secret.

use core::net::IpAddr;
use core::time::Duration;

use porthouse_model::{
    ClientId, CodeVersion, HookVersion, PasswordVersion, RoomId, RoomName, SessionId, UserId,
};

use super::Secret;

/// One thing to be judged, for one who stands at a room's door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The room, or the template that covers it.
    pub room: RoomId,
    /// What the room is called.
    pub name: RoomName,
    /// Who comes: a user, or an anonymous socket.
    pub client: ClientId,
    /// The user, if signed in.
    pub user: Option<UserId>,
    /// The session by which the user comes.
    pub session: Option<SessionId>,
    /// From where.
    pub address: IpAddr,
    /// What is shown.
    pub proof: Proof,
}

/// What is shown: a kind for each step of an entry that is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// An answer to "what is the room's password".
    Password(Secret),
    /// A code of the user's own second factor (RFC 6238). Only asked of who is
    /// signed in.
    SecondFactor(Secret),
    /// A code of the room's (RFC 6238), to be taken once a client.
    RoomCode(Secret),
    /// Nothing: the owner's backend is asked.
    Hook {
        /// The page's origin, where a browser gave one.
        origin: Option<Box<str>>,
    },
}

/// How a verification ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right: this step is passed.
    Right(Pass),
    /// Wrong.
    Wrong,
    /// The room is gone, or asks nothing of this kind any more.
    Gone,
    /// The user has no second factor.
    NotEnrolled,
    /// Too many attempts; not before so long.
    Later(Duration),
    /// The owner's backend said no.
    Refused,
    /// The owner's backend did not answer, or nothing here can ask it.
    Away,
}

/// A step that was passed, by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The room's password, of this version.
    Password(PasswordVersion),
    /// The user's second factor, just now.
    SecondFactor,
    /// A code of the room's secret, of this version.
    RoomCode(CodeVersion),
    /// The owner's backend, of this version.
    Hook(HookVersion),
}
