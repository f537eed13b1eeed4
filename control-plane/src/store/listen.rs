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

/// The channel on which a starting replica wakes itself.
const PROBE_CHANNEL: &str = "porthouse_probe";
/// How long that may take.
const PROBE_TIME_MAX: Duration = Duration::from_secs(3);
/// How long making the connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// What a notification wakes.
#[derive(Clone, Default)]
pub(super) struct Wake {
    committed: Arc<Notify>,
    applied: watch::Sender<u64>,
    probed: watch::Sender<String>,
}

impl Wake {
    /// Returns when something was committed since the last time.
    pub(super) async fn committed(&self) {
        self.committed.notified().await;
    }

    /// Changes when a node may have applied something.
    pub(super) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    fn hear(&self, notification: &tokio_postgres::Notification) {
        match notification.channel() {
            log::CHANNEL => self.committed.notify_one(),
            nodes::CHANNEL => self
                .applied
                .send_modify(|count| *count = count.wrapping_add(1)),
            PROBE_CHANNEL => {
                self.probed.send_replace(notification.payload().to_owned());
            }
            _ => {}
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
                    woken.hear(&notification);
                }
            }
        });
        let mut connection = Connection::try_from(client)
            .await
            .map_err(|_| StoreError::Unavailable)?;
        for channel in [log::CHANNEL, nodes::CHANNEL, PROBE_CHANNEL] {
            connection
                .batch_execute(&format!("LISTEN {channel}"))
                .await?;
        }
        Ok(Self { connection })
    }

    /// Has itself woken from another connection. A pooler that hands out server
    /// connections by the transaction takes LISTEN and never delivers.
    pub(super) async fn probe(&mut self, url: &str, wake: &Wake) -> Result<(), StoreError> {
        let mut probed = wake.probed.subscribe();
        let nonce = Uuid::new_v4().to_string();
        let mut other = Connection::establish(url)
            .await
            .map_err(|_| StoreError::Unavailable)?;
        other
            .batch_execute(&format!("NOTIFY {PROBE_CHANNEL}, '{nonce}'"))
            .await?;
        match timeout(PROBE_TIME_MAX, probed.wait_for(|heard| *heard == nonce)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StoreError::Pooled),
        }
    }
}
