//! What a node tells of the sessions it saw, written. That it has told all is written
//! only with all that it told before.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::node::v1::WatchSeen;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::store::nodes::Holder;
use crate::store::{Store, StoreError, last_seen};

use super::refusal::Refusal;

/// Messages that wait to be written.
pub(super) const WAITING_MAX: usize = 256;
/// Sessions in one message.
const SESSIONS_MAX: usize = 4_096;
/// Sessions that could not be written, and are with what is told next. With more the
/// watch ends; on its next the node says them again.
const UNWRITTEN_MAX: usize = 65_536;

/// Writes what one node tells.
pub(super) struct LastSeen<'a> {
    pub(super) store: &'a Store,
    pub(super) holder: &'a Holder,
    pub(super) idle_max: Duration,
}

impl LastSeen<'_> {
    /// Writes what is told until the watch ends.
    pub(super) async fn write(
        &self,
        mut told: mpsc::Receiver<WatchSeen>,
    ) -> Result<Infallible, Refusal> {
        let mut unwritten = BTreeSet::new();
        while let Some(seen) = told.recv().await {
            unwritten.extend(sessions(&seen.session_ids)?);
            if unwritten.len() > UNWRITTEN_MAX {
                return Err(Refusal::Unavailable("whom nodes see cannot be written"));
            }
            let age = seen.age.and_then(|age| Duration::try_from(age).ok());
            let ids = unwritten.iter().copied().collect();
            let noted = self.note(ids, age.unwrap_or_default(), seen.complete);
            match noted.await {
                Ok(()) => unwritten.clear(),
                Err(failure) => {
                    tracing::warn!(node = %self.holder.name, %failure, "whom a node saw waits");
                }
            }
        }
        Err(Refusal::Unavailable("the watch has ended"))
    }

    async fn note(&self, ids: Vec<Uuid>, age: Duration, complete: bool) -> Result<(), StoreError> {
        let (holder, again_min) = (self.holder.clone(), self.idle_max / 4);
        self.store
            .transact(move |c| {
                async move {
                    last_seen::see(c, &ids, (age, again_min)).await?;
                    if complete {
                        last_seen::told(c, &holder, age).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await
    }
}

fn sessions(ids: &[Vec<u8>]) -> Result<Vec<Uuid>, Refusal> {
    let bad = Refusal::Bad("seen.session_ids: at most 4096 of 16 bytes");
    if ids.len() > SESSIONS_MAX {
        return Err(bad);
    }
    let ids = ids.iter().map(|id| Uuid::from_slice(id));
    ids.collect::<Result<_, _>>().map_err(|_| bad)
}
