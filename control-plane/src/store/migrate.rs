//! Brings a database to the schema this version needs. Replicas that start
//! together take turns. Never goes back: that is for a person with `down.sql`.

use diesel::{Connection as _, RunQueryDsl as _};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::{Connection, StoreError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");

/// Why a database was not migrated; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MigrateError(String);

/// Applies the migrations that the database at `url` lacks; answers how many.
/// Replicas may do it at once: they take turns.
///
/// # Errors
///
/// [`MigrateError`] when the database cannot be reached or refuses one.
pub async fn migrate(url: &str) -> Result<usize, MigrateError> {
    apply(url)
        .await
        .map_err(|error| MigrateError(error.to_string()))
}

async fn apply(url: &str) -> Result<usize, StoreError> {
    let url = url.to_owned();
    let task = tokio::task::spawn_blocking(move || {
        let mut connection = connect(&url)?;
        // Held till the connection closes.
        diesel::sql_query("SELECT pg_advisory_lock(hashtext('porthouse.migrate'))")
            .execute(&mut connection)?;
        let applied = connection
            .run_pending_migrations(MIGRATIONS)
            .map_err(|failure| StoreError::Refused(failure.to_string()))?;
        Ok(applied.len())
    });
    task.await.unwrap_or(Err(StoreError::Unavailable))
}

/// Whether the database at `url` lacks migrations of this version.
pub(crate) async fn pending(url: &str) -> Result<bool, StoreError> {
    let url = url.to_owned();
    let task = tokio::task::spawn_blocking(move || {
        connect(&url)?
            .has_pending_migration(MIGRATIONS)
            .map_err(|failure| StoreError::Refused(failure.to_string()))
    });
    task.await.unwrap_or(Err(StoreError::Unavailable))
}

fn connect(url: &str) -> Result<AsyncConnectionWrapper<Connection>, StoreError> {
    AsyncConnectionWrapper::establish(url).map_err(|failure| {
        tracing::warn!(%failure, "no connection to the database");
        StoreError::Unavailable
    })
}
