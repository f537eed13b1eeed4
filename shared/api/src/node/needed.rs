//! What a node must know to obey a room's rules, by the groups that they use. A
//! node that knows less is given the room as one that lets nobody in: to obey a
//! part of its rules would let in whom the rest keeps out.

use core::fmt;

use prost::Message as _;

use super::{BadMessage, rule, v1};
use v1::change_item::Item;
use v1::entry_step::Kind;
use v1::resolved::Found;

/// What this version knows of rules. Raised together with a group that is added
/// to the wire, which a node that knows less would not see.
pub const RULES_KNOWN: u32 = 1;

/// A group that not every node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// What a node must know at least.
    pub known: u32,
    /// The first group that needs it, as control.v1 names it.
    pub group: &'static str,
}

/// A room, or a template, that a node does not know enough for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Its name, or its prefix.
    pub name: String,
    /// Why.
    pub needed: Needed,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, needed } = self;
        write!(f, "`{name}` has rules of the group `{}`", needed.group)
    }
}

/// What these rules need beyond what every node knows; `None`: nothing.
#[must_use]
pub fn needed(rules: &v1::RoomRules) -> Option<Needed> {
    if rules.needs > RULES_KNOWN {
        let group = "of a later version";
        return Some(Needed {
            known: rules.needs,
            group,
        });
    }
    let plain = rule::unmarked(&porthouse_model::RoomRules::default());
    let password = |step: &v1::EntryStep| matches!(step.kind, Some(Kind::PasswordVersion(_)));
    let groups = [
        (
            "connection",
            rules.connection.is_some() && rules.connection != plain.connection,
        ),
        ("entry.steps", !rules.steps.iter().all(password)),
        (
            "capabilities",
            rules.capabilities.is_some() && rules.capabilities != plain.capabilities,
        ),
        ("messages.format", rules.format.is_some()),
        (
            "messages.rates",
            rules.rates.is_some() && rules.rates != plain.rates,
        ),
        ("broadcast.roles_never", !rules.roles_never.is_empty()),
        ("broadcast.roles_always", !rules.roles_always.is_empty()),
        (
            "delivery",
            rules.delivery.is_some() && rules.delivery != plain.delivery,
        ),
        (
            "history",
            rules.history.is_some() && rules.history != plain.history,
        ),
        (
            "presence",
            rules.presence.is_some() && rules.presence != plain.presence,
        ),
    ];
    let used = groups.into_iter().find(|(_, used)| *used);
    used.map(|(group, _)| Needed { known: 1, group })
}

/// Answers a node that knows no more than this: a room that needs more lets
/// nobody in. Says which, if it does.
pub fn withhold(resolved: &mut v1::Resolved, known: u32) -> Option<Withheld> {
    match resolved.found.as_mut()? {
        Found::Room(room) => {
            let withheld = lacking(&room.name, room.rules.as_ref(), known)?;
            room.rules = Some(rule::shut());
            Some(withheld)
        }
        Found::Template(template) => {
            let withheld = lacking(&template.prefix, template.rules.as_ref(), known)?;
            template.rules = Some(rule::shut());
            Some(withheld)
        }
        Found::Session(_)
        | Found::Member(_)
        | Found::ApiKey(_)
        | Found::Endpoint(_)
        | Found::Block(_) => None,
    }
}

/// The first room or template of a change that a node who knows no more than this
/// would obey in part.
///
/// # Errors
///
/// When the payload is none.
pub fn withheld_of(payload: &[u8], known: u32) -> Result<Option<Withheld>, BadMessage> {
    let payload =
        v1::ChangePayload::decode(payload).map_err(|_| BadMessage { field: "payload" })?;
    let items = payload.items.iter().filter_map(|item| item.item.as_ref());
    let of_template =
        |template: &v1::Template| lacking(&template.prefix, template.rules.as_ref(), known);
    let mut withheld = items.filter_map(|item| match item {
        Item::Room(room) => lacking(&room.name, room.rules.as_ref(), known),
        Item::Template(template) => of_template(template),
        Item::TemplateGone(gone) => gone.next.as_ref().and_then(of_template),
        Item::RoomGone(gone) => gone.template.as_ref().and_then(of_template),
        Item::Member(_)
        | Item::MemberGone(_)
        | Item::SessionGone(_)
        | Item::UserGone(_)
        | Item::ApiKeyGone(_)
        | Item::Session(_)
        | Item::Endpoint(_)
        | Item::EndpointGone(_)
        | Item::Block(_)
        | Item::BlockGone(_)
        | Item::DeviceToken(_) => None,
    });
    Ok(withheld.next())
}

fn lacking(name: &str, rules: Option<&v1::RoomRules>, known: u32) -> Option<Withheld> {
    let needed = needed(rules?).filter(|needed| needed.known > known)?;
    Some(Withheld {
        name: name.to_owned(),
        needed,
    })
}

#[cfg(test)]
mod tests {
    use porthouse_model as model;

    use super::*;

    fn with_history() -> v1::RoomRules {
        let mut rules = model::RoomRules::default();
        rules.history.keep = model::Keep::Latest;
        v1::RoomRules::from(&rules)
    }

    fn room(rules: v1::RoomRules) -> v1::Resolved {
        let room = v1::Room {
            name: "lobby".to_owned(),
            rules: Some(rules),
            ..v1::Room::default()
        };
        v1::Resolved {
            found: Some(Found::Room(room)),
        }
    }

    fn group(change: impl FnOnce(&mut model::RoomRules)) -> Option<&'static str> {
        let mut rules = model::RoomRules::default();
        change(&mut rules);
        let rules = v1::RoomRules::from(&rules);
        let needed = needed(&rules);
        assert_eq!(rules.needs, needed.map_or(0, |needed| needed.known));
        needed.map(|needed| needed.group)
    }

    #[test]
    fn rules_need_what_the_groups_need_that_they_use() {
        let password = model::EntryStep::Password(model::PasswordVersion(1));
        assert_eq!(group(|_| {}), None);
        assert_eq!(
            group(|rules| {
                rules.messages.bytes_max = 7;
                rules.entry.steps = vec![password];
                rules.connection.audience = model::Audience::Members;
            }),
            None,
            "every node knows these"
        );
        assert_eq!(
            group(|rules| rules.entry.steps = vec![password, model::EntryStep::Approval]),
            Some("entry.steps")
        );
        assert_eq!(
            group(|rules| rules.presence.shown = model::Shown::Counts),
            Some("presence")
        );
        assert_eq!(
            group(|rules| rules.history.keep = model::Keep::Latest),
            Some("history")
        );
    }

    #[test]
    fn a_node_that_knows_less_is_given_a_room_that_lets_nobody_in() {
        let mut known = room(with_history());
        assert_eq!(withhold(&mut known, RULES_KNOWN), None);
        assert_eq!(known, room(with_history()));
        let withheld = withhold(&mut known, 0).expect("it is withheld");
        assert_eq!(
            withheld.to_string(),
            "`lobby` has rules of the group `history`"
        );
        let Some(Found::Room(shut)) = known.found else {
            panic!("it is a room still");
        };
        let shut = shut.rules.expect("it has rules");
        assert_eq!(shut.audience(), v1::Audience::Nobody);
        assert_eq!(needed(&shut), None, "every node knows these");
    }

    #[test]
    fn rules_of_a_later_version_are_withheld_from_all_that_do_not_say_to_know_it() {
        let mut later = v1::RoomRules::from(&model::RoomRules::default());
        later.needs = RULES_KNOWN + 1;
        assert!(withhold(&mut room(later.clone()), RULES_KNOWN).is_some());
        assert!(withhold(&mut room(later), RULES_KNOWN + 1).is_none());
    }

    #[test]
    fn a_change_is_withheld_for_the_first_room_that_needs_more() {
        let item = |rules| v1::ChangeItem {
            item: Some(Item::Room(v1::Room {
                name: "lobby".to_owned(),
                rules: Some(rules),
                ..v1::Room::default()
            })),
        };
        let payload = |rules| {
            let items = vec![item(rules)];
            let time = None;
            v1::ChangePayload { time, items }.encode_to_vec()
        };
        let plain = v1::RoomRules::from(&model::RoomRules::default());
        assert_eq!(withheld_of(&payload(plain), 0), Ok(None));
        let withheld = withheld_of(&payload(with_history()), 0);
        assert_eq!(
            withheld.map(|one| one.map(|one| one.name)),
            Ok(Some("lobby".to_owned()))
        );
        assert_eq!(withheld_of(&payload(with_history()), RULES_KNOWN), Ok(None));
        assert!(withheld_of(&[7], 0).is_err());
    }
}
