//! What the store has of rooms that were deleted while nobody was there to have it
//! forgotten: looked for when the node starts, and now and then. The control plane
//! says which were deleted; what it does not know stays.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use porthouse_api::node::v1::FindDeletedRoomsRequest;
use porthouse_model::RoomId;
use tokio::time::sleep;

use super::nats::{Nats, room_of};
use crate::policy::client::Replicas;

/// How often it is looked.
const EVERY: Duration = Duration::from_hours(1);
/// When it could not be: the store or the control plane is away.
const AGAIN: Duration = Duration::from_secs(10);
/// Rooms asked about at once.
const ROOMS_MAX: usize = 1_000;
/// Subjects looked at in one sweep; the next begins anew.
const SUBJECTS_MAX: usize = 4_000_000;

/// Sweeps for as long as the node runs.
pub(super) async fn run(store: Arc<Nats>, replicas: Arc<Replicas>) {
    loop {
        let pause = match sweep(&store, &replicas).await {
            Some(0) => EVERY,
            Some(rooms) => {
                tracing::info!(rooms, "the store has forgotten rooms that were deleted");
                EVERY
            }
            None => AGAIN,
        };
        sleep(pause).await;
    }
}

/// Answers of how many rooms all was forgotten; `None`: not of all.
async fn sweep(store: &Nats, replicas: &Replicas) -> Option<usize> {
    let mut subjects = store.subjects().await?;
    let (mut rooms, mut seen, mut forgotten) = (BTreeSet::new(), 0, 0);
    while let Some(subject) = subjects.next().await {
        let (subject, _) = subject.ok()?;
        rooms.extend(room_of(&subject));
        if rooms.len() == ROOMS_MAX {
            forgotten += forget(store, replicas, std::mem::take(&mut rooms)).await?;
        }
        seen += 1;
        if seen == SUBJECTS_MAX {
            break;
        }
    }
    Some(forgotten + forget(store, replicas, rooms).await?)
}

/// Has the store forget those of some rooms that were deleted.
async fn forget(store: &Nats, replicas: &Replicas, rooms: BTreeSet<RoomId>) -> Option<usize> {
    if rooms.is_empty() {
        return Some(0);
    }
    let room_ids = rooms.iter().map(|id| id.as_bytes().to_vec()).collect();
    let request = replicas.request(FindDeletedRoomsRequest { room_ids });
    let answer = replicas.feed().find_deleted_rooms(request).await.ok()?;
    let mut forgotten = 0;
    for id in answer.into_inner().room_ids {
        let id = RoomId::from_bytes(id.try_into().ok()?);
        if rooms.contains(&id) {
            store.forget_all_of(id).await?;
            forgotten += 1;
        }
    }
    Some(forgotten)
}
