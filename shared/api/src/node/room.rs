//! Rooms and their rules between the wire and the model. Compiles no rule, and asks none.

use porthouse_model as model;
use porthouse_model::{
    BroadcastRules, ConnectionRules, EntryRules, MESSAGE_BYTES_LIMIT, MessageRules,
    PasswordVersion, RoomId, Staleness, UserId,
};

use super::time::{duration, span};
use super::{BadMessage, InField, v1};

impl From<&model::Room> for v1::Room {
    fn from(room: &model::Room) -> Self {
        Self {
            id: room.id.as_bytes().to_vec(),
            name: room.name.as_str().to_owned(),
            rules: Some((&*room.rules).into()),
            owner_id: room
                .owner
                .map(|owner| owner.as_bytes().to_vec())
                .unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::Room> for model::Room {
    type Error = BadMessage;

    fn try_from(room: v1::Room) -> Result<Self, BadMessage> {
        Ok(Self {
            id: RoomId::try_from(&*room.id).in_field("room.id")?,
            name: room.name.parse().in_field("room.name")?,
            rules: Box::new(room.rules.in_field("room.rules")?.try_into()?),
            owner: match &*room.owner_id {
                [] => None,
                owner => Some(UserId::try_from(owner).in_field("room.owner_id")?),
            },
        })
    }
}

impl From<&model::RoomRules> for v1::RoomRules {
    fn from(rules: &model::RoomRules) -> Self {
        Self {
            audience: v1::Audience::from(rules.connection.audience).into(),
            password_version: rules.entry.password().map_or(0, |version| version.0),
            content: v1::Content::from(rules.messages.content).into(),
            message_bytes_max: rules.messages.bytes_max,
            echo: rules.broadcast.echo,
            receivers_named: rules.broadcast.receivers_named,
            admit_max: Some(span(rules.staleness.admit_max)),
            deliver_max: rules.staleness.deliver_max.map(span),
        }
    }
}

impl TryFrom<v1::RoomRules> for model::RoomRules {
    type Error = BadMessage;

    fn try_from(rules: v1::RoomRules) -> Result<Self, BadMessage> {
        let (audience, content) = (rules.audience(), rules.content());
        if !(1..=MESSAGE_BYTES_LIMIT).contains(&rules.message_bytes_max) {
            return Err(BadMessage {
                field: "rules.message_bytes_max",
            });
        }
        Ok(Self {
            connection: ConnectionRules {
                audience: audience.try_into()?,
                ..ConnectionRules::default()
            },
            entry: match rules.password_version {
                0 => EntryRules::default(),
                version => EntryRules::by_password(PasswordVersion(version)),
            },
            messages: MessageRules {
                content: content.try_into()?,
                bytes_max: rules.message_bytes_max,
                ..MessageRules::default()
            },
            broadcast: BroadcastRules {
                echo: rules.echo,
                receivers_named: rules.receivers_named,
                ..BroadcastRules::default()
            },
            staleness: Staleness {
                admit_max: rules
                    .admit_max
                    .and_then(duration)
                    .in_field("rules.admit_max")?,
                deliver_max: rules
                    .deliver_max
                    .map(|span| duration(span).in_field("rules.deliver_max"))
                    .transpose()?,
            },
            ..Self::default()
        })
    }
}

impl From<model::Audience> for v1::Audience {
    fn from(audience: model::Audience) -> Self {
        match audience {
            model::Audience::Anyone => Self::Anyone,
            model::Audience::Users => Self::Users,
            model::Audience::Members => Self::Members,
            model::Audience::Nobody => Self::Nobody,
        }
    }
}

impl TryFrom<v1::Audience> for model::Audience {
    type Error = BadMessage;

    fn try_from(audience: v1::Audience) -> Result<Self, BadMessage> {
        match audience {
            v1::Audience::Unspecified => Err(BadMessage {
                field: "rules.audience",
            }),
            v1::Audience::Anyone => Ok(Self::Anyone),
            v1::Audience::Users => Ok(Self::Users),
            v1::Audience::Members => Ok(Self::Members),
            v1::Audience::Nobody => Ok(Self::Nobody),
        }
    }
}

impl From<model::Content> for v1::Content {
    fn from(content: model::Content) -> Self {
        match content {
            model::Content::Any => Self::Any,
            model::Content::Text => Self::Text,
            model::Content::Binary => Self::Binary,
        }
    }
}

impl TryFrom<v1::Content> for model::Content {
    type Error = BadMessage;

    fn try_from(content: v1::Content) -> Result<Self, BadMessage> {
        match content {
            v1::Content::Unspecified => Err(BadMessage {
                field: "rules.content",
            }),
            v1::Content::Any => Ok(Self::Any),
            v1::Content::Text => Ok(Self::Text),
            v1::Content::Binary => Ok(Self::Binary),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> model::Room {
        model::Room {
            id: RoomId::from_bytes([1; 16]),
            name: "lobby".parse().expect("a room's name"),
            rules: Box::new(model::RoomRules {
                connection: ConnectionRules {
                    audience: model::Audience::Members,
                    ..ConnectionRules::default()
                },
                entry: EntryRules::by_password(PasswordVersion(3)),
                messages: MessageRules {
                    content: model::Content::Text,
                    ..MessageRules::default()
                },
                ..model::RoomRules::default()
            }),
            owner: Some(UserId::from_bytes([2; 16])),
        }
    }

    #[test]
    fn a_room_is_read_back_as_written() {
        assert_eq!(v1::Room::from(&room()).try_into(), Ok(room()));
    }

    #[test]
    fn a_room_without_rules_is_refused() {
        let message = v1::Room {
            rules: None,
            ..v1::Room::from(&room())
        };
        assert_eq!(
            model::Room::try_from(message),
            Err(BadMessage {
                field: "room.rules"
            })
        );
    }

    #[test]
    fn rules_of_a_later_version_are_refused_and_not_guessed() {
        let rules = v1::RoomRules {
            audience: 99,
            ..v1::RoomRules::from(&*room().rules)
        };
        assert_eq!(
            model::RoomRules::try_from(rules),
            Err(BadMessage {
                field: "rules.audience"
            })
        );
    }
}
