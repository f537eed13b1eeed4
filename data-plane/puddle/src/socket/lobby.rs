//! What a `porthouse.v1` socket has: who it is, where it is, where it knocks.

use porthouse_model::{RoomId, RoomName, Time, TokenHash};
use porthouse_rules::Passed;

use super::{ClientId, Ends, Sequence, Sibling, Who};
use crate::home::{Heard, Resumes, Stand};
use crate::people::RoomLife;
use crate::question::{QuestionId, Secret};
use crate::resume::Claims;
use crate::room::RoomIndex;
use crate::wire::multiplexed::Id;

/// A seat of a socket in a room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    /// The room.
    pub room: RoomIndex,
    /// The seat there.
    pub seat: u32,
    /// When the right to it ends by itself.
    pub until: Time,
}

/// How an entry came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The client asked for it.
    Asked,
    /// The socket was inside, and the room or what is known of its client has
    /// changed.
    PutBack,
    /// A backend moves the socket here, from another room.
    Moved,
}

/// Which room of its name an entry may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeadsTo {
    /// Whichever has the name then.
    Any,
    /// The one where something was answered, or where the socket was inside:
    /// no successor is entered by it.
    Only(RoomId),
}

/// Whether an entry was counted by the puddle that counts such for the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tallied {
    /// Not yet.
    No,
    /// It was asked to be, by this ask.
    Asked(u64),
    /// It was.
    Yes,
}

/// A socket's entry to one room.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The room.
    pub room: RoomName,
    /// How it came about.
    pub origin: Origin,
    /// Whether it was counted, where its room counts such.
    pub tallied: Tallied,
    /// Which room of the name is meant.
    pub leads_to: LeadsTo,
    /// Where the entry stands.
    pub sequence: Sequence,
    /// The last moment for it.
    pub until: Time,
    /// The request that waits for its reply.
    pub reply_to: Option<Id>,
    /// How long the room lives, if it is transient and made by this entry.
    pub makes: Option<RoomLife>,
    /// The token by which the client would go on where it was. Boxed, for few
    /// have one.
    pub returns: Option<Box<Return>>,
    /// How far the room was when its client was put before the door, if it had been
    /// sent all of that.
    pub heard: Option<Stand>,
}

/// How far it is judged what a client shows that would go on where it was: a
/// token, or the last event that a stream's reader has heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Return {
    /// It has opened, and this offset was seen; whose it is is not known yet.
    Shown(Claims, u64),
    /// It is the client's own, who had passed these steps by it: the room's home
    /// says what it is worth.
    Own(Resumes, Passed),
    /// This place was heard; whether its reader may read what came after is not
    /// known yet.
    LastHeard(Stand),
    /// It may: the room's home says what that was.
    Heard(Heard),
    /// It is worth nothing: the entry is as any other.
    Lapsed,
}

/// How far a sign-in on this socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignIn {
    /// Nobody asked to.
    None,
    /// The session's token is being looked up.
    Resolving(Option<Id>, Given),
    /// Name and password are being verified; or a code, by what waits for it.
    Verifying(Option<Id>, QuestionId, Option<Secret>),
    /// The password was right, and a code is waited for. Until it comes the socket
    /// is as anonymous as before.
    Waiting(Secret),
    /// The socket is this client, until then.
    Done(ClientId, Time),
}

/// Whether another token is being looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It is not.
    #[default]
    None,
    /// This one is, for this request.
    Looking(Option<Id>, TokenHash),
}

/// With what a token was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The upgrade: a wrong one ends the socket.
    Upgrade,
    /// A line: a wrong one is refused, and the socket stays. With the mark that its device is
    /// handed, if it is.
    Line(Option<Box<Secret>>),
}

impl Given {
    /// The mark that the device is handed.
    pub(crate) fn mark(&self) -> Option<&str> {
        match self {
            Self::Upgrade => None,
            Self::Line(mark) => mark.as_deref().map(Secret::expose),
        }
    }
}

impl Entry {
    /// A client knocks.
    pub(crate) const fn new(room: RoomName, sequence: Sequence, until: Time) -> Self {
        Self {
            room,
            origin: Origin::Asked,
            tallied: Tallied::No,
            leads_to: LeadsTo::Any,
            sequence,
            until,
            reply_to: None,
            makes: None,
            returns: None,
            heard: None,
        }
    }

    /// Whether a room that verifies steps as this now may be entered.
    pub(crate) fn admits_to(&self, room: Option<RoomId>) -> bool {
        match self.leads_to {
            LeadsTo::Any => true,
            LeadsTo::Only(only) => room == Some(only),
        }
    }
}

/// A `porthouse.v1` socket, or a command socket beside a raw one.
#[derive(Debug)]
pub(crate) struct Lobby {
    /// As whom it comes.
    pub who: Who,
    /// How that became known.
    pub sign_in: SignIn,
    /// Whether the session is being renewed.
    pub renewal: Renewal,
    /// What is told before it ends.
    pub ends: Ends,
    /// Its seats.
    pub stays: Vec<Stay>,
    /// What its tokens say of the rooms it may come back to.
    pub claims: Vec<(RoomIndex, Box<Claims>)>,
    /// The doors it knocks at.
    pub entries: Vec<Entry>,
    /// The raw socket whose commands it carries, or the secret for one: then it
    /// enters no room itself.
    pub sibling: Option<Box<Sibling>>,
    /// When it must have signed in or entered a room, if it has not.
    pub idle_until: Time,
}

impl Lobby {
    pub(crate) fn stay(&self, room: RoomIndex) -> Option<Stay> {
        self.stays.iter().find(|stay| stay.room == room).copied()
    }

    pub(super) fn reseat(&mut self, room: RoomIndex, seat: u32) {
        let stay = self.stays.iter_mut().find(|stay| stay.room == room);
        stay.expect("who has a seat knows it").seat = seat;
    }

    /// It has no seat in a room any more.
    pub(crate) fn forget_stay(&mut self, room: RoomIndex) {
        self.stays.retain(|stay| stay.room != room);
        self.claims.retain(|(of, _)| *of != room);
    }

    /// Takes an entry out, to be put back unless it is over.
    pub(crate) fn take_entry(&mut self, room: &RoomName) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.room == *room)?;
        Some(self.entries.remove(at))
    }

    /// Whether it has neither session nor room, nor is about to.
    pub(crate) fn is_idle(&self) -> bool {
        let is_lobby = self.sibling.is_none();
        let is_empty = self.stays.is_empty() && self.entries.is_empty();
        let nobody = matches!(self.sign_in, SignIn::None | SignIn::Waiting(_));
        is_lobby && is_empty && nobody
    }

    /// Whether a name and a password, or a code, are being verified: until then nobody knows
    /// as whom the socket comes.
    pub(crate) const fn is_signing_in(&self) -> bool {
        matches!(self.sign_in, SignIn::Verifying(..))
    }

    /// Whether a session's token is being looked up.
    pub(crate) const fn is_resolving(&self) -> bool {
        matches!(self.sign_in, SignIn::Resolving(..))
    }

    /// Whether no raw socket has shown the secret in time.
    pub(crate) fn is_unbound(&self, now: Time) -> bool {
        self.bound_until() <= now
    }

    fn bound_until(&self) -> Time {
        match self.sibling.as_deref() {
            Some(Sibling::Offered(offered)) => offered.until,
            Some(Sibling::Bound { .. }) | None => Time::END,
        }
    }

    /// Whether the session's time is over.
    pub(crate) fn session_ended(&self, now: Time) -> bool {
        match &self.sign_in {
            SignIn::Done(_, until) => *until <= now,
            SignIn::None | SignIn::Resolving(..) | SignIn::Verifying(..) | SignIn::Waiting(_) => {
                false
            }
        }
    }

    /// Whether what ends then ends before the session does.
    pub(crate) fn session_lasts_longer_than(&self, end: Time) -> bool {
        match &self.sign_in {
            SignIn::Done(_, until) => *until > end,
            SignIn::None | SignIn::Resolving(..) | SignIn::Verifying(..) | SignIn::Waiting(_) => {
                true
            }
        }
    }

    /// The rooms in which the right to stay may have ended.
    pub(crate) fn stays_over(&self, now: Time) -> Vec<RoomIndex> {
        self.stays
            .iter()
            .filter(|stay| stay.until <= now)
            .map(|stay| stay.room)
            .collect()
    }

    /// The rooms at whose doors too much time has passed.
    pub(crate) fn entries_over(&self, now: Time) -> Vec<RoomName> {
        let over = self.entries.iter().filter(|entry| entry.until <= now);
        over.map(|entry| entry.room.clone()).collect()
    }

    pub(super) fn deadline(&self) -> Time {
        let end = Time::END;
        let stays = self.stays.iter().map(|stay| stay.until);
        let entries = self.entries.iter().map(|entry| entry.until);
        let session = match &self.sign_in {
            SignIn::Done(_, until) => *until,
            SignIn::None | SignIn::Resolving(..) | SignIn::Verifying(..) | SignIn::Waiting(_) => {
                end
            }
        };
        let idle = if self.is_idle() { self.idle_until } else { end };
        let first = session.min(idle).min(self.ends.next());
        let first = first.min(self.bound_until());
        stays.chain(entries).fold(first, Time::min)
    }
}
