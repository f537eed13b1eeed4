//! When sessions were last seen, in SQL: what nodes tell, how far all of them have,
//! and which sessions nobody has seen for too long.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::nodes::Holder;
use super::{Connection, StoreError};

/// What is told of a session within this of the last time changes nothing: a row a
/// session and report would be many.
const TOLD_AGAIN_MIN: Duration = Duration::from_mins(1);

/// Notes that sessions were seen so long ago.
pub(crate) async fn see(
    c: &mut Connection,
    ids: &[Uuid],
    (age, again_min): (Duration, Duration),
) -> Result<(), StoreError> {
    diesel::sql_query(
        "UPDATE sessions
         SET last_seen_time = clock_timestamp() - $2 * interval '1 millisecond'
         WHERE id = ANY($1) AND last_seen_time
             < clock_timestamp() - ($2 + $3) * interval '1 millisecond'",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<BigInt, _>(millis(age))
    .bind::<BigInt, _>(millis(again_min.min(TOLD_AGAIN_MIN)))
    .execute(c)
    .await?;
    Ok(())
}

/// Notes that a node has told all whom it saw until so long ago. One that has lost
/// its name tells nothing.
pub(crate) async fn told(
    c: &mut Connection,
    holder: &Holder,
    age: Duration,
) -> Result<(), StoreError> {
    diesel::sql_query(
        "UPDATE nodes SET seen_time = greatest(seen_time,
             clock_timestamp() - $3 * interval '1 millisecond')
         WHERE name = $1 AND incarnation = $2",
    )
    .bind::<Text, _>(holder.name.as_str())
    .bind::<Binary, _>(&holder.incarnation[..])
    .bind::<BigInt, _>(millis(age))
    .execute(c)
    .await?;
    Ok(())
}

/// Up to when it is known who was seen, and since when without a break.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub(crate) struct Watched {
    #[diesel(sql_type = Timestamptz)]
    pub(crate) seen_through_time: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) resume_time: DateTime<Utc>,
}

/// Reads how far every node that may hold a socket has told, and notes a break where
/// that is longer than `gap_max` after the last time: whoever was not seen meanwhile
/// may have tried to come.
pub(crate) async fn advance(c: &mut Connection, gap_max: Duration) -> Result<Watched, StoreError> {
    let watched = diesel::sql_query(
        "UPDATE session_watch AS watch SET
             resume_time = CASE
                 WHEN told.time - watch.seen_through_time > $1 * interval '1 millisecond'
                 THEN told.time ELSE watch.resume_time END,
             seen_through_time = greatest(watch.seen_through_time, told.time)
         FROM (SELECT coalesce(min(seen_time), clock_timestamp()) AS time FROM nodes
             WHERE deliver_max_ms IS NULL
                 OR lease_until + deliver_max_ms * interval '1 millisecond' > clock_timestamp()
         ) AS told
         RETURNING watch.seen_through_time, watch.resume_time",
    )
    .bind::<BigInt, _>(millis(gap_max))
    .get_result(c)
    .await?;
    Ok(watched)
}

/// Live sessions that nobody has seen for longer than they may be idle; not all at
/// once.
pub(crate) async fn idle(
    c: &mut Connection,
    watched: Watched,
    idle_max: Duration,
    rows_max: i64,
) -> Result<Vec<Uuid>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT id FROM sessions
         WHERE expire_time > clock_timestamp()
             AND greatest(last_seen_time, $1) + $3 * interval '1 millisecond' < $2
         ORDER BY id LIMIT $4",
    )
    .bind::<Timestamptz, _>(watched.resume_time)
    .bind::<Timestamptz, _>(watched.seen_through_time)
    .bind::<BigInt, _>(millis(idle_max))
    .bind::<BigInt, _>(rows_max)
    .load(c)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
