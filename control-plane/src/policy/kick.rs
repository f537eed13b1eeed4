//! Kicks, written for nodes: translated, and no more.

use chrono::TimeDelta;
use porthouse_api::node::v1::{KeepOutRequest, KeepOutResponse};
use tonic::Status;
use uuid::Uuid;

use crate::api::Kick;

use super::PolicyFeed;
use super::refusal::Refusal;
use super::verify::revision;

/// How long somebody may be kept out by a kick.
const KICK_TIME_MAX: TimeDelta = TimeDelta::days(7);

impl PolicyFeed {
    /// Keeps a client that was put out of a room on a node out of it on all.
    pub(super) async fn keep_out_of_room(
        &self,
        request: KeepOutRequest,
    ) -> Result<KeepOutResponse, Status> {
        let room = request.room_name.parse();
        let kick = Kick {
            room: room.map_err(|_| Refusal::Bad("room_name: a room's name"))?,
            room_id: identity(&request.room_id, "room_id: 16 bytes, or none")?,
            client: identity(&request.client_id, "client_id: 16 bytes")?
                .ok_or(Refusal::Bad("client_id: 16 bytes"))?,
            by: identity(&request.by_client_id, "by_client_id: 16 bytes, or none")?,
            time: span(request.duration)?,
        };
        let (block, at) = self.verifiers.kicks.keep_out(kick).await?;
        Ok(KeepOutResponse {
            block: block.unwrap_or_default(),
            revision: revision(at),
        })
    }
}

/// An identity, unless none is given.
fn identity(bytes: &[u8], needed: &'static str) -> Result<Option<Uuid>, Refusal> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let id = Uuid::from_slice(bytes).map_err(|_| Refusal::Bad(needed))?;
    Ok(Some(id))
}

fn span(duration: Option<prost_types::Duration>) -> Result<TimeDelta, Refusal> {
    let bad = Refusal::Bad("duration: more than none, and at most 7 days");
    let duration = duration.unwrap_or_default();
    let nanos = u32::try_from(duration.nanos).ok();
    match nanos.and_then(|nanos| TimeDelta::new(duration.seconds, nanos)) {
        Some(span) if span > TimeDelta::zero() && span <= KICK_TIME_MAX => Ok(span),
        Some(_) | None => Err(bad),
    }
}
