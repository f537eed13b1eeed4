//! A room's hook as a node asks about it: who stands at the door is looked up
//! here, so that the backend is told names that the control plane vouches for.

use chrono::Utc;
use futures_util::FutureExt;
use porthouse_api::hook::v1::AdmitRequest;
use porthouse_api::node::v1::{StepVerdict, VerifyStepResponse};
use porthouse_model::{Revision, RoomName};
use tonic::Status;
use uuid::Uuid;

use crate::api::{ApiError, time_to_wire};
use crate::hook::{Asked, Hook};
use crate::identity::sealing::Place;
use crate::store::room_doors::{self, DoorOf, DoorRow};
use crate::store::{log, sessions};

use super::PolicyFeed;
use super::refusal::Refusal;
use super::step::{Comer, ended, later};

/// The longest origin a backend is told.
const ORIGIN_BYTES_MAX: usize = 512;

/// What is known of who stands before a room with a hook.
struct Found {
    door: DoorRow,
    /// `None`: not signed in.
    username: Option<String>,
}

impl PolicyFeed {
    pub(super) async fn ask_hook(
        &self,
        comer: &Comer,
        origin: String,
    ) -> Result<VerifyStepResponse, Status> {
        if origin.len() > ORIGIN_BYTES_MAX {
            return Err(Refusal::Bad("hook.origin: at most 512 bytes").into());
        }
        let (found, at) = self.find(comer).await?;
        let Some(found) = found else {
            return Ok(ended(StepVerdict::Gone, at));
        };
        let Some(hook) = self.hook(&found.door)? else {
            return Ok(ended(StepVerdict::Gone, at));
        };
        let room = before(&found.door, comer.room_name.as_ref())?;
        let question = AdmitRequest {
            room: format!("rooms/{room}"),
            user: found
                .username
                .map(|name| format!("users/{name}"))
                .unwrap_or_default(),
            client_id: comer.client.as_bytes().to_vec(),
            address: comer.address.clone(),
            origin,
            time: Some(time_to_wire(Utc::now())),
        };
        Ok(match self.verifiers.hooks.ask(hook, question).await {
            Asked::Admitted => VerifyStepResponse {
                version: found.door.hook_version.unsigned_abs(),
                ..ended(StepVerdict::Right, at)
            },
            Asked::Refused => ended(StepVerdict::Refused, at),
            Asked::Away => ended(StepVerdict::Away, at),
            Asked::Later(delay) => later(delay, at),
        })
    }

    /// The room and who stands before it; none: one of them is not there any more.
    async fn find(&self, comer: &Comer) -> Result<(Option<Found>, Revision), ApiError> {
        let room = Uuid::from_bytes(*comer.room.as_bytes());
        let session = comer
            .session
            .map(|session| Uuid::from_bytes(*session.as_bytes()));
        self.store
            .snapshot(move |c| {
                async move {
                    let at = log::head(c).await?;
                    let username = match session {
                        None => None,
                        Some(session) => match sessions::by_id(c, session).await? {
                            None => return Ok((None, at)),
                            Some((_, username, _)) => Some(username),
                        },
                    };
                    let door = room_doors::by_id(c, room).await?;
                    Ok((door.map(|door| Found { door, username }), at))
                }
                .boxed()
            })
            .await
    }

    fn hook(&self, door: &DoorRow) -> Result<Option<Hook>, ApiError> {
        let Some(url) = &door.hook_url else {
            return Ok(None);
        };
        let Ok(url) = url.parse() else {
            tracing::error!(room = %door.id, "a hook's URL cannot be read");
            return Err(ApiError::Internal);
        };
        let sealed = door.hook_secret_sealed.as_deref();
        let opened = sealed.map(|sealed| {
            self.verifiers
                .code
                .sealing
                .open(sealed, Place::Hook(door.id))
        });
        Ok(Some(Hook {
            room: door.id,
            url,
            deadline: std::time::Duration::from_millis(door.hook_deadline_ms.unsigned_abs().into()),
            secret: opened.transpose()?.map(|opened| opened.secret),
        }))
    }
}

/// The room before whose door somebody stands: of a template it is one of those
/// that it covers, which the node names.
fn before(door: &DoorRow, named: Option<&RoomName>) -> Result<RoomName, Refusal> {
    match (&door.of, named) {
        (DoorOf::Room(name), _) => Ok(name.clone()),
        (DoorOf::Template(prefix), Some(name)) if prefix.covers(name) => Ok(name.clone()),
        (DoorOf::Template(_), _) => {
            let rule = "room_name: a room that the template covers; upgrade the node";
            Err(Refusal::Bad(rule))
        }
    }
}
