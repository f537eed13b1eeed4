//! Roles of members, and narrow doors as the checker reads of them: roles by the users who have
//! them, hours by the moment at which they turn. Judges nobody.

use core::num::NonZeroU64;
use std::collections::BTreeSet;

use porthouse_model::{
    Act, Capabilities, ConnectionRules, Rate, Role, RoomRules, Surplus, UserId, WeekSpan,
};

use super::{Control, user_number};
use crate::checker::narrow::{Narrow, Pace};
use crate::doors::LAST_MINUTE;
use crate::queue::{Nanos, SECONDS};
use crate::voices::shape;

/// So many roles members have, where they have any.
pub(crate) const ROLES: u32 = 3;
/// The moment at which the minute ends.
const TURN: Nanos = 8 * SECONDS;
/// No world has more users.
const USERS_MAX: u32 = 40;

impl Control {
    /// Members have roles from here on.
    pub(crate) const fn give_roles(&mut self) {
        self.roles = true;
    }

    /// The role of this user, wherever they are a member.
    pub(super) fn role(&self, user: u32) -> Role {
        if self.roles {
            role_name(role_of(user))
        } else {
            Role::MEMBER
        }
    }
}

/// The name of a role.
pub(crate) fn role_name(role: u32) -> Role {
    let names = ["member", "moderator", "guest"];
    let name = names[usize::try_from(role).expect("an index")];
    name.parse().expect("a role")
}

const fn role_of(user: u32) -> u32 {
    user % ROLES
}

/// The users who, as members, may let others in.
pub(super) fn invites(capabilities: &Capabilities) -> u64 {
    let may = |user: &u32| {
        let role = role_name(role_of(*user));
        capabilities.of_role(role).has(Act::Invite)
    };
    (0..USERS_MAX)
        .filter(may)
        .fold(0, |bits, user| bits | 1 << user)
}

/// The narrow part of a door.
pub(super) fn narrow(rules: &RoomRules) -> Narrow {
    let connection = &rules.connection;
    let users = |of: &BTreeSet<UserId>| {
        let users = of.iter().filter_map(|user| user_number(*user));
        users.fold(0, |bits, user| bits | 1 << user)
    };
    let of_roles = |of: &BTreeSet<Role>| {
        let users = (0..USERS_MAX).filter(|&user| of.contains(&role_name(role_of(user))));
        users.fold(0, |bits, user| bits | 1 << user)
    };
    let some = NonZeroU64::new;
    let count = |count: u32| u16::try_from(count).expect("a small number");
    let (opens, closes) = turns(connection);
    let per_client = connection.sockets_per_client;
    Narrow {
        users_allowed: some(users(&connection.users_allowed)),
        users_denied: users(&connection.users_denied),
        roles_allowed: some(of_roles(&connection.roles_allowed)),
        roles_denied: of_roles(&connection.roles_denied),
        no_pages: !connection.origins.is_empty(),
        opens,
        closes,
        sockets_max: connection.sockets_max.map(count),
        per_client: per_client.map(|limit| count(limit.sockets_max)),
        replaces: per_client.is_some_and(|limit| limit.surplus == Surplus::Oldest),
        shape: shape(&rules.messages.format),
        per_socket: rules.messages.rates.per_socket.map(pace),
        by_client: rules.messages.rates.per_client.map(pace),
        per_room: rules.messages.rates.per_room.map(pace),
        joins: connection.joins_per_address.map(pace),
        never: of_roles(&rules.broadcast.never),
        always: of_roles(&rules.broadcast.always),
    }
}

fn pace(rate: Rate) -> Pace {
    let small = |number: u32| u16::try_from(number).expect("a small number");
    Pace {
        per_second: small(rate.per_second.get()),
        burst: small(rate.burst.get()),
    }
}

/// When it opens, and when it closes, if it does while a world lasts.
fn turns(connection: &ConnectionRules) -> (Option<NonZeroU64>, Option<NonZeroU64>) {
    let spans = connection.hours.as_ref().map(|hours| &hours.spans[..]);
    let Some(&[WeekSpan { from_minute, .. }]) = spans else {
        return (None, None);
    };
    if from_minute > LAST_MINUTE {
        (NonZeroU64::new(TURN), None)
    } else {
        (None, NonZeroU64::new(TURN))
    }
}
