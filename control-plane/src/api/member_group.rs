//! `MemberGroupService`: whoever has a label is a member of a room. Knows no SQL; what a
//! group gives, and to whom, the database derives.

use chrono::Utc;
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::RoomName;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::store::member_groups::{self, GroupRow};
use crate::store::{Connection, rooms};

use super::error::{ApiError, Kind};
use super::member::{Field, PATHS, columns_of};
use super::{Api, Write, label, mask, page, resource_name, revision_to_wire, room, time};

/// The most groups of a room.
const GROUPS_PER_ROOM_MAX: i64 = 32;

#[tonic::async_trait]
impl wire::member_group_service_server::MemberGroupService for Api {
    async fn create_member_group(
        &self,
        request: Request<wire::CreateMemberGroupRequest>,
    ) -> Result<Response<wire::CreateMemberGroupResponse>, Status> {
        let request = request.into_inner();
        let group = request.member_group.unwrap_or_default();
        let name = GroupName {
            room: resource_name::room("parent", &request.parent)?,
            group: resource_name::guard_id("member_group_id", &request.member_group_id)?,
        };
        label::one("member_group", &group.label_key, &group.label_value)?;
        let columns = columns_of("member_group", &group.role, group.expire_time)?;
        let (made, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let room = name.hold(c).await?;
                    member_groups::alone(c, (&group.label_key, &group.label_value)).await?;
                    if member_groups::count(c, room).await? >= GROUPS_PER_ROOM_MAX {
                        return Err(ApiError::MemberGroupsTooMany(GROUPS_PER_ROOM_MAX));
                    }
                    let new = GroupRow {
                        room_id: room,
                        name: name.group.clone(),
                        label_key: group.label_key,
                        label_value: group.label_value,
                        role: columns.role,
                        expire_time: columns.expire_time,
                        create_time: Utc::now(),
                    };
                    let made = member_groups::insert(c, &new).await;
                    let taken = |error| ApiError::taken(error, Kind::MemberGroup, name.to_string());
                    let made = made.map_err(taken)?;
                    member_groups::derive(c, &made).await?;
                    Ok(to_wire(&name.room, made))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateMemberGroupResponse {
            member_group: Some(made),
            revision: revision_to_wire(revision),
        }))
    }

    async fn get_member_group(
        &self,
        request: Request<wire::GetMemberGroupRequest>,
    ) -> Result<Response<wire::GetMemberGroupResponse>, Status> {
        let name = GroupName::read("name", &request.into_inner().name)?;
        let found = self
            .read(move |c| {
                async move {
                    let room = id_of(c, &name.room).await?;
                    let row = member_groups::by_name(c, room, &name.group).await?;
                    Ok(to_wire(&name.room, row.ok_or_else(|| name.absent())?))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetMemberGroupResponse {
            member_group: Some(found),
        }))
    }

    async fn list_member_groups(
        &self,
        request: Request<wire::ListMemberGroupsRequest>,
    ) -> Result<Response<wire::ListMemberGroupsResponse>, Status> {
        let request = request.into_inner();
        let room_name = resource_name::room("parent", &request.parent)?;
        let listing = format!("member groups {room_name}");
        let asked = page::read::<String>(request.page_size, &request.page_token, &listing)?;
        let (read, name) = (asked.clone(), room_name.clone());
        let rows = self
            .read(move |c| {
                async move {
                    let room = id_of(c, &name).await?;
                    Ok(member_groups::page(c, room, &read).await?)
                }
                .boxed()
            })
            .await?;
        let (rows, next_page_token) = page::cut(rows, &asked, &listing, |row| row.name.clone());
        let groups = rows.into_iter().map(|row| to_wire(&room_name, row));
        Ok(Response::new(wire::ListMemberGroupsResponse {
            member_groups: groups.collect(),
            next_page_token,
        }))
    }

    async fn update_member_group(
        &self,
        request: Request<wire::UpdateMemberGroupRequest>,
    ) -> Result<Response<wire::UpdateMemberGroupResponse>, Status> {
        let request = request.into_inner();
        let fields = mask::read(request.update_mask, PATHS)?;
        let group = request.member_group.unwrap_or_default();
        let name = GroupName::read("member_group.name", &group.name)?;
        let given = columns_of("member_group", &group.role, group.expire_time)?;
        let (changed, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let old = name.alone(c).await?;
                    let mut columns = old.columns();
                    for field in fields {
                        match field {
                            Field::Role => columns.role.clone_from(&given.role),
                            Field::ExpireTime => columns.expire_time = given.expire_time,
                        }
                    }
                    let changed = member_groups::update(c, &old, &columns).await?;
                    member_groups::derive(c, &changed).await?;
                    Ok(to_wire(&name.room, changed))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateMemberGroupResponse {
            member_group: Some(changed),
            revision: revision_to_wire(revision),
        }))
    }

    async fn delete_member_group(
        &self,
        request: Request<wire::DeleteMemberGroupRequest>,
    ) -> Result<Response<wire::DeleteMemberGroupResponse>, Status> {
        let name = GroupName::read("name", &request.into_inner().name)?;
        let ((), revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let old = name.alone(c).await?;
                    member_groups::delete(c, &old).await?;
                    Ok(member_groups::derive(c, &old).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DeleteMemberGroupResponse {
            revision: revision_to_wire(revision),
        }))
    }
}

/// A group by its names.
struct GroupName {
    room: RoomName,
    group: String,
}

impl std::fmt::Display for GroupName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rooms/{}/memberGroups/{}", self.room, self.group)
    }
}

impl GroupName {
    fn read(field: &str, name: &str) -> Result<Self, ApiError> {
        let (room, group) = resource_name::member_group(field, name)?;
        Ok(Self { room, group })
    }

    fn absent(&self) -> ApiError {
        ApiError::Absent(Kind::MemberGroup, self.to_string())
    }

    /// The room, which is not deleted meanwhile.
    async fn hold(&self, c: &mut Connection) -> Result<Uuid, ApiError> {
        let room = rooms::hold(c, &self.room).await?;
        room.ok_or_else(|| room::absent(&self.room))
    }

    /// The group, which nobody else changes, and whose label nobody is given or loses.
    async fn alone(&self, c: &mut Connection) -> Result<GroupRow, ApiError> {
        let room = self.hold(c).await?;
        let group = member_groups::by_name(c, room, &self.group).await?;
        let group = group.ok_or_else(|| self.absent())?;
        member_groups::alone(c, (&group.label_key, &group.label_value)).await?;
        // As it stands now that nobody else writes one.
        let group = member_groups::by_name(c, room, &self.group).await?;
        group.ok_or_else(|| self.absent())
    }
}

async fn id_of(c: &mut Connection, name: &RoomName) -> Result<Uuid, ApiError> {
    let room = rooms::by_name(c, name).await?;
    Ok(room.ok_or_else(|| room::absent(name))?.id)
}

fn to_wire(room: &RoomName, row: GroupRow) -> wire::MemberGroup {
    wire::MemberGroup {
        name: format!("rooms/{room}/memberGroups/{}", row.name),
        label_key: row.label_key,
        label_value: row.label_value,
        role: row.role,
        expire_time: row.expire_time.map(time::to_wire),
        create_time: Some(time::to_wire(row.create_time)),
    }
}
