//! What puddles ask of a room's home and what it says, as values. Owns the words
//! alone: each is answered in the file of its concern.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{ClientId, Refused, Revision, RoomName};

use super::guests::Guest;
use super::keys::Claim;
use super::placed::{Placed, Viewer};
use super::rates::Rated;
use super::shelf::{Page as Shelved, Range, cost};
use super::strands::{Gone, Resumes, Thread};
use super::taking::Since;
use crate::hop::RoomMessage;
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
    /// Answered by [`Said::Welcome`], [`Said::Lapsed`] or [`Said::Refused`].
    Arrive(Guest),
    /// Somebody is inside already. Answered by [`Said::Stands`].
    Here(Guest),
    /// Somebody who arrived has gone. Not answered.
    Depart {
        /// Who.
        socket: SocketId,
        /// How.
        gone: Gone,
    },
    /// Somebody inside says something, which is sent to all puddles that have the
    /// room. Answered by [`Said::Taken`] where that is asked for, and by
    /// [`Said::Unsaid`] if it was not taken.
    Send(Saying),
    /// Somebody inside is about to say something in a room that is not kept, and
    /// has a key for it. Answered by [`Said::Claimed`].
    Claim {
        /// Whose key.
        client: ClientId,
        /// The key.
        key: Arc<str>,
    },
    /// What a key was claimed for is not said after all, for its sender has gone:
    /// it is new again. Not answered.
    Unclaim {
        /// Whose key.
        client: ClientId,
        /// The key.
        key: Arc<str>,
    },
    /// Somebody inside reads what was said. Answered by [`Said::Read`].
    Read {
        /// What of it.
        range: Range,
        /// Who.
        viewer: Viewer,
    },
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

/// Something somebody says.
#[derive(Clone, Debug)]
pub(crate) struct Saying {
    /// What.
    pub message: Arc<RoomMessage>,
    /// Who says it.
    pub speaker: SocketId,
    /// Their own name for it: said again, it is the same message.
    pub key: Option<Arc<str>>,
    /// Whether they can be kept waiting, which is before they are refused.
    pub waits: bool,
    /// Whose rate it is counted in.
    pub rated: Rated,
}

/// Why something was not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsaid {
    /// A rule refuses it.
    Refused(Refused),
    /// There are as many keys as are remembered.
    TooManyKeys,
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
    /// Whoever arrived to go on where they were cannot: they begin anew.
    Lapsed,
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
    /// What somebody said was taken, at this offset, where it has one.
    Taken(Option<u64>),
    /// The same, and it is in the store.
    Stored(Option<u64>),
    /// This socket is not to be read for so long: the room is ahead of its rate.
    Slow(SocketId, Duration),
    /// What a socket said was not taken.
    Unsaid(SocketId, Unsaid),
    /// What came of a key.
    Claimed(Claim),
    /// Some of what was said.
    Read(Shelved),
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
    /// What waited for them while they were away; then this.
    pub waited: Vec<Arc<Placed>>,
    /// So many messages are missing in front of what waited: it was too much.
    pub dropped: u32,
    /// The last message, where a newcomer who may read hears it at once.
    pub latest: Option<Arc<Placed>>,
    /// What they missed since they had been there before, if they come back to
    /// go on; instead of the other two.
    pub since: Option<(Resumes, Since)>,
    /// What the reader of a stream missed since the last it heard; likewise.
    pub missed: Option<Since>,
    /// By what they may come back, where that can be.
    pub thread: Option<Thread>,
}

impl Welcome {
    /// What it costs a socket to hear it, about.
    pub(crate) fn bytes(&self) -> usize {
        let since = self.since.iter().map(|(_, since)| since);
        let missed = since.chain(&self.missed).flat_map(Since::messages);
        let first = self.latest.iter().chain(&self.waited).chain(missed);
        first.map(|placed| cost(placed)).sum()
    }

    /// Nothing of what was missed is told, but that it was.
    pub(crate) fn forgo(&mut self) {
        let gap = |since: &mut Since| *since = Since::Gap;
        self.since.iter_mut().for_each(|(_, since)| gap(since));
        self.missed.iter_mut().for_each(gap);
        let waited = std::mem::take(&mut self.waited).len();
        self.dropped = (self.dropped).saturating_add(u32::try_from(waited).unwrap_or(u32::MAX));
        if let Some(thread) = &mut self.thread {
            thread.floor = self.stand.offset;
        }
    }
}

impl Ask {
    /// Which socket says something by it.
    pub(crate) const fn speaker(&self) -> Option<SocketId> {
        match self {
            Self::Send(saying) => Some(saying.speaker),
            Self::Arrive(_)
            | Self::Here(_)
            | Self::Depart { .. }
            | Self::Claim { .. }
            | Self::Unclaim { .. }
            | Self::Read { .. }
            | Self::Look(_)
            | Self::LookAway
            | Self::Own { .. } => None,
        }
    }
}

impl ToHome {
    /// Its payload bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.what {
            Ask::Send(saying) => saying.message.payload.len() as u64,
            Ask::Own {
                act: OwnerAct::Rule(rules),
                ..
            } => rules.len() as u64,
            Ask::Arrive(_)
            | Ask::Here(_)
            | Ask::Depart { .. }
            | Ask::Claim { .. }
            | Ask::Unclaim { .. }
            | Ask::Read { .. }
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
        let messages = match &self.what {
            Said::Present(page) => return page.as_ref().map_or(0, Page::bytes),
            Said::Changed(batch) => return batch.bytes(),
            Said::Welcome(welcome) => {
                let since = welcome.since.iter().map(|(_, since)| since);
                let missed = since.chain(&welcome.missed).flat_map(Since::messages);
                let messages = welcome.latest.iter().chain(&welcome.waited).chain(missed);
                return messages.map(|placed| placed.bytes()).sum();
            }
            Said::Read(page) => &page.messages[..],
            Said::Lapsed
            | Said::Refused(_)
            | Said::Stands(_)
            | Said::Taken(_)
            | Said::Stored(_)
            | Said::Unsaid(..)
            | Said::Claimed(_)
            | Said::Go(..)
            | Said::Slow(..)
            | Said::Owned(_)
            | Said::Ended(_)
            | Said::Done(_)
            | Said::Unruly(_) => &[],
        };
        messages.iter().map(|placed| placed.bytes()).sum()
    }
}
