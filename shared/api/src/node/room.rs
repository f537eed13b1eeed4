//! Rooms between the wire and the model. Compiles no rule, and asks none.

use porthouse_model as model;
use porthouse_model::{RoomId, UserId};

use super::block::blocks;
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
            users_blocked: room.blocks.users,
            address_blocks: room.blocks.addresses.iter().map(Into::into).collect(),
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
            blocks: blocks(room.users_blocked, room.address_blocks)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use porthouse_model::{ConnectionRules, EntryRules, MessageRules, PasswordVersion};

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
            blocks: model::RoomBlocks::default(),
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
}
