//! Waiting until every node has applied a revision. Answers from the nodes'
//! table alone, so it is right whichever replica a node watches.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt;
use porthouse_model::Revision;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::store::nodes::{self, NodeRow};
use crate::store::tail::Tail;
use crate::store::{Store, StoreError, log};

/// Those who may wait at once.
const WAITERS_MAX: usize = 256;
/// How often the table is read when nothing wakes the waiter.
const POLL: Duration = Duration::from_millis(250);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WaitError {
    /// The revision has not been given yet.
    #[error("the revision has not been given; the log's head is {}", head.0)]
    Future {
        /// The highest that has.
        head: Revision,
    },
    /// As many wait as may; ask again.
    #[error("as many wait as may")]
    Busy,
    /// The store could not tell.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for WaitError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Waits for nodes.
#[derive(Clone)]
pub(crate) struct Applied {
    store: Store,
    tail: Tail,
    places: Arc<Semaphore>,
}

impl Applied {
    pub(crate) fn new(store: Store, tail: Tail) -> Self {
        Self {
            store,
            tail,
            places: Arc::new(Semaphore::new(WAITERS_MAX)),
        }
    }

    /// Answers nobody as soon as every node has applied `revision`, and after
    /// `time_max` the nodes that have not, ordered by name. A node is no longer
    /// waited for when it leaves, comes back as a new process, is deleted, or
    /// when its rooms cannot deliver any more.
    ///
    /// # Errors
    ///
    /// See [`WaitError`].
    pub(crate) async fn wait(
        &self,
        revision: Revision,
        time_max: Duration,
    ) -> Result<Vec<NodeRow>, WaitError> {
        let _place = self.places.try_acquire().map_err(|_| WaitError::Busy)?;
        let deadline = Instant::now() + time_max;
        // From here no acknowledgement is missed.
        let mut applied = self.tail.applied();
        loop {
            applied.mark_unchanged();
            let behind = self.behind(revision).await?;
            if behind.is_empty() || Instant::now() >= deadline {
                return Ok(behind);
            }
            let wake = deadline.min(Instant::now() + next_look(&behind));
            // Woken, or time to look, or both.
            let _ = timeout_at(wake, applied.changed()).await;
        }
    }

    async fn behind(&self, revision: Revision) -> Result<Vec<NodeRow>, WaitError> {
        self.store
            .snapshot(move |c| {
                async move {
                    let head = log::head(c).await?;
                    if revision > head {
                        return Err(WaitError::Future { head });
                    }
                    Ok(nodes::behind(c, revision).await?)
                }
                .boxed()
            })
            .await
    }
}

/// When to look again by oneself: soon, or when the first node's rooms cannot
/// deliver any more.
fn next_look(behind: &[NodeRow]) -> Duration {
    let until = behind.iter().filter_map(|node| node.until).min();
    until
        .and_then(|until| (until - Utc::now()).to_std().ok())
        .map_or(POLL, |left| POLL.min(left + Duration::from_millis(1)))
}
