//! `BlockService`: who is kept out of a room, and until when. Knows no SQL.

use chrono::Utc;
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{ADDRESS_BLOCKS_MAX, AddressRange, RoomName, Username};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use wire::block::Subject;

use crate::identity::chance;
use crate::store::blocks::{self, BlockColumns, BlockRow};
use crate::store::rooms::RoomRow;
use crate::store::{Connection, device_tokens, rooms, users};

use super::error::{ApiError, Kind};
use super::{
    Api, Outcome, Write, device_token, etag, label, mask, page, resource_name, revision_to_wire,
    room, time, user,
};

/// What an update of a block names.
#[derive(Clone, Copy)]
enum Field {
    Reason,
    ExpireTime,
}

const PATHS: &mask::Paths<Field> = &[
    ("reason", &[Field::Reason]),
    ("expire_time", &[Field::ExpireTime]),
];

/// Who is to be kept out, as it was sent.
enum Given {
    User(Username),
    Range(AddressRange),
    Device(Uuid),
}

#[tonic::async_trait]
impl wire::block_service_server::BlockService for Api {
    async fn create_block(
        &self,
        request: Request<wire::CreateBlockRequest>,
    ) -> Result<Response<wire::CreateBlockResponse>, Status> {
        let request = request.into_inner();
        let room_name = resource_name::room("parent", &request.parent)?;
        let block = request.block.unwrap_or_default();
        let given = Given::read(block.subject)?;
        let reason = label::reason("block.reason", block.reason)?;
        let expire_time = time::future("block.expire_time", block.expire_time, Utc::now())?;
        let (block, Outcome { revision, impact }) = self
            .write_or_foresee(Write::of(request.validate_only), move |c| {
                async move {
                    let user_id = hold_user(c, &given).await?;
                    let device_id = hold_device(c, &given).await?;
                    let room = locked(c, &room_name).await?;
                    blocks::delete_expired(c, room.id).await?;
                    check(c, &room, &given, user_id).await?;
                    let columns = BlockColumns {
                        user_id,
                        address_range: given.range(),
                        device_id,
                        reason,
                        expire_time,
                    };
                    let made = blocks::insert(c, chance::identity(), room.id, &columns).await;
                    let row = made.map_err(|error| {
                        let name = format!("a block of {} in rooms/{room_name}", given.name());
                        ApiError::taken(error, Kind::Block, name)
                    })?;
                    Ok(to_wire(&room_name, row, given.user()))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateBlockResponse {
            block: Some(block),
            revision,
            impact,
        }))
    }

    async fn get_block(
        &self,
        request: Request<wire::GetBlockRequest>,
    ) -> Result<Response<wire::GetBlockResponse>, Status> {
        let name = request.into_inner().name;
        let (room_name, id) = resource_name::block("name", &name)?;
        let block = self
            .read(move |c| {
                async move {
                    let room = rooms::by_name(c, &room_name)
                        .await?
                        .ok_or_else(|| room::absent(&room_name))?;
                    let found = blocks::by_id(c, room.id, id).await?;
                    let (row, user) = found.ok_or(ApiError::Absent(Kind::Block, name))?;
                    Ok(to_wire(&room_name, row, user))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetBlockResponse { block: Some(block) }))
    }

    async fn list_blocks(
        &self,
        request: Request<wire::ListBlocksRequest>,
    ) -> Result<Response<wire::ListBlocksResponse>, Status> {
        let request = request.into_inner();
        let room_name = resource_name::room("parent", &request.parent)?;
        let user = match request.user.as_str() {
            "" => None,
            name => Some(resource_name::user("user", name)?),
        };
        let listing = format!("blocks {room_name} {}", request.user);
        let asked = page::read::<Uuid>(request.page_size, &request.page_token, &listing)?;
        let (read, name) = (asked.clone(), room_name.clone());
        let rows = self
            .read(move |c| {
                async move {
                    let room = rooms::by_name(c, &name)
                        .await?
                        .ok_or_else(|| room::absent(&name))?;
                    let user = user.as_ref().map(Username::as_str);
                    Ok(blocks::page(c, room.id, user, &read).await?)
                }
                .boxed()
            })
            .await?;
        let (rows, next_page_token) = page::cut(rows, &asked, &listing, |(row, _)| row.id);
        let blocks = rows.into_iter();
        Ok(Response::new(wire::ListBlocksResponse {
            blocks: blocks
                .map(|(row, user)| to_wire(&room_name, row, user))
                .collect(),
            next_page_token,
        }))
    }

    async fn update_block(
        &self,
        request: Request<wire::UpdateBlockRequest>,
    ) -> Result<Response<wire::UpdateBlockResponse>, Status> {
        let request = request.into_inner();
        let fields = mask::read(request.update_mask, PATHS)?;
        let block = request.block.unwrap_or_default();
        let (room_name, id) = resource_name::block("block.name", &block.name)?;
        let reason = label::reason("block.reason", block.reason)?;
        let expire_time = time::future("block.expire_time", block.expire_time, Utc::now())?;
        let (name, etag) = (block.name, block.etag);
        let (block, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let room = locked(c, &room_name).await?;
                    let found = blocks::by_id(c, room.id, id).await?;
                    let Some((old, user)) = found else {
                        return Err(ApiError::Absent(Kind::Block, name));
                    };
                    if !etag::holds(&etag, old.id, old.version) {
                        return Err(ApiError::Stale(Kind::Block, name));
                    }
                    let mut columns = old.columns.clone();
                    for field in fields {
                        match field {
                            Field::Reason => columns.reason.clone_from(&reason),
                            Field::ExpireTime => columns.expire_time = expire_time,
                        }
                    }
                    let row = if columns == old.columns {
                        old
                    } else {
                        let changed = (columns.reason.as_str(), columns.expire_time);
                        blocks::update(c, id, changed).await?
                    };
                    Ok(to_wire(&room_name, row, user))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateBlockResponse {
            block: Some(block),
            revision: revision_to_wire(revision),
        }))
    }

    async fn delete_block(
        &self,
        request: Request<wire::DeleteBlockRequest>,
    ) -> Result<Response<wire::DeleteBlockResponse>, Status> {
        let name = request.into_inner().name;
        let (room_name, id) = resource_name::block("name", &name)?;
        let ((), revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let room = locked(c, &room_name).await?;
                    if blocks::delete(c, room.id, id).await? {
                        Ok(())
                    } else {
                        Err(ApiError::Absent(Kind::Block, name))
                    }
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DeleteBlockResponse {
            revision: revision_to_wire(revision),
        }))
    }
}

impl Given {
    fn read(subject: Option<Subject>) -> Result<Self, ApiError> {
        match subject {
            Some(Subject::User(name)) => resource_name::user("block.user", &name).map(Self::User),
            Some(Subject::AddressRange(range)) => {
                resource_name::id("block.address_range", &range).map(Self::Range)
            }
            Some(Subject::DeviceToken(name)) => {
                resource_name::device_token("block.device_token", &name).map(Self::Device)
            }
            None => {
                let rule = "users/{user}, unless it is of an address_range or a device_token";
                Err(ApiError::field("block.user", rule))
            }
        }
    }

    /// As people know it.
    fn name(&self) -> String {
        match self {
            Self::User(user) => format!("users/{user}"),
            Self::Range(range) => range.to_string(),
            Self::Device(id) => format!("deviceTokens/{id}"),
        }
    }

    fn user(&self) -> Option<String> {
        match self {
            Self::User(user) => Some(user.as_str().to_owned()),
            Self::Range(_) | Self::Device(_) => None,
        }
    }

    fn range(&self) -> Option<String> {
        match self {
            Self::User(_) | Self::Device(_) => None,
            Self::Range(range) => Some(range.to_string()),
        }
    }
}

/// The identity of whom it is of, who is not deleted meanwhile. Held before the
/// room is locked, as by whoever deletes a user.
async fn hold_user(c: &mut Connection, given: &Given) -> Result<Option<Uuid>, ApiError> {
    let Given::User(name) = given else {
        return Ok(None);
    };
    let id = users::hold(c, name).await?;
    Ok(Some(id.ok_or_else(|| user::absent(name))?))
}

/// The identity of the device it is of, whose token is not deleted meanwhile.
async fn hold_device(c: &mut Connection, given: &Given) -> Result<Option<Uuid>, ApiError> {
    let Given::Device(id) = given else {
        return Ok(None);
    };
    let held = device_tokens::lock(c, *id).await?;
    held.ok_or_else(|| device_token::absent(*id))?;
    Ok(Some(*id))
}

/// The room, which nobody else changes meanwhile: nodes are told of its blocks
/// with it.
async fn locked(c: &mut Connection, name: &RoomName) -> Result<RoomRow, ApiError> {
    let room = rooms::lock(c, name).await?;
    room.ok_or_else(|| room::absent(name))
}

/// The owner is never kept out, and nodes are told of so many ranges.
async fn check(
    c: &mut Connection,
    room: &RoomRow,
    given: &Given,
    user: Option<Uuid>,
) -> Result<(), ApiError> {
    if let Given::User(_) | Given::Device(_) = given {
        if user.is_some() && user == room.columns.owner_id {
            let rule = "not the room's owner, who is never kept out: change the room's owner first";
            return Err(ApiError::field("block.user", rule));
        }
        return Ok(());
    }
    let ranges = blocks::count_ranges(c, room.id).await?;
    if usize::try_from(ranges).is_ok_and(|ranges| ranges < ADDRESS_BLOCKS_MAX) {
        Ok(())
    } else {
        Err(ApiError::AddressBlocksTooMany(ADDRESS_BLOCKS_MAX))
    }
}

fn to_wire(room: &RoomName, row: BlockRow, user: Option<String>) -> wire::Block {
    let user = user.map(|user| Subject::User(format!("users/{user}")));
    let device = row.columns.device_id;
    let device = device.map(|id| format!("deviceTokens/{id}"));
    wire::Block {
        name: format!("rooms/{room}/blocks/{}", row.id),
        subject: user
            .or(row.columns.address_range.map(Subject::AddressRange))
            .or(device.map(Subject::DeviceToken)),
        reason: row.columns.reason,
        create_time: Some(time::to_wire(row.create_time)),
        expire_time: row.columns.expire_time.map(time::to_wire),
        etag: etag::of(row.id, row.version),
    }
}
