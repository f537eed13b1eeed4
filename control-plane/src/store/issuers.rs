//! Identity providers, and what was opened by them, in SQL. Sessions that end here
//! are told to nodes by the log; nothing is decided.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::Connection;
use super::page::Page;
use super::schema::{issuers, sessions, sign_in_challenges};
use super::second_factors::clock_timestamp;

/// What may be changed of an issuer, as columns.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = issuers, treat_none_as_null = true)]
pub(crate) struct IssuerColumns {
    pub(crate) display_name: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) algorithms: Vec<String>,
    /// None: the keys were written.
    pub(crate) jwks_uri: Option<String>,
    /// The keys that are trusted.
    pub(crate) jwks: String,
    pub(crate) claims: Value,
    pub(crate) leeway_ms: i64,
    pub(crate) token_age_max_ms: Option<i64>,
    pub(crate) creates_users: bool,
    pub(crate) sessions_end_with_token: bool,
    pub(crate) disabled: bool,
}

/// An issuer as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = issuers)]
pub(crate) struct IssuerRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) issuer: String,
    #[diesel(embed)]
    pub(crate) columns: IssuerColumns,
    pub(crate) fetch_begin_time: Option<DateTime<Utc>>,
    pub(crate) fetch_end_time: Option<DateTime<Utc>>,
    pub(crate) fetch_time: Option<DateTime<Utc>>,
    pub(crate) fetch_error: String,
    pub(crate) version: i64,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) update_time: DateTime<Utc>,
}

/// An issuer to trust.
#[derive(Clone, Insertable)]
#[diesel(table_name = issuers)]
pub(crate) struct NewIssuer {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) issuer: String,
    #[diesel(embed)]
    pub(crate) columns: IssuerColumns,
}

/// Trusts an issuer. A taken name or issuer is a unique violation.
pub(crate) async fn insert(c: &mut Connection, new: &NewIssuer) -> QueryResult<IssuerRow> {
    diesel::insert_into(issuers::table)
        .values(new)
        .returning(IssuerRow::as_returning())
        .get_result(c)
        .await
}

/// How many there are.
pub(crate) async fn count(c: &mut Connection) -> QueryResult<i64> {
    issuers::table.count().get_result(c).await
}

/// What all issuers call themselves, which are few.
pub(crate) async fn identities(c: &mut Connection) -> QueryResult<Vec<String>> {
    issuers::table.select(issuers::issuer).load(c).await
}

/// Reads an issuer.
pub(crate) async fn by_name(c: &mut Connection, name: &str) -> QueryResult<Option<IssuerRow>> {
    issuers::table
        .filter(issuers::name.eq(name))
        .select(IssuerRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads the issuer that calls itself so in its tokens.
pub(crate) async fn by_issuer(c: &mut Connection, issuer: &str) -> QueryResult<Option<IssuerRow>> {
    issuers::table
        .filter(issuers::issuer.eq(issuer))
        .select(IssuerRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads an issuer by its identity.
pub(crate) async fn by_id(c: &mut Connection, id: Uuid) -> QueryResult<Option<IssuerRow>> {
    issuers::table
        .find(id)
        .select(IssuerRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads an issuer and keeps others from changing it, and from opening sessions by
/// it, until the transaction ends.
pub(crate) async fn lock(c: &mut Connection, id: Uuid) -> QueryResult<Option<IssuerRow>> {
    issuers::table
        .find(id)
        .select(IssuerRow::as_select())
        .for_no_key_update()
        .first(c)
        .await
        .optional()
}

/// Reads an issuer by which a session is about to be opened, and keeps others from
/// changing it until the transaction ends.
pub(crate) async fn hold(c: &mut Connection, id: Uuid) -> QueryResult<Option<IssuerRow>> {
    issuers::table
        .find(id)
        .select(IssuerRow::as_select())
        .for_share()
        .first(c)
        .await
        .optional()
}

/// Reads the issuers of a page, ordered by name.
pub(crate) async fn page(c: &mut Connection, page: &Page<String>) -> QueryResult<Vec<IssuerRow>> {
    let mut query = issuers::table.select(IssuerRow::as_select()).into_boxed();
    if let Some(after) = &page.after {
        query = query.filter(issuers::name.gt(after));
    }
    query.order(issuers::name).limit(page.rows()).load(c).await
}

/// Changes an issuer. Where its keys are fetched from elsewhere now, they are
/// looked after at once.
pub(crate) async fn update(
    c: &mut Connection,
    old: &IssuerRow,
    columns: &IssuerColumns,
) -> QueryResult<IssuerRow> {
    let moved = columns.jwks_uri != old.columns.jwks_uri;
    let begun = old.fetch_begin_time.filter(|_| !moved);
    let error = if moved { "" } else { &old.fetch_error };
    diesel::update(issuers::table.find(old.id))
        .set((
            columns,
            issuers::fetch_begin_time.eq(begun),
            issuers::fetch_error.eq(error),
            issuers::version.eq(issuers::version + 1),
            issuers::update_time.eq(diesel::dsl::now),
        ))
        .returning(IssuerRow::as_returning())
        .get_result(c)
        .await
}

/// Lets nobody sign in by an issuer any more.
pub(crate) async fn disable(c: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::update(issuers::table.find(id))
        .set((
            issuers::disabled.eq(true),
            issuers::version.eq(issuers::version + 1),
            issuers::update_time.eq(diesel::dsl::now),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// Trusts an issuer no more; its sessions ended before.
pub(crate) async fn delete(c: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::delete(issuers::table.find(id)).execute(c).await?;
    Ok(())
}

/// The issuers that nobody has begun to look after since then.
pub(crate) async fn due(c: &mut Connection, since: DateTime<Utc>) -> QueryResult<Vec<Uuid>> {
    issuers::table
        .filter(not_begun_since(since))
        .order(issuers::fetch_begin_time.asc().nulls_first())
        .select(issuers::id)
        .load(c)
        .await
}

/// Takes it on to look after an issuer; none, where another did since then.
pub(crate) async fn begin(
    c: &mut Connection,
    id: Uuid,
    since: DateTime<Utc>,
) -> QueryResult<Option<IssuerRow>> {
    diesel::update(issuers::table.find(id).filter(not_begun_since(since)))
        .set(issuers::fetch_begin_time.eq(clock_timestamp().nullable()))
        .returning(IssuerRow::as_returning())
        .get_result(c)
        .await
        .optional()
}

#[diesel::dsl::auto_type]
fn not_begun_since(since: DateTime<Utc>) -> _ {
    issuers::fetch_begin_time
        .is_null()
        .or(issuers::fetch_begin_time.assume_not_null().lt(since))
}

/// Keeps the keys that were fetched.
pub(crate) async fn keep_keys(c: &mut Connection, id: Uuid, jwks: &str) -> QueryResult<()> {
    diesel::update(issuers::table.find(id))
        .set((
            issuers::jwks.eq(jwks),
            issuers::fetch_time.eq(clock_timestamp().nullable()),
            issuers::fetch_end_time.eq(clock_timestamp().nullable()),
            issuers::fetch_error.eq(""),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// Keeps why no keys were fetched.
pub(crate) async fn keep_fetch_error(c: &mut Connection, id: Uuid, error: &str) -> QueryResult<()> {
    diesel::update(issuers::table.find(id))
        .set((
            issuers::fetch_error.eq(error),
            issuers::fetch_end_time.eq(clock_timestamp().nullable()),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// Ends what was opened by an issuer with another key than these: sign-ins that
/// wait for a code, and sessions, at most so many; answers how many.
pub(crate) async fn end_sessions(
    c: &mut Connection,
    id: Uuid,
    kept: &[Vec<u8>],
    sessions_max: i64,
) -> QueryResult<usize> {
    let waiting = sign_in_challenges::issuer_id.eq(id).and(
        sign_in_challenges::issuer_key
            .assume_not_null()
            .ne_all(kept),
    );
    diesel::delete(sign_in_challenges::table.filter(waiting))
        .execute(c)
        .await?;
    let ending: Vec<Uuid> = sessions::table
        .filter(sessions::issuer_id.eq(id))
        .filter(sessions::issuer_key.assume_not_null().ne_all(kept))
        .order(sessions::id)
        .limit(sessions_max)
        .select(sessions::id)
        .load(c)
        .await?;
    if ending.is_empty() {
        return Ok(0);
    }
    diesel::delete(sessions::table.filter(sessions::id.eq_any(ending)))
        .execute(c)
        .await
}
