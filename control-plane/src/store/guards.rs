//! Guards, in SQL: what must hold of rooms whose names begin in some way, and the
//! rooms and templates it must hold of. Whether it does is `guarded`'s.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::page::{NAME_BYTE_AFTER, Page};
use super::schema::{guards, room_templates, rooms};

/// What may be changed of a guard, as columns.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = guards, treat_none_as_null = true)]
pub(crate) struct GuardColumns {
    /// Without the `*`.
    pub(crate) prefix: String,
    pub(crate) audience: String,
    pub(crate) role: Option<String>,
    pub(crate) act: String,
}

/// A guard as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = guards)]
pub(crate) struct GuardRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    #[diesel(embed)]
    pub(crate) columns: GuardColumns,
    pub(crate) version: i64,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) update_time: DateTime<Utc>,
}

/// A guard to make.
#[derive(Insertable)]
#[diesel(table_name = guards)]
pub(crate) struct NewGuard {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    #[diesel(embed)]
    pub(crate) columns: GuardColumns,
}

/// Makes a guard. A taken name is a unique violation.
pub(crate) async fn insert(c: &mut Connection, new: &NewGuard) -> QueryResult<GuardRow> {
    diesel::insert_into(guards::table)
        .values(new)
        .returning(GuardRow::as_returning())
        .get_result(c)
        .await
}

/// How many guards there are.
pub(crate) async fn count(c: &mut Connection) -> QueryResult<i64> {
    guards::table.count().get_result(c).await
}

/// Reads a guard.
pub(crate) async fn by_name(c: &mut Connection, name: &str) -> QueryResult<Option<GuardRow>> {
    guards::table
        .filter(guards::name.eq(name))
        .select(GuardRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads a guard and keeps others from changing it until the transaction ends.
pub(crate) async fn lock(c: &mut Connection, name: &str) -> QueryResult<Option<GuardRow>> {
    guards::table
        .filter(guards::name.eq(name))
        .select(GuardRow::as_select())
        .for_update()
        .first(c)
        .await
        .optional()
}

/// Reads all guards, which are few, ordered by name.
pub(crate) async fn all(c: &mut Connection) -> QueryResult<Vec<GuardRow>> {
    guards::table
        .order(guards::name)
        .select(GuardRow::as_select())
        .load(c)
        .await
}

/// Reads the guards of a page, ordered by name.
pub(crate) async fn page(c: &mut Connection, page: &Page<String>) -> QueryResult<Vec<GuardRow>> {
    let mut query = guards::table.select(GuardRow::as_select()).into_boxed();
    if let Some(after) = &page.after {
        query = query.filter(guards::name.gt(after));
    }
    query.order(guards::name).limit(page.rows()).load(c).await
}

/// Changes a guard.
pub(crate) async fn update(
    c: &mut Connection,
    id: Uuid,
    columns: &GuardColumns,
) -> QueryResult<GuardRow> {
    diesel::update(guards::table.find(id))
        .set((
            columns,
            guards::version.eq(guards::version + 1),
            guards::update_time.eq(diesel::dsl::now),
        ))
        .returning(GuardRow::as_returning())
        .get_result(c)
        .await
}

/// Deletes a guard.
pub(crate) async fn delete(c: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::delete(guards::table.find(id)).execute(c).await?;
    Ok(())
}

/// How many rooms and templates have names that begin so, counted as far as
/// `names_max` of each.
pub(crate) async fn under(c: &mut Connection, prefix: &str, names_max: i64) -> QueryResult<i64> {
    let end = format!("{prefix}{NAME_BYTE_AFTER}");
    let rooms: Vec<Uuid> = rooms::table
        .filter(rooms::name.ge(prefix))
        .filter(rooms::name.lt(&end))
        .limit(names_max)
        .select(rooms::id)
        .load(c)
        .await?;
    let templates: Vec<Uuid> = room_templates::table
        .filter(room_templates::prefix.ge(prefix))
        .filter(room_templates::prefix.lt(&end))
        .limit(names_max)
        .select(room_templates::id)
        .load(c)
        .await?;
    Ok(i64::try_from(rooms.len() + templates.len()).unwrap_or(i64::MAX))
}

/// The identities of the rooms whose names begin so, after a name; by pages.
pub(crate) async fn rooms_under(
    c: &mut Connection,
    prefix: &str,
    after: &str,
    rooms_max: i64,
) -> QueryResult<Vec<(Uuid, String)>> {
    rooms::table
        .filter(rooms::name.ge(prefix))
        .filter(rooms::name.lt(format!("{prefix}{NAME_BYTE_AFTER}")))
        .filter(rooms::name.gt(after))
        .order(rooms::name)
        .limit(rooms_max)
        .select((rooms::id, rooms::name))
        .load(c)
        .await
}

/// The identities of the templates whose prefixes begin so, after a prefix; by
/// pages.
pub(crate) async fn templates_under(
    c: &mut Connection,
    prefix: &str,
    after: &str,
    templates_max: i64,
) -> QueryResult<Vec<(Uuid, String)>> {
    room_templates::table
        .filter(room_templates::prefix.ge(prefix))
        .filter(room_templates::prefix.lt(format!("{prefix}{NAME_BYTE_AFTER}")))
        .filter(room_templates::prefix.gt(after))
        .order(room_templates::prefix)
        .limit(templates_max)
        .select((room_templates::id, room_templates::prefix))
        .load(c)
        .await
}
