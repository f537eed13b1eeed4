//! Wrong passwords, in SQL: how many there were of whom and from where. How long
//! they keep one waiting is decided elsewhere.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use super::Connection;
use super::schema::sign_in_wrongs;
use super::second_factors::clock_timestamp;

/// Rows that one sign-in sweeps out at most.
const SWEEP_MAX: i32 = 64;

/// Wrong answers so far, and the database's clock.
#[derive(QueryableByName)]
pub(crate) struct Wrong {
    #[diesel(sql_type = Integer)]
    pub(crate) wrong_count: i32,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) wrong_time: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) now: DateTime<Utc>,
}

/// Reads how many there were, and keeps others from counting till the transaction
/// ends.
pub(crate) async fn lock(c: &mut Connection, target: &str, source: &str) -> QueryResult<Wrong> {
    diesel::sql_query(
        "INSERT INTO sign_in_wrongs (target, source, wrong_count, wrong_time)
         VALUES ($1, $2, 0, clock_timestamp())
         ON CONFLICT (target, source) DO UPDATE SET target = excluded.target
         RETURNING wrong_count, wrong_time, clock_timestamp() AS now",
    )
    .bind::<Text, _>(target)
    .bind::<Text, _>(source)
    .get_result(c)
    .await
}

/// Notes that there were so many, the last one now.
pub(crate) async fn set(
    c: &mut Connection,
    target: &str,
    source: &str,
    count: i32,
) -> QueryResult<()> {
    diesel::update(sign_in_wrongs::table.find((target, source)))
        .set((
            sign_in_wrongs::wrong_count.eq(count),
            sign_in_wrongs::wrong_time.eq(clock_timestamp()),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// Adds to those of many sources, the last of each now; answers how many there are.
/// Those of more than a day ago are forgotten. Sources are locked in the order given.
pub(crate) async fn add(
    c: &mut Connection,
    target: &str,
    sources: &[String],
    counts: &[i32],
) -> QueryResult<Vec<(String, i32)>> {
    let added: Vec<Added> = diesel::sql_query(
        "INSERT INTO sign_in_wrongs AS known (target, source, wrong_count, wrong_time)
         SELECT $1, source, more, clock_timestamp()
         FROM unnest($2, $3) WITH ORDINALITY AS added (source, more, place) ORDER BY place
         ON CONFLICT (target, source) DO UPDATE SET
             wrong_count = least(2147483647, excluded.wrong_count::bigint + CASE
                 WHEN known.wrong_time > clock_timestamp() - interval '1 day'
                 THEN known.wrong_count ELSE 0 END),
             wrong_time = excluded.wrong_time
         RETURNING source, wrong_count",
    )
    .bind::<Text, _>(target)
    .bind::<Array<Text>, _>(sources)
    .bind::<Array<Integer>, _>(counts)
    .load(c)
    .await?;
    let added = added.into_iter().map(|row| (row.source, row.wrong_count));
    Ok(added.collect())
}

/// How many there are of one source.
#[derive(QueryableByName)]
struct Added {
    #[diesel(sql_type = Text)]
    source: String,
    #[diesel(sql_type = Integer)]
    wrong_count: i32,
}

/// Takes one back that was counted ahead.
pub(crate) async fn take_back(c: &mut Connection, target: &str, source: &str) -> QueryResult<()> {
    let counted = sign_in_wrongs::table.find((target, source));
    diesel::update(counted.filter(sign_in_wrongs::wrong_count.gt(0)))
        .set(sign_in_wrongs::wrong_count.eq(sign_in_wrongs::wrong_count - 1))
        .execute(c)
        .await?;
    Ok(())
}

/// Forgets those from one source.
pub(crate) async fn forget(c: &mut Connection, target: &str, source: &str) -> QueryResult<()> {
    diesel::delete(sign_in_wrongs::table.find((target, source)))
        .execute(c)
        .await?;
    Ok(())
}

/// Forgets those from everywhere; answers from how many places they were.
pub(crate) async fn forget_all(c: &mut Connection, target: &str) -> QueryResult<usize> {
    diesel::delete(sign_in_wrongs::table.filter(sign_in_wrongs::target.eq(target)))
        .execute(c)
        .await
}

/// Sweeps out some that are a day old. Passes over what others hold.
pub(crate) async fn sweep(c: &mut Connection) -> QueryResult<()> {
    diesel::sql_query(
        "DELETE FROM sign_in_wrongs WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM sign_in_wrongs
             WHERE wrong_time < clock_timestamp() - interval '1 day'
             ORDER BY wrong_time LIMIT $1 FOR UPDATE SKIP LOCKED))",
    )
    .bind::<Integer, _>(SWEEP_MAX)
    .execute(c)
    .await?;
    Ok(())
}
