//! What one transaction changed, between the stored payload and the model. Applies nothing.

use porthouse_model as model;
use porthouse_model::{ApiKeyId, Revision, RoomId, SessionId, UserId};
use prost::Message;

use super::resolve::token_hash;
use super::{BadMessage, InField, v1};
use v1::change_item::Item;

impl TryFrom<v1::Change> for model::Change {
    type Error = BadMessage;

    fn try_from(change: v1::Change) -> Result<Self, BadMessage> {
        let payload = v1::ChangePayload::decode(change.payload).in_field("change.payload")?;
        Ok(Self {
            revision: Revision(u64::try_from(change.revision).in_field("change.revision")?),
            items: payload
                .items
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<&model::ChangeItem> for v1::ChangeItem {
    fn from(item: &model::ChangeItem) -> Self {
        let item = match item {
            model::ChangeItem::Room(room) => Item::Room(room.into()),
            model::ChangeItem::RoomGone { id, name, template } => Item::RoomGone(v1::RoomGone {
                id: id.as_bytes().to_vec(),
                name: name.as_str().to_owned(),
                template: template.as_ref().map(Into::into),
            }),
            model::ChangeItem::Template(template) => Item::Template(template.into()),
            model::ChangeItem::TemplateGone { id, prefix, next } => {
                Item::TemplateGone(v1::TemplateGone {
                    id: id.as_bytes().to_vec(),
                    prefix: prefix.to_string(),
                    next: next.as_ref().map(Into::into),
                })
            }
            model::ChangeItem::Member(member) => Item::Member(member.into()),
            model::ChangeItem::MemberGone { room, user } => Item::MemberGone(v1::MemberGone {
                room_id: room.as_bytes().to_vec(),
                user_id: user.as_bytes().to_vec(),
            }),
            model::ChangeItem::Session(session) => Item::Session(session.into()),
            model::ChangeItem::DeviceToken(token, session) => Item::DeviceToken(v1::DeviceToken {
                token_sha256: token.as_bytes().to_vec(),
                session: Some(session.into()),
            }),
            model::ChangeItem::Block(block) => Item::Block(block.into()),
            model::ChangeItem::BlockGone { room, user } => Item::BlockGone(v1::BlockGone {
                room_id: room.as_bytes().to_vec(),
                user_id: user.as_bytes().to_vec(),
            }),
            model::ChangeItem::SessionGone(id) => Item::SessionGone(v1::SessionGone {
                id: id.as_bytes().to_vec(),
            }),
            model::ChangeItem::UserGone(id) => Item::UserGone(v1::UserGone {
                id: id.as_bytes().to_vec(),
            }),
            model::ChangeItem::ApiKeyGone(id) => Item::ApiKeyGone(v1::ApiKeyGone {
                id: id.as_bytes().to_vec(),
            }),
            model::ChangeItem::Endpoint(endpoint) => Item::Endpoint(endpoint.into()),
            model::ChangeItem::EndpointGone(address) => Item::EndpointGone(v1::EndpointGone {
                address: address.as_str().to_owned(),
            }),
        };
        Self { item: Some(item) }
    }
}

impl TryFrom<v1::ChangeItem> for model::ChangeItem {
    type Error = BadMessage;

    /// An item of a kind this version does not know is an error: what is not
    /// understood cannot be obeyed.
    fn try_from(item: v1::ChangeItem) -> Result<Self, BadMessage> {
        Ok(match item.item.in_field("change.item")? {
            Item::Room(room) => Self::Room(room.try_into()?),
            Item::RoomGone(gone) => Self::RoomGone {
                id: RoomId::try_from(&*gone.id).in_field("room_gone.id")?,
                name: gone.name.parse().in_field("room_gone.name")?,
                template: gone.template.map(TryInto::try_into).transpose()?,
            },
            Item::Template(template) => Self::Template(template.try_into()?),
            Item::TemplateGone(gone) => Self::TemplateGone {
                id: RoomId::try_from(&*gone.id).in_field("template_gone.id")?,
                prefix: gone.prefix.parse().in_field("template_gone.prefix")?,
                next: gone.next.map(TryInto::try_into).transpose()?,
            },
            Item::Member(member) => Self::Member(member.try_into()?),
            Item::MemberGone(gone) => Self::MemberGone {
                room: RoomId::try_from(&*gone.room_id).in_field("member_gone.room_id")?,
                user: UserId::try_from(&*gone.user_id).in_field("member_gone.user_id")?,
            },
            Item::Session(session) => Self::Session(session.try_into()?),
            Item::DeviceToken(token) => Self::DeviceToken(
                token_hash(&token.token_sha256).in_field("device_token.token_sha256")?,
                token.session.in_field("device_token.session")?.try_into()?,
            ),
            Item::Block(block) => Self::Block(block.try_into()?),
            Item::BlockGone(gone) => Self::BlockGone {
                room: RoomId::try_from(&*gone.room_id).in_field("block_gone.room_id")?,
                user: UserId::try_from(&*gone.user_id).in_field("block_gone.user_id")?,
            },
            Item::SessionGone(gone) => {
                Self::SessionGone(SessionId::try_from(&*gone.id).in_field("session_gone.id")?)
            }
            Item::UserGone(gone) => {
                Self::UserGone(UserId::try_from(&*gone.id).in_field("user_gone.id")?)
            }
            Item::ApiKeyGone(gone) => {
                Self::ApiKeyGone(ApiKeyId::try_from(&*gone.id).in_field("api_key_gone.id")?)
            }
            Item::Endpoint(endpoint) => Self::Endpoint(endpoint.try_into()?),
            Item::EndpointGone(gone) => {
                Self::EndpointGone(gone.address.parse().in_field("endpoint_gone.address")?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use porthouse_model::{EndpointId, UnixTime};

    fn items() -> Vec<model::ChangeItem> {
        let (room, user) = (RoomId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let name: model::RoomName = "lobby".parse().expect("a room's name");
        let rules = Box::new(model::RoomRules::default());
        let template = model::Template {
            id: RoomId::from_bytes([5; 16]),
            prefix: "lob*".parse().expect("a prefix"),
            rules: rules.clone(),
        };
        vec![
            model::ChangeItem::Room(model::Room {
                id: room,
                name: name.clone(),
                rules,
                owner: None,
                blocks: model::RoomBlocks {
                    users: true,
                    addresses: vec![model::AddressBlock {
                        range: "2001:db8::/56".parse().expect("a range"),
                        expires: Some(UnixTime::from_millis(5)),
                    }],
                },
            }),
            model::ChangeItem::RoomGone {
                id: room,
                name,
                template: Some(template.clone()),
            },
            model::ChangeItem::TemplateGone {
                id: template.id,
                prefix: template.prefix.clone(),
                next: Some(template.clone()),
            },
            model::ChangeItem::Template(template),
            model::ChangeItem::Block(model::Block {
                room,
                user,
                expires: Some(UnixTime::from_millis(5)),
            }),
            model::ChangeItem::BlockGone { room, user },
            model::ChangeItem::Member(member(room, user, None)),
            model::ChangeItem::Member(member(room, user, Some(UnixTime::from_millis(9)))),
            model::ChangeItem::MemberGone { room, user },
            model::ChangeItem::Session(model::Session {
                id: SessionId::from_bytes([3; 16]),
                user,
                username: "ada".parse().expect("a name"),
                expires: UnixTime::from_millis(2),
                second_factor: Some(UnixTime::from_millis(1)),
                device: None,
            }),
            device_token(user),
            model::ChangeItem::SessionGone(SessionId::from_bytes([3; 16])),
            model::ChangeItem::UserGone(user),
            model::ChangeItem::ApiKeyGone(ApiKeyId::from_bytes([4; 16])),
            model::ChangeItem::Endpoint(model::Endpoint {
                id: EndpointId::from_bytes([5; 16]),
                address: "@front-desk".parse().expect("an address"),
                owner: Some(user),
                rooms: vec![
                    "lobby".parse().expect("a name"),
                    "@ada".parse().expect("a name"),
                ],
                access: model::EndpointAccess::Users,
            }),
            model::ChangeItem::EndpointGone("alice.example.com".parse().expect("an address")),
        ]
    }

    /// Something comes after it, for ever or not.
    fn member(room: RoomId, user: UserId, expires: Option<UnixTime>) -> model::Member {
        model::Member {
            room,
            user,
            role: model::Role::MODERATOR,
            expires: Some(UnixTime::from_millis(5)),
            then: Some(model::Then {
                role: model::Role::MEMBER,
                expires,
            }),
        }
    }

    fn device_token(user: UserId) -> model::ChangeItem {
        let device = model::Device {
            display_name: "Thermometer".to_owned(),
            acts: model::Acts::NONE.with(model::Act::See),
            rooms: vec!["lobby".parse().expect("a name")],
            blocks: vec![model::DeviceBlock {
                room: "lobby".parse().expect("a name"),
                expires: Some(UnixTime::from_millis(9)),
            }],
        };
        let session = model::Session {
            id: SessionId::from_bytes([7; 16]),
            user,
            username: "ada".parse().expect("a name"),
            expires: UnixTime::from_millis(2),
            second_factor: None,
            device: Some(Box::new(device)),
        };
        model::ChangeItem::DeviceToken(model::TokenHash::from_bytes([6; 32]), session)
    }

    #[test]
    fn a_change_is_read_back_as_written() {
        let payload = v1::ChangePayload {
            time: None,
            items: items().iter().map(Into::into).collect(),
        };
        let change = v1::Change {
            revision: 7,
            payload: payload.encode_to_vec().into(),
            ..v1::Change::default()
        };
        let expected = model::Change {
            revision: Revision(7),
            items: items(),
        };
        assert_eq!(change.try_into(), Ok(expected));
    }

    #[test]
    fn an_item_of_an_unknown_kind_is_refused() {
        let item = v1::ChangeItem { item: None };
        assert_eq!(
            model::ChangeItem::try_from(item),
            Err(BadMessage {
                field: "change.item"
            })
        );
    }
}
