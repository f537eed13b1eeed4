//! Sign-ins under way and devices that are known, in SQL. Both are held by a
//! credential of which the hash is here; nothing is decided.

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use porthouse_model::TokenHash;
use uuid::Uuid;

use super::Connection;
use super::schema::{devices, sign_in_challenges, users};
use super::second_factors::clock_timestamp;
use super::users::UserRow;

/// Challenges of one user that wait at once; of more the oldest goes.
const CHALLENGES_PER_USER_MAX: i64 = 16;
/// Devices of one user that are known; of more the one goes that was not seen for
/// longest.
const DEVICES_PER_USER_MAX: i64 = 32;

/// A sign-in that waits for a code.
#[derive(Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = sign_in_challenges)]
pub(crate) struct ChallengeRow {
    pub(crate) token_sha256: Vec<u8>,
    pub(crate) user_id: Uuid,
    pub(crate) password_version: i64,
    pub(crate) lifetime_ms: i64,
    pub(crate) client_address: String,
    pub(crate) user_agent: String,
    pub(crate) device_known: bool,
    pub(crate) expire_time: DateTime<Utc>,
    /// By which issuer's token the user came, if by one's, and its key.
    pub(crate) issuer_id: Option<Uuid>,
    pub(crate) issuer_key: Option<Vec<u8>>,
    /// Until when the session may last, where that is less than it would.
    pub(crate) session_until: Option<DateTime<Utc>>,
}

/// Has a sign-in wait.
pub(crate) async fn insert(c: &mut Connection, challenge: &ChallengeRow) -> QueryResult<()> {
    let own = sign_in_challenges::user_id.eq(challenge.user_id);
    let oldest: Vec<Vec<u8>> = sign_in_challenges::table
        .filter(own)
        .order(sign_in_challenges::expire_time.desc())
        .offset(CHALLENGES_PER_USER_MAX - 1)
        .select(sign_in_challenges::token_sha256)
        .load(c)
        .await?;
    let gone = own.and(
        sign_in_challenges::expire_time
            .le(now)
            .or(sign_in_challenges::token_sha256.eq_any(oldest)),
    );
    diesel::delete(sign_in_challenges::table.filter(gone))
        .execute(c)
        .await?;
    diesel::insert_into(sign_in_challenges::table)
        .values(challenge)
        .execute(c)
        .await?;
    Ok(())
}

/// Reads a sign-in that waits, with its user, and keeps others from going on with
/// it until the transaction ends.
pub(crate) async fn lock(
    c: &mut Connection,
    token: &TokenHash,
) -> QueryResult<Option<(ChallengeRow, UserRow)>> {
    let waiting: Option<ChallengeRow> = sign_in_challenges::table
        .find(token.as_bytes().as_slice())
        .filter(sign_in_challenges::expire_time.gt(now))
        .select(ChallengeRow::as_select())
        .for_update()
        .first(c)
        .await
        .optional()?;
    let Some(waiting) = waiting else {
        return Ok(None);
    };
    let user = users::table
        .find(waiting.user_id)
        .select(UserRow::as_select())
        .for_update()
        .first(c)
        .await
        .optional()?;
    Ok(user.map(|user| (waiting, user)))
}

/// Ends a sign-in that waited.
pub(crate) async fn delete(c: &mut Connection, token: &TokenHash) -> QueryResult<()> {
    diesel::delete(sign_in_challenges::table.find(token.as_bytes().as_slice()))
        .execute(c)
        .await?;
    Ok(())
}

/// The identity of the device that holds this mark, where this user has signed in
/// on it by the present password. Asked about nobody it looks just the same.
pub(crate) async fn device(
    c: &mut Connection,
    user: Option<&UserRow>,
    mark: &TokenHash,
) -> QueryResult<Option<Uuid>> {
    let (id, password_version) =
        user.map_or((Uuid::nil(), 0), |user| (user.id, user.password_version));
    diesel::update(devices::table.find(mark.as_bytes().as_slice()))
        .filter(devices::user_id.eq(id))
        .filter(devices::password_version.eq(password_version))
        .set(devices::seen_time.eq(clock_timestamp()))
        .returning(devices::id)
        .get_result(c)
        .await
        .optional()
}

/// Knows a device from now on.
pub(crate) async fn know_device(
    c: &mut Connection,
    user: &UserRow,
    id: Uuid,
    mark: &TokenHash,
) -> QueryResult<()> {
    let own = devices::user_id.eq(user.id);
    let oldest: Vec<Uuid> = devices::table
        .filter(own)
        .order(devices::seen_time.desc())
        .offset(DEVICES_PER_USER_MAX - 1)
        .select(devices::id)
        .load(c)
        .await?;
    let other_password = devices::password_version.ne(user.password_version);
    let gone = own.and(other_password.or(devices::id.eq_any(oldest)));
    diesel::delete(devices::table.filter(gone))
        .execute(c)
        .await?;
    diesel::insert_into(devices::table)
        .values((
            devices::mark_sha256.eq(mark.as_bytes().as_slice()),
            devices::user_id.eq(user.id),
            devices::id.eq(id),
            devices::password_version.eq(user.password_version),
        ))
        .execute(c)
        .await?;
    Ok(())
}
