//! Brings a database to the schema this version needs. Replicas that start
//! together take turns. Never goes back: that is for a person with `down.sql`.

use std::collections::HashSet;

use diesel::migration::{Migration, MigrationSource as _};
use diesel::pg::Pg;
use diesel::{Connection as _, RunQueryDsl as _};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::{Connection, StoreError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");

/// Why a database was not migrated; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MigrateError(String);

impl From<StoreError> for MigrateError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

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

/// Gives a role what a replica needs of the migrated database at `url`, and not
/// what it does not: it adds to the audit log and to the log of what nodes obey,
/// and changes neither.
///
/// # Errors
///
/// [`MigrateError`] when there is no such role, or the database cannot be reached.
pub async fn grant(url: &str, role: &str) -> Result<(), MigrateError> {
    let (url, role) = (url.to_owned(), role.to_owned());
    let task = tokio::task::spawn_blocking(move || {
        let mut connection = connect(&url)?;
        diesel::sql_query("SELECT set_config('porthouse.role', $1, false)")
            .bind::<diesel::sql_types::Text, _>(&role)
            .execute(&mut connection)?;
        diesel::sql_query(GRANT).execute(&mut connection)?;
        Ok::<_, StoreError>(())
    });
    let granted = task.await.unwrap_or(Err(StoreError::Unavailable));
    granted.map_err(|error| MigrateError(error.to_string()))
}

/// `%I` quotes the role as a name.
const GRANT: &str = "
DO $$
DECLARE
    role text := current_setting('porthouse.role');
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
    EXECUTE format(
        'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %I', role);
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %I', role);
    EXECUTE format('REVOKE UPDATE, DELETE ON audit_log, policy_log FROM %I', role);
END $$";

/// Whether the database at `url` lacks migrations of this version.
pub(crate) async fn pending(url: &str) -> Result<bool, StoreError> {
    let url = url.to_owned();
    let task = tokio::task::spawn_blocking(move || {
        let mut connection = connect(&url)?;
        lacks(&applied(&mut connection)?)
    });
    task.await.unwrap_or(Err(StoreError::Unavailable))
}

/// Whether migrations of this version are not among those that were applied.
pub(super) fn lacks(applied: &HashSet<String>) -> Result<bool, StoreError> {
    let known: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS
        .migrations()
        .map_err(|failure| StoreError::Refused(failure.to_string()))?;
    let mut versions = known.iter().map(|step| step.name().version().to_string());
    Ok(versions.any(|version| !applied.contains(&version)))
}

/// The versions that were applied. Diesel's own question first makes the table
/// they are in, which a role that only serves may not.
fn applied(
    connection: &mut AsyncConnectionWrapper<Connection>,
) -> Result<HashSet<String>, StoreError> {
    let there: Vec<Version> = diesel::sql_query(
        "SELECT to_regclass('__diesel_schema_migrations')::text AS version
         WHERE to_regclass('__diesel_schema_migrations') IS NOT NULL",
    )
    .load(connection)?;
    if there.is_empty() {
        return Ok(HashSet::new());
    }
    let versions: Vec<Version> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(connection)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

#[derive(diesel::QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

fn connect(url: &str) -> Result<AsyncConnectionWrapper<Connection>, StoreError> {
    AsyncConnectionWrapper::establish(url).map_err(|failure| {
        tracing::warn!(%failure, "no connection to the database");
        StoreError::Unavailable
    })
}
