//! API keys, in SQL. One that is revoked is deleted, and nodes are told by the
//! log; nothing is decided here.

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::{Array, Timestamptz, Uuid as SqlUuid};
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
    secret_sha256: Vec<u8>,
    by_certificate: bool,
    pub(crate) scopes: Vec<String>,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) expire_time: Option<DateTime<Utc>>,
    pub(crate) last_used_time: Option<DateTime<Utc>>,
    pub(crate) rotate_time: Option<DateTime<Utc>>,
    /// The hash of the secret before this one, and until when it is taken.
    previous_sha256: Option<Vec<u8>>,
    pub(crate) previous_until: Option<DateTime<Utc>>,
}

impl ApiKeyRow {
    /// The SHA-256 of the certificate that it is; `None`: it has a secret.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        self.by_certificate.then_some(&self.secret_sha256)
    }

    /// Until when it opens by the secret of this hash; `None`: for ever.
    pub(crate) fn expires(&self, hash: &TokenHash) -> Option<DateTime<Utc>> {
        let hash = Some(hash.as_bytes().as_slice());
        let previous = self.previous_until;
        let previous = previous.filter(|_| self.previous_sha256.as_deref() == hash);
        self.expire_time.into_iter().chain(previous).min()
    }
}

/// A key to make.
#[derive(Insertable)]
#[diesel(table_name = api_keys)]
pub(crate) struct NewApiKey {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    /// Of the secret, or of the certificate that stands for one.
    pub(crate) secret_sha256: Vec<u8>,
    pub(crate) by_certificate: bool,
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
        .filter(opens_by(vec![hash.as_bytes().as_slice()]))
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

/// Which keys open by a secret of these hashes: their own, or the one before for
/// as long as that is taken.
#[diesel::dsl::auto_type(no_type_alias)]
pub(crate) fn opens_by<'h>(hashes: Vec<&'h [u8]>) -> _ {
    let hashes_before: Vec<&'h [u8]> = hashes.clone();
    let before = api_keys::previous_sha256.eq_any(hashes_before);
    let now: now = now;
    let until =
        api_keys::previous_until.gt(now.into_sql::<diesel::sql_types::Nullable<Timestamptz>>());
    api_keys::secret_sha256
        .nullable()
        .eq_any(hashes)
        .or(before.and(until))
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

/// Gives a key another secret, or certificate; the one before is taken until then. One that was
/// before that is taken no more.
pub(crate) async fn rotate(
    c: &mut Connection,
    id: Uuid,
    (secret_sha256, by_certificate): (&[u8], bool),
    previous_until: DateTime<Utc>,
) -> QueryResult<Option<ApiKeyRow>> {
    diesel::update(api_keys::table.find(id))
        .set((
            api_keys::previous_sha256.eq(api_keys::secret_sha256.nullable()),
            api_keys::previous_until.eq(previous_until),
            api_keys::secret_sha256.eq(secret_sha256),
            api_keys::by_certificate.eq(by_certificate),
            api_keys::rotate_time.eq(now.into_sql::<Timestamptz>().nullable()),
            api_keys::version.eq(api_keys::version + 1),
        ))
        .returning(ApiKeyRow::as_returning())
        .get_result(c)
        .await
        .optional()
}

/// Notes that a key is used now.
pub(crate) async fn note_use(c: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::update(api_keys::table.find(id))
        .set(api_keys::last_used_time.eq(now.into_sql::<Timestamptz>().nullable()))
        .execute(c)
        .await?;
    Ok(())
}

/// The same of those that nodes were shown, to the minute.
pub(crate) async fn note_uses(c: &mut Connection, ids: &[Uuid]) -> QueryResult<()> {
    diesel::sql_query(
        "UPDATE api_keys SET last_used_time = now()
         WHERE id IN (
             SELECT id FROM api_keys
             WHERE id = ANY ($1)
                 AND coalesce(last_used_time < now() - interval '1 minute', true)
             ORDER BY id FOR UPDATE SKIP LOCKED
         )",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .execute(c)
    .await?;
    Ok(())
}

/// Deletes a key; says whether it was there.
pub(crate) async fn delete(c: &mut Connection, id: Uuid) -> QueryResult<bool> {
    Ok(diesel::delete(api_keys::table.find(id)).execute(c).await? > 0)
}
