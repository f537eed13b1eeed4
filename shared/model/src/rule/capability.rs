//! Who may do what inside a room: a matrix of audience by act.

use std::collections::BTreeMap;

use super::role::Role;

/// Something that can be done in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Learn that the room is there: who may not is told that there is none.
    See,
    /// Enter.
    Join,
    /// Say something.
    Send,
    /// Read what was said before.
    ReadHistory,
    /// See who is there.
    SeePresence,
    /// Let in those who wait for approval.
    Invite,
    /// Put somebody out.
    Kick,
    /// Change the rules, of a transient room.
    ChangeRules,
}

impl Act {
    /// Every act.
    pub const ALL: [Self; 8] = [
        Self::See,
        Self::Join,
        Self::Send,
        Self::ReadHistory,
        Self::SeePresence,
        Self::Invite,
        Self::Kick,
        Self::ChangeRules,
    ];
}

/// Some acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Acts(u8);

impl Acts {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(u8::MAX);
    /// See, join, send, read history and see presence.
    pub const TALK: Self = Self::NONE
        .with(Act::See)
        .with(Act::Join)
        .with(Act::Send)
        .with(Act::ReadHistory)
        .with(Act::SeePresence);
    /// As [`Self::TALK`], without sending.
    pub const LISTEN: Self = Self::TALK.without(Act::Send);
    /// As [`Self::TALK`], and inviting and kicking.
    pub const MODERATE: Self = Self::TALK.with(Act::Invite).with(Act::Kick);

    /// These and one more.
    #[must_use]
    pub const fn with(self, act: Act) -> Self {
        Self(self.0 | 1 << act as u8)
    }

    /// These but one.
    #[must_use]
    pub const fn without(self, act: Act) -> Self {
        Self(self.0 & !(1 << act as u8))
    }

    /// Those among these that are among others too.
    #[must_use]
    pub const fn within(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Whether an act is among them.
    #[must_use]
    pub const fn has(self, act: Act) -> bool {
        self.0 & 1 << act as u8 != 0
    }
}

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Who is not signed in.
    pub anonymous: Acts,
    /// Signed-in users who are no members.
    pub user: Acts,
    /// Members whose role is not in `roles`.
    pub member: Acts,
    /// Members by role; [`Role::MODERATOR`] among them.
    pub roles: BTreeMap<Role, Acts>,
    /// The owner.
    pub owner: Acts,
    /// Clients that come by a device token; the token may allow less.
    pub device: Acts,
}

impl Capabilities {
    /// Everybody talks, moderators keep order: the preset `open`.
    #[must_use]
    pub fn open() -> Self {
        Self {
            anonymous: Acts::TALK,
            user: Acts::TALK,
            ..Self::members()
        }
    }

    /// Members talk, nobody else is let in: the preset `members`.
    #[must_use]
    pub fn members() -> Self {
        Self {
            anonymous: Acts::NONE.with(Act::See),
            user: Acts::NONE.with(Act::See),
            member: Acts::TALK,
            roles: BTreeMap::from([(Role::MODERATOR, Acts::MODERATE)]),
            owner: Acts::ALL,
            device: Acts::TALK,
        }
    }

    /// Everybody listens, moderators and the owner talk: the preset
    /// `announce_only`.
    #[must_use]
    pub fn announce_only() -> Self {
        Self {
            anonymous: Acts::LISTEN,
            user: Acts::LISTEN,
            member: Acts::LISTEN,
            device: Acts::LISTEN,
            ..Self::members()
        }
    }

    /// Visitors talk but see neither each other nor what was said before;
    /// members see all: the preset `support_desk`.
    #[must_use]
    pub fn support_desk() -> Self {
        let visitor = Acts::TALK
            .without(Act::ReadHistory)
            .without(Act::SeePresence);
        Self {
            anonymous: visitor,
            user: visitor,
            ..Self::members()
        }
    }

    /// What a member of this role may do.
    #[must_use]
    pub fn of_role(&self, role: Role) -> Acts {
        self.roles.get(&role).copied().unwrap_or(self.member)
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_told_apart() {
        for act in Act::ALL {
            assert!(Acts::ALL.has(act) && !Acts::NONE.has(act));
            assert!(Acts::NONE.with(act).has(act));
            assert_eq!(Acts::ALL.without(act).with(act), Acts::ALL);
        }
    }

    #[test]
    fn a_role_without_a_line_is_a_member() {
        let announce = Capabilities::announce_only();
        let unknown = "guest".parse().expect("a role");
        assert_eq!(announce.of_role(unknown), Acts::LISTEN);
        assert!(announce.of_role(Role::MODERATOR).has(Act::Send));
    }
}
