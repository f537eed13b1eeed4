//! Users, in SQL. A user's sessions end by triggers, and nodes are told by the
//! log; nothing is decided here.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use porthouse_model::Username;
use serde_json::Value;
use uuid::Uuid;

use super::Connection;
use super::page::{NAME_BYTE_AFTER, Page};
use super::schema::users;

/// A user as it stands.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub(crate) struct UserRow {
    pub(crate) id: Uuid,
    pub(crate) username: String,
    pub(crate) display_name: String,
    pub(crate) disabled: bool,
    pub(crate) labels: Value,
    /// What is kept of the password.
    pub(crate) password_phc: Option<String>,
    /// Grows when the password changes, not when it is hashed anew.
    pub(crate) password_version: i64,
    pub(crate) version: i64,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) update_time: DateTime<Utc>,
    /// Who it is to an issuer: `iss` and `sub` of its tokens.
    pub(crate) issuer: Option<String>,
    pub(crate) subject: Option<String>,
}

/// A user to make.
#[derive(Clone, Insertable)]
#[diesel(table_name = users)]
pub(crate) struct NewUser {
    pub(crate) id: Uuid,
    pub(crate) username: String,
    pub(crate) display_name: String,
    pub(crate) labels: Value,
    pub(crate) password_phc: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) subject: Option<String>,
}

/// Makes a user. A taken name is a unique violation.
pub(crate) async fn insert(c: &mut Connection, user: &NewUser) -> QueryResult<UserRow> {
    diesel::insert_into(users::table)
        .values(user)
        .returning(UserRow::as_returning())
        .get_result(c)
        .await
}

/// Reads a user.
pub(crate) async fn by_name(c: &mut Connection, name: &Username) -> QueryResult<Option<UserRow>> {
    users::table
        .filter(users::username.eq(name.as_str()))
        .select(UserRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads a user and keeps others from changing it until the transaction ends.
pub(crate) async fn lock(c: &mut Connection, name: &Username) -> QueryResult<Option<UserRow>> {
    users::table
        .filter(users::username.eq(name.as_str()))
        .select(UserRow::as_select())
        .for_update()
        .first(c)
        .await
        .optional()
}

/// Makes a user, unless its name is taken or it is known to its issuer already.
pub(crate) async fn insert_new(c: &mut Connection, user: &NewUser) -> QueryResult<Option<UserRow>> {
    diesel::insert_into(users::table)
        .values(user)
        .on_conflict_do_nothing()
        .returning(UserRow::as_returning())
        .get_result(c)
        .await
        .optional()
}

/// Reads whom an issuer names so, and keeps others from changing it until the
/// transaction ends.
pub(crate) async fn lock_by_identity(
    c: &mut Connection,
    issuer: &str,
    subject: &str,
) -> QueryResult<Option<UserRow>> {
    users::table
        .filter(users::issuer.eq(issuer))
        .filter(users::subject.eq(subject))
        .select(UserRow::as_select())
        .for_update()
        .first(c)
        .await
        .optional()
}

/// Reads a user's identity and keeps others from deleting it until the
/// transaction ends.
pub(crate) async fn hold(c: &mut Connection, name: &Username) -> QueryResult<Option<Uuid>> {
    users::table
        .filter(users::username.eq(name.as_str()))
        .select(users::id)
        .for_key_share()
        .first(c)
        .await
        .optional()
}

/// Reads a user's name and keeps others from deleting it until the transaction
/// ends.
pub(crate) async fn hold_by_id(c: &mut Connection, id: Uuid) -> QueryResult<Option<String>> {
    users::table
        .find(id)
        .select(users::username)
        .for_key_share()
        .first(c)
        .await
        .optional()
}

/// Reads the identities of those of these users that are there, by name.
pub(crate) async fn ids(
    c: &mut Connection,
    names: Vec<&str>,
) -> QueryResult<HashMap<String, Uuid>> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<(String, Uuid)> = users::table
        .filter(users::username.eq_any(names))
        .select((users::username, users::id))
        .load(c)
        .await?;
    Ok(ids.into_iter().collect())
}

/// Reads the names of those of these users that are there.
pub(crate) async fn names(c: &mut Connection, ids: Vec<Uuid>) -> QueryResult<Vec<(Uuid, String)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    users::table
        .filter(users::id.eq_any(ids))
        .select((users::id, users::username))
        .load(c)
        .await
}

/// What must hold of a user to be listed: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserFilter {
    pub(crate) disabled: Vec<bool>,
    pub(crate) usernames: Vec<String>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) labels: Vec<(String, String)>,
}

/// Reads the users of a page whose names begin with `prefix`, ordered by name.
pub(crate) async fn page(
    c: &mut Connection,
    prefix: &str,
    filter: &UserFilter,
    page: &Page<String>,
) -> QueryResult<Vec<UserRow>> {
    let mut query = users::table.select(UserRow::as_select()).into_boxed();
    let prefixes = filter.prefixes.iter().map(String::as_str);
    for prefix in prefixes.chain([prefix]).filter(|prefix| !prefix.is_empty()) {
        query = query
            .filter(users::username.ge(prefix.to_owned()))
            .filter(users::username.lt(format!("{prefix}{NAME_BYTE_AFTER}")));
    }
    for disabled in &filter.disabled {
        query = query.filter(users::disabled.eq(*disabled));
    }
    for username in &filter.usernames {
        query = query.filter(users::username.eq(username));
    }
    for (key, value) in &filter.labels {
        query = query.filter(users::labels.contains(serde_json::json!({ key: value })));
    }
    if let Some(after) = &page.after {
        query = query.filter(users::username.gt(after));
    }
    query
        .order(users::username)
        .limit(page.rows())
        .load(c)
        .await
}

/// Changes what a user is called and labelled.
pub(crate) async fn describe(
    c: &mut Connection,
    id: Uuid,
    display_name: &str,
    labels: &Value,
) -> QueryResult<UserRow> {
    diesel::update(users::table.find(id))
        .set((
            users::display_name.eq(display_name),
            users::labels.eq(labels),
            users::version.eq(users::version + 1),
            users::update_time.eq(diesel::dsl::now),
        ))
        .returning(UserRow::as_returning())
        .get_result(c)
        .await
}

/// Replaces a user's password; its sessions end with that.
pub(crate) async fn set_password(c: &mut Connection, id: Uuid, phc: &str) -> QueryResult<UserRow> {
    diesel::update(users::table.find(id))
        .set((
            users::password_phc.eq(phc),
            users::password_version.eq(users::password_version + 1),
            users::version.eq(users::version + 1),
            users::update_time.eq(diesel::dsl::now),
        ))
        .returning(UserRow::as_returning())
        .get_result(c)
        .await
}

/// What users' passwords were hashed at: each cost once, as PHC strings have it.
/// Hops along an index, for there may be many users and are few costs.
pub(crate) async fn password_costs(c: &mut Connection) -> QueryResult<Vec<String>> {
    let costs: Vec<Cost> = diesel::sql_query(
        "WITH RECURSIVE costs AS (
             (SELECT split_part(password_phc, '$', 4) AS cost FROM users
              WHERE password_phc IS NOT NULL ORDER BY 1 LIMIT 1)
             UNION ALL
             SELECT (SELECT split_part(password_phc, '$', 4) FROM users
                     WHERE password_phc IS NOT NULL
                       AND split_part(password_phc, '$', 4) > costs.cost
                     ORDER BY 1 LIMIT 1)
             FROM costs WHERE costs.cost IS NOT NULL
         )
         SELECT cost FROM costs WHERE cost IS NOT NULL LIMIT 256",
    )
    .load(c)
    .await?;
    Ok(costs.into_iter().map(|row| row.cost).collect())
}

#[derive(QueryableByName)]
struct Cost {
    #[diesel(sql_type = diesel::sql_types::Text)]
    cost: String,
}

/// Keeps the same password by another hash, unless it was replaced meanwhile.
pub(crate) async fn rehash(c: &mut Connection, id: Uuid, old: &str, new: &str) -> QueryResult<()> {
    diesel::update(users::table.find(id).filter(users::password_phc.eq(old)))
        .set(users::password_phc.eq(new))
        .execute(c)
        .await?;
    Ok(())
}

/// Forbids or allows a user to sign in; forbidden, its sessions end.
pub(crate) async fn set_disabled(
    c: &mut Connection,
    id: Uuid,
    disabled: bool,
) -> QueryResult<UserRow> {
    diesel::update(users::table.find(id))
        .set((
            users::disabled.eq(disabled),
            users::version.eq(users::version + 1),
            users::update_time.eq(diesel::dsl::now),
        ))
        .returning(UserRow::as_returning())
        .get_result(c)
        .await
}

/// Deletes a user with its sessions and memberships.
pub(crate) async fn delete(c: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::delete(users::table.find(id)).execute(c).await?;
    Ok(())
}
