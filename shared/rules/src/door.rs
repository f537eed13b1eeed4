//! The door: who somebody is to a room, from what is known of both, and whether
//! they come as far as its rules. Nodes decide by it, and the control plane when
//! it explains what they decide. Looks nothing up: what it must know it asks of
//! [`Facts`], and only where it counts.

use core::time::Duration;

use porthouse_model::{Refused, Role, UserId};

use crate::compile::Rules;
use crate::enter::Standing;

/// Who stands at a door, or sits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comer {
    /// The user, if signed in.
    pub user: Option<UserId>,
    /// Whether they are in already.
    pub is_inside: bool,
    /// Whether they were put out a short while ago.
    pub is_kept_out: bool,
    /// How long ago the control plane was last heard.
    pub word_age: Duration,
    /// Whether there is a store for what must survive the node.
    pub has_store: bool,
}

/// A room of its own, as far as a door goes.
#[derive(Clone, Copy, Debug)]
pub struct RoomDoor<'a> {
    /// Its rules.
    pub rules: &'a Rules,
    /// The user who owns it.
    pub owner: Option<UserId>,
    /// Whether users are blocked there, so that each must be asked about.
    pub blocks_users: bool,
}

/// A transient room, as far as a door goes.
#[derive(Clone, Copy, Debug)]
pub struct TransientDoor<'a> {
    /// Its rules.
    pub rules: &'a Rules,
    /// Whether it is there, or may be made by who comes.
    pub is_there: bool,
    /// Whether who comes owns it.
    pub is_owned: bool,
}

/// Something that is there or not, where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// It must be asked first.
    Unknown,
    /// It is not there, or not any more.
    Absent,
    /// It is there.
    Present(T),
}

/// What else must be known of somebody who comes to a room of its own.
pub trait Facts {
    /// Whether the device they come by is kept out, be it the owner's.
    fn is_device_blocked(&mut self) -> bool;
    /// Whether the address they come from is kept out.
    fn is_address_blocked(&mut self) -> bool;
    /// Whether the user is kept out. Asked only where the room says that some are.
    fn block(&mut self, user: UserId) -> Known<()>;
    /// As what the user belongs to the room. Asked only where it counts.
    fn membership(&mut self, user: UserId) -> Known<Role>;
}

/// What must be asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Whether this user is kept out.
    Block(UserId),
    /// Whether this user is a member.
    Membership(UserId),
}

/// How far somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approach {
    /// This must be known first.
    Unknown(Missing),
    /// The door does not open.
    Shut(Refused),
    /// To the room's rules, as this.
    Open(Standing),
}

impl Comer {
    /// Comes to a room of its own. Its owner is above its blocks, but for those of a
    /// device: a lost one is kept out whose ever it is.
    pub fn approach_room(&self, room: &RoomDoor<'_>, facts: &mut impl Facts) -> Approach {
        if facts.is_device_blocked() {
            return Approach::Shut(Refused::Blocked);
        }
        let owns = self.user.is_some() && self.user == room.owner;
        if !owns {
            if self.is_kept_out || facts.is_address_blocked() {
                return Approach::Shut(Refused::Blocked);
            }
            if let Some(user) = self.user.filter(|_| room.blocks_users) {
                match facts.block(user) {
                    Known::Unknown => return Approach::Unknown(Missing::Block(user)),
                    Known::Present(()) => return Approach::Shut(Refused::Blocked),
                    Known::Absent => {}
                }
            }
        }
        if self.is_stale_for(room.rules) {
            return Approach::Shut(Refused::Stale);
        }
        let standing = match self.user {
            None => Standing::Anonymous,
            Some(_) if owns => Standing::Owner,
            Some(user) if room.rules.membership_matters() => match facts.membership(user) {
                Known::Unknown => return Approach::Unknown(Missing::Membership(user)),
                Known::Present(role) => Standing::Member(role),
                Known::Absent => Standing::User,
            },
            Some(_) => Standing::User,
        };
        self.open(room.rules, standing, Refused::NoStore)
    }

    /// Comes to a room that a template covers. Who wrote that has said who may
    /// come by whatever name.
    #[must_use]
    pub fn approach_template(&self, rules: &Rules) -> Approach {
        if self.is_kept_out {
            return Approach::Shut(Refused::Blocked);
        }
        if self.is_stale_for(rules) {
            return Approach::Shut(Refused::Stale);
        }
        self.open(rules, self.guest(), Refused::NoStore)
    }

    /// Comes to a transient room, which never outlives its sockets.
    #[must_use]
    pub fn approach_transient(&self, room: &TransientDoor<'_>) -> Approach {
        if self.is_kept_out {
            return Approach::Shut(Refused::Blocked);
        }
        if self.is_stale_for(room.rules) {
            return Approach::Shut(Refused::Stale);
        }
        if !room.is_there {
            return Approach::Shut(Refused::NoSuchRoom);
        }
        let standing = if room.is_owned {
            Standing::Owner
        } else {
            self.guest()
        };
        let without_store = Self {
            has_store: false,
            ..*self
        };
        without_store.open(room.rules, standing, Refused::Shut)
    }

    /// A room whose history must survive the node is open where there is a store
    /// for it.
    fn open(&self, rules: &Rules, standing: Standing, without_store: Refused) -> Approach {
        if rules.source().history.durable && !self.has_store {
            Approach::Shut(without_store)
        } else {
            Approach::Open(standing)
        }
    }

    /// Whether what is known is too old to let somebody in by these rules. Where
    /// nothing is delivered any more, nobody is let in either.
    fn is_stale_for(&self, rules: &Rules) -> bool {
        let staleness = rules.source().staleness;
        let delivers = staleness.deliver_max.unwrap_or(Duration::MAX);
        !self.is_inside && self.word_age > staleness.admit_max.min(delivers)
    }

    /// As what somebody comes to a room without members.
    const fn guest(&self) -> Standing {
        if self.user.is_some() {
            Standing::User
        } else {
            Standing::Anonymous
        }
    }
}
