//! Postgres: the only place that knows SQL.
//!
//! Owns the pool and how a transaction runs: on a task of its own, so that a
//! caller who goes away never leaves one open on a pooled connection. What nodes
//! obey is written through [`Store::write`] alone, which numbers it. Decides
//! nothing about users, rooms or sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use porthouse_process::spans::{self, Kind, Span};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

mod error;
mod listen;
pub(crate) mod init;
pub(crate) mod log;
pub(crate) mod migrate;
pub(crate) mod nodes;
pub(crate) mod questions;
pub(crate) mod position;
pub(crate) mod committed;
pub(crate) mod moment;
pub(crate) mod resolve;
pub(crate) mod tail;
pub(crate) mod page;
pub(crate) mod users;
pub(crate) mod issuers;
pub(crate) mod sessions;
pub(crate) mod device_tokens;
pub(crate) mod challenges;
pub(crate) mod lockouts;
pub(crate) mod sealed;
pub(crate) mod second_factors;
pub(crate) mod rooms;
pub(crate) mod room_doors;
pub(crate) mod rule;
pub(crate) mod members;
pub(crate) mod member_groups;
pub(crate) mod blocks;
pub(crate) mod kept_out;
pub(crate) mod last_seen;
pub(crate) mod templates;
pub(crate) mod tickets;
pub(crate) mod covering;
pub(crate) mod guards;
pub(crate) mod guarded;
pub(crate) mod endpoints;
pub(crate) mod address;
pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod schema;
pub(crate) mod standing;

pub(crate) use error::StoreError;

/// How the store uses its database.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Connections for requests; at most this many transactions run at once.
    pub connections_max: usize,
    /// How long a request waits for a connection before it is refused.
    pub connection_wait_max: Duration,
    /// How long one statement may run.
    pub statement_time_max: Duration,
    /// How long a statement may wait for a lock, the log's included.
    pub lock_wait_max: Duration,
    /// How long a transaction may stand between two statements. It bounds how
    /// long a replica that was stopped can hold the log's lock.
    pub idle_in_transaction_max: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            connections_max: 16,
            connection_wait_max: Duration::from_secs(2),
            statement_time_max: Duration::from_secs(10),
            lock_wait_max: Duration::from_secs(5),
            idle_in_transaction_max: Duration::from_secs(5),
        }
    }
}

/// The connection that statements run on.
pub(crate) type Connection = AsyncPgConnection;

/// How many connections there are, and who waits for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StorePlaces {
    pub(crate) busy: usize,
    pub(crate) idle: usize,
    pub(crate) most: usize,
    pub(crate) waiting: usize,
}

/// The database.
#[derive(Clone)]
pub(crate) struct Store {
    pool: Pool<Connection>,
    /// Places to write what nodes obey: not all connections, so that those who
    /// wait for the log's lock leave some to nodes and readers.
    writers: Arc<Semaphore>,
    connection_wait_max: Duration,
    /// Revisions written here.
    written: Arc<AtomicU64>,
}

impl Store {
    /// A store on the database at `url`. Connects when first used.
    pub(crate) fn new(url: &str, settings: &StoreSettings) -> Result<Self, StoreError> {
        let mut config = ManagerConfig::default();
        config.recycling_method = RecyclingMethod::Fast;
        let session = session_settings(settings);
        config.custom_setup = Box::new(move |url| {
            let (url, session) = (url.to_owned(), session.clone());
            async move { connect(&url, &session).await }.boxed()
        });
        let pool = Pool::builder(AsyncDieselConnectionManager::new_with_config(url, config))
            .max_size(settings.connections_max)
            .build()
            .map_err(|_| StoreError::Unavailable)?;
        Ok(Self {
            pool,
            writers: Arc::new(Semaphore::new(settings.connections_max.div_ceil(2))),
            connection_wait_max: settings.connection_wait_max,
            written: Arc::default(),
        })
    }

    /// How many connections there are, and who waits for one.
    pub(crate) fn places(&self) -> StorePlaces {
        let status = self.pool.status();
        let idle = status.available.min(status.size);
        StorePlaces {
            busy: status.size - idle,
            idle,
            most: status.max_size,
            waiting: status.waiting,
        }
    }

    /// How many revisions were written here so far.
    pub(crate) fn revisions_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Runs statements that change nothing nodes obey, in one READ COMMITTED
    /// transaction: session creation, last-seen, leases. What nodes obey goes
    /// through [`Store::write`]; the database refuses to commit it here.
    pub(crate) async fn transact<T, E>(
        &self,
        statements: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, E>>
        + Send
        + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<diesel::result::Error> + Send + 'static,
    {
        self.transact_within(transaction_span(), statements).await
    }

    /// The same as a transaction whose span has begun.
    async fn transact_within<T, E>(
        &self,
        span: Option<Span>,
        statements: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, E>>
        + Send
        + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<diesel::result::Error> + Send + 'static,
    {
        self.on_task(span, |connection| {
            async move {
                connection
                    .build_transaction()
                    .read_committed()
                    .run(async move |connection| statements(connection).await)
                    .await
            }
            .boxed()
        })
        .await
    }

    /// Reads in one REPEATABLE READ snapshot.
    pub(crate) async fn snapshot<T, E>(
        &self,
        statements: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, E>>
        + Send
        + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<diesel::result::Error> + Send + 'static,
    {
        self.on_task(transaction_span(), |connection| {
            async move {
                connection
                    .build_transaction()
                    .repeatable_read()
                    .read_only()
                    .run(async move |connection| statements(connection).await)
                    .await
            }
            .boxed()
        })
        .await
    }

    /// Runs a whole transaction on a task of its own. The connection is taken
    /// first, so there are never more such tasks than connections.
    async fn on_task<T, E>(
        &self,
        mut span: Option<Span>,
        transaction: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, E>>
        + Send
        + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(none) => {
                fail(&mut span, "no connection");
                return Err(none.into());
            }
        };
        // A transaction ends when the task does, which is not cut.
        let mut open = Open(span);
        let task = tokio::spawn(async move {
            let outcome = transaction(&mut connection).await;
            open.ended(outcome.is_ok());
            outcome
        });
        task.await.unwrap_or_else(|failure| {
            tracing::error!(panicked = failure.is_panic(), "a transaction did not end");
            Err(StoreError::Unavailable.into())
        })
    }

    /// A place to write, held to the transaction's end.
    async fn place_to_write(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let place = self.writers.clone().acquire_owned();
        let place = tokio::time::timeout(self.connection_wait_max, place).await;
        place.ok().and_then(Result::ok).ok_or(StoreError::Contended)
    }

    async fn connection(&self) -> Result<Object<Connection>, StoreError> {
        match tokio::time::timeout(self.connection_wait_max, self.pool.get()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(failure)) => {
                tracing::warn!(%failure, "no connection to the database");
                Err(StoreError::Unavailable)
            }
            Err(_) => Err(StoreError::Unavailable),
        }
    }
}

/// A connection that is not of the pool.
pub(crate) async fn lone(url: &str, settings: &StoreSettings) -> Result<Connection, StoreError> {
    let connected = connect(url, &session_settings(settings)).await;
    connected.map_err(|_| StoreError::Unavailable)
}

/// The span of a transaction, the waits for its places included.
fn transaction_span() -> Option<Span> {
    let mut span = spans::part("transaction", Kind::Client)?;
    span.say("db.system.name", "postgresql");
    Some(span)
}

fn fail(span: &mut Option<Span>, why: &'static str) {
    if let Some(span) = span {
        span.fail(why);
    }
}

/// A transaction under way. Dropped before it has ended, it panicked.
struct Open(Option<Span>);

impl Open {
    /// One that is rolled back need not have failed: what it is for may be refused.
    fn ended(&mut self, committed: bool) {
        if let Some(mut span) = self.0.take() {
            let outcome = if committed {
                "committed"
            } else {
                "rolled back"
            };
            span.say("porthouse.outcome", outcome);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        fail(&mut self.0, "panicked");
    }
}

async fn connect(url: &str, session: &str) -> diesel::ConnectionResult<Connection> {
    let mut connection = Connection::establish(url).await?;
    connection
        .batch_execute(session)
        .await
        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// What each connection is told when it is made.
fn session_settings(settings: &StoreSettings) -> String {
    format!(
        "SET application_name = 'porthouse-control';
         SET statement_timeout = {};
         SET lock_timeout = {};
         SET idle_in_transaction_session_timeout = {};",
        settings.statement_time_max.as_millis(),
        settings.lock_wait_max.as_millis(),
        settings.idle_in_transaction_max.as_millis(),
    )
}
