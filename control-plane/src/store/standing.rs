//! How the database stands: whether it has the migrations of this version, and how
//! far its logs are. One statement of each; changes nothing.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::{Connection, StoreError, migrate};

/// What is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Whether every migration of this version was applied.
    pub(crate) migrated: bool,
    /// The last revision.
    pub(crate) written: u64,
    /// The last revision that every node has applied that may still deliver.
    pub(crate) applied: u64,
    /// Nodes that may still deliver.
    pub(crate) nodes: u64,
    /// Entries of the audit log.
    pub(crate) audited: u64,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    written: i64,
    #[diesel(sql_type = BigInt)]
    applied: i64,
    #[diesel(sql_type = BigInt)]
    nodes: i64,
    #[diesel(sql_type = BigInt)]
    audited: i64,
}

/// Looks.
///
/// # Errors
///
/// [`StoreError`] where the database does not answer, or lacks the very tables.
pub(crate) async fn look(c: &mut Connection) -> Result<Look, StoreError> {
    let versions: Vec<Version> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations")
            .load(c)
            .await?;
    let versions = versions.into_iter().map(|row| row.version).collect();
    if migrate::lacks(&versions)? {
        return Ok(Look::default());
    }
    let counted: Counted = diesel::sql_query(
        "SELECT written, nodes, audited, coalesce(slowest, written) AS applied FROM
             (SELECT coalesce(max(revision), 0) AS written FROM policy_log) AS log,
             (SELECT count(*) AS nodes, min(applied_revision) AS slowest FROM nodes
                 WHERE deliver_max_ms IS NULL OR clock_timestamp()
                     < lease_until + deliver_max_ms * interval '1 millisecond') AS holders,
             (SELECT coalesce(max(number), 0) AS audited FROM audit_log) AS audit",
    )
    .get_result(c)
    .await?;
    let number = |column: i64| u64::try_from(column).unwrap_or_default();
    Ok(Look {
        migrated: true,
        written: number(counted.written),
        applied: number(counted.applied),
        nodes: number(counted.nodes),
        audited: number(counted.audited),
    })
}
