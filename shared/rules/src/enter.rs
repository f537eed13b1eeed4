//! Entry: may this one enter, must they be asked something first, or not at all.

use core::time::Duration;
use std::collections::BTreeSet;

use porthouse_model::{
    Act, Acts, Audience, CodeVersion, EntryStep, HookVersion, PasswordVersion, Refused, Role,
    UnixTime, UserId,
};

use crate::compile::Rules;
use crate::say::Hearing;

/// As what somebody comes, as far as the rules care. A device comes as its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Not signed in.
    Anonymous,
    /// Signed in, neither member nor owner.
    User,
    /// A member of the room, in this role.
    Member(Role),
    /// The room's owner.
    Owner,
}

/// Who stands at the door, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor<'a> {
    /// As what they come.
    pub standing: Standing,
    /// The most that a device may do, where one comes for its owner.
    pub device: Option<Acts>,
    /// The user, if signed in; of a device its owner.
    pub user: Option<UserId>,
    /// The page's origin, where a browser gave one.
    pub origin: Option<&'a str>,
    /// The wall clock; `None` while it is not known.
    pub wall: Option<UnixTime>,
}

impl Visitor<'_> {
    /// Somebody of this standing of whom nothing else is known.
    #[must_use]
    pub const fn of(standing: Standing) -> Self {
        Self {
            standing,
            device: None,
            user: None,
            origin: None,
            wall: None,
        }
    }
}

/// The steps somebody has passed, each by what was passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Passed {
    /// The room's password.
    pub password: Option<PasswordVersion>,
    /// The client's second factor: how old it was when it was shown here.
    pub second_factor: Option<Duration>,
    /// The room's code.
    pub room_code: Option<CodeVersion>,
    /// Somebody inside let them in.
    pub approval: bool,
    /// The owner's backend let them in.
    pub hook: Option<HookVersion>,
}

/// What the door says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Come in.
    Admit,
    /// This step is asked for next.
    Ask(EntryStep),
    /// No.
    Refuse(Refused),
}

impl Rules {
    /// May this visitor, who has passed these steps, be inside? Asked before
    /// admission and again after every change.
    #[must_use]
    pub fn enter(&self, visitor: &Visitor<'_>, passed: &Passed) -> Entry {
        if let Err(refused) = self.lets_in(visitor) {
            return Entry::Refuse(refused);
        }
        // Who may let others in is let in by themselves.
        let invites = self
            .acts_of(visitor.standing, visitor.device)
            .has(Act::Invite);
        let is_open = |step: EntryStep| match step {
            EntryStep::Approval => passed.approval || invites,
            EntryStep::Password(_)
            | EntryStep::SecondFactor { .. }
            | EntryStep::RoomCode(_)
            | EntryStep::Hook(_) => passed.has(step),
        };
        let steps = self.source().entry.steps.iter();
        match steps.copied().find(|step| !is_open(*step)) {
            None => Entry::Admit,
            Some(step) => Entry::Ask(step),
        }
    }

    /// All that is known of a visitor without asking them anything. First whether
    /// they may know of the room: nothing else is told to who may not.
    fn lets_in(&self, visitor: &Visitor<'_>) -> Result<(), Refused> {
        self.may(visitor, Act::See)?;
        self.audience(visitor.standing)?;
        self.lists(visitor)?;
        self.origin(visitor.origin)?;
        if self.hours.is_some() && self.open_until(visitor.wall).is_none() {
            return Err(Refused::ClosedNow);
        }
        self.may(visitor, Act::Join)
    }

    /// When the room closes next by its opening hours; `None` where it has none,
    /// is closed now, or the time is not known.
    #[must_use]
    pub fn open_until(&self, wall: Option<UnixTime>) -> Option<UnixTime> {
        self.hours.as_ref()?.open_until(wall?)
    }

    /// The lists of roles and users, which the owner is above. Who might be on
    /// one, were it known who they are, is told to sign in.
    fn lists(&self, visitor: &Visitor<'_>) -> Result<(), Refused> {
        let lists = &self.source().connection;
        let role = match visitor.standing {
            Standing::Owner => return Ok(()),
            Standing::Member(role) => Some(role),
            Standing::Anonymous | Standing::User => None,
        };
        let is_on =
            |users: &BTreeSet<UserId>| visitor.user.is_some_and(|user| users.contains(&user));
        let named = |roles: &BTreeSet<Role>| role.is_some_and(|role| roles.contains(&role));
        let allowed = (lists.roles_allowed.is_empty() || named(&lists.roles_allowed))
            && (lists.users_allowed.is_empty() || is_on(&lists.users_allowed));
        match visitor.standing {
            Standing::Anonymous if !allowed => Err(Refused::UserRequired),
            _ if !allowed || named(&lists.roles_denied) || is_on(&lists.users_denied) => {
                Err(Refused::RoleRefused)
            }
            Standing::Anonymous | Standing::User | Standing::Member(_) | Standing::Owner => Ok(()),
        }
    }

    /// Only a browser says of which page a socket is, and there it cannot lie.
    fn origin(&self, origin: Option<&str>) -> Result<(), Refused> {
        let origins = &self.source().connection.origins;
        match origin {
            Some(origin) if !origins.is_empty() && !origins.contains(origin) => {
                Err(Refused::OriginRefused)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn audience(&self, standing: Standing) -> Result<(), Refused> {
        match (self.source().connection.audience, standing) {
            (Audience::Nobody, _) => Err(Refused::Shut),
            (Audience::Users | Audience::Members, Standing::Anonymous) => {
                Err(Refused::UserRequired)
            }
            (Audience::Members, Standing::User) => Err(Refused::MembersOnly),
            (Audience::Anyone, _)
            | (Audience::Users, Standing::User | Standing::Member(_) | Standing::Owner)
            | (Audience::Members, Standing::Member(_) | Standing::Owner) => Ok(()),
        }
    }

    /// What somebody of this standing may do.
    #[must_use]
    pub fn acts(&self, standing: Standing) -> Acts {
        let capabilities = &self.source().capabilities;
        match standing {
            Standing::Anonymous => capabilities.anonymous,
            Standing::User => capabilities.user,
            Standing::Member(role) => capabilities.of_role(role),
            Standing::Owner => capabilities.owner,
        }
    }

    /// What somebody may do, or a device for them that may do no more than this. Who
    /// may be inside is judged by a device's owner, what is done there by what the
    /// room lets devices do and by the token.
    #[must_use]
    pub fn acts_of(&self, standing: Standing, device: Option<Acts>) -> Acts {
        match device {
            None => self.acts(standing),
            Some(most) => self.source().capabilities.device.within(most),
        }
    }

    /// May this visitor do this, once inside?
    ///
    /// # Errors
    ///
    /// The rule that refuses it.
    pub fn may(&self, visitor: &Visitor<'_>, act: Act) -> Result<(), Refused> {
        let acts = self.acts_of(visitor.standing, visitor.device);
        let may = match act {
            Act::ReadHistory => reads(acts, self.hearing(visitor.standing)),
            // A room that the control plane knows is ruled by it alone.
            Act::ChangeRules => false,
            Act::See | Act::Join | Act::Send | Act::SeePresence | Act::Invite | Act::Kick => {
                acts.has(act)
            }
        };
        if may { Ok(()) } else { Err(refusal_of(act)) }
    }

    /// Whether deciding about a signed-in user needs their membership.
    #[must_use]
    pub fn membership_matters(&self) -> bool {
        let rules = self.source();
        let capabilities = &rules.capabilities;
        let plain = capabilities.member == capabilities.user
            && capabilities
                .roles
                .values()
                .all(|acts| *acts == capabilities.user);
        let nameless = rules.connection.roles_allowed.is_empty()
            && rules.connection.roles_denied.is_empty()
            && rules.broadcast.never.is_empty()
            && rules.broadcast.always.is_empty()
            && rules.history.waiting.is_none();
        match rules.connection.audience {
            Audience::Members => true,
            Audience::Anyone | Audience::Users => !(plain && nameless),
            Audience::Nobody => false,
        }
    }
}

/// Whether somebody who may do these acts, and hears so, may read what was said
/// before.
#[must_use]
pub const fn reads(acts: Acts, hearing: Hearing) -> bool {
    acts.has(Act::ReadHistory) && !matches!(hearing, Hearing::Never)
}

/// As what an act is refused to a standing that may not do it.
#[must_use]
pub const fn refusal_of(act: Act) -> Refused {
    match act {
        Act::See => Refused::NoSuchRoom,
        Act::Join => Refused::JoinRefused,
        Act::Send => Refused::SendRefused,
        Act::ReadHistory => Refused::HistoryRefused,
        Act::SeePresence => Refused::PresenceRefused,
        Act::Invite => Refused::InviteRefused,
        Act::Kick => Refused::KickRefused,
        Act::ChangeRules => Refused::RulesRefused,
    }
}

impl Passed {
    /// The same, and this step as well.
    #[must_use]
    pub const fn and(mut self, step: EntryStep) -> Self {
        match step {
            EntryStep::Password(version) => self.password = Some(version),
            EntryStep::SecondFactor { .. } => self.second_factor = Some(Duration::ZERO),
            EntryStep::RoomCode(version) => self.room_code = Some(version),
            EntryStep::Approval => self.approval = true,
            EntryStep::Hook(version) => self.hook = Some(version),
        }
        self
    }

    /// Whether a step is among them.
    #[must_use]
    pub fn has(&self, step: EntryStep) -> bool {
        match step {
            EntryStep::Password(version) => self.password == Some(version),
            EntryStep::SecondFactor { age_max } => {
                self.second_factor.is_some_and(|age| age <= age_max)
            }
            EntryStep::RoomCode(version) => self.room_code == Some(version),
            EntryStep::Approval => self.approval,
            EntryStep::Hook(version) => self.hook == Some(version),
        }
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::{ConnectionRules, EntryRules, RoomRules};

    use super::*;

    const MEMBER: Standing = Standing::Member(Role::MEMBER);

    fn rules(audience: Audience, password: Option<u64>) -> Rules {
        let password = password.map(|version| EntryRules::by_password(PasswordVersion(version)));
        Rules::compile(RoomRules {
            connection: ConnectionRules {
                audience,
                ..ConnectionRules::default()
            },
            entry: password.unwrap_or_default(),
            ..RoomRules::default()
        })
        .expect("valid")
    }

    #[test]
    fn each_audience_lets_in_its_own() {
        use Standing::{Anonymous, Owner, User};
        let nobody = Passed::default();
        for (audience, admitted) in [
            (Audience::Anyone, &[Anonymous, User, MEMBER, Owner][..]),
            (Audience::Users, &[User, MEMBER, Owner]),
            (Audience::Members, &[MEMBER, Owner]),
            (Audience::Nobody, &[]),
        ] {
            for standing in [Anonymous, User, MEMBER, Owner] {
                let answer = rules(audience, None).enter(&Visitor::of(standing), &nobody);
                assert_eq!(
                    answer == Entry::Admit,
                    admitted.contains(&standing),
                    "{audience:?} {standing:?}"
                );
            }
        }
    }

    #[test]
    fn only_the_present_password_counts() {
        let room = rules(Audience::Anyone, Some(2));
        let anonymous = Visitor::of(Standing::Anonymous);
        let with = |version| Passed {
            password: Some(PasswordVersion(version)),
            ..Passed::default()
        };
        let asked = Entry::Ask(EntryStep::Password(PasswordVersion(2)));
        assert_eq!(room.enter(&anonymous, &Passed::default()), asked);
        assert_eq!(room.enter(&anonymous, &with(1)), asked);
        assert_eq!(room.enter(&anonymous, &with(2)), Entry::Admit);
    }

    #[test]
    fn who_may_let_others_in_needs_nobody_to_be_let_in() {
        let room = Rules::compile(RoomRules {
            entry: EntryRules {
                steps: vec![EntryStep::Approval],
            },
            ..RoomRules::default()
        })
        .expect("valid");
        let enter = |standing| room.enter(&Visitor::of(standing), &Passed::default());
        assert_eq!(enter(Standing::Owner), Entry::Admit);
        assert_eq!(enter(Standing::Member(Role::MODERATOR)), Entry::Admit);
        assert_eq!(enter(Standing::User), Entry::Ask(EntryStep::Approval));
    }

    #[test]
    fn a_device_enters_where_its_owner_may_and_does_what_devices_may() {
        let device = |standing, most| Visitor {
            device: Some(most),
            ..Visitor::of(standing)
        };
        let room = rules(Audience::Members, None);
        let enter = |visitor: &Visitor<'_>| room.enter(visitor, &Passed::default());
        assert_eq!(enter(&device(MEMBER, Acts::ALL)), Entry::Admit);
        assert_eq!(
            enter(&device(Standing::User, Acts::ALL)),
            Entry::Refuse(Refused::MembersOnly)
        );
        let sees = Acts::NONE.with(Act::See);
        assert_eq!(
            enter(&device(MEMBER, sees)),
            Entry::Refuse(Refused::JoinRefused)
        );
        let owners = |most| room.acts_of(Standing::Owner, Some(most));
        let devices = room.source().capabilities.device;
        assert_eq!(owners(Acts::ALL), devices);
        assert!(!devices.has(Act::Kick) && room.acts(Standing::Owner).has(Act::Kick));
        assert!(!owners(Acts::LISTEN).has(Act::Send));
    }

    #[test]
    fn a_stranger_is_refused_before_being_asked() {
        let room = rules(Audience::Members, Some(1));
        let answer = room.enter(&Visitor::of(Standing::User), &Passed::default());
        assert_eq!(answer, Entry::Refuse(Refused::MembersOnly));
    }
}
