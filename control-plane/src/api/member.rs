//! `MemberService`: who belongs to a room, and until when. Knows no SQL.

use chrono::Utc;
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{Role, RoomName, Username};
use tonic::{Request, Response, Status};

use crate::store::member_groups;
use crate::store::members::{self, MemberColumns, MemberKey, MemberRow};
use crate::store::{Connection, rooms, users};

use super::error::{ApiError, Kind};
use super::{Api, Outcome, Write, mask, page, resource_name, revision_to_wire, room, time, user};

/// What an update may name.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Field {
    Role,
    ExpireTime,
}

pub(super) const PATHS: &mask::Paths<Field> = &[
    ("role", &[Field::Role]),
    ("expire_time", &[Field::ExpireTime]),
];

#[tonic::async_trait]
impl wire::member_service_server::MemberService for Api {
    async fn create_member(
        &self,
        request: Request<wire::CreateMemberRequest>,
    ) -> Result<Response<wire::CreateMemberResponse>, Status> {
        let request = request.into_inner();
        let names = Names {
            room: resource_name::room("parent", &request.parent)?,
            user: resource_name::id("user_id", &request.user_id)?,
        };
        let member = request.member.unwrap_or_default();
        let columns = columns_of("member", &member.role, member.expire_time)?;
        let (member, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let key = hold(c, &names).await?;
                    member_groups::lock(c).await?;
                    let own = members::make_own(c, key, &columns).await?;
                    let row = if let Some(row) = own {
                        row
                    } else {
                        members::delete_expired(c, key).await?;
                        let made = members::insert(c, key, &columns).await;
                        made.map_err(|error| ApiError::taken(error, Kind::Member, names.full()))?
                    };
                    // What groups give once it ends.
                    member_groups::derive_one(c, key).await?;
                    Ok(to_wire(&names, &row))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateMemberResponse {
            member: Some(member),
            revision: revision_to_wire(revision),
        }))
    }

    async fn get_member(
        &self,
        request: Request<wire::GetMemberRequest>,
    ) -> Result<Response<wire::GetMemberResponse>, Status> {
        let names = Names::read("name", &request.into_inner().name)?;
        let member = self
            .read(move |c| {
                async move {
                    let room = rooms::by_name(c, &names.room)
                        .await?
                        .ok_or_else(|| room::absent(&names.room))?;
                    let user = users::by_name(c, &names.user)
                        .await?
                        .ok_or_else(|| user::absent(&names.user))?;
                    let key = MemberKey {
                        room: room.id,
                        user: user.id,
                    };
                    let row = members::by_key(c, key)
                        .await?
                        .ok_or_else(|| names.absent())?;
                    Ok(to_wire(&names, &row))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetMemberResponse {
            member: Some(member),
        }))
    }

    async fn list_members(
        &self,
        request: Request<wire::ListMembersRequest>,
    ) -> Result<Response<wire::ListMembersResponse>, Status> {
        let request = request.into_inner();
        let room_name = resource_name::room("parent", &request.parent)?;
        let role = match request.role.as_str() {
            "" => None,
            given => Some(role("role", given)?),
        };
        let listing = format!("members {room_name} {}", request.role);
        let asked = page::read::<String>(request.page_size, &request.page_token, &listing)?;
        let (read, name) = (asked.clone(), room_name.clone());
        let rows = self
            .read(move |c| {
                async move {
                    let room = rooms::by_name(c, &name)
                        .await?
                        .ok_or_else(|| room::absent(&name))?;
                    Ok(members::page(c, room.id, role.as_deref(), &read).await?)
                }
                .boxed()
            })
            .await?;
        let (rows, next_page_token) =
            page::cut(rows, &asked, &listing, |(_, username)| username.clone());
        let members = rows
            .into_iter()
            .map(|(row, username)| named(&format!("rooms/{room_name}/members/{username}"), &row))
            .collect();
        Ok(Response::new(wire::ListMembersResponse {
            members,
            next_page_token,
        }))
    }

    async fn update_member(
        &self,
        request: Request<wire::UpdateMemberRequest>,
    ) -> Result<Response<wire::UpdateMemberResponse>, Status> {
        let request = request.into_inner();
        let fields = mask::read(request.update_mask, PATHS)?;
        let member = request.member.unwrap_or_default();
        let names = Names::read("member.name", &member.name)?;
        let given = columns_of("member", &member.role, member.expire_time)?;
        let (member, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let key = hold(c, &names).await?;
                    member_groups::lock(c).await?;
                    let old = members::by_key(c, key)
                        .await?
                        .ok_or_else(|| names.absent())?;
                    names.own(&old)?;
                    let mut columns = old.columns.clone();
                    for field in fields {
                        match field {
                            Field::Role => columns.role.clone_from(&given.role),
                            Field::ExpireTime => columns.expire_time = given.expire_time,
                        }
                    }
                    let row = if columns == old.columns {
                        old
                    } else {
                        let updated = members::update(c, key, &columns).await?;
                        let updated = updated.ok_or_else(|| names.absent())?;
                        member_groups::derive_one(c, key).await?;
                        updated
                    };
                    Ok(to_wire(&names, &row))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateMemberResponse {
            member: Some(member),
            revision: revision_to_wire(revision),
        }))
    }

    async fn delete_member(
        &self,
        request: Request<wire::DeleteMemberRequest>,
    ) -> Result<Response<wire::DeleteMemberResponse>, Status> {
        let request = request.into_inner();
        let names = Names::read("name", &request.name)?;
        let ((), Outcome { revision, impact }) = self
            .write_or_foresee(Write::of(request.validate_only), move |c| {
                async move {
                    let key = hold(c, &names).await?;
                    if members::delete(c, key).await? {
                        return Ok(());
                    }
                    let given = members::by_key(c, key).await?;
                    names.own(&given.ok_or_else(|| names.absent())?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DeleteMemberResponse {
            revision,
            impact,
        }))
    }
}

/// A membership, or what a group gives, as it was sent in this field.
pub(super) fn columns_of(
    field: &str,
    given: &str,
    expire_time: Option<prost_types::Timestamp>,
) -> Result<MemberColumns, ApiError> {
    Ok(MemberColumns {
        role: match given {
            "" => Role::MEMBER.to_string(),
            given => role(&format!("{field}.role"), given)?,
        },
        expire_time: time::future(&format!("{field}.expire_time"), expire_time, Utc::now())?,
    })
}

fn role(field: &str, given: &str) -> Result<String, ApiError> {
    resource_name::id::<Role>(field, given).map(|role| role.to_string())
}

/// A membership by its names.
struct Names {
    room: RoomName,
    user: Username,
}

impl Names {
    fn read(field: &str, name: &str) -> Result<Self, ApiError> {
        let (room, user) = resource_name::member(field, name)?;
        Ok(Self { room, user })
    }

    fn full(&self) -> String {
        format!("rooms/{}/members/{}", self.room, self.user)
    }

    /// It is the user's own, and not what a group gives.
    fn own(&self, row: &MemberRow) -> Result<(), ApiError> {
        match &row.group_name {
            None => Ok(()),
            Some(group) => {
                let group = format!("rooms/{}/memberGroups/{group}", self.room);
                Err(ApiError::MemberByGroup(group))
            }
        }
    }

    fn absent(&self) -> ApiError {
        ApiError::Absent(Kind::Member, self.full())
    }
}

/// The room and the user, neither of which is deleted meanwhile.
async fn hold(c: &mut Connection, names: &Names) -> Result<MemberKey, ApiError> {
    let room = rooms::hold(c, &names.room)
        .await?
        .ok_or_else(|| room::absent(&names.room))?;
    let user = users::hold(c, &names.user)
        .await?
        .ok_or_else(|| user::absent(&names.user))?;
    Ok(MemberKey { room, user })
}

fn to_wire(names: &Names, row: &MemberRow) -> wire::Member {
    named(&names.full(), row)
}

fn named(name: &str, row: &MemberRow) -> wire::Member {
    wire::Member {
        name: name.to_owned(),
        create_time: Some(time::to_wire(row.create_time)),
        expire_time: row.columns.expire_time.map(time::to_wire),
        role: row.columns.role.clone(),
        group: match (&row.group_name, name.split_once("/members/")) {
            (Some(group), Some((room, _))) => format!("{room}/memberGroups/{group}"),
            (_, _) => String::new(),
        },
    }
}
