//! Sessions that nobody has seen for too long end. How long is counted only while it is
//! known who was seen: until the slowest node's last report, and from no earlier than
//! the end of the last break. So an outage, however long, is no mass logout.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError, last_seen, sessions};

/// How often is looked at the most.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Nodes report about twice a minute; a longer time without is a break.
const GAP_MAX: Duration = Duration::from_mins(2);
/// Sessions that end in one transaction.
const ENDED_AT_ONCE_MAX: i64 = 256;

/// Ends idle sessions until `stop`.
pub(crate) async fn run(store: Store, idle_max: Duration, stop: CancellationToken) {
    let mut look = interval(LOOK_EVERY.min(idle_max / 4).max(Duration::from_millis(100)));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => match end_idle(&store, idle_max).await {
                Ok(0) => {}
                Ok(sessions) => tracing::info!(sessions, "idle sessions have ended"),
                Err(failure) => tracing::warn!(%failure, "idle sessions were not looked for"),
            }
        }
    }
}

async fn end_idle(store: &Store, idle_max: Duration) -> Result<usize, StoreError> {
    let gap_max = GAP_MAX.min(idle_max / 2);
    let (ids, watched) = store
        .transact::<_, StoreError>(move |c| {
            async move {
                let watched = last_seen::advance(c, gap_max).await?;
                let ids = last_seen::idle(c, watched, idle_max, ENDED_AT_ONCE_MAX).await?;
                Ok((ids, watched))
            }
            .boxed()
        })
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let idle = TimeDelta::from_std(idle_max).unwrap_or(TimeDelta::MAX);
    let seen_before = watched.seen_through_time - idle;
    let (ended, _) = store
        .write(move |c| {
            async move { Ok::<_, StoreError>(sessions::delete_idle(c, &ids, seen_before).await?) }
                .boxed()
        })
        .await?;
    Ok(ended)
}
