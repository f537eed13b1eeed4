//! A connection that is told by Postgres when something was committed. It only
//! wakes: what it carries is never believed, but for the name of a question.

use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use diesel_async::{AsyncConnection as _, SimpleAsyncConnection as _};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, NoTls};
use uuid::Uuid;

use super::{Connection, StoreError, log, nodes, questions};

/// How long that may take.
const PROBE_TIME_MAX: Duration = Duration::from_secs(3);
/// How long making the connection may take, LISTEN included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
/// Questions to nodes that a watch may be behind; past it they are missed.
const QUESTIONS_BEHIND_MAX: usize = 64;

/// What a notification wakes.
#[derive(Clone)]
pub(super) struct Wake {
    committed: Arc<Notify>,
    applied: watch::Sender<u64>,
    asked: broadcast::Sender<Uuid>,
    answered: watch::Sender<u64>,
    probed: Arc<Notify>,
    /// The channel on which this replica wakes itself, once.
    probe_channel: Arc<str>,
}

impl Wake {
    pub(super) fn new() -> Self {
        Self {
            committed: Arc::default(),
            applied: watch::Sender::default(),
            asked: broadcast::channel(QUESTIONS_BEHIND_MAX).0,
            answered: watch::Sender::default(),
            probed: Arc::default(),
            probe_channel: format!("porthouse_probe_{}", Uuid::new_v4().simple()).into(),
        }
    }

    /// Returns when something was committed since the last time.
    pub(super) async fn committed(&self) {
        self.committed.notified().await;
    }

    /// Changes when a node may have applied something.
    pub(super) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// Every question to nodes from now on, by its name.
    pub(super) fn asked(&self) -> broadcast::Sender<Uuid> {
        self.asked.clone()
    }

    /// Changes when a node may have answered something.
    pub(super) fn answered(&self) -> watch::Receiver<u64> {
        self.answered.subscribe()
    }

    fn hear(&self, channel: &str, said: &str) {
        if channel == log::CHANNEL {
            self.committed.notify_one();
        } else if channel == nodes::CHANNEL {
            self.applied
                .send_modify(|count| *count = count.wrapping_add(1));
        } else if channel == questions::ASKED {
            if let Ok(id) = said.parse() {
                // No node may be watching here.
                let _ = self.asked.send(id);
            }
        } else if channel == questions::ANSWERED {
            self.answered
                .send_modify(|count| *count = count.wrapping_add(1));
        } else if channel == &*self.probe_channel {
            self.probed.notify_one();
        }
    }
}

/// The connection.
pub(super) struct Listener {
    /// For reading as well, so that a dead connection is noticed.
    pub(super) connection: Connection,
}

impl Listener {
    /// Connects and listens.
    pub(super) async fn connect(url: &str, wake: &Wake) -> Result<Self, StoreError> {
        let made = timeout(CONNECT_TIME_MAX, Self::make(url, wake)).await;
        made.unwrap_or_else(|_| {
            tracing::warn!("the database did not take a connection in time");
            Err(StoreError::Unavailable)
        })
    }

    async fn make(url: &str, wake: &Wake) -> Result<Self, StoreError> {
        let connected = tokio_postgres::connect(url, NoTls).await;
        let (client, mut driver) = connected.map_err(|error| {
            tracing::warn!(why = why(&error), "the database took no connection");
            StoreError::Unavailable
        })?;
        let woken = wake.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| driver.poll_message(context)).await {
                if let AsyncMessage::Notification(notification) = message {
                    woken.hear(notification.channel(), notification.payload());
                }
            }
        });
        let mut connection = Connection::try_from(client)
            .await
            .map_err(|_| StoreError::Unavailable)?;
        for channel in [
            log::CHANNEL,
            nodes::CHANNEL,
            questions::ASKED,
            questions::ANSWERED,
            &*wake.probe_channel,
        ] {
            connection
                .batch_execute(&format!("LISTEN {channel}"))
                .await?;
        }
        Ok(Self { connection })
    }

    /// Has itself woken from another connection. A pooler that hands out server
    /// connections by the transaction takes LISTEN and never delivers.
    pub(super) async fn probe(&mut self, url: &str, wake: &Wake) -> Result<(), StoreError> {
        let mut other = Connection::establish(url)
            .await
            .map_err(|_| StoreError::Unavailable)?;
        other
            .batch_execute(&format!("NOTIFY {}", wake.probe_channel))
            .await?;
        timeout(PROBE_TIME_MAX, wake.probed.notified())
            .await
            .map_err(|_| StoreError::Pooled)?;
        let heard = format!("UNLISTEN {}", wake.probe_channel);
        Ok(self.connection.batch_execute(&heard).await?)
    }
}

/// Why a connection failed. Not what cannot be read in the URL, for that may be a
/// piece of a password.
fn why(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said.message().to_owned();
    }
    let source = error.source().and_then(|source| source.downcast_ref());
    source.map_or_else(
        || "neither the database nor the network says".to_owned(),
        io::Error::to_string,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_connection_says_why_and_nothing_of_the_url() {
        let failure = async |url| {
            let connected = tokio_postgres::connect(url, NoTls).await;
            why(&connected.err().expect("no connection"))
        };
        let nowhere = failure("host=/nowhere user=a password=hunter2").await;
        assert!(nowhere.contains("No such file"), "{nowhere}");
        let unreadable = failure("host=/nowhere password=of two words=hunter2").await;
        assert!(!unreadable.contains("words"), "{unreadable}");
    }
}
