//! What puddles ask of a room's home and what it says, as values. Owns the words
//! alone: each is answered in the file of its concern.

use std::sync::Arc;

use porthouse_model::{ClientId, Refused, Revision, RoomName};

use super::guests::Guest;
use crate::input::SocketId;
use crate::people::{Batch, OwnerRuleFault, Page};
use crate::room::{Governed, Transient};

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
    /// Who is there, after this client? And tell what changes. Answered by
    /// [`Said::Present`].
    Look(Option<ClientId>),
    /// Nobody here looks any more. Not answered.
    LookAway,
    /// A transient room's owner acts. Answered by [`Said::Done`],
    /// [`Said::Refused`] or [`Said::Unruly`].
    Own {
        /// Who says to be the owner.
        by: ClientId,
        /// What they do.
        act: OwnerAct,
    },
}

/// What a transient room's owner does.
#[derive(Clone, Debug)]
pub(crate) enum OwnerAct {
    /// Hands the room on to this client, who must be inside.
    Pass(ClientId),
    /// Sets rules: a JSON object, as it came.
    Rule(Box<[u8]>),
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
    /// This socket must go: it has one too many beside it.
    Go(SocketId, Refused),
    /// Some of those who are there; nothing where nothing is shown.
    Present(Option<Page>),
    /// Of those who are there, this has changed.
    Changed(Arc<Batch>),
    /// The room has another owner or other rules.
    Owned(Transient),
    /// The room is over.
    Ended(Refused),
    /// The owner has done it, and the room is governed so.
    Done(Transient),
    /// The owner cannot have such rules.
    Unruly(OwnerRuleFault),
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
    /// How the room is governed, where it is transient.
    pub transient: Option<Transient>,
}

impl ToHome {
    /// Its payload bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.what {
            Ask::Own {
                act: OwnerAct::Rule(rules),
                ..
            } => rules.len() as u64,
            Ask::Arrive(_)
            | Ask::Here(_)
            | Ask::Depart(_)
            | Ask::Look(_)
            | Ask::LookAway
            | Ask::Own {
                act: OwnerAct::Pass(_),
                ..
            } => 0,
        }
    }
}

impl FromHome {
    /// Its payload bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.what {
            Said::Present(page) => page.as_ref().map_or(0, Page::bytes),
            Said::Changed(batch) => batch.bytes(),
            Said::Welcome(_)
            | Said::Refused(_)
            | Said::Stands(_)
            | Said::Go(..)
            | Said::Owned(_)
            | Said::Ended(_)
            | Said::Done(_)
            | Said::Unruly(_) => 0,
        }
    }
}
