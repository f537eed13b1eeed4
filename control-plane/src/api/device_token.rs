//! `DeviceTokenService`. A secret leaves here once, to whoever made the token.
//! Knows no SQL.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{Acts, CredentialKind, DEVICE_ROOMS_MAX};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::identity::chance;
use crate::store::device_tokens::{self, DeviceTokenColumns, DeviceTokenRow, NewDeviceToken};
use crate::store::{Connection, users};

use super::error::{ApiError, Kind};
use super::room_rule::{acts, acts_to_wire};
use super::{Api, Write, etag, label, mask, page, resource_name, revision_to_wire, time, user};

/// The most tokens of one user.
pub(crate) const TOKENS_PER_USER_MAX: usize = 256;
/// How long a token lasts, unless said.
const LIFETIME_DEFAULT: TimeDelta = TimeDelta::days(365);
/// The longest that a token lasts.
const LIFETIME_MAX: TimeDelta = TimeDelta::days(3_653);

/// What an update may name.
#[derive(Clone, Copy, PartialEq)]
enum Field {
    DisplayName,
    Capabilities,
    Rooms,
    ExpireTime,
}

const PATHS: &mask::Paths<Field> = &[
    ("display_name", &[Field::DisplayName]),
    ("capabilities", &[Field::Capabilities]),
    ("rooms", &[Field::Rooms]),
    ("expire_time", &[Field::ExpireTime]),
];

#[tonic::async_trait]
impl wire::device_token_service_server::DeviceTokenService for Api {
    async fn create_device_token(
        &self,
        request: Request<wire::CreateDeviceTokenRequest>,
    ) -> Result<Response<wire::CreateDeviceTokenResponse>, Status> {
        let request = request.into_inner();
        let given = request.device_token.unwrap_or_default();
        let owner = resource_name::user("device_token.owner", &given.owner)?;
        let columns = columns(given)?;
        let secret = chance::credential(CredentialKind::DeviceToken);
        let token_sha256 = secret.hash().as_bytes().to_vec();
        let (made, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    // Locked, so that no two count the same.
                    let user = users::lock(c, &owner).await?;
                    let owner_id = user.ok_or_else(|| user::absent(&owner))?.id;
                    device_tokens::delete_expired(c, owner_id).await?;
                    let count = device_tokens::count(c, owner_id).await?;
                    if usize::try_from(count).is_ok_and(|count| count >= TOKENS_PER_USER_MAX) {
                        return Err(ApiError::DeviceTokensTooMany(TOKENS_PER_USER_MAX));
                    }
                    let new = NewDeviceToken {
                        id: chance::identity(),
                        owner_id,
                        token_sha256,
                        columns,
                    };
                    let row = device_tokens::insert(c, &new).await?;
                    Ok(to_wire(row, owner.as_str()))
                }
                .boxed()
            })
            .await?;
        let kept = revision.is_some();
        Ok(Response::new(wire::CreateDeviceTokenResponse {
            device_token: Some(made),
            secret: if kept { secret.reveal() } else { String::new() },
            revision: revision_to_wire(revision),
        }))
    }

    async fn get_device_token(
        &self,
        request: Request<wire::GetDeviceTokenRequest>,
    ) -> Result<Response<wire::GetDeviceTokenResponse>, Status> {
        let id = resource_name::device_token("name", &request.into_inner().name)?;
        let device_token = self
            .read(move |c| {
                async move {
                    let found = device_tokens::by_id(c, id).await?;
                    let (row, owner) = found.ok_or_else(|| absent(id))?;
                    Ok(to_wire(row, &owner))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetDeviceTokenResponse {
            device_token: Some(device_token),
        }))
    }

    async fn list_device_tokens(
        &self,
        request: Request<wire::ListDeviceTokensRequest>,
    ) -> Result<Response<wire::ListDeviceTokensResponse>, Status> {
        let request = request.into_inner();
        let owner = match request.owner.as_str() {
            "" => None,
            name => Some(resource_name::user("owner", name)?),
        };
        let listing = format!("device tokens {}", request.owner);
        let asked = page::read::<Uuid>(request.page_size, &request.page_token, &listing)?;
        let read = asked.clone();
        let rows = self
            .read(move |c| {
                async move {
                    let owner = match owner {
                        None => None,
                        Some(name) => match users::by_name(c, &name).await? {
                            Some(user) => Some(user.id),
                            None => return Ok(Vec::new()),
                        },
                    };
                    Ok(device_tokens::page(c, owner, &read).await?)
                }
                .boxed()
            })
            .await?;
        let (rows, next_page_token) = page::cut(rows, &asked, &listing, |(row, _)| row.id);
        let rows = rows.into_iter();
        Ok(Response::new(wire::ListDeviceTokensResponse {
            device_tokens: rows.map(|(row, owner)| to_wire(row, &owner)).collect(),
            next_page_token,
        }))
    }

    async fn update_device_token(
        &self,
        request: Request<wire::UpdateDeviceTokenRequest>,
    ) -> Result<Response<wire::UpdateDeviceTokenResponse>, Status> {
        let request = request.into_inner();
        let fields = mask::read(request.update_mask, PATHS)?;
        let mut given = request.device_token.unwrap_or_default();
        let id = resource_name::device_token("device_token.name", &given.name)?;
        let given_etag = std::mem::take(&mut given.etag);
        if !fields.contains(&Field::ExpireTime) {
            given.expire_time = None;
        }
        let given = columns(given)?;
        let (changed, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let (old, owner) = locked(c, id, &given_etag).await?;
                    let mut columns = old.columns.clone();
                    for field in fields {
                        match field {
                            Field::DisplayName => {
                                columns.display_name.clone_from(&given.display_name);
                            }
                            Field::Capabilities => columns.set_acts(given.acts()),
                            Field::Rooms => columns.rooms.clone_from(&given.rooms),
                            Field::ExpireTime => columns.expire_time = given.expire_time,
                        }
                    }
                    let row = if columns == old.columns {
                        old
                    } else {
                        device_tokens::update(c, id, &columns).await?
                    };
                    Ok(to_wire(row, &owner))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateDeviceTokenResponse {
            device_token: Some(changed),
            revision: revision_to_wire(revision),
        }))
    }

    async fn delete_device_token(
        &self,
        request: Request<wire::DeleteDeviceTokenRequest>,
    ) -> Result<Response<wire::DeleteDeviceTokenResponse>, Status> {
        let request = request.into_inner();
        let id = resource_name::device_token("name", &request.name)?;
        let ((), revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    locked(c, id, &request.etag).await?;
                    Ok(device_tokens::delete(c, id).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DeleteDeviceTokenResponse {
            revision: revision_to_wire(revision),
        }))
    }
}

/// What a write says of a token.
fn columns(given: wire::DeviceToken) -> Result<DeviceTokenColumns, ApiError> {
    let may = match &given.capabilities {
        None => Acts::ALL,
        Some(given) => acts("device_token.capabilities", given)?,
    };
    Ok(DeviceTokenColumns::new(
        label::display_name("device_token.display_name", given.display_name)?,
        may,
        rooms(&given.rooms)?,
        expiry(given.expire_time, Utc::now())?,
    ))
}

fn rooms(names: &[String]) -> Result<Vec<String>, ApiError> {
    const FIELD: &str = "device_token.rooms";
    let all: Vec<_> = names
        .iter()
        .map(|name| resource_name::room(FIELD, name))
        .collect::<Result<_, _>>()?;
    let different: BTreeSet<_> = all.iter().collect();
    if all.len() > DEVICE_ROOMS_MAX || different.len() < all.len() {
        let rule = format!("at most {DEVICE_ROOMS_MAX} rooms, all different");
        return Err(ApiError::field(FIELD, rule));
    }
    Ok(all.iter().map(|room| room.as_str().to_owned()).collect())
}

fn expiry(
    given: Option<prost_types::Timestamp>,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, ApiError> {
    const FIELD: &str = "device_token.expire_time";
    let time = time::future(FIELD, given, now)?;
    let time = time.unwrap_or(now + LIFETIME_DEFAULT);
    if time <= now + LIFETIME_MAX {
        Ok(time)
    } else {
        let days = LIFETIME_MAX.num_days();
        Err(ApiError::field(
            FIELD,
            format!("within {days} days from now"),
        ))
    }
}

/// The token to change, which nobody else changes meanwhile, and its owner's name.
async fn locked(
    c: &mut Connection,
    id: Uuid,
    etag: &str,
) -> Result<(DeviceTokenRow, String), ApiError> {
    let found = device_tokens::lock(c, id).await?;
    let (row, owner) = found.ok_or_else(|| absent(id))?;
    if etag::holds(etag, row.id, row.version) {
        Ok((row, owner))
    } else {
        Err(ApiError::Stale(Kind::DeviceToken, full_name(id)))
    }
}

fn full_name(id: Uuid) -> String {
    format!("deviceTokens/{id}")
}

pub(super) fn absent(id: Uuid) -> ApiError {
    ApiError::Absent(Kind::DeviceToken, full_name(id))
}

fn to_wire(row: DeviceTokenRow, owner: &str) -> wire::DeviceToken {
    let rooms = row.columns.rooms.iter();
    wire::DeviceToken {
        name: full_name(row.id),
        owner: format!("users/{owner}"),
        capabilities: Some(acts_to_wire(row.columns.acts())),
        rooms: rooms.map(|room| format!("rooms/{room}")).collect(),
        expire_time: Some(time::to_wire(row.columns.expire_time)),
        last_used_time: row.last_used_time.map(time::to_wire),
        etag: etag::of(row.id, row.version),
        create_time: Some(time::to_wire(row.create_time)),
        update_time: Some(time::to_wire(row.update_time)),
        display_name: row.columns.display_name,
    }
}
