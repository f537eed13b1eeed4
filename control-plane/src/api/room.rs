//! `RoomService`. A room's password leaves here only as a hash.

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{RoomName, Username};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::identity::chance;
use crate::store::rooms::{self, NewRoom, RoomRow};
use crate::store::{Connection, users};

use super::error::{ApiError, Kind};
use super::room_rule::{self, Field, PATHS};
use super::{Api, Write, etag, label, mask, page, resource_name, revision_to_wire, time};

#[tonic::async_trait]
impl wire::room_service_server::RoomService for Api {
    async fn create_room(
        &self,
        request: Request<wire::CreateRoomRequest>,
    ) -> Result<Response<wire::CreateRoomResponse>, Status> {
        let request = request.into_inner();
        let name: RoomName = resource_name::id("room_id", &request.room_id)?;
        let room = request.room.unwrap_or_default();
        let owner = owner(&room)?;
        let columns = room_rule::from_wire(room)?;
        room_rule::check(&columns)?;
        let password_phc = self.hash_unless_empty("password", request.password).await?;
        let password_version = i64::from(password_phc.is_some());
        let mut new = NewRoom {
            id: chance::identity(),
            name: name.as_str().to_owned(),
            columns,
            password_phc,
            password_version,
            password_count: password_version,
        };
        let (made, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    new.columns.owner_id = hold_owner(c, owner.as_ref()).await?;
                    let made = rooms::insert(c, &new).await;
                    let row =
                        made.map_err(|error| ApiError::taken(error, Kind::Room, full_name(&name)))?;
                    Ok((row, owner.map(|owner| owner.as_str().to_owned())))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateRoomResponse {
            room: Some(to_wire(made)),
            revision: revision_to_wire(revision),
        }))
    }

    async fn get_room(
        &self,
        request: Request<wire::GetRoomRequest>,
    ) -> Result<Response<wire::GetRoomResponse>, Status> {
        let name = resource_name::room("name", &request.into_inner().name)?;
        let found = self
            .read(move |c| {
                async move { rooms::by_name(c, &name).await?.ok_or_else(|| absent(&name)) }.boxed()
            })
            .await?;
        Ok(Response::new(wire::GetRoomResponse {
            room: Some(to_wire(found)),
        }))
    }

    async fn list_rooms(
        &self,
        request: Request<wire::ListRoomsRequest>,
    ) -> Result<Response<wire::ListRoomsResponse>, Status> {
        let request = request.into_inner();
        let prefix = resource_name::prefix("room_id_prefix", &request.room_id_prefix)?.to_owned();
        let listing = format!("rooms {prefix}");
        let asked = page::read(request.page_size, &request.page_token, &listing)?;
        let read = asked.clone();
        let rows = self
            .read(move |c| async move { Ok(rooms::page(c, &prefix, &read).await?) }.boxed())
            .await?;
        let (rows, next_page_token) =
            page::cut(rows, &asked, &listing, |(row, _)| row.name.clone());
        let rooms = rows.into_iter().map(to_wire).collect();
        Ok(Response::new(wire::ListRoomsResponse {
            rooms,
            next_page_token,
        }))
    }

    async fn update_room(
        &self,
        request: Request<wire::UpdateRoomRequest>,
    ) -> Result<Response<wire::UpdateRoomResponse>, Status> {
        let request = request.into_inner();
        let fields = mask::read(request.update_mask, PATHS)?;
        let room = request.room.unwrap_or_default();
        let name = resource_name::room("room.name", &room.name)?;
        let (given_etag, owner) = (room.etag.clone(), owner(&room)?);
        let mut given = room_rule::from_wire(room)?;
        let (changed, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    if fields.contains(&Field::Owner) {
                        given.owner_id = hold_owner(c, owner.as_ref()).await?;
                    }
                    let old = locked(c, &name, &given_etag).await?;
                    let mut columns = old.columns.clone();
                    for field in fields {
                        room_rule::copy(field, &given, &mut columns);
                    }
                    room_rule::check(&columns)?;
                    let row = if columns == old.columns {
                        old
                    } else {
                        rooms::update(c, old.id, &columns).await?
                    };
                    with_owner(c, row).await
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateRoomResponse {
            room: Some(to_wire(changed)),
            revision: revision_to_wire(revision),
        }))
    }

    async fn delete_room(
        &self,
        request: Request<wire::DeleteRoomRequest>,
    ) -> Result<Response<wire::DeleteRoomResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::room("name", &request.name)?;
        let ((), revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let room = locked(c, &name, &request.etag).await?;
                    Ok(rooms::delete(c, room.id).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DeleteRoomResponse {
            revision: revision_to_wire(revision),
        }))
    }

    async fn set_room_password(
        &self,
        request: Request<wire::SetRoomPasswordRequest>,
    ) -> Result<Response<wire::SetRoomPasswordResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::room("name", &request.name)?;
        let phc = self.hash("password", request.password).await?;
        let (room, revision) = self
            .change_room_password(name, request.etag, Some(phc))
            .await?;
        Ok(Response::new(wire::SetRoomPasswordResponse {
            room: Some(room),
            revision,
        }))
    }

    async fn clear_room_password(
        &self,
        request: Request<wire::ClearRoomPasswordRequest>,
    ) -> Result<Response<wire::ClearRoomPasswordResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::room("name", &request.name)?;
        let (room, revision) = self.change_room_password(name, request.etag, None).await?;
        Ok(Response::new(wire::ClearRoomPasswordResponse {
            room: Some(room),
            revision,
        }))
    }
}

impl Api {
    async fn change_room_password(
        &self,
        name: RoomName,
        etag: String,
        phc: Option<String>,
    ) -> Result<(wire::Room, i64), ApiError> {
        let (changed, revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let old = locked(c, &name, &etag).await?;
                    let row = match phc {
                        Some(phc) => rooms::set_password(c, old.id, &phc).await?,
                        None if old.password_version == 0 => old,
                        None => rooms::clear_password(c, old.id).await?,
                    };
                    with_owner(c, row).await
                }
                .boxed()
            })
            .await?;
        Ok((to_wire(changed), revision_to_wire(revision)))
    }
}

fn owner(room: &wire::Room) -> Result<Option<Username>, ApiError> {
    match room.owner.as_str() {
        "" => Ok(None),
        name => resource_name::user("room.owner", name).map(Some),
    }
}

/// The identity of a room's owner to be, who is not deleted meanwhile.
async fn hold_owner(
    c: &mut Connection,
    owner: Option<&Username>,
) -> Result<Option<Uuid>, ApiError> {
    let Some(name) = owner else { return Ok(None) };
    let rule = "a user that exists";
    let id = users::hold(c, name)
        .await?
        .ok_or_else(|| ApiError::field("room.owner", rule))?;
    Ok(Some(id))
}

/// The room to change, which nobody else changes meanwhile.
async fn locked(c: &mut Connection, name: &RoomName, etag: &str) -> Result<RoomRow, ApiError> {
    let room = rooms::lock(c, name).await?.ok_or_else(|| absent(name))?;
    if etag::holds(etag, room.id, room.version) {
        Ok(room)
    } else {
        Err(ApiError::Stale(Kind::Room, full_name(name)))
    }
}

async fn with_owner(
    c: &mut Connection,
    row: RoomRow,
) -> Result<(RoomRow, Option<String>), ApiError> {
    let owner = match row.columns.owner_id {
        Some(id) => users::name_of(c, id).await?,
        None => None,
    };
    Ok((row, owner))
}

fn full_name(name: &RoomName) -> String {
    format!("rooms/{name}")
}

pub(super) fn absent(name: &RoomName) -> ApiError {
    ApiError::Absent(Kind::Room, full_name(name))
}

fn to_wire((row, owner): (RoomRow, Option<String>)) -> wire::Room {
    let (visibility, rules) = room_rule::to_wire(&row.columns, row.password_version > 0);
    wire::Room {
        name: format!("rooms/{}", row.name),
        uid: row.id.to_string(),
        owner: owner
            .map(|owner| format!("users/{owner}"))
            .unwrap_or_default(),
        visibility: visibility.into(),
        rules: Some(rules),
        labels: label::from_json(row.columns.labels),
        etag: etag::of(row.id, row.version),
        create_time: Some(time::to_wire(row.create_time)),
        update_time: Some(time::to_wire(row.update_time)),
    }
}
