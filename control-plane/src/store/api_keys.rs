//! API keys, in SQL. One that is revoked is deleted, and nodes are told by the
//! log; nothing is decided here.

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::Timestamptz;
use diesel_async::RunQueryDsl;
use porthouse_model::TokenHash;
use uuid::Uuid;

use super::Connection;
use super::page::Page;
use super::schema::api_keys;

/// A key as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = api_keys)]
pub(crate) struct ApiKeyRow {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) expire_time: Option<DateTime<Utc>>,
}

/// A key to make.
#[derive(Insertable)]
#[diesel(table_name = api_keys)]
pub(crate) struct NewApiKey {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) secret_sha256: Vec<u8>,
    pub(crate) scopes: Vec<String>,
    pub(crate) expire_time: Option<DateTime<Utc>>,
}

/// Makes a key.
pub(crate) async fn insert(c: &mut Connection, key: &NewApiKey) -> QueryResult<ApiKeyRow> {
    diesel::insert_into(api_keys::table)
        .values(key)
        .returning(ApiKeyRow::as_returning())
        .get_result(c)
        .await
}

/// Reads a key.
pub(crate) async fn by_id(c: &mut Connection, id: Uuid) -> QueryResult<Option<ApiKeyRow>> {
    api_keys::table
        .find(id)
        .select(ApiKeyRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads the key that has not expired and whose secret has this hash.
pub(crate) async fn by_hash(
    c: &mut Connection,
    hash: &TokenHash,
) -> QueryResult<Option<ApiKeyRow>> {
    api_keys::table
        .filter(api_keys::secret_sha256.eq(hash.as_bytes().as_slice()))
        .filter(
            api_keys::expire_time
                .is_null()
                .or(api_keys::expire_time.gt(now.into_sql::<Timestamptz>().nullable())),
        )
        .select(ApiKeyRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Whether a key is there and has not expired.
pub(crate) async fn lives(c: &mut Connection, id: Uuid) -> QueryResult<bool> {
    let key = api_keys::table.find(id).filter(
        api_keys::expire_time
            .is_null()
            .or(api_keys::expire_time.gt(now.into_sql::<Timestamptz>().nullable())),
    );
    diesel::select(diesel::dsl::exists(key)).get_result(c).await
}

/// Reads the keys of a page, ordered by identity.
pub(crate) async fn page(c: &mut Connection, page: &Page<Uuid>) -> QueryResult<Vec<ApiKeyRow>> {
    let mut query = api_keys::table.select(ApiKeyRow::as_select()).into_boxed();
    if let Some(after) = page.after {
        query = query.filter(api_keys::id.gt(after));
    }
    query.order(api_keys::id).limit(page.rows()).load(c).await
}

/// Reads and locks the keys that have a scope and never expire.
pub(crate) async fn lock_lasting(c: &mut Connection, scope: &str) -> QueryResult<Vec<Uuid>> {
    api_keys::table
        .filter(api_keys::scopes.contains(vec![scope]))
        .filter(api_keys::expire_time.is_null())
        .order(api_keys::id)
        .select(api_keys::id)
        .for_update()
        .load(c)
        .await
}

/// Deletes a key; says whether it was there.
pub(crate) async fn delete(c: &mut Connection, id: Uuid) -> QueryResult<bool> {
    Ok(diesel::delete(api_keys::table.find(id)).execute(c).await? > 0)
}
