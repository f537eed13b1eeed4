//! Guards: whether anybody of some kind could ever do something under a room's
//! rules, at whatever hour, whatever they answer at the door. Asks the same
//! questions as the door; never of one visitor.

use core::time::Duration;
use std::collections::BTreeSet;

use porthouse_model::{Act, Acts, Role, RoomRules, UserId};

use crate::compile::Rules;
use crate::enter::{Standing, Visitor};
use crate::explain::Outcome;

/// Whom a guard is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guarded {
    /// Who is not signed in.
    Anonymous,
    /// Signed-in users, neither members nor owner.
    User,
    /// Members in this role; `None`: in any.
    Member(Option<Role>),
    /// A room's owner.
    Owner,
    /// Devices, by their tokens.
    Device,
}

impl Guarded {
    /// One of those whom it is about who could ever do this under these rules.
    #[must_use]
    pub fn breach(self, rules: &RoomRules, act: Act) -> Option<Standing> {
        let opened = Rules::opened(rules);
        let mut all = self.standings(rules).into_iter();
        all.find(|standing| opened.ever(*standing, self.device(), act))
    }

    /// The same where a template's rules hold: its rooms have no members and no
    /// owner.
    #[must_use]
    pub fn breach_covered(self, rules: &RoomRules, act: Act) -> Option<Standing> {
        match self {
            Self::Anonymous | Self::User => self.breach(rules, act),
            Self::Device => {
                let opened = Rules::opened(rules);
                let ever = opened.ever(Standing::User, self.device(), act);
                ever.then_some(Standing::User)
            }
            Self::Member(_) | Self::Owner => None,
        }
    }

    /// The same where nothing is known of a room but that a node might let it be
    /// made: it has no members, and else anything may hold there.
    #[must_use]
    pub const fn breach_unknown(self) -> Option<Standing> {
        match self {
            Self::Anonymous => Some(Standing::Anonymous),
            Self::User | Self::Device => Some(Standing::User),
            Self::Owner => Some(Standing::Owner),
            Self::Member(_) => None,
        }
    }

    /// The most that a device may do, where it is about devices. Each comes as its
    /// owner.
    const fn device(self) -> Option<Acts> {
        match self {
            Self::Device => Some(Acts::ALL),
            Self::Anonymous | Self::User | Self::Member(_) | Self::Owner => None,
        }
    }

    fn standings(self, rules: &RoomRules) -> Vec<Standing> {
        match self {
            Self::Anonymous => vec![Standing::Anonymous],
            Self::User => vec![Standing::User],
            Self::Member(Some(role)) => vec![Standing::Member(role)],
            Self::Member(None) => roles(rules).into_iter().map(Standing::Member).collect(),
            Self::Owner => vec![Standing::Owner],
            Self::Device => {
                let owners = roles(rules).into_iter().map(Standing::Member);
                owners.chain([Standing::User, Standing::Owner]).collect()
            }
        }
    }
}

impl Rules {
    /// Whether somebody of this standing could ever do this.
    fn ever(&self, standing: Standing, device: Option<Acts>, act: Act) -> bool {
        let visitor = Visitor {
            user: match standing {
                Standing::Anonymous => None,
                Standing::User | Standing::Member(_) | Standing::Owner => somebody(self.source()),
            },
            device,
            ..Visitor::of(standing)
        };
        match self.foretell(&visitor, Some(Duration::ZERO), act) {
            Outcome::Allowed | Outcome::Asked(_) => true,
            Outcome::Refused(_) => false,
        }
    }
}

/// Every role that the rules tell apart, and one that they do not.
fn roles(rules: &RoomRules) -> BTreeSet<Role> {
    let named = rules.capabilities.roles.keys();
    let mut all: BTreeSet<Role> = named
        .chain(&rules.connection.roles_allowed)
        .chain(&rules.connection.roles_denied)
        .chain(&rules.broadcast.never)
        .chain(&rules.broadcast.always)
        .copied()
        .collect();
    let mut others = (0..=all.len()).filter_map(|number| format!("other-{number}").parse().ok());
    let other = others.find(|role| !all.contains(role));
    all.extend(other);
    all
}

/// A user whom the lists let in, if there is one.
fn somebody(rules: &RoomRules) -> Option<UserId> {
    let (allowed, denied) = (
        &rules.connection.users_allowed,
        &rules.connection.users_denied,
    );
    if !allowed.is_empty() {
        return allowed.difference(denied).next().copied();
    }
    let all = 0..=denied.len() as u128;
    let mut all = all.map(|number| UserId::from_bytes(number.to_be_bytes()));
    all.find(|user| !denied.contains(user))
}

/// The line of the rules that says what a standing may do.
#[must_use]
pub fn capability_line(standing: Standing) -> String {
    match standing {
        Standing::Anonymous => "capabilities.anonymous".to_owned(),
        Standing::User => "capabilities.user".to_owned(),
        Standing::Member(role) => format!("capabilities of the role {role}"),
        Standing::Owner => "capabilities.owner".to_owned(),
    }
}
