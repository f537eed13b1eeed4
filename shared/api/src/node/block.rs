//! Blocks between the wire and the model. Never judges whether one has ended.

use porthouse_model as model;
use porthouse_model::{ADDRESS_BLOCKS_MAX, RoomId, UserId};

use super::time::{timestamp, unix_time};
use super::{BadMessage, InField, v1};

impl From<&model::Block> for v1::Block {
    fn from(block: &model::Block) -> Self {
        Self {
            room_id: block.room.as_bytes().to_vec(),
            user_id: block.user.as_bytes().to_vec(),
            expire_time: block.expires.map(timestamp),
        }
    }
}

impl TryFrom<v1::Block> for model::Block {
    type Error = BadMessage;

    fn try_from(block: v1::Block) -> Result<Self, BadMessage> {
        let expires = block.expire_time.map(unix_time);
        Ok(Self {
            room: RoomId::try_from(&*block.room_id).in_field("block.room_id")?,
            user: UserId::try_from(&*block.user_id).in_field("block.user_id")?,
            expires: expires
                .map(|time| time.in_field("block.expire_time"))
                .transpose()?,
        })
    }
}

impl From<&model::AddressBlock> for v1::AddressBlock {
    fn from(block: &model::AddressBlock) -> Self {
        Self {
            range: block.range.to_string(),
            expire_time: block.expires.map(timestamp),
        }
    }
}

impl TryFrom<v1::AddressBlock> for model::AddressBlock {
    type Error = BadMessage;

    fn try_from(block: v1::AddressBlock) -> Result<Self, BadMessage> {
        let expires = block.expire_time.map(unix_time);
        Ok(Self {
            range: block.range.parse().in_field("address_block.range")?,
            expires: expires
                .map(|time| time.in_field("address_block.expire_time"))
                .transpose()?,
        })
    }
}

/// What a room says of its blocks.
pub(super) fn blocks(
    users: bool,
    addresses: Vec<v1::AddressBlock>,
) -> Result<model::RoomBlocks, BadMessage> {
    if addresses.len() > ADDRESS_BLOCKS_MAX {
        return Err(BadMessage {
            field: "room.address_blocks",
        });
    }
    let addresses = addresses.into_iter().map(TryInto::try_into);
    Ok(model::RoomBlocks {
        users,
        addresses: addresses.collect::<Result<_, _>>()?,
    })
}
