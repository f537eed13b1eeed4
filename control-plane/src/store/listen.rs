//! A connection that is told by Postgres when something was committed. It only
//! wakes: what it carries is never believed.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use diesel_async::{AsyncConnection as _, SimpleAsyncConnection as _};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, NoTls};
use uuid::Uuid;

use super::{Connection, StoreError, log, nodes};

/// How long that may take.
const PROBE_TIME_MAX: Duration = Duration::from_secs(3);
/// How long making the connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// What a notification wakes.
#[derive(Clone)]
pub(super) struct Wake {
    committed: Arc<Notify>,
    applied: watch::Sender<u64>,
    probed: Arc<Notify>,
    /// The channel on which this replica wakes itself, once.
    probe_channel: Arc<str>,
}

impl Wake {
    pub(super) fn new() -> Self {
        Self {
            committed: Arc::default(),
            applied: watch::Sender::default(),
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

    fn hear(&self, channel: &str) {
        if channel == log::CHANNEL {
            self.committed.notify_one();
        } else if channel == nodes::CHANNEL {
            self.applied
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
        let connected = timeout(CONNECT_TIME_MAX, tokio_postgres::connect(url, NoTls)).await;
        let (client, mut driver) = connected
            .ok()
            .and_then(Result::ok)
            .ok_or(StoreError::Unavailable)?;
        let woken = wake.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| driver.poll_message(context)).await {
                if let AsyncMessage::Notification(notification) = message {
                    woken.hear(notification.channel());
                }
            }
        });
        let mut connection = Connection::try_from(client)
            .await
            .map_err(|_| StoreError::Unavailable)?;
        for channel in [log::CHANNEL, nodes::CHANNEL, &*wake.probe_channel] {
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
