//! Kicks: a signed-in client that was put out of a room on one node is kept out of
//! it on all of them, for as long. Owns what becomes of that in the table of
//! blocks; who may kick was decided where the sockets are.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{Revision, RoomName};
use uuid::Uuid;

use crate::identity::chance;
use crate::store::blocks::{self, BlockColumns};
use crate::store::{Connection, Store, device_tokens, rooms, users};

use super::error::{ApiError, Kind};
use super::{call, note};

/// Who was put out of which room.
#[derive(Debug)]
pub(crate) struct Kick {
    /// The room.
    pub(crate) room: RoomName,
    /// The room of that name that is meant, if the node knows it.
    pub(crate) room_id: Option<Uuid>,
    /// The user or the device.
    pub(crate) client: Uuid,
    /// Who put them out; `None`: a backend.
    pub(crate) by: Option<Uuid>,
    /// How long they stay outside from now on.
    pub(crate) time: TimeDelta,
}

/// Writes what becomes of kicks.
#[derive(Clone)]
pub(crate) struct Kicks {
    store: Store,
}

/// Who is kept out.
enum Subject {
    User(Uuid),
    Device(Uuid),
}

impl Kicks {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Keeps somebody out of a room; answers the block's name, if there is one, and
    /// the revision at which it holds.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub(crate) async fn keep_out(
        &self,
        kick: Kick,
    ) -> Result<(Option<String>, Revision), ApiError> {
        let event = call::event("OK");
        self.store
            .write(move |c| {
                async move {
                    let Some((block, is_new)) = written(c, &kick).await? else {
                        return Ok(None);
                    };
                    if is_new {
                        let event = event.map(|event| wire::AuditEvent {
                            target: format!("block={block} client={}", kick.client),
                            ..event
                        });
                        note(c, event).await?;
                    }
                    Ok::<_, ApiError>(Some(block))
                }
                .boxed()
            })
            .await
    }
}

/// The block by which somebody is kept out, and whether anything was written for
/// it; nothing where nobody is kept out.
async fn written(c: &mut Connection, kick: &Kick) -> Result<Option<(String, bool)>, ApiError> {
    let reason = reason(c, kick.by).await?;
    let Some(subject) = held(c, kick.client).await? else {
        return Ok(None);
    };
    let Some(room) = rooms::lock(c, &kick.room).await? else {
        return Ok(None);
    };
    let (user, device) = match subject {
        Subject::User(user) => (Some(user), None),
        Subject::Device(device) => (None, Some(device)),
    };
    let another = kick.room_id.is_some_and(|id| id != room.id);
    if another || (user.is_some() && user == room.columns.owner_id) {
        return Ok(None);
    }
    blocks::delete_expired(c, room.id).await?;
    let ends = Utc::now() + kick.time;
    let found = blocks::of_client(c, room.id, (user, device)).await?;
    let (id, is_new) = match found {
        Some(block) if outlasts(block.columns.expire_time, ends, kick.time) => (block.id, false),
        Some(block) => {
            let changed = (block.columns.reason.as_str(), Some(ends));
            (blocks::update(c, block.id, changed).await?.id, true)
        }
        None => {
            let columns = BlockColumns {
                user_id: user,
                address_range: None,
                device_id: device,
                reason,
                expire_time: Some(ends),
            };
            let made = blocks::insert(c, chance::identity(), room.id, &columns).await;
            let name = format!("a block of a client in rooms/{}", kick.room);
            let made = made.map_err(|error| ApiError::taken(error, Kind::Block, name))?;
            (made.id, true)
        }
    };
    Ok(Some((format!("rooms/{}/blocks/{id}", kick.room), is_new)))
}

/// Whether a block with this end lasts about until then. One that a node asked for a
/// second time ends a moment earlier, and stays. So does one of a client that is kicked
/// over and over, until a tenth of the time has passed: each is a revision that every
/// node is told.
fn outlasts(end: Option<DateTime<Utc>>, then: DateTime<Utc>, time: TimeDelta) -> bool {
    const MOMENT: TimeDelta = TimeDelta::seconds(1);
    end.is_none_or(|end| end + MOMENT.max(time / 10) >= then)
}

/// Whom an identity names, kept from being deleted before its room is locked, as
/// by whoever deletes one.
async fn held(c: &mut Connection, client: Uuid) -> Result<Option<Subject>, ApiError> {
    if users::hold_by_id(c, client).await?.is_some() {
        return Ok(Some(Subject::User(client)));
    }
    let device = device_tokens::lock(c, client).await?;
    Ok(device.map(|_| Subject::Device(client)))
}

/// Why, for people.
async fn reason(c: &mut Connection, by: Option<Uuid>) -> Result<String, ApiError> {
    let Some(by) = by else {
        return Ok("kicked by a backend".to_owned());
    };
    let user = users::hold_by_id(c, by).await?;
    Ok(user.map_or_else(
        || format!("kicked by client {by}"),
        |name| format!("kicked by users/{name}"),
    ))
}
