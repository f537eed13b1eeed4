//! What is known of a room's door, for one who stands before it or sits behind
//! it: the one place where session, room, membership and freshness meet.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    Audience, PolicyKey, Refused, Room, RoomName, Session, Time, TokenHash, UnixTime, UserId,
};
use porthouse_rules::{Rules, Standing, Visitor};

use super::Puddle;
use crate::input::SocketId;
use crate::policy::{Found, Named, RoomPolicy, TemplatePolicy};
use crate::room::{Governed, Rights, Transient};
use crate::sequence::Door;
use crate::settings::{HistoryStore, TransientMakers};
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
            Some(Found::Present(session)) if session.lasts(self.now) => {
                SessionSeen::Live(session.what, session.until)
            }
            Some(Found::Present(_)) => SessionSeen::Shut(Refused::SessionExpired),
        }
    }

    /// Looks at a room's door for a socket, inside already or not.
    pub(super) fn see(&mut self, id: SocketId, room: &RoomName, inside: bool) -> Seen {
        let Some(socket) = self.sockets.get(id) else {
            return Seen::Shut(Refused::RoomClosed);
        };
        let address = socket.address;
        let (session, until) = match socket.who().clone() {
            Who::Anonymous => (None, Self::never()),
            Who::Session(holder) => match self.see_session(&holder.token) {
                SessionSeen::Unknown => return Seen::Unknown(PolicyKey::Session(holder.token)),
                SessionSeen::Shut(refused) => return Seen::Shut(refused),
                SessionSeen::Live(session, until) => (Some(session), until),
            },
        };
        let comes = Comes {
            session,
            until,
            address,
            inside,
            is_kept_out: !inside && self.is_kept_out(id, room),
        };
        match self.policy.room(self.now, room) {
            None => Seen::Unknown(PolicyKey::Room(room.clone())),
            Some(Named::Templated(_) | Named::Absent) if room.freeport_of().is_some() => {
                Seen::Shut(Refused::NoSuchEndpoint)
            }
            Some(Named::Room(policy)) => self.see_persistent(policy, comes),
            Some(Named::Templated(_) | Named::Absent) if comes.is_kept_out => {
                Seen::Shut(Refused::Blocked)
            }
            Some(Named::Templated(policy)) => self.see_templated(policy, comes),
            Some(Named::Absent) => self.see_transient(id, room, comes),
        }
    }

    fn see_persistent(&mut self, policy: Arc<RoomPolicy>, mut comes: Comes) -> Seen {
        let owns = comes.user().is_some() && comes.user() == policy.room.owner;
        if !owns {
            if comes.is_kept_out {
                return Seen::Shut(Refused::Blocked);
            }
            if let Some(seen) = self.see_blocks(&policy.room, &comes) {
                return seen;
            }
        }
        if self.is_stale_for(&comes, &policy.rules) {
            return Seen::Shut(Refused::Stale);
        }
        let standing = match comes.user() {
            None => Standing::Anonymous,
            Some(_) if owns => Standing::Owner,
            Some(user) if policy.rules.membership_matters() => {
                let room = policy.room.id;
                match self.policy.member(self.now, room, user) {
                    None => return Seen::Unknown(PolicyKey::Member(room, user)),
                    Some(Found::Present(member)) if member.lasts(self.now) => {
                        comes.until = member.until.min(comes.until);
                        Standing::Member(member.what.role)
                    }
                    Some(Found::Present(_) | Found::Absent) => Standing::User,
                }
            }
            Some(_) => Standing::User,
        };
        self.open_door(Governed::Persistent(policy), standing, comes)
    }

    /// Open, for as long as the room is.
    fn open_door(&self, governed: Governed, standing: Standing, comes: Comes) -> Seen {
        if governed.rules().source().history.durable
            && let Err(refused) = self.stores(&governed)
        {
            return Seen::Shut(refused);
        }
        let wall = self.wall_now();
        let closes = governed.rules().open_until(wall);
        let closes = closes.map_or_else(Self::never, |closes| self.moment(closes));
        Seen::Open {
            governed,
            standing,
            session: comes.session,
            until: comes.until.min(closes),
            wall,
        }
    }

    /// A room whose history must survive the node is open where there is a store
    /// for it, and only where it outlives its sockets.
    fn stores(&self, governed: &Governed) -> Result<(), Refused> {
        match (governed, self.settings.history_store) {
            (Governed::Transient(_), _) => Err(Refused::Shut),
            (_, HistoryStore::Nowhere) => Err(Refused::NoStore),
            (_, HistoryStore::Bridged) => Ok(()),
        }
    }

    /// Whether a room keeps somebody out; `None`: it does not.
    fn see_blocks(&mut self, room: &Room, comes: &Comes) -> Option<Seen> {
        let addresses = room.blocks.addresses.iter();
        let mut here = addresses.filter(|block| block.range.contains(comes.address));
        if here.any(|block| self.policy.block_lasts(self.now, &room.name, block)) {
            return Some(Seen::Shut(Refused::Blocked));
        }
        let user = comes.user().filter(|_| room.blocks.users)?;
        match self.policy.block(self.now, room.id, user) {
            None => Some(Seen::Unknown(PolicyKey::Block(room.id, user))),
            Some(Found::Present(block)) if block.lasts(self.now) => {
                Some(Seen::Shut(Refused::Blocked))
            }
            Some(Found::Present(_) | Found::Absent) => None,
        }
    }

    /// Whose rules these are has said who may come by whatever name: the node's
    /// own rule about that is for names that nothing covers.
    fn see_templated(&self, policy: Arc<TemplatePolicy>, comes: Comes) -> Seen {
        if self.is_stale_for(&comes, &policy.rules) {
            return Seen::Shut(Refused::Stale);
        }
        let standing = comes.guest();
        self.open_door(Governed::Templated(policy), standing, comes)
    }

    /// A transient room that nobody has made yet.
    pub(super) fn transient(&self) -> Transient {
        Transient {
            rules: Arc::clone(&self.transient_rules),
            life: self.settings.transient_life,
            owned: None,
        }
    }

    fn see_transient(&self, id: SocketId, room: &RoomName, comes: Comes) -> Seen {
        let governed = match self.rooms.find(room) {
            Some(index) => self.still_transient(index),
            None => Governed::Transient(self.transient()),
        };
        if self.is_stale_for(&comes, governed.rules()) {
            return Seen::Shut(Refused::Stale);
        }
        let makes = match self.settings.transient_makers {
            TransientMakers::Anyone => true,
            TransientMakers::Users => comes.session.is_some(),
            TransientMakers::Nobody => false,
        };
        if !makes && !self.rooms.is_live(room) {
            return Seen::Shut(Refused::NoSuchRoom);
        }
        debug_assert!(
            self.transient_rules.source().connection.audience != Audience::Members,
            "a transient room has no members"
        );
        let client = self.client_of(id, comes.session.as_deref());
        let owns = governed.owned().is_some_and(|owned| owned.owner == client);
        let standing = if owns { Standing::Owner } else { comes.guest() };
        self.open_door(governed, standing, comes)
    }

    /// Whether what is known is too old to let somebody in by these rules. Where
    /// nothing is delivered any more, nobody is let in either.
    fn is_stale_for(&self, comes: &Comes, rules: &Rules) -> bool {
        let staleness = rules.source().staleness;
        let delivers = staleness.deliver_max.unwrap_or(Duration::MAX);
        !comes.inside && self.policy.age(self.now) > staleness.admit_max.min(delivers)
    }
}

/// Who stands at a door, or sits behind it.
struct Comes {
    /// By which session.
    session: Option<Arc<Session>>,
    /// When it ends.
    until: Time,
    /// From where.
    address: IpAddr,
    /// Whether they are in already.
    inside: bool,
    /// Whether they were put out a short while ago.
    is_kept_out: bool,
}

impl Comes {
    fn user(&self) -> Option<UserId> {
        self.session.as_ref().map(|session| session.user)
    }

    /// As what somebody comes to a room without members.
    const fn guest(&self) -> Standing {
        if self.session.is_some() {
            Standing::User
        } else {
            Standing::Anonymous
        }
    }
}
