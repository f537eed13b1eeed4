//! Which rooms were deleted, told to nodes whose store has something of them.

use futures_util::FutureExt;
use porthouse_api::node::v1::{FindDeletedRoomsRequest, FindDeletedRoomsResponse};
use tonic::Status;
use uuid::Uuid;

use crate::store::{StoreError, rooms};

use super::PolicyFeed;
use super::refusal::Refusal;

/// Rooms asked about at once.
const ROOMS_MAX: usize = 1_000;

impl PolicyFeed {
    /// Those of some rooms that were deleted.
    pub(super) async fn deleted_of(
        &self,
        request: FindDeletedRoomsRequest,
    ) -> Result<FindDeletedRoomsResponse, Status> {
        let bad = Refusal::Bad("room_ids: 16 bytes each, at most 1,000");
        if request.room_ids.len() > ROOMS_MAX {
            return Err(bad.into());
        }
        let ids = request.room_ids.iter().map(|id| Uuid::from_slice(id));
        let ids: Vec<Uuid> = ids.collect::<Result<_, _>>().map_err(|_| bad)?;
        let deleted = self
            .store
            .snapshot(move |c| {
                async move { Ok::<_, StoreError>(rooms::deleted_of(c, ids).await?) }.boxed()
            })
            .await
            .map_err(Refusal::from)?;
        Ok(FindDeletedRoomsResponse {
            room_ids: deleted.iter().map(|id| id.as_bytes().to_vec()).collect(),
        })
    }
}
