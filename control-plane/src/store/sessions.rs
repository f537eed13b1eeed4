//! Sessions, in SQL. One that ends before its time is deleted, and nodes are told
//! by the log; nothing is decided here.

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use porthouse_model::TokenHash;
use uuid::Uuid;

use super::Connection;
use super::page::Page;
use super::schema::{issuers, sessions, users};
use super::second_factors::clock_timestamp;

/// A session as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub(crate) struct SessionRow {
    pub(crate) id: Uuid,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) last_seen_time: DateTime<Utc>,
    pub(crate) expire_time: DateTime<Utc>,
    pub(crate) client_address: String,
    pub(crate) user_agent: String,
    /// When it last showed the second factor.
    pub(crate) second_factor_time: Option<DateTime<Utc>>,
    /// Whether a backend opened it, and its user has shown no password.
    pub(crate) by_backend: bool,
    /// By which issuer's token it was opened, if by one's.
    pub(crate) issuer_id: Option<Uuid>,
}

/// A session to open.
#[derive(Insertable)]
#[diesel(table_name = sessions)]
pub(crate) struct NewSession {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) token_sha256: Vec<u8>,
    pub(crate) expire_time: DateTime<Utc>,
    pub(crate) client_address: String,
    pub(crate) user_agent: String,
    pub(crate) second_factor_time: Option<DateTime<Utc>>,
    pub(crate) by_backend: bool,
    pub(crate) issuer_id: Option<Uuid>,
    /// The thumbprint of the key that the token was signed with.
    pub(crate) issuer_key: Option<Vec<u8>>,
}

/// Opens a session.
pub(crate) async fn insert(c: &mut Connection, session: &NewSession) -> QueryResult<SessionRow> {
    diesel::insert_into(sessions::table)
        .values(session)
        .returning(SessionRow::as_returning())
        .get_result(c)
        .await
}

/// A session with its user's name, and its issuer's where it was opened by one.
pub(crate) type NamedSession = (SessionRow, String, Option<String>);

/// Reads a live session.
pub(crate) async fn by_id(c: &mut Connection, id: Uuid) -> QueryResult<Option<NamedSession>> {
    sessions::table
        .inner_join(users::table)
        .left_join(issuers::table)
        .filter(sessions::id.eq(id))
        .filter(sessions::expire_time.gt(now))
        .select((
            SessionRow::as_select(),
            users::username,
            issuers::name.nullable(),
        ))
        .first(c)
        .await
        .optional()
}

/// Reads the live sessions of a page, of one user or all, ordered by identity.
pub(crate) async fn page(
    c: &mut Connection,
    user: Option<Uuid>,
    page: &Page<Uuid>,
) -> QueryResult<Vec<NamedSession>> {
    let mut query = sessions::table
        .inner_join(users::table)
        .left_join(issuers::table)
        .filter(sessions::expire_time.gt(now))
        .select((
            SessionRow::as_select(),
            users::username,
            issuers::name.nullable(),
        ))
        .into_boxed();
    if let Some(user) = user {
        query = query.filter(sessions::user_id.eq(user));
    }
    if let Some(after) = page.after {
        query = query.filter(sessions::id.gt(after));
    }
    query.order(sessions::id).limit(page.rows()).load(c).await
}

/// Makes room for one more session of a user: what has expired goes, and of the
/// rest the oldest beyond `keep` ends.
pub(crate) async fn make_room(c: &mut Connection, user: Uuid, keep: i64) -> QueryResult<()> {
    let expired = sessions::user_id
        .eq(user)
        .and(sessions::expire_time.le(now));
    diesel::delete(sessions::table.filter(expired))
        .execute(c)
        .await?;
    // Identities are drawn in the order of time.
    let oldest: Vec<Uuid> = sessions::table
        .filter(sessions::user_id.eq(user))
        .order(sessions::id.desc())
        .offset(keep)
        .select(sessions::id)
        .load(c)
        .await?;
    if oldest.is_empty() {
        return Ok(());
    }
    diesel::delete(sessions::table.filter(sessions::id.eq_any(oldest)))
        .execute(c)
        .await?;
    Ok(())
}

/// Whose session this is, if it is live and its user enabled.
pub(crate) async fn holder(c: &mut Connection, id: Uuid) -> QueryResult<Option<Uuid>> {
    sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq(id))
        .filter(sessions::expire_time.gt(now))
        .filter(users::disabled.eq(false))
        .select(sessions::user_id)
        .first(c)
        .await
        .optional()
}

/// Notes that a session's user has just shown the second factor, and when that
/// was; `None`: the session has ended meanwhile.
pub(crate) async fn show_second_factor(
    c: &mut Connection,
    id: Uuid,
) -> QueryResult<Option<DateTime<Utc>>> {
    let shown: Option<Option<DateTime<Utc>>> = diesel::update(sessions::table.find(id))
        .set(sessions::second_factor_time.eq(clock_timestamp().nullable()))
        .returning(sessions::second_factor_time)
        .get_result(c)
        .await
        .optional()?;
    Ok(shown.flatten())
}

/// Ends a session; says whether it was there.
pub(crate) async fn delete(c: &mut Connection, id: Uuid) -> QueryResult<bool> {
    Ok(diesel::delete(sessions::table.find(id)).execute(c).await? > 0)
}

/// Ends those of these sessions that still have not been seen since then.
pub(crate) async fn delete_idle(
    c: &mut Connection,
    ids: &[Uuid],
    seen_before: DateTime<Utc>,
) -> QueryResult<usize> {
    let idle = sessions::id
        .eq_any(ids)
        .and(sessions::last_seen_time.lt(seen_before));
    diesel::delete(sessions::table.filter(idle))
        .execute(c)
        .await
}

/// Ends the session of a token; answers which it was.
pub(crate) async fn delete_by_token(
    c: &mut Connection,
    token: &TokenHash,
) -> QueryResult<Option<Uuid>> {
    let own = sessions::token_sha256.eq(token.as_bytes().as_slice());
    diesel::delete(sessions::table.filter(own))
        .returning(sessions::id)
        .get_result(c)
        .await
        .optional()
}

/// Ends all sessions of a user; answers how many were live. Nodes are told of
/// each that was, or of the user alone where that was noted before.
pub(crate) async fn delete_of_user(c: &mut Connection, user: Uuid) -> QueryResult<usize> {
    let expired = sessions::user_id
        .eq(user)
        .and(sessions::expire_time.le(now));
    diesel::delete(sessions::table.filter(expired))
        .execute(c)
        .await?;
    diesel::delete(sessions::table.filter(sessions::user_id.eq(user)))
        .execute(c)
        .await
}
