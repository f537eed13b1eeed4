//! Memberships between the wire and the model. Does not judge whether one has expired.

use porthouse_model as model;
use porthouse_model::{Role, RoomId, Then, UserId};

use super::time::{timestamp, unix_time};
use super::{BadMessage, InField, v1};

impl From<&model::Member> for v1::Member {
    fn from(member: &model::Member) -> Self {
        let then = member.then;
        Self {
            room_id: member.room.as_bytes().to_vec(),
            user_id: member.user.as_bytes().to_vec(),
            expire_time: member.expires.map(timestamp),
            role: member.role.as_str().to_owned(),
            then_role: then.map_or_else(String::new, |then| then.role.as_str().to_owned()),
            then_expire_time: then.and_then(|then| then.expires).map(timestamp),
        }
    }
}

impl TryFrom<v1::Member> for model::Member {
    type Error = BadMessage;

    fn try_from(member: v1::Member) -> Result<Self, BadMessage> {
        let expires = member
            .expire_time
            .map(|time| unix_time(time).in_field("member.expire_time"));
        let then_expires = member
            .then_expire_time
            .map(|time| unix_time(time).in_field("member.then_expire_time"));
        let then_expires = then_expires.transpose()?;
        let then = match &*member.then_role {
            "" => None,
            role => Some(Then {
                role: role.parse().in_field("member.then_role")?,
                expires: then_expires,
            }),
        };
        Ok(Self {
            room: RoomId::try_from(&*member.room_id).in_field("member.room_id")?,
            user: UserId::try_from(&*member.user_id).in_field("member.user_id")?,
            role: match &*member.role {
                "" => Role::MEMBER,
                role => role.parse().in_field("member.role")?,
            },
            expires: expires.transpose()?,
            then,
        })
    }
}
