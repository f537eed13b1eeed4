//! What is known of a room's door, for one who stands before it or sits behind
//! it: the one place where session, room, membership and freshness meet. What
//! they come to is decided by `porthouse_rules`, here as where it is explained.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    Acts, Audience, PolicyKey, Refused, Role, Room, RoomName, Session, Time, TokenHash, UnixTime,
    UserId,
};
use porthouse_rules::{
    Approach, Comer, Facts, Known, Missing, RoomDoor, Standing, TransientDoor, Visitor,
};

use super::Puddle;
use crate::input::SocketId;
use crate::policy::{Found, Named, Policy, RoomPolicy, TemplatePolicy};
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
                    device: device_acts(session.as_deref()),
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
                governed,
                standing,
                session,
                ..
            } => Some(Rights {
                acts: governed
                    .rules()
                    .acts_of(*standing, device_acts(session.as_deref())),
                hearing: governed.rules().hearing(*standing),
            }),
        }
    }

    /// As which user they come, if as one.
    pub(super) fn user(&self) -> Option<UserId> {
        match self {
            Self::Unknown(_) | Self::Shut(_) => None,
            Self::Open { session, .. } => session.as_ref().map(|session| session.user),
        }
    }

    /// When the right to come in by it ends by itself; never, where it is shut.
    pub(super) const fn until(&self) -> Time {
        match self {
            Self::Unknown(_) | Self::Shut(_) => Time::END,
            Self::Open { until, .. } => *until,
        }
    }
}

/// How long ago a session showed its second factor.
fn factor_age(session: Option<&Session>, wall: Option<UnixTime>) -> Option<Duration> {
    Some(wall?.since(session?.second_factor?))
}

/// The most that is done by a session that is a device's.
fn device_acts(session: Option<&Session>) -> Option<Acts> {
    session.and_then(Session::device_acts)
}

/// What is supposed of a door and of who comes to it, instead of what is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Supposed {
    /// This stands under the room's name.
    pub(super) named: Option<Named>,
    /// This holds of somebody, of a room of its own.
    pub(super) of: Option<SupposedOf>,
}

/// What is supposed of somebody.
#[derive(Clone, Debug)]
pub(super) enum SupposedOf {
    /// A user is a member, as this; none: it is no member.
    Member(UserId, Option<Role>),
    /// A user is kept out.
    Blocked(UserId),
    /// A device's token opens this.
    Device(Arc<Session>),
}

impl SupposedOf {
    fn device(&self, session: &Session) -> Option<&Arc<Session>> {
        match self {
            Self::Device(supposed) if supposed.id == session.id => Some(supposed),
            Self::Device(_) | Self::Member(..) | Self::Blocked(_) => None,
        }
    }

    fn membership(&self, of: UserId) -> Option<Known<Role>> {
        match self {
            Self::Member(user, role) if *user == of => Some(match role {
                Some(role) => Known::Present(*role),
                None => Known::Absent,
            }),
            Self::Member(..) | Self::Blocked(_) | Self::Device(_) => None,
        }
    }

    fn blocks(&self, of: UserId) -> bool {
        match self {
            Self::Blocked(user) => *user == of,
            Self::Member(..) | Self::Device(_) => false,
        }
    }
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
        self.see_as(id, room, inside, &Supposed::default())
    }

    /// The same, as if this were so.
    pub(super) fn see_as(
        &mut self,
        id: SocketId,
        room: &RoomName,
        inside: bool,
        supposed: &Supposed,
    ) -> Seen {
        let Some(socket) = self.sockets.get(id) else {
            return Seen::Shut(Refused::RoomClosed);
        };
        let address = socket.address;
        let (session, token, until) = match socket.who().clone() {
            Who::Anonymous => (None, None, Time::END),
            Who::Session(holder) => match self.see_session(&holder.token) {
                SessionSeen::Unknown => return Seen::Unknown(PolicyKey::Session(holder.token)),
                SessionSeen::Shut(refused) => return Seen::Shut(refused),
                SessionSeen::Live(session, until) => {
                    let of = supposed.of.as_ref();
                    let session = of.and_then(|of| of.device(&session)).unwrap_or(&session);
                    if !session.leads_to(room) {
                        return Seen::Shut(Refused::DeviceRefused);
                    }
                    (Some(Arc::clone(session)), Some(holder.token), until)
                }
            },
        };
        let comes = Comes {
            session,
            token,
            until,
            address,
            inside,
            is_kept_out: !inside && self.is_kept_out(id, room),
        };
        let named = supposed.named.clone();
        let named = named.or_else(|| self.policy.room(self.now, room));
        match named {
            None => Seen::Unknown(PolicyKey::Room(room.clone())),
            Some(Named::Templated(_) | Named::Absent) if room.freeport_of().is_some() => {
                Seen::Shut(Refused::NoSuchEndpoint)
            }
            Some(Named::Room(policy)) => self.see_persistent(policy, comes, supposed.of.as_ref()),
            Some(Named::Templated(policy)) => self.see_templated(policy, comes),
            Some(Named::Absent) => self.see_transient(id, room, comes),
        }
    }

    fn see_persistent(
        &mut self,
        policy: Arc<RoomPolicy>,
        mut comes: Comes,
        supposed: Option<&SupposedOf>,
    ) -> Seen {
        let who = self.comer(&comes);
        let mut facts = RoomFacts {
            policy: &mut self.policy,
            now: self.now,
            room: &policy.room,
            address: comes.address,
            device: comes.session.as_deref().zip(comes.token),
            until: comes.until,
            supposed,
        };
        let begins = matches!(supposed, Some(SupposedOf::Blocked(_)));
        let door = RoomDoor {
            rules: &policy.rules,
            owner: policy.room.owner,
            blocks_users: policy.room.blocks.users || begins,
        };
        let approach = who.approach_room(&door, &mut facts);
        comes.until = facts.until;
        let room = policy.room.id;
        match approach {
            Approach::Unknown(Missing::Block(user)) => Seen::Unknown(PolicyKey::Block(room, user)),
            Approach::Unknown(Missing::Membership(user)) => {
                Seen::Unknown(PolicyKey::Member(room, user))
            }
            Approach::Shut(refused) => Seen::Shut(refused),
            Approach::Open(standing) => {
                self.open_door(Governed::Persistent(policy), standing, comes)
            }
        }
    }

    /// What of somebody counts before the rules do.
    fn comer(&self, comes: &Comes) -> Comer {
        Comer {
            user: comes.session.as_ref().map(|session| session.user),
            is_inside: comes.inside,
            is_kept_out: comes.is_kept_out,
            word_age: self.policy.age(self.now),
            has_store: match self.settings.history_store {
                HistoryStore::Nowhere => false,
                HistoryStore::Bridged => true,
            },
        }
    }

    /// Open, for as long as the room is.
    fn open_door(&self, governed: Governed, standing: Standing, comes: Comes) -> Seen {
        let wall = self.wall_now();
        let closes = governed.rules().open_until(wall);
        let closes = closes.map_or(Time::END, |closes| self.moment(closes));
        Seen::Open {
            governed,
            standing,
            session: comes.session,
            until: comes.until.min(closes),
            wall,
        }
    }

    /// Whose rules these are has said who may come by whatever name: the node's
    /// own rule about that is for names that nothing covers.
    fn see_templated(&self, policy: Arc<TemplatePolicy>, comes: Comes) -> Seen {
        let approach = self.comer(&comes).approach_template(&policy.rules);
        self.seen(approach, Governed::Templated(policy), comes)
    }

    fn seen(&self, approach: Approach, governed: Governed, comes: Comes) -> Seen {
        match approach {
            Approach::Unknown(_) => unreachable!("only a room of its own has members and blocks"),
            Approach::Shut(refused) => Seen::Shut(refused),
            Approach::Open(standing) => self.open_door(governed, standing, comes),
        }
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
        let makes = match self.settings.transient_makers {
            TransientMakers::Anyone => true,
            TransientMakers::Users => comes.session.is_some(),
            TransientMakers::Nobody => false,
        };
        debug_assert!(
            self.transient_rules.source().connection.audience != Audience::Members,
            "a transient room has no members"
        );
        let owner = governed.owned().map(|owned| owned.owner);
        let door = TransientDoor {
            rules: governed.rules(),
            is_there: makes || self.rooms.is_live(room),
            is_owned: owner == Some(self.client_of(id, comes.session.as_deref())),
        };
        let approach = self.comer(&comes).approach_transient(&door);
        self.seen(approach, governed, comes)
    }
}

/// What a room of its own asks of who comes, as far as it is known here.
struct RoomFacts<'a> {
    policy: &'a mut Policy,
    now: Time,
    room: &'a Room,
    address: IpAddr,
    /// What they come by, and the token that they showed for it.
    device: Option<(&'a Session, TokenHash)>,
    /// When the right to it ends by itself, as far as was asked.
    until: Time,
    /// Counts instead of what is known.
    supposed: Option<&'a SupposedOf>,
}

impl Facts for RoomFacts<'_> {
    fn is_device_blocked(&mut self) -> bool {
        let kept_out = self.device.and_then(|(session, token)| {
            let block = session.device_block(&self.room.name)?;
            Some(self.policy.device_block_lasts(self.now, token, block))
        });
        kept_out.unwrap_or(false)
    }

    fn is_address_blocked(&mut self) -> bool {
        let addresses = self.room.blocks.addresses.iter();
        let mut here = addresses.filter(|block| block.range.contains(self.address));
        here.any(|block| self.policy.block_lasts(self.now, &self.room.name, block))
    }

    fn block(&mut self, user: UserId) -> Known<()> {
        if self.supposed.is_some_and(|supposed| supposed.blocks(user)) {
            return Known::Present(());
        }
        match self.policy.block(self.now, self.room.id, user) {
            None => Known::Unknown,
            Some(Found::Present(block)) if block.lasts(self.now) => Known::Present(()),
            Some(Found::Present(_) | Found::Absent) => Known::Absent,
        }
    }

    fn membership(&mut self, user: UserId) -> Known<Role> {
        if let Some(known) = self.supposed.and_then(|supposed| supposed.membership(user)) {
            return known;
        }
        match self.policy.member(self.now, self.room.id, user) {
            None => Known::Unknown,
            Some(Found::Present(member)) if member.lasts(self.now) => {
                self.until = member.until.min(self.until);
                Known::Present(member.what.role)
            }
            Some(Found::Present(_) | Found::Absent) => Known::Absent,
        }
    }
}

/// Who stands at a door, or sits behind it.
struct Comes {
    /// By which session.
    session: Option<Arc<Session>>,
    /// By what it is known.
    token: Option<TokenHash>,
    /// When it ends.
    until: Time,
    /// From where.
    address: IpAddr,
    /// Whether they are in already.
    inside: bool,
    /// Whether they were put out a short while ago.
    is_kept_out: bool,
}
