//! Which matrices of audience by act make sense. Never says what one may do.

use porthouse_model::{Act, Acts, Audience, Capabilities, RoomRules};

use super::{ROLES_MAX, within};
use crate::compile::RuleFault;

/// The matrix line by line, with each line's field.
pub(super) fn lines(capabilities: &Capabilities) -> Vec<(String, Acts)> {
    let roles = capabilities.roles.iter();
    let named = [
        ("anonymous", capabilities.anonymous),
        ("user", capabilities.user),
        ("member", capabilities.member),
        ("owner", capabilities.owner),
        ("device", capabilities.device),
    ];
    named
        .into_iter()
        .map(|(line, acts)| (format!("capabilities.{line}"), acts))
        .chain(roles.map(|(role, acts)| (format!("capabilities.roles.{role}"), *acts)))
        .collect()
}

pub(super) fn check(rules: &RoomRules) -> Result<(), RuleFault> {
    let capabilities = &rules.capabilities;
    let named = capabilities.roles.len();
    within(&[("capabilities.roles", named)], ROLES_MAX)?;
    for (field, acts) in lines(capabilities) {
        let blind = !acts.has(Act::See) && Act::ALL.into_iter().any(|act| acts.has(act));
        if blind {
            let needed = "to see the room, where anything else may be done in it";
            return Err(RuleFault::new(field, needed));
        }
    }
    if somebody_joins(rules) {
        return Ok(());
    }
    let needed = "somebody who may join, of those that the audience lets in";
    Err(RuleFault::new("capabilities", needed))
}

fn somebody_joins(rules: &RoomRules) -> bool {
    let capabilities = &rules.capabilities;
    let joins = |acts: Acts| acts.has(Act::Join);
    let member = joins(capabilities.member)
        || joins(capabilities.owner)
        || joins(capabilities.device)
        || capabilities.roles.values().any(|acts| joins(*acts));
    match rules.connection.audience {
        Audience::Nobody => true,
        Audience::Members => member,
        Audience::Users => member || joins(capabilities.user),
        Audience::Anyone => member || joins(capabilities.user) || joins(capabilities.anonymous),
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::{ConnectionRules, Role};

    use super::*;

    fn fault(audience: Audience, capabilities: Capabilities) -> String {
        let rules = RoomRules {
            connection: ConnectionRules {
                audience,
                ..ConnectionRules::default()
            },
            capabilities,
            ..RoomRules::default()
        };
        check(&rules).expect_err("refused").field.into_owned()
    }

    #[test]
    fn a_matrix_that_makes_no_sense_is_named() {
        let blind = Capabilities {
            roles: [(Role::MODERATOR, Acts::NONE.with(Act::Kick))].into(),
            ..Capabilities::open()
        };
        let line = "capabilities.roles.moderator";
        assert_eq!(fault(Audience::Anyone, blind), line);
        let nobody = Capabilities {
            anonymous: Acts::TALK,
            user: Acts::TALK,
            member: Acts::NONE,
            roles: [].into(),
            owner: Acts::NONE,
            device: Acts::NONE,
        };
        assert_eq!(fault(Audience::Members, nobody), "capabilities");
    }

    #[test]
    fn the_presets_make_sense() {
        for capabilities in [
            Capabilities::open(),
            Capabilities::members(),
            Capabilities::announce_only(),
            Capabilities::support_desk(),
        ] {
            let rules = RoomRules {
                capabilities,
                ..RoomRules::default()
            };
            assert_eq!(check(&rules), Ok(()));
        }
    }
}
