//! Asking every node something, over the watches that they keep, and waiting a
//! bounded time for what they say. Knows no question by its content.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::node::v1;
use prost::Message as _;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::identity::chance;
use crate::store::tail::Tail;
use crate::store::{Store, StoreError, questions};

/// Questions of one replica that may be under way.
const QUESTIONS_MAX: usize = 16;
/// How often answers are read when nothing wakes the asker.
const POLL: Duration = Duration::from_millis(250);

/// Why nothing was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// As many questions are under way as may be; ask again.
    #[error("as many questions to nodes are under way as may be")]
    Busy,
    /// The store could not carry it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of a question.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Nodes with their answers, ordered by name.
    pub(crate) answers: Vec<(String, v1::WatchAnswer)>,
    /// Nodes that have not answered in time, ordered by name.
    pub(crate) silent: Vec<String>,
}

/// Asks nodes.
#[derive(Clone)]
pub(crate) struct Asking {
    store: Store,
    tail: Tail,
    places: Arc<Semaphore>,
}

impl Asking {
    pub(crate) fn new(store: Store, tail: Tail) -> Self {
        Self {
            store,
            tail,
            places: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        }
    }

    /// Asks all nodes whose lease lasts; answers when all have answered, when one
    /// answer is enough, or after `time_max`.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub(crate) async fn ask(
        &self,
        what: v1::watch_question::What,
        time_max: Duration,
        enough: impl Fn(&v1::WatchAnswer) -> bool,
    ) -> Result<Heard, AskError> {
        let _place = self.places.try_acquire().map_err(|_| AskError::Busy)?;
        let deadline = Instant::now() + time_max;
        let id = chance::identity();
        let question = v1::WatchQuestion {
            id: id.as_bytes().to_vec(),
            what: Some(what),
        };
        // From here no answer is missed.
        let mut answered = self.tail.answered();
        let nodes = self
            .store
            .transact::<_, StoreError>(move |c| {
                async move { questions::ask(c, id, question.encode_to_vec()).await }.boxed()
            })
            .await?;
        let heard = loop {
            answered.mark_unchanged();
            let heard = self.heard(id, &nodes).await?;
            let done = heard.silent.is_empty()
                || heard.answers.iter().any(|(_, answer)| enough(answer))
                || Instant::now() >= deadline;
            if done {
                break heard;
            }
            let wake = deadline.min(Instant::now() + POLL);
            // Woken, or time to look, or both.
            let _ = timeout_at(wake, answered.changed()).await;
        };
        self.store
            .transact::<_, StoreError>(move |c| {
                async move { Ok(questions::forget(c, id).await?) }.boxed()
            })
            .await?;
        Ok(heard)
    }

    async fn heard(&self, id: Uuid, nodes: &[String]) -> Result<Heard, StoreError> {
        let rows = self
            .store
            .snapshot::<_, StoreError>(move |c| {
                async move { Ok(questions::answers(c, id).await?) }.boxed()
            })
            .await?;
        let mut heard = Heard::default();
        for (node, bytes) in rows {
            // What cannot be read is no answer.
            if let Ok(answer) = v1::WatchAnswer::decode(bytes.as_slice()) {
                heard.answers.push((node, answer));
            }
        }
        let silent = |node: &&String| !heard.answers.iter().any(|(other, _)| other == *node);
        heard.silent = nodes.iter().filter(silent).cloned().collect();
        Ok(heard)
    }
}
