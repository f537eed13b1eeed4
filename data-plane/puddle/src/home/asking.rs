//! What puddles ask of a room's home and what it says, as values. Owns the words
//! alone: each is answered in the file of its concern.

use porthouse_model::{Refused, Revision, RoomName};

use super::guests::Guest;
use crate::input::SocketId;
use crate::room::Governed;

/// Something is asked of a room's home.
#[derive(Clone, Debug)]
pub struct ToHome {
    /// The room.
    pub(crate) room: RoomName,
    /// What the answer is to be given with.
    pub(crate) ask: u64,
    /// The room's rules, as the asker knows them.
    pub(crate) governed: Governed,
    /// What the asker has applied.
    pub(crate) as_of: Revision,
    /// What is asked.
    pub(crate) what: Ask,
}

/// A room's home says something.
#[derive(Clone, Debug)]
pub struct FromHome {
    /// The room.
    pub(crate) room: RoomName,
    /// What it answers to; 0: to nothing.
    pub(crate) ask: u64,
    /// What it says.
    pub(crate) what: Said,
}

/// What is asked of a home.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// Somebody is about to come in: may they, and where does the room stand?
    /// Answered by [`Said::Welcome`] or [`Said::Refused`].
    Arrive(Guest),
    /// Somebody is inside already. Answered by [`Said::Stands`].
    Here(Guest),
    /// Somebody who arrived has gone, or did not come in. Not answered.
    Depart(SocketId),
}

/// What a home says.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// Whoever arrived may come in, and from here on.
    Welcome(Welcome),
    /// No.
    Refused(Refused),
    /// The room stands here.
    Stands(Stand),
}

/// How far a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    /// Which life of the home counts.
    pub epoch: u64,
    /// The offset of the last message; 0: none yet.
    pub offset: u64,
}

/// What somebody who comes in must know.
#[derive(Clone, Debug)]
pub(crate) struct Welcome {
    /// What was said up to here is not heard live, and all after it is.
    pub stand: Stand,
}

impl ToHome {
    /// Its payload bytes.
    #[expect(clippy::unused_self, reason = "nothing asked carries a payload yet")]
    pub(crate) const fn bytes(&self) -> u64 {
        0
    }
}

impl FromHome {
    /// Its payload bytes.
    #[expect(clippy::unused_self, reason = "nothing said carries a payload yet")]
    pub(crate) const fn bytes(&self) -> u64 {
        0
    }
}
