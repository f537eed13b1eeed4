//! What a node says on its watch after it has introduced itself, and the lease
//! that this keeps.
//!
//! The lease is written before it allows anything: word goes to a node only
//! until the moment that was written last. So whoever reads the table knows the
//! latest moment at which the node may have had word, whatever becomes of this
//! replica.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::node::v1::watch_request::Message;
use porthouse_api::node::v1::{WatchAnswer, WatchRequest, WatchSeen};
use porthouse_model::Revision;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::Streaming;

use crate::store::api_keys;
use crate::store::nodes::{self, Holder, Report};
use crate::store::position::Position;
use crate::store::{Store, StoreError};

use super::introduction::deliver_max;
use super::refusal::Refusal;

/// Takes a node's words in; ends when the node leaves, goes or breaks the
/// protocol. `told` is how far it was told the log.
pub(super) async fn listen(
    requests: &mut Streaming<WatchRequest>,
    told: &watch::Receiver<Position>,
    report: &watch::Sender<Report>,
    (seen, answers): (&mpsc::Sender<WatchSeen>, &mpsc::Sender<WatchAnswer>),
) -> Result<Farewell, Refusal> {
    while let Ok(Some(request)) = requests.message().await {
        let message = request
            .message
            .ok_or(Refusal::Bad("a message says something"))?;
        match message {
            Message::Start(_) => return Err(Refusal::Bad("`start` comes once")),
            Message::Leave(_) => return Ok(Farewell::Leaves),
            Message::Seen(said) => {
                // Who says more than is written is behind anyway.
                let waits = seen.try_send(said);
                waits.map_err(|_| Refusal::Reopen("too much is told of sessions at once"))?;
            }
            Message::Answer(answer) => {
                // One too many counts as silence.
                let _ = answers.try_send(answer);
            }
            Message::Alive(alive) => {
                let deliver_max = deliver_max(alive.deliver_max)?;
                report.send_modify(|report| {
                    report.alive += 1;
                    report.sockets = alive.sockets;
                    report.deliver_max = deliver_max;
                });
            }
            Message::Applied(applied) => {
                let revision = acknowledged(applied.revision, told.borrow().revision())?;
                let deliver_max = deliver_max(applied.deliver_max)?;
                report.send_modify(|report| {
                    report.applied = report.applied.max(revision);
                    report.deliver_max = deliver_max;
                });
            }
        }
    }
    Ok(Farewell::Goes)
}

/// How a node ended its side of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// It said that it holds nothing any more.
    Leaves,
    /// It may be back.
    Goes,
}

fn acknowledged(revision: i64, told: Revision) -> Result<Revision, Refusal> {
    let revision = u64::try_from(revision)
        .map(Revision)
        .map_err(|_| Refusal::Bad("applied.revision: not negative"))?;
    if revision > told {
        return Err(Refusal::Bad(
            "applied.revision: not beyond what was sent on this watch",
        ));
    }
    Ok(revision)
}

/// Keeps a node's lease by what it says.
pub(super) struct Lease<'a> {
    pub(super) store: &'a Store,
    pub(super) holder: &'a Holder,
    pub(super) span: Duration,
    /// How far the node was told the log.
    pub(super) told: watch::Receiver<Position>,
    /// Until when word may go to the node.
    pub(super) until: watch::Sender<Instant>,
}

impl Lease<'_> {
    /// Writes what the node says; ends when the process has lost its name or the
    /// key that it came with. While
    /// the database is away the lease is not extended.
    pub(super) async fn keep(
        &self,
        mut reports: watch::Receiver<Report>,
    ) -> Result<Infallible, Refusal> {
        let mut last = reports.borrow().clone();
        loop {
            let gone = Refusal::Unavailable("the watch has ended");
            reports.changed().await.map_err(|_| gone)?;
            let report = reports.borrow_and_update().clone();
            if report.applied > last.applied {
                self.kept(self.acknowledge(report.applied).await).await?;
            }
            let began = Instant::now();
            let lives = report.alive != last.alive || report.deliver_max != last.deliver_max;
            if lives && self.kept(self.hold(report.clone()).await).await? {
                self.until.send_replace(began + self.span);
            }
            last = report;
        }
    }

    /// Whether it was written; a process that has lost its name or its key ends.
    async fn kept(&self, written: Result<bool, StoreError>) -> Result<bool, Refusal> {
        match written {
            Ok(true) => Ok(true),
            Ok(false) => Err(self.lost().await),
            Err(failure) => {
                tracing::warn!(node = %self.holder.name, %failure, "a lease was not kept");
                Ok(false)
            }
        }
    }

    /// Why nothing was written.
    async fn lost(&self) -> Refusal {
        let key = self.holder.key;
        let lives = self.store.snapshot::<_, StoreError>(move |c| {
            async move { Ok(api_keys::lives(c, key).await?) }.boxed()
        });
        match lives.await {
            Ok(false) => Refusal::KeyGone,
            Ok(true) | Err(_) => {
                Refusal::Reopen("another process has this node's name, or the log is another one")
            }
        }
    }

    async fn acknowledge(&self, applied: Revision) -> Result<bool, StoreError> {
        let (holder, told) = (self.holder.clone(), *self.told.borrow());
        self.store
            .transact(move |c| {
                async move { nodes::acknowledge(c, &holder, applied, &told).await }.boxed()
            })
            .await
    }

    async fn hold(&self, report: Report) -> Result<bool, StoreError> {
        let (holder, told, span) = (self.holder.clone(), *self.told.borrow(), self.span);
        self.store
            .transact(move |c| {
                async move { nodes::hold(c, &holder, &report, &told, span).await }.boxed()
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_told_cannot_be_acknowledged() {
        assert!(matches!(acknowledged(3, Revision(3)), Ok(Revision(3))));
        assert!(matches!(acknowledged(4, Revision(3)), Err(Refusal::Bad(_))));
        assert!(matches!(
            acknowledged(-1, Revision(3)),
            Err(Refusal::Bad(_))
        ));
    }
}
