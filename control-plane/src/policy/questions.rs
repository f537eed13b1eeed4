//! One node's questions: what was asked of all nodes is said on its watch, and
//! what it answers is written down. Knows no question by its content.

use std::convert::Infallible;

use futures_util::FutureExt;
use porthouse_api::node::v1::watch_response::Message;
use porthouse_api::node::v1::{self, WatchResponse};
use prost::Message as _;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tonic::Status;
use uuid::Uuid;

use crate::store::{Store, StoreError, questions};

/// Answers of a node that wait to be written down; past it one more is lost, and
/// the node counts as silent.
pub(super) const ANSWERS_MAX: usize = 16;

/// What one node is asked.
pub(super) struct Questions<'a> {
    pub(super) store: &'a Store,
    /// The node's name.
    pub(super) node: String,
    /// Whether it said that it answers.
    pub(super) answers: bool,
    pub(super) out: &'a mpsc::Sender<Result<WatchResponse, Status>>,
}

impl Questions<'_> {
    /// Carries questions there and answers back.
    pub(super) async fn carry(
        &self,
        mut asked: broadcast::Receiver<Uuid>,
        mut answered: mpsc::Receiver<v1::WatchAnswer>,
    ) -> Infallible {
        loop {
            tokio::select! {
                id = asked.recv() => match id {
                    Ok(id) if self.answers => self.pass(id).await,
                    // Whoever asked names who was not asked as silent.
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return std::future::pending().await,
                },
                Some(answer) = answered.recv() => self.write(answer).await,
            }
        }
    }

    async fn pass(&self, id: Uuid) {
        let question = self
            .store
            .snapshot::<_, StoreError>(move |c| {
                async move { Ok(questions::question(c, id).await?) }.boxed()
            })
            .await;
        let Ok(Some(bytes)) = question else { return };
        let Ok(question) = v1::WatchQuestion::decode(bytes.as_slice()) else {
            return;
        };
        let message = Some(Message::Question(question));
        // A node that does not read is told of changes first, and ends by them.
        let _ = self.out.try_send(Ok(WatchResponse { message }));
    }

    async fn write(&self, answer: v1::WatchAnswer) {
        let Ok(id) = Uuid::from_slice(&answer.id) else {
            return;
        };
        let node = self.node.clone();
        let written = self
            .store
            .transact::<_, StoreError>(move |c| {
                async move { questions::answer(c, id, &node, answer.encode_to_vec()).await }.boxed()
            })
            .await;
        if let Err(failure) = written {
            tracing::warn!(node = %self.node, %failure, "a node's answer was not kept");
        }
    }
}
