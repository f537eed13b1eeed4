//! Entry: may this one enter, must they be asked something first, or not at all.

use porthouse_model::{Audience, PasswordVersion, Refused};

use crate::compile::Rules;

/// Who stands at the door, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not signed in.
    Anonymous,
    /// Signed in, neither member nor owner.
    User,
    /// A member of the room, or its owner.
    Member,
}

/// The steps somebody has passed, each by the version that was passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// The room's password.
    pub password: Option<PasswordVersion>,
}

/// What the door says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Come in.
    Admit,
    /// The room's password is asked for.
    AskPassword,
    /// No.
    Refuse(Refused),
}

impl Rules {
    /// May somebody of this standing, who has passed these steps, be inside?
    /// Asked before admission and again after every change.
    #[must_use]
    pub fn enter(&self, standing: Standing, passed: Passed) -> Entry {
        let rules = self.source();
        match (rules.audience, standing) {
            (Audience::Nobody, _) => return Entry::Refuse(Refused::Shut),
            (Audience::Users | Audience::Members, Standing::Anonymous) => {
                return Entry::Refuse(Refused::UserRequired);
            }
            (Audience::Members, Standing::User) => return Entry::Refuse(Refused::MembersOnly),
            (Audience::Anyone, _)
            | (Audience::Users, Standing::User | Standing::Member)
            | (Audience::Members, Standing::Member) => {}
        }
        if rules.password.is_some() && rules.password != passed.password {
            return Entry::AskPassword;
        }
        Entry::Admit
    }

    /// Whether deciding about a signed-in user needs their membership.
    #[must_use]
    pub const fn membership_matters(&self) -> bool {
        match self.source().audience {
            Audience::Members => true,
            Audience::Anyone | Audience::Users | Audience::Nobody => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::RoomRules;

    use super::*;

    fn rules(audience: Audience, password: Option<u64>) -> Rules {
        let password = password.map(PasswordVersion);
        Rules::compile(RoomRules {
            audience,
            password,
            ..RoomRules::default()
        })
        .expect("valid")
    }

    #[test]
    fn each_audience_lets_in_its_own() {
        use Standing::{Anonymous, Member, User};
        let nobody = Passed::default();
        for (audience, admitted) in [
            (Audience::Anyone, &[Anonymous, User, Member][..]),
            (Audience::Users, &[User, Member]),
            (Audience::Members, &[Member]),
            (Audience::Nobody, &[]),
        ] {
            for standing in [Anonymous, User, Member] {
                let admits = rules(audience, None).enter(standing, nobody) == Entry::Admit;
                assert_eq!(
                    admits,
                    admitted.contains(&standing),
                    "{audience:?} {standing:?}"
                );
            }
        }
    }

    #[test]
    fn only_the_present_password_counts() {
        let room = rules(Audience::Anyone, Some(2));
        let with = |version| Passed {
            password: Some(PasswordVersion(version)),
        };
        assert_eq!(
            room.enter(Standing::Anonymous, Passed::default()),
            Entry::AskPassword
        );
        assert_eq!(room.enter(Standing::Anonymous, with(1)), Entry::AskPassword);
        assert_eq!(room.enter(Standing::Anonymous, with(2)), Entry::Admit);
    }

    #[test]
    fn a_stranger_is_refused_before_being_asked() {
        let room = rules(Audience::Members, Some(1));
        let answer = room.enter(Standing::User, Passed::default());
        assert_eq!(answer, Entry::Refuse(Refused::MembersOnly));
    }
}
