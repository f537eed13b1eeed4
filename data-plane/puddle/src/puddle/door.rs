//! What is known of a room's door, for one who stands before it or sits behind
//! it: the one place where session, room, membership and freshness meet.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    Audience, Member, PolicyKey, Refused, RoomName, Session, Time, TokenHash, UnixTime,
};
use porthouse_rules::{Standing, Visitor};

use super::Puddle;
use crate::policy::{Found, RoomPolicy};
use crate::room::{Governed, Rights};
use crate::sequence::Door;
use crate::settings::TransientMakers;
use crate::socket::Who;

/// A door, seen now.
#[derive(Debug)]
pub(super) enum Seen {
    /// This must be asked first.
    Unknown(PolicyKey),
    /// It does not open.
    Shut(Refused),
    /// It opens to those who satisfy the room's rules.
    Open {
        /// The room's rules.
        governed: Governed,
        /// As what this one comes.
        standing: Standing,
        /// Who that is, when signed in.
        session: Option<Arc<Session>>,
        /// When the right to it ends by itself.
        until: Time,
        /// The wall clock, when it was looked at.
        wall: Option<UnixTime>,
    },
}

impl Seen {
    /// What the sequence needs of it, for one who comes from this page.
    pub(super) fn door<'a>(&'a self, page: Option<&'a str>) -> Door<'a> {
        match self {
            Self::Unknown(_) => Door::Unknown,
            Self::Shut(refused) => Door::Shut(*refused),
            Self::Open {
                governed,
                standing,
                session,
                wall,
                until: _,
            } => Door::Open {
                rules: governed.rules(),
                visitor: Visitor {
                    standing: *standing,
                    user: session.as_ref().map(|session| session.user),
                    origin: page,
                    wall: *wall,
                },
                factor_age: factor_age(session.as_deref(), *wall),
            },
        }
    }

    /// What somebody may do behind it.
    pub(super) fn rights(&self) -> Option<Rights> {
        match self {
            Self::Unknown(_) | Self::Shut(_) => None,
            Self::Open {
                governed, standing, ..
            } => Some(Rights {
                acts: governed.rules().acts(*standing),
                hearing: governed.rules().hearing(*standing),
            }),
        }
    }

    /// When the right to come in by it ends by itself; never, where it is shut.
    pub(super) const fn until(&self) -> Time {
        match self {
            Self::Unknown(_) | Self::Shut(_) => Puddle::never(),
            Self::Open { until, .. } => *until,
        }
    }
}

/// How long ago a session showed its second factor.
fn factor_age(session: Option<&Session>, wall: Option<UnixTime>) -> Option<Duration> {
    Some(wall?.since(session?.second_factor?))
}

/// How a session stands.
pub(super) enum SessionSeen {
    Unknown,
    Shut(Refused),
    Live(Arc<Session>, Time),
}

impl Puddle {
    pub(super) fn see_session(&mut self, token: &TokenHash) -> SessionSeen {
        match self.policy.session(self.now, token) {
            None => SessionSeen::Unknown,
            Some(Found::Absent) => SessionSeen::Shut(Refused::CredentialUnknown),
            Some(Found::Present(session)) => {
                let until = self.moment(session.expires);
                if until <= self.now {
                    SessionSeen::Shut(Refused::SessionExpired)
                } else {
                    SessionSeen::Live(session, until)
                }
            }
        }
    }

    /// Looks at a room's door for somebody, inside already or not.
    pub(super) fn see(&mut self, who: &Who, room: &RoomName, inside: bool) -> Seen {
        let (session, until) = match who {
            Who::Anonymous => (None, Self::never()),
            Who::Session(holder) => match self.see_session(&holder.token) {
                SessionSeen::Unknown => return Seen::Unknown(PolicyKey::Session(holder.token)),
                SessionSeen::Shut(refused) => return Seen::Shut(refused),
                SessionSeen::Live(session, until) => (Some(session), until),
            },
        };
        match self.policy.room(self.now, room) {
            None => Seen::Unknown(PolicyKey::Room(room.clone())),
            Some(Found::Absent) if room.freeport_of().is_some() => {
                Seen::Shut(Refused::NoSuchEndpoint)
            }
            Some(Found::Absent) => self.see_transient(room, session, until, inside),
            Some(Found::Present(policy)) => self.see_persistent(policy, session, until, inside),
        }
    }

    fn see_persistent(
        &mut self,
        policy: Arc<RoomPolicy>,
        session: Option<Arc<Session>>,
        mut until: Time,
        inside: bool,
    ) -> Seen {
        if !inside && self.policy.age(self.now) > policy.rules.source().staleness.admit_max {
            return Seen::Shut(Refused::Stale);
        }
        let standing = match &session {
            None => Standing::Anonymous,
            Some(session) if policy.room.owner == Some(session.user) => Standing::Owner,
            Some(session) if policy.rules.membership_matters() => {
                let (room, user) = (policy.room.id, session.user);
                match self.policy.member(self.now, room, user) {
                    None => return Seen::Unknown(PolicyKey::Member(room, user)),
                    Some(Found::Absent) => Standing::User,
                    Some(Found::Present(member)) => self.membership(member, &mut until),
                }
            }
            Some(_) => Standing::User,
        };
        self.open_door(Governed::Persistent(policy), standing, session, until)
    }

    /// Open, for as long as the room is.
    fn open_door(
        &self,
        governed: Governed,
        standing: Standing,
        session: Option<Arc<Session>>,
        until: Time,
    ) -> Seen {
        let wall = self.wall_now();
        let closes = governed.rules().open_until(wall);
        let closes = closes.map_or_else(Self::never, |closes| self.moment(closes));
        Seen::Open {
            governed,
            standing,
            session,
            until: until.min(closes),
            wall,
        }
    }

    /// A membership counts until it expires, and no longer.
    fn membership(&self, member: Member, until: &mut Time) -> Standing {
        let expires = member
            .expires
            .map_or_else(Self::never, |expires| self.moment(expires));
        if expires <= self.now {
            return Standing::User;
        }
        *until = expires.min(*until);
        Standing::Member(member.role)
    }

    fn see_transient(
        &mut self,
        room: &RoomName,
        session: Option<Arc<Session>>,
        until: Time,
        inside: bool,
    ) -> Seen {
        let staleness = self.transient_rules.source().staleness;
        if !inside && self.policy.age(self.now) > staleness.admit_max {
            return Seen::Shut(Refused::Stale);
        }
        let makes = match self.settings.transient_makers {
            TransientMakers::Anyone => true,
            TransientMakers::Users => session.is_some(),
            TransientMakers::Nobody => false,
        };
        if !makes && !self.rooms.is_live(room) {
            return Seen::Shut(Refused::NoSuchRoom);
        }
        debug_assert!(
            self.transient_rules.source().connection.audience != Audience::Members,
            "a transient room has no members"
        );
        let standing = if session.is_some() {
            Standing::User
        } else {
            Standing::Anonymous
        };
        let governed = Governed::Transient(Arc::clone(&self.transient_rules));
        self.open_door(governed, standing, session, until)
    }
}
