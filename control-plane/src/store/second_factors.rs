//! Second factors and recovery codes, in SQL. That a code is taken once is one
//! UPDATE here; whether it is right is decided elsewhere.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::schema::{recovery_codes, second_factors};

diesel::define_sql_function! {
    /// The database's clock now, not at the transaction's beginning.
    fn clock_timestamp() -> Timestamptz;
}

/// A second factor as it stands.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = second_factors)]
pub(crate) struct SecondFactorRow {
    pub(crate) secret_sealed: Vec<u8>,
    /// `None`: no code of it was confirmed yet.
    pub(crate) enable_time: Option<DateTime<Utc>>,
    pub(crate) wrong_count: i32,
    pub(crate) wrong_time: Option<DateTime<Utc>>,
}

/// Reads a user's second factor.
pub(crate) async fn of(c: &mut Connection, user: Uuid) -> QueryResult<Option<SecondFactorRow>> {
    second_factors::table
        .find(user)
        .select(SecondFactorRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads a user's second factor and keeps others from changing it until the
/// transaction ends, so that wrong codes are counted one by one; with the
/// database's clock.
pub(crate) async fn lock(
    c: &mut Connection,
    user: Uuid,
) -> QueryResult<Option<(SecondFactorRow, DateTime<Utc>)>> {
    second_factors::table
        .find(user)
        .select((SecondFactorRow::as_select(), clock_timestamp()))
        .for_update()
        .first(c)
        .await
        .optional()
}

/// Keeps a secret of which no code was confirmed yet, in place of another such;
/// says whether it did, which it does not while one is enabled.
pub(crate) async fn begin(c: &mut Connection, user: Uuid, sealed: &[u8]) -> QueryResult<bool> {
    let kept = diesel::sql_query(
        "INSERT INTO second_factors (user_id, secret_sealed) VALUES ($1, $2)
         ON CONFLICT (user_id) DO UPDATE SET secret_sealed = excluded.secret_sealed
         WHERE second_factors.enable_time IS NULL",
    )
    .bind::<diesel::sql_types::Uuid, _>(user)
    .bind::<diesel::sql_types::Binary, _>(sealed)
    .execute(c)
    .await?;
    Ok(kept > 0)
}

/// Enables the second factor whose first code was right.
pub(crate) async fn enable(c: &mut Connection, user: Uuid) -> QueryResult<()> {
    diesel::update(second_factors::table.find(user))
        .set(second_factors::enable_time.eq(clock_timestamp().nullable()))
        .execute(c)
        .await?;
    Ok(())
}

/// Takes the code of a step of this secret, if none of it or of a later one was
/// taken before; says whether it did. One statement: of many at once one is
/// answered yes.
pub(crate) async fn take_step(
    c: &mut Connection,
    user: Uuid,
    sealed: &[u8],
    step: i64,
) -> QueryResult<bool> {
    let own = second_factors::table
        .find(user)
        .filter(second_factors::secret_sealed.eq(sealed))
        .filter(second_factors::step_last.lt(step));
    let taken = diesel::update(own)
        .set((
            second_factors::step_last.eq(step),
            second_factors::wrong_count.eq(0),
            second_factors::wrong_time.eq(None::<DateTime<Utc>>),
        ))
        .execute(c)
        .await?;
    Ok(taken > 0)
}

/// Notes that there have been so many wrong codes, the last one now.
pub(crate) async fn count_wrong(c: &mut Connection, user: Uuid, count: i32) -> QueryResult<()> {
    diesel::update(second_factors::table.find(user))
        .set((
            second_factors::wrong_count.eq(count),
            second_factors::wrong_time.eq(clock_timestamp().nullable()),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// Keeps the same secret sealed by another key, unless it was replaced meanwhile.
pub(crate) async fn reseal(
    c: &mut Connection,
    user: Uuid,
    old: &[u8],
    new: &[u8],
) -> QueryResult<()> {
    let own = second_factors::table.find(user);
    diesel::update(own.filter(second_factors::secret_sealed.eq(old)))
        .set(second_factors::secret_sealed.eq(new))
        .execute(c)
        .await?;
    Ok(())
}

/// Takes a user's second factor away, with its recovery codes.
pub(crate) async fn delete(c: &mut Connection, user: Uuid) -> QueryResult<()> {
    diesel::delete(second_factors::table.find(user))
        .execute(c)
        .await?;
    Ok(())
}

/// Replaces a user's recovery codes by those of these hashes.
pub(crate) async fn replace_recovery_codes(
    c: &mut Connection,
    user: Uuid,
    hashes: &[[u8; 32]],
) -> QueryResult<()> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(user)))
        .execute(c)
        .await?;
    let rows: Vec<_> = hashes
        .iter()
        .map(|hash| {
            (
                recovery_codes::user_id.eq(user),
                recovery_codes::code_sha256.eq(hash.as_slice()),
            )
        })
        .collect();
    diesel::insert_into(recovery_codes::table)
        .values(rows)
        .execute(c)
        .await?;
    Ok(())
}

/// Uses a recovery code up; says whether it was there. One statement: of many at
/// once one is answered yes.
pub(crate) async fn use_recovery_code(
    c: &mut Connection,
    user: Uuid,
    hash: &[u8; 32],
) -> QueryResult<bool> {
    let gone = diesel::delete(recovery_codes::table.find((user, hash.as_slice())))
        .execute(c)
        .await?;
    Ok(gone > 0)
}

/// How many recovery codes a user has left.
pub(crate) async fn recovery_codes_left(c: &mut Connection, user: Uuid) -> QueryResult<i64> {
    recovery_codes::table
        .filter(recovery_codes::user_id.eq(user))
        .count()
        .get_result(c)
        .await
}
