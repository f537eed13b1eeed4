//! Memberships of users' own that have ended, where a group gives another: that takes
//! their place. Nodes were told of it beforehand and wait for nothing; here it comes to
//! be what `GetMember` says.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError, member_groups, members};

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Memberships that give way in one transaction.
const GIVE_WAY_AT_ONCE_MAX: i64 = 256;

/// Has memberships give way until `stop`.
pub(crate) async fn run(store: Store, stop: CancellationToken) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {
                if let Err(failure) = give_way(&store).await {
                    tracing::warn!(%failure, "memberships that ended did not give way");
                }
            }
        }
    }
}

async fn give_way(store: &Store) -> Result<(), StoreError> {
    let outlived = store
        .snapshot::<_, StoreError>(|c| {
            async move { Ok(members::outlived(c, GIVE_WAY_AT_ONCE_MAX).await?) }.boxed()
        })
        .await?;
    if outlived.is_empty() {
        return Ok(());
    }
    let written = store.write(move |c| {
        async move {
            member_groups::lock(c).await?;
            // Another replica may have been here: then this finds nothing to change.
            for key in outlived {
                member_groups::derive_one(c, key).await?;
            }
            Ok::<_, StoreError>(())
        }
        .boxed()
    });
    written.await.map(|_| ())
}
