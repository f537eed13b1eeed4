//! Nodes: who holds policy, for how long word may still reach it, and how far it
//! has applied the log. Never decides what to do about one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::RunQueryDsl;
use porthouse_model::{NodeName, Revision};
use uuid::Uuid;

use super::position::Position;
use super::schema::nodes;
use super::{Connection, StoreError, log};

/// The channel on which acknowledgements wake those who wait for them.
pub(crate) const CHANNEL: &str = "porthouse_applied";

/// The most nodes there may be.
pub(crate) const NODES_MAX: i64 = 1_024;

/// A process that holds policy: a node's name, one start of it, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The node's name.
    pub(crate) name: NodeName,
    /// Drawn anew at each start.
    pub(crate) incarnation: [u8; 16],
    /// The API key it came with; it is told nothing once that is gone.
    pub(crate) key: Uuid,
}

/// What a node says of itself when it opens a watch.
#[derive(Clone, Debug)]
pub(crate) struct Introduction {
    /// What it has applied; 0: nothing that it remembers.
    pub(crate) applied: Revision,
    /// As in [`Report`].
    pub(crate) deliver_max: Option<Duration>,
    /// Threads that hold sockets.
    pub(crate) puddles: u32,
    /// The version of its program.
    pub(crate) version: String,
    /// Where it listens.
    pub(crate) listeners: Vec<String>,
    /// What it knows of rules.
    pub(crate) rules_known: u32,
}

/// What a node last said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// How often it has said that it lives.
    pub(crate) alive: u64,
    /// What every puddle has settled; 0: it has not said so.
    pub(crate) applied: Revision,
    /// Sockets open.
    pub(crate) sockets: u64,
    /// How long a room of it may deliver without word; `None`: without limit.
    pub(crate) deliver_max: Option<Duration>,
}

/// Whether a node was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// This process is new, so it holds nothing yet.
    Anew,
    /// This process had a watch before; what it has applied stays as it was.
    Before,
}

/// Takes a process in under its name, with a lease; one that had the name before
/// has lost it.
///
/// # Errors
///
/// [`StoreError::TooMuch`] at [`NODES_MAX`] nodes.
pub(crate) async fn enter(
    connection: &mut Connection,
    holder: &Holder,
    introduction: &Introduction,
    lease: Duration,
) -> Result<Known, StoreError> {
    let name = holder.name.as_str();
    let before: Option<Vec<u8>> = nodes::table
        .find(name)
        .select(nodes::incarnation)
        .for_update()
        .first(connection)
        .await
        .optional()?;
    if before.is_none() {
        let count: i64 = nodes::table.count().get_result(connection).await?;
        if count >= NODES_MAX {
            return Err(StoreError::TooMuch { items_max: 1_024 });
        }
    }
    let known = match before {
        Some(before) if before == holder.incarnation => Known::Before,
        Some(_) | None => Known::Anew,
    };
    diesel::sql_query(
        "INSERT INTO nodes AS node (name, incarnation, lease_until, applied_revision,
             deliver_max_ms, puddles, version, listeners, rules_known)
         VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond', $4, $5, $6, $7, $8,
             $9)
         ON CONFLICT (name) DO UPDATE SET
             applied_revision = CASE WHEN node.incarnation = excluded.incarnation
                 THEN node.applied_revision ELSE excluded.applied_revision END,
             start_time = CASE WHEN node.incarnation = excluded.incarnation
                 THEN node.start_time ELSE excluded.start_time END,
             seen_time = CASE WHEN node.incarnation = excluded.incarnation
                 THEN node.seen_time ELSE excluded.seen_time END,
             incarnation = excluded.incarnation,
             lease_until = excluded.lease_until,
             deliver_max_ms = excluded.deliver_max_ms,
             puddles = excluded.puddles,
             version = excluded.version,
             listeners = excluded.listeners,
             rules_known = excluded.rules_known",
    )
    .bind::<Text, _>(name)
    .bind::<Binary, _>(&holder.incarnation[..])
    .bind::<BigInt, _>(millis(lease))
    .bind::<BigInt, _>(column(introduction.applied))
    .bind::<Nullable<BigInt>, _>(introduction.deliver_max.map(millis))
    .bind::<Integer, _>(i32::try_from(introduction.puddles).unwrap_or(i32::MAX))
    .bind::<Text, _>(&introduction.version)
    .bind::<Array<Text>, _>(&introduction.listeners)
    .bind::<BigInt, _>(i64::from(introduction.rules_known))
    .execute(connection)
    .await?;
    Ok(known)
}

/// Writes what a node said and extends its lease. `false`, with nothing written,
/// when the process has lost its name or its key, or when `told`, up to which it was told
/// the log, is not in the log any more: what it has applied is then of another
/// history. What it has applied never falls.
pub(crate) async fn hold(
    connection: &mut Connection,
    holder: &Holder,
    report: &Report,
    told: &Position,
    lease: Duration,
) -> Result<bool, StoreError> {
    let held = diesel::sql_query(format!(
        "UPDATE nodes SET
             lease_until = greatest(lease_until, clock_timestamp() + $6 * interval '1 millisecond'),
             applied_revision = greatest(applied_revision, $7),
             sockets = $8,
             deliver_max_ms = $9
         {OF_HOLDER}"
    ))
    .bind::<Text, _>(holder.name.as_str())
    .bind::<Binary, _>(&holder.incarnation[..])
    .bind::<BigInt, _>(column(told.revision()))
    .bind::<Binary, _>(told.chain())
    .bind::<SqlUuid, _>(holder.key)
    .bind::<BigInt, _>(millis(lease))
    .bind::<BigInt, _>(column(report.applied))
    .bind::<BigInt, _>(i64::try_from(report.sockets).unwrap_or(i64::MAX))
    .bind::<Nullable<BigInt>, _>(report.deliver_max.map(millis))
    .execute(connection)
    .await?;
    Ok(held > 0)
}

/// Writes what a node has applied and wakes those who wait for it; `false` as
/// [`hold`] has it.
///
/// It does not wait for the disk. What a crash of the database forgets is written
/// again when the lease is next held; till then others wait longer, and nobody
/// too short.
pub(crate) async fn acknowledge(
    connection: &mut Connection,
    holder: &Holder,
    applied: Revision,
    told: &Position,
) -> Result<bool, StoreError> {
    let held: Option<Held> = diesel::sql_query(format!(
        "WITH held AS (
             UPDATE nodes SET applied_revision = greatest(applied_revision, $6)
             {OF_HOLDER} RETURNING true AS held
         )
         SELECT held, pg_notify($7, '')::text AS woken,
                set_config('synchronous_commit', 'off', true) AS soon
         FROM held"
    ))
    .bind::<Text, _>(holder.name.as_str())
    .bind::<Binary, _>(&holder.incarnation[..])
    .bind::<BigInt, _>(column(told.revision()))
    .bind::<Binary, _>(told.chain())
    .bind::<SqlUuid, _>(holder.key)
    .bind::<BigInt, _>(column(applied))
    .bind::<Text, _>(CHANNEL)
    .get_result(connection)
    .await
    .optional()?;
    Ok(held.is_some_and(|row| row.held))
}

/// The row of a process that has its name and its key, and was told this log.
const OF_HOLDER: &str = "WHERE name = $1 AND incarnation = $2
     AND ($3 = 0 OR EXISTS (SELECT FROM policy_log WHERE revision = $3 AND chain = $4))
     AND EXISTS (SELECT FROM api_keys WHERE id = $5
         AND (expire_time IS NULL OR expire_time > clock_timestamp()))";

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = Bool)]
    held: bool,
}

/// Lets a process go that says that it leaves; one that has lost its name takes
/// nobody along.
pub(crate) async fn leave(connection: &mut Connection, holder: &Holder) -> Result<(), StoreError> {
    diesel::delete(
        nodes::table
            .find(holder.name.as_str())
            .filter(nodes::incarnation.eq(&holder.incarnation[..])),
    )
    .execute(connection)
    .await?;
    wake(connection).await
}

/// Forgets a node; says whether it was there.
pub(crate) async fn delete(
    connection: &mut Connection,
    name: &NodeName,
) -> Result<bool, StoreError> {
    let deleted = diesel::delete(nodes::table.find(name.as_str()))
        .execute(connection)
        .await?;
    wake(connection).await?;
    Ok(deleted > 0)
}

async fn wake(connection: &mut Connection) -> Result<(), StoreError> {
    diesel::sql_query("SELECT pg_notify($1, '')")
        .bind::<Text, _>(CHANNEL)
        .execute(connection)
        .await?;
    Ok(())
}

/// A node as others see it.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub(crate) struct NodeRow {
    /// Its name.
    #[diesel(sql_type = Text)]
    pub(crate) name: String,
    /// Which start of it this is; 16 bytes.
    #[diesel(sql_type = Binary)]
    pub(crate) incarnation: Vec<u8>,
    /// It is given no word after this.
    #[diesel(sql_type = Timestamptz)]
    pub(crate) lease_until: DateTime<Utc>,
    /// What every one of its puddles has settled.
    #[diesel(sql_type = BigInt)]
    pub(crate) applied_revision: i64,
    /// The latest moment its rooms may still deliver without further word;
    /// `None`: without limit.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub(crate) until: Option<DateTime<Utc>>,
    /// Threads that hold sockets.
    #[diesel(sql_type = Integer)]
    pub(crate) puddles: i32,
    /// Sockets open when it last spoke.
    #[diesel(sql_type = BigInt)]
    pub(crate) sockets: i64,
    /// The version of its program.
    #[diesel(sql_type = Text)]
    pub(crate) version: String,
    /// Where it listens.
    #[diesel(sql_type = Array<Text>)]
    pub(crate) listeners: Vec<String>,
    /// When it first came under this incarnation.
    #[diesel(sql_type = Timestamptz)]
    pub(crate) start_time: DateTime<Utc>,
    /// What it knows of rules.
    #[diesel(sql_type = BigInt)]
    pub(crate) rules_known: i64,
}

const SELECT: &str = "SELECT *, lease_until + deliver_max_ms * interval '1 millisecond' AS until
     FROM nodes";

/// The nodes that may still act by what stood before `revision`: they have not
/// applied it, and their rooms may still deliver. Ordered by name.
pub(crate) async fn behind(
    connection: &mut Connection,
    revision: Revision,
) -> Result<Vec<NodeRow>, StoreError> {
    let rows = diesel::sql_query(format!(
        "{SELECT} WHERE applied_revision < $1 AND (deliver_max_ms IS NULL
             OR lease_until + deliver_max_ms * interval '1 millisecond' > clock_timestamp())
         ORDER BY name"
    ))
    .bind::<BigInt, _>(column(revision))
    .load(connection)
    .await?;
    Ok(rows)
}

/// A node by its name.
pub(crate) async fn by_name(
    connection: &mut Connection,
    name: &NodeName,
) -> Result<Option<NodeRow>, StoreError> {
    let row = diesel::sql_query(format!("{SELECT} WHERE name = $1"))
        .bind::<Text, _>(name.as_str())
        .get_result(connection)
        .await
        .optional()?;
    Ok(row)
}

/// Up to `rows_max` nodes whose names come after `after`, ordered by name.
pub(crate) async fn page(
    connection: &mut Connection,
    after: &str,
    rows_max: i64,
) -> Result<Vec<NodeRow>, StoreError> {
    let rows = diesel::sql_query(format!("{SELECT} WHERE name > $1 ORDER BY name LIMIT $2"))
        .bind::<Text, _>(after)
        .bind::<BigInt, _>(rows_max)
        .load(connection)
        .await?;
    Ok(rows)
}

/// Says that a process that has just come has applied the log's head, for it
/// holds nothing from before it. Answers the head.
pub(crate) async fn begin_at_head(
    connection: &mut Connection,
    holder: &Holder,
) -> Result<Position, StoreError> {
    let head = log::head_position(connection).await?;
    diesel::update(
        nodes::table
            .find(holder.name.as_str())
            .filter(nodes::incarnation.eq(&holder.incarnation[..])),
    )
    .set(nodes::applied_revision.eq(column(head.revision())))
    .execute(connection)
    .await?;
    wake(connection).await?;
    Ok(head)
}

fn column(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
