//! Sessions between the wire and the model. Never a token, nor whether one is still good.

use porthouse_model as model;
use porthouse_model::{DEVICE_ROOMS_MAX, SessionId, UserId};

use super::time::{timestamp, unix_time};
use super::{BadMessage, InField, v1};

impl From<&model::Session> for v1::Session {
    fn from(session: &model::Session) -> Self {
        Self {
            id: session.id.as_bytes().to_vec(),
            user_id: session.user.as_bytes().to_vec(),
            username: session.username.as_str().to_owned(),
            expire_time: Some(timestamp(session.expires)),
            second_factor_time: session.second_factor.map(timestamp),
            device: session.device.as_deref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Session> for model::Session {
    type Error = BadMessage;

    fn try_from(session: v1::Session) -> Result<Self, BadMessage> {
        Ok(Self {
            id: SessionId::try_from(&*session.id).in_field("session.id")?,
            user: UserId::try_from(&*session.user_id).in_field("session.user_id")?,
            username: session.username.parse().in_field("session.username")?,
            expires: session
                .expire_time
                .and_then(unix_time)
                .in_field("session.expire_time")?,
            second_factor: session
                .second_factor_time
                .map(|time| unix_time(time).in_field("session.second_factor_time"))
                .transpose()?,
            device: session
                .device
                .map(|device| device.try_into().map(Box::new))
                .transpose()?,
        })
    }
}

impl From<&model::Device> for v1::Device {
    fn from(device: &model::Device) -> Self {
        let rooms = device.rooms.iter();
        Self {
            display_name: device.display_name.clone(),
            acts: Some(device.acts.into()),
            room_names: rooms.map(|room| room.as_str().to_owned()).collect(),
            blocks: device.blocks.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Device> for model::Device {
    type Error = BadMessage;

    fn try_from(device: v1::Device) -> Result<Self, BadMessage> {
        let field = "session.device.room_names";
        if device.room_names.len().max(device.blocks.len()) > DEVICE_ROOMS_MAX {
            return Err(BadMessage { field });
        }
        let rooms = device.room_names.iter();
        Ok(Self {
            display_name: device.display_name,
            acts: device.acts.in_field("session.device.acts")?.try_into()?,
            rooms: rooms
                .map(|name| name.parse().in_field(field))
                .collect::<Result<_, _>>()?,
            blocks: device
                .blocks
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<&model::DeviceBlock> for v1::DeviceBlock {
    fn from(block: &model::DeviceBlock) -> Self {
        Self {
            room_name: block.room.as_str().to_owned(),
            expire_time: block.expires.map(timestamp),
        }
    }
}

impl TryFrom<v1::DeviceBlock> for model::DeviceBlock {
    type Error = BadMessage;

    fn try_from(block: v1::DeviceBlock) -> Result<Self, BadMessage> {
        let expires = block.expire_time.map(unix_time);
        Ok(Self {
            room: block
                .room_name
                .parse()
                .in_field("session.device.blocks.room_name")?,
            expires: expires
                .map(|time| time.in_field("session.device.blocks.expire_time"))
                .transpose()?,
        })
    }
}
