//! A room's rules between the wire and the model, one file a group. Compiles no
//! rule, and asks none.

mod capability;
mod connection;
mod delivery;
mod entry;
mod history;
mod message;

use std::collections::BTreeSet;

use porthouse_model as model;
use porthouse_model::{
    BroadcastRules, ConnectionRules, MESSAGE_BYTES_LIMIT, MessageRules, Role, Staleness,
};

use super::needed::{RULES_KNOWN, needed};
use super::time::{duration, span};
use super::{BadMessage, InField, v1};

impl From<&model::RoomRules> for v1::RoomRules {
    fn from(rules: &model::RoomRules) -> Self {
        let mut rules = unmarked(rules);
        rules.needs = needed(&rules).map_or(0, |needed| needed.known);
        rules
    }
}

/// Rules as they are sent, but for what a node must know to obey them.
pub(super) fn unmarked(rules: &model::RoomRules) -> v1::RoomRules {
    v1::RoomRules {
        needs: 0,
        audience: v1::Audience::from(rules.connection.audience).into(),
        password_version: rules.entry.password().map_or(0, |version| version.0),
        content: v1::Content::from(rules.messages.content).into(),
        message_bytes_max: rules.messages.bytes_max,
        echo: rules.broadcast.echo,
        receivers_named: rules.broadcast.receivers_named,
        admit_max: Some(span(rules.staleness.admit_max)),
        deliver_max: rules.staleness.deliver_max.map(span),
        connection: Some((&rules.connection).into()),
        steps: rules.entry.steps.iter().map(Into::into).collect(),
        capabilities: Some((&rules.capabilities).into()),
        format: message::format(&rules.messages.format),
        rates: Some((&rules.messages.rates).into()),
        roles_never: names(&rules.broadcast.never),
        roles_always: names(&rules.broadcast.always),
        delivery: Some((&rules.delivery).into()),
        history: Some((&rules.history).into()),
        presence: Some((&rules.presence).into()),
    }
}

/// Rules that let nobody in, as they are sent.
pub(super) fn shut() -> v1::RoomRules {
    unmarked(&closed())
}

impl TryFrom<v1::RoomRules> for model::RoomRules {
    type Error = BadMessage;

    fn try_from(rules: v1::RoomRules) -> Result<Self, BadMessage> {
        if rules.needs > RULES_KNOWN {
            return Ok(closed());
        }
        let (audience, content) = (rules.audience().try_into()?, rules.content().try_into()?);
        if !(1..=MESSAGE_BYTES_LIMIT).contains(&rules.message_bytes_max) {
            return Err(BadMessage {
                field: "rules.message_bytes_max",
            });
        }
        let admit_max = rules.admit_max.and_then(duration);
        Ok(Self {
            connection: ConnectionRules {
                audience,
                ..group(rules.connection)?
            },
            entry: entry::read(rules.password_version, rules.steps)?,
            capabilities: group(rules.capabilities)?,
            messages: MessageRules {
                content,
                bytes_max: rules.message_bytes_max,
                format: rules
                    .format
                    .map_or(Ok(model::Format::Any), TryInto::try_into)?,
                rates: group(rules.rates)?,
            },
            broadcast: BroadcastRules {
                echo: rules.echo,
                receivers_named: rules.receivers_named,
                never: roles(&rules.roles_never, "rules.roles_never")?,
                always: roles(&rules.roles_always, "rules.roles_always")?,
            },
            delivery: group(rules.delivery)?,
            history: group(rules.history)?,
            presence: group(rules.presence)?,
            staleness: Staleness {
                admit_max: admit_max.in_field("rules.admit_max")?,
                deliver_max: rules
                    .deliver_max
                    .map(|span| duration(span).in_field("rules.deliver_max"))
                    .transpose()?,
            },
        })
    }
}

/// Rules that this node does not know let nobody in: to obey a part of them would
/// let in whom the rest keeps out, and to refuse the message would end the feed
/// that revocations come by.
fn closed() -> model::RoomRules {
    model::RoomRules {
        connection: ConnectionRules {
            audience: model::Audience::Nobody,
            ..ConnectionRules::default()
        },
        ..model::RoomRules::default()
    }
}

/// A group, or its defaults where the other side knows none.
fn group<W, M>(group: Option<W>) -> Result<M, BadMessage>
where
    M: TryFrom<W, Error = BadMessage> + Default,
{
    group.map_or_else(|| Ok(M::default()), TryInto::try_into)
}

fn names(roles: &BTreeSet<Role>) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}

fn roles(names: &[String], field: &'static str) -> Result<BTreeSet<Role>, BadMessage> {
    names
        .iter()
        .map(|name| name.parse().in_field(field))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut v1::RoomRules)) -> &'static str {
        let mut rules = v1::RoomRules::from(&model::RoomRules::default());
        change(&mut rules);
        let refused = model::RoomRules::try_from(rules).expect_err("refused");
        refused.field
    }

    #[test]
    fn rules_that_need_a_later_node_let_nobody_in() {
        let mut rules = v1::RoomRules::from(&model::RoomRules::default());
        rules.needs = RULES_KNOWN + 1;
        rules.audience = 99;
        let read = model::RoomRules::try_from(rules).expect("the feed goes on");
        assert_eq!(read.connection.audience, model::Audience::Nobody);
    }

    #[test]
    fn rules_of_a_later_version_are_refused_and_not_guessed() {
        let acts = |act| Some(v1::Acts { acts: vec![act] });
        let delivery = v1::DeliveryRules::from(&model::DeliveryRules::default());
        assert_eq!(refused(|rules| rules.audience = 99), "rules.audience");
        assert_eq!(refused(|rules| rules.content = 99), "rules.content");
        assert_eq!(
            refused(|rules| rules.steps = vec![v1::EntryStep { kind: None }]),
            "rules.steps"
        );
        assert_eq!(
            refused(|rules| rules.format = Some(v1::Format { kind: None })),
            "rules.format"
        );
        assert_eq!(
            refused(|rules| rules.capabilities.get_or_insert_default().user = acts(99)),
            "rules.capabilities"
        );
        assert_eq!(
            refused(|rules| rules.delivery = Some(v1::DeliveryRules {
                order: 99,
                ..delivery
            })),
            "rules.delivery.order"
        );
        assert_eq!(
            refused(|rules| rules.delivery = Some(v1::DeliveryRules {
                slow_consumer: 99,
                ..delivery
            })),
            "rules.delivery.slow_consumer"
        );
        assert_eq!(
            refused(|rules| rules.presence.get_or_insert_default().shown = 99),
            "rules.presence.shown"
        );
    }

    #[test]
    fn rules_of_an_earlier_version_have_the_defaults_of_what_it_does_not_know() {
        let earlier = v1::RoomRules {
            connection: None,
            steps: Vec::new(),
            capabilities: None,
            format: None,
            rates: None,
            delivery: None,
            history: None,
            presence: None,
            password_version: 3,
            ..v1::RoomRules::from(&model::RoomRules::default())
        };
        let expected = model::RoomRules {
            entry: model::EntryRules::by_password(model::PasswordVersion(3)),
            ..model::RoomRules::default()
        };
        assert_eq!(earlier.try_into(), Ok(expected));
    }

    #[test]
    fn a_password_that_is_said_in_two_ways_is_refused() {
        let step = v1::EntryStep::from(&model::EntryStep::Password(model::PasswordVersion(2)));
        let other = |rules: &mut v1::RoomRules| {
            rules.password_version = 3;
            rules.steps = vec![step];
        };
        assert_eq!(refused(other), "rules.password_version");
    }
}
