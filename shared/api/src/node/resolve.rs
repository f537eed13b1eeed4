//! What is asked for by key, and what is answered.

use porthouse_model as model;
use porthouse_model::{PolicyKey, RoomId, TokenHash, UserId};

use super::{BadMessage, InField, v1};
use v1::resolve_key::Key;
use v1::resolved::Found;

impl From<&PolicyKey> for v1::ResolveKey {
    fn from(key: &PolicyKey) -> Self {
        let key = match key {
            PolicyKey::Room(name) => Key::RoomName(name.as_str().to_owned()),
            PolicyKey::Session(hash) => Key::SessionTokenSha256(hash.as_bytes().to_vec()),
            PolicyKey::Member(room, user) => Key::Member(v1::MemberKey {
                room_id: room.as_bytes().to_vec(),
                user_id: user.as_bytes().to_vec(),
            }),
            PolicyKey::Block(room, user) => Key::Block(v1::BlockKey {
                room_id: room.as_bytes().to_vec(),
                user_id: user.as_bytes().to_vec(),
            }),
            PolicyKey::ApiKey(hash) => Key::ApiKeySha256(hash.as_bytes().to_vec()),
            PolicyKey::Endpoint(address) => Key::EndpointAddress(address.as_str().to_owned()),
        };
        Self { key: Some(key) }
    }
}

impl TryFrom<v1::ResolveKey> for PolicyKey {
    type Error = BadMessage;

    fn try_from(key: v1::ResolveKey) -> Result<Self, BadMessage> {
        Ok(match key.key.in_field("key")? {
            Key::RoomName(name) => Self::Room(name.parse().in_field("key.room_name")?),
            Key::SessionTokenSha256(hash) => {
                Self::Session(token_hash(&hash).in_field("key.session_token_sha256")?)
            }
            Key::Member(member) => Self::Member(
                RoomId::try_from(&*member.room_id).in_field("key.member.room_id")?,
                UserId::try_from(&*member.user_id).in_field("key.member.user_id")?,
            ),
            Key::Block(block) => Self::Block(
                RoomId::try_from(&*block.room_id).in_field("key.block.room_id")?,
                UserId::try_from(&*block.user_id).in_field("key.block.user_id")?,
            ),
            Key::ApiKeySha256(hash) => {
                Self::ApiKey(token_hash(&hash).in_field("key.api_key_sha256")?)
            }
            Key::EndpointAddress(address) => {
                Self::Endpoint(address.parse().in_field("key.endpoint_address")?)
            }
        })
    }
}

impl From<&model::Resolved> for v1::Resolved {
    fn from(resolved: &model::Resolved) -> Self {
        let found = match resolved {
            model::Resolved::Room(room) => Some(Found::Room(room.into())),
            model::Resolved::Template(template) => Some(Found::Template(template.into())),
            model::Resolved::Block(block) => Some(Found::Block(block.into())),
            model::Resolved::Session(session) => Some(Found::Session(session.into())),
            model::Resolved::Member(member) => Some(Found::Member(member.into())),
            model::Resolved::ApiKey(key) => Some(Found::ApiKey(key.into())),
            model::Resolved::Endpoint(endpoint) => Some(Found::Endpoint(endpoint.into())),
            model::Resolved::Absent => None,
        };
        Self { found }
    }
}

impl TryFrom<v1::Resolved> for model::Resolved {
    type Error = BadMessage;

    fn try_from(resolved: v1::Resolved) -> Result<Self, BadMessage> {
        Ok(match resolved.found {
            Some(Found::Room(room)) => Self::Room(room.try_into()?),
            Some(Found::Template(template)) => Self::Template(template.try_into()?),
            Some(Found::Block(block)) => Self::Block(block.try_into()?),
            Some(Found::Session(session)) => Self::Session(session.try_into()?),
            Some(Found::Member(member)) => Self::Member(member.try_into()?),
            Some(Found::ApiKey(key)) => Self::ApiKey(key.try_into()?),
            Some(Found::Endpoint(endpoint)) => Self::Endpoint(endpoint.try_into()?),
            None => Self::Absent,
        })
    }
}

/// A SHA-256 from the wire, if it is 32 bytes.
#[must_use]
pub fn token_hash(bytes: &[u8]) -> Option<TokenHash> {
    bytes.try_into().ok().map(TokenHash::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_as_written() {
        let hash = TokenHash::from_bytes([9; 32]);
        let member = PolicyKey::Member(RoomId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let room = PolicyKey::Room("lobby".parse().expect("a room's name"));
        for key in [
            room,
            PolicyKey::Session(hash),
            member,
            PolicyKey::Block(RoomId::from_bytes([1; 16]), UserId::from_bytes([2; 16])),
            PolicyKey::ApiKey(hash),
            PolicyKey::Endpoint("@ada".parse().expect("an address")),
        ] {
            assert_eq!(v1::ResolveKey::from(&key).try_into(), Ok(key));
        }
    }

    #[test]
    fn a_hash_that_is_none_is_refused() {
        let key = v1::ResolveKey {
            key: Some(Key::ApiKeySha256(vec![1; 31])),
        };
        assert_eq!(
            PolicyKey::try_from(key),
            Err(BadMessage {
                field: "key.api_key_sha256"
            })
        );
    }

    #[test]
    fn what_is_absent_is_read_back_as_absent() {
        let absent = v1::Resolved::from(&model::Resolved::Absent);
        assert_eq!(absent.try_into(), Ok(model::Resolved::Absent));
    }
}
