//! `RoomService`. A room's password leaves here only as a hash.

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{ChangeItem, RoomName};
use tonic::{Request, Response, Status};

use crate::identity::chance;
use crate::store::rooms::{self, NewRoom, RoomRow};
use crate::store::rule::SecretVersions;
use crate::store::{Connection, resolve};

use super::error::{ApiError, Kind};
use super::room_columns::{self, Given, to_wire};
use super::{Api, Outcome, Write, asker, etag, page, resource_name, revision_to_wire};

#[tonic::async_trait]
impl wire::room_service_server::RoomService for Api {
    async fn create_room(
        &self,
        request: Request<wire::CreateRoomRequest>,
    ) -> Result<Response<wire::CreateRoomResponse>, Status> {
        let asker = asker(&request, "");
        let request = request.into_inner();
        let name: RoomName = resource_name::id("room_id", &request.room_id)?;
        if name.freeport_of().is_some() {
            let rule = "no freeport's name, which is there with its user: see EndpointService";
            return Err(ApiError::field("room_id", rule).into());
        }
        let room = request.room.unwrap_or_default();
        let given = Given::read(room)?;
        let compiled = given.compile().await?;
        let password_phc = self.hash_unless_empty(asker, request.password).await?;
        let password_version = i64::from(password_phc.is_some());
        let (made, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let versions = SecretVersions {
                        password: u64::from(password_phc.is_some()),
                        ..SecretVersions::default()
                    };
                    let columns = given.make(c, versions, &compiled).await?;
                    let new = NewRoom {
                        id: chance::identity(),
                        name: name.as_str().to_owned(),
                        columns,
                        password_phc,
                        password_version,
                        password_count: password_version,
                    };
                    let made = rooms::insert(c, &new).await;
                    let row =
                        made.map_err(|error| ApiError::taken(error, Kind::Room, full_name(&name)))?;
                    to_wire(c, row).await
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateRoomResponse {
            room: Some(made),
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
                async move {
                    let row = rooms::by_name(c, &name).await?;
                    let row = row.ok_or_else(|| absent(&name))?;
                    to_wire(c, row).await
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetRoomResponse { room: Some(found) }))
    }

    async fn list_rooms(
        &self,
        request: Request<wire::ListRoomsRequest>,
    ) -> Result<Response<wire::ListRoomsResponse>, Status> {
        let request = request.into_inner();
        let prefix = resource_name::prefix("room_id_prefix", &request.room_id_prefix)?.to_owned();
        let listing = format!("rooms {prefix}");
        let asked = page::read(request.page_size, &request.page_token, &listing)?;
        let (rooms, next_page_token) = self
            .read(move |c| {
                async move {
                    let rows = rooms::page(c, &prefix, &asked).await?;
                    let rooms = room_columns::all_to_wire(c, rows).await?;
                    Ok(page::cut_by_bytes(rooms, &asked, &listing, |room| {
                        room.name.trim_start_matches("rooms/").to_owned()
                    }))
                }
                .boxed()
            })
            .await?;
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
        let fields = room_columns::fields(request.update_mask)?;
        let room = request.room.unwrap_or_default();
        let name = resource_name::room("room.name", &room.name)?;
        let given_etag = room.etag.clone();
        let given = Given::read(room)?;
        let compiled = given
            .compile_change(&self.room(name.clone()).await?, &fields)
            .await?;
        let rehearses = request.validate_only;
        let ((changed, would_be), revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let old = locked(c, &name, &given_etag).await?;
                    let columns = given.change(c, &old, &fields, &compiled).await?;
                    let row = if columns == old.columns {
                        old
                    } else {
                        rooms::update(c, old.id, &columns).await?
                    };
                    let would_be = if rehearses {
                        let rooms = resolve::rooms_by_id(c, &[row.id]).await?;
                        rooms.into_values().next().map(ChangeItem::Room)
                    } else {
                        None
                    };
                    Ok((to_wire(c, row).await?, would_be))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateRoomResponse {
            room: Some(changed),
            revision: revision_to_wire(revision),
            impact: self.impact_of(would_be).await?,
        }))
    }

    async fn delete_room(
        &self,
        request: Request<wire::DeleteRoomRequest>,
    ) -> Result<Response<wire::DeleteRoomResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::room("name", &request.name)?;
        let ((), Outcome { revision, impact }) = self
            .write_or_foresee(Write::of(request.validate_only), move |c| {
                async move {
                    let room = locked(c, &name, &request.etag).await?;
                    Ok(rooms::delete(c, room.id).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DeleteRoomResponse { revision, impact }))
    }

    async fn set_room_password(
        &self,
        request: Request<wire::SetRoomPasswordRequest>,
    ) -> Result<Response<wire::SetRoomPasswordResponse>, Status> {
        let asker = asker(&request, "");
        let request = request.into_inner();
        let name = resource_name::room("name", &request.name)?;
        let phc = self.hash(asker, request.password).await?;
        let write = Write::of(request.validate_only);
        let change = (request.etag, Some(phc));
        let (room, Outcome { revision, impact }) =
            self.change_room_password(write, name, change).await?;
        Ok(Response::new(wire::SetRoomPasswordResponse {
            room: Some(room),
            revision,
            impact,
        }))
    }

    async fn clear_room_password(
        &self,
        request: Request<wire::ClearRoomPasswordRequest>,
    ) -> Result<Response<wire::ClearRoomPasswordResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::room("name", &request.name)?;
        let change = (request.etag, None);
        let (room, outcome) = self.change_room_password(Write::Keep, name, change).await?;
        Ok(Response::new(wire::ClearRoomPasswordResponse {
            room: Some(room),
            revision: outcome.revision,
        }))
    }
}

impl Api {
    /// A room as it stands, which others may change.
    async fn room(&self, name: RoomName) -> Result<RoomRow, ApiError> {
        self.read(move |c| {
            async move {
                let found = rooms::by_name(c, &name).await?;
                found.ok_or_else(|| absent(&name))
            }
            .boxed()
        })
        .await
    }

    async fn change_room_password(
        &self,
        write: Write,
        name: RoomName,
        (etag, phc): (String, Option<String>),
    ) -> Result<(wire::Room, Outcome), ApiError> {
        self.write_or_foresee(write, move |c| {
            async move {
                let old = locked(c, &name, &etag).await?;
                let row = match phc {
                    Some(phc) => rooms::set_password(c, old.id, &phc).await?,
                    None if old.password_version == 0 => old,
                    None => rooms::clear_password(c, old.id).await?,
                };
                to_wire(c, row).await
            }
            .boxed()
        })
        .await
    }
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

fn full_name(name: &RoomName) -> String {
    format!("rooms/{name}")
}

pub(super) fn absent(name: &RoomName) -> ApiError {
    ApiError::Absent(Kind::Room, full_name(name))
}
