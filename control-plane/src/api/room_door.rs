//! `RoomDoorService`, of rooms and of templates. A door's secret leaves here once, to whoever asked for it to
//! be made; a hook's never.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use porthouse_api::control::v1 as wire;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use crate::hook::HookUrl;
use crate::identity::sealing::Place;
use crate::identity::totp::CodeSecret;
use crate::store::Connection;
use crate::store::room_doors::{self, DoorOf, DoorRow, NewHook};

use super::error::{ApiError, Kind};
use super::{Api, Outcome, Write, etag, lockout, resource_name, time};

/// How long a hook may take unless it is said.
const HOOK_DEADLINE: Duration = Duration::from_secs(3);
/// The shortest time it may be given.
const HOOK_DEADLINE_MIN: Duration = Duration::from_millis(100);
/// The longest: less than a node waits for the answer.
const HOOK_DEADLINE_MAX: Duration = Duration::from_secs(8);
/// The most bytes of what a hook is shown.
const HOOK_SECRET_BYTES_MAX: usize = 1024;

#[tonic::async_trait]
impl wire::room_door_service_server::RoomDoorService for Api {
    async fn get_room_door(
        &self,
        request: Request<wire::GetRoomDoorRequest>,
    ) -> Result<Response<wire::GetRoomDoorResponse>, Status> {
        let name = resource_name::door("room", &request.into_inner().room)?;
        let found = self
            .read(move |c| {
                async move {
                    let found = room_doors::by_name(c, &name).await?;
                    found.ok_or_else(|| absent(&name))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetRoomDoorResponse {
            door: Some(to_wire(&found)),
        }))
    }

    async fn set_room_code(
        &self,
        request: Request<wire::SetRoomCodeRequest>,
    ) -> Result<Response<wire::SetRoomCodeResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::door("room", &request.room)?;
        let secret = CodeSecret::draw();
        let mut given = secret.enrolment(&format!("room {}", called(&name)));
        let sealing = self.code_check.sealing.clone();
        let write = Write::of(request.validate_only);
        let (door, Outcome { revision, impact }) = self
            .change_door(write, (name, request.etag), move |c, old| {
                async move {
                    let sealed = sealing.seal(secret.as_bytes(), Place::RoomCode(old.id))?;
                    Ok(room_doors::set_code(c, &old, &sealed).await?)
                }
                .boxed()
            })
            .await?;
        let mut answer = wire::SetRoomCodeResponse {
            door: Some(door),
            revision,
            impact,
            ..wire::SetRoomCodeResponse::default()
        };
        // Of a rehearsal there is none that would open.
        if !request.validate_only {
            answer.secret = std::mem::take(&mut given.secret);
            answer.otpauth_uri = std::mem::take(&mut given.otpauth_uri);
            answer.qr_png = std::mem::take(&mut given.qr_png);
        }
        Ok(Response::new(answer))
    }

    async fn clear_room_code(
        &self,
        request: Request<wire::ClearRoomCodeRequest>,
    ) -> Result<Response<wire::ClearRoomCodeResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::door("room", &request.room)?;
        let (door, outcome) = self
            .change_door(Write::Keep, (name, request.etag), |c, old| {
                async move {
                    match old.code_version {
                        0 => Ok(old),
                        _ => Ok(room_doors::clear_code(c, &old).await?),
                    }
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::ClearRoomCodeResponse {
            door: Some(door),
            revision: outcome.revision,
        }))
    }

    async fn set_room_hook(
        &self,
        request: Request<wire::SetRoomHookRequest>,
    ) -> Result<Response<wire::SetRoomHookResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::door("room", &request.room)?;
        let url: HookUrl = resource_name::id("url", &request.url)?;
        let deadline = deadline(request.deadline)?;
        let secret = hook_secret(request.secret)?;
        let sealing = self.code_check.sealing.clone();
        let write = Write::of(request.validate_only);
        let (door, Outcome { revision, impact }) = self
            .change_door(write, (name, request.etag), move |c, old| {
                async move {
                    let place = Place::Hook(old.id);
                    let sealed = secret.map(|secret| sealing.seal(secret.as_bytes(), place));
                    let hook = NewHook {
                        url: url.to_string(),
                        deadline_ms: i32::try_from(deadline.as_millis()).unwrap_or(i32::MAX),
                        secret_sealed: sealed.transpose()?,
                    };
                    Ok(room_doors::set_hook(c, &old, &hook).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::SetRoomHookResponse {
            door: Some(door),
            revision,
            impact,
        }))
    }

    async fn clear_room_hook(
        &self,
        request: Request<wire::ClearRoomHookRequest>,
    ) -> Result<Response<wire::ClearRoomHookResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::door("room", &request.room)?;
        let (door, outcome) = self
            .change_door(Write::Keep, (name, request.etag), |c, old| {
                async move {
                    match old.hook_version {
                        0 => Ok(old),
                        _ => Ok(room_doors::clear_hook(c, &old).await?),
                    }
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::ClearRoomHookResponse {
            door: Some(door),
            revision: outcome.revision,
        }))
    }

    async fn unlock_room(
        &self,
        request: Request<wire::UnlockRoomRequest>,
    ) -> Result<Response<wire::UnlockRoomResponse>, Status> {
        let name = resource_name::door("room", &request.into_inner().room)?;
        let (count, _) = self
            .write(Write::Keep, move |c| {
                async move {
                    let door = room_doors::lock(c, &name).await?;
                    let door = door.ok_or_else(|| absent(&name))?;
                    let codes = room_doors::forget_wrong(c, door.id).await?;
                    Ok(codes + lockout::clear_room(c, door.id).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UnlockRoomResponse {
            forgotten_count: i32::try_from(count).unwrap_or(i32::MAX),
        }))
    }
}

impl Api {
    /// Changes the door of a room whose etag is given; nobody else changes the
    /// room meanwhile.
    async fn change_door(
        &self,
        write: Write,
        (name, given_etag): (DoorOf, String),
        change: impl for<'c> FnOnce(
            &'c mut Connection,
            DoorRow,
        ) -> BoxFuture<'c, Result<DoorRow, ApiError>>
        + Send
        + 'static,
    ) -> Result<(wire::RoomDoor, Outcome), ApiError> {
        let (changed, outcome) = self
            .write_or_foresee(write, move |c| {
                async move {
                    let old = room_doors::lock(c, &name).await?;
                    let old = old.ok_or_else(|| absent(&name))?;
                    if !etag::holds(&given_etag, old.id, old.version) {
                        return Err(ApiError::Stale(kind(&name), full_name(&name)));
                    }
                    change(c, old).await
                }
                .boxed()
            })
            .await?;
        Ok((to_wire(&changed), outcome))
    }
}

/// What a door belongs to, as it is called by people.
fn called(of: &DoorOf) -> String {
    match of {
        DoorOf::Room(name) => name.to_string(),
        DoorOf::Template(prefix) => prefix.to_string(),
    }
}

fn full_name(of: &DoorOf) -> String {
    match of {
        DoorOf::Room(name) => format!("rooms/{name}"),
        DoorOf::Template(prefix) => format!("roomTemplates/{prefix}"),
    }
}

const fn kind(of: &DoorOf) -> Kind {
    match of {
        DoorOf::Room(_) => Kind::Room,
        DoorOf::Template(_) => Kind::RoomTemplate,
    }
}

fn absent(of: &DoorOf) -> ApiError {
    ApiError::Absent(kind(of), full_name(of))
}

fn deadline(given: Option<prost_types::Duration>) -> Result<Duration, ApiError> {
    let Some(given) = given else {
        return Ok(HOOK_DEADLINE);
    };
    Duration::try_from(given)
        .ok()
        .filter(|span| (HOOK_DEADLINE_MIN..=HOOK_DEADLINE_MAX).contains(span))
        .ok_or_else(|| ApiError::field("deadline", "100 milliseconds to 8 seconds"))
}

fn hook_secret(given: String) -> Result<Option<Zeroizing<String>>, ApiError> {
    let given = Zeroizing::new(given);
    let fits =
        given.len() <= HOOK_SECRET_BYTES_MAX && given.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok((!given.is_empty()).then_some(given));
    }
    let rule = "at most 1024 visible ASCII characters";
    Err(ApiError::field("secret", rule))
}

fn to_wire(row: &DoorRow) -> wire::RoomDoor {
    let deadline = Duration::from_millis(row.hook_deadline_ms.unsigned_abs().into());
    wire::RoomDoor {
        room: full_name(&row.of),
        code_set: row.code_version > 0,
        hook_url: row.hook_url.clone().unwrap_or_default(),
        hook_deadline: row.hook_url.is_some().then(|| time::span_to_wire(deadline)),
        hook_secret_set: row.hook_secret_sealed.is_some(),
        etag: etag::of(row.id, row.version),
    }
}
