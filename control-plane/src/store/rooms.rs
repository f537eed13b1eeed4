//! Persistent rooms, in SQL. Nodes are told of changes by the log; nothing is
//! decided here.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use porthouse_model::RoomName;
use serde_json::Value;
use uuid::Uuid;

use super::Connection;
use super::page::{NAME_BYTE_AFTER, Page};
use super::schema::{deleted_rooms, rooms};

/// What an owner may change of a room, as columns.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = rooms, treat_none_as_null = true)]
pub(crate) struct RoomColumns {
    pub(crate) owner_id: Option<Uuid>,
    pub(crate) members_only: bool,
    /// As [`super::rule`] writes them.
    pub(crate) rules: Vec<u8>,
    pub(crate) labels: Value,
}

/// A room as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = rooms)]
pub(crate) struct RoomRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    #[diesel(embed)]
    pub(crate) columns: RoomColumns,
    /// 0: no password.
    pub(crate) password_version: i64,
    /// 0: no code.
    pub(crate) code_version: i64,
    /// 0: no hook.
    pub(crate) hook_version: i64,
    pub(crate) version: i64,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) update_time: DateTime<Utc>,
}

/// A room to make.
#[derive(Insertable)]
#[diesel(table_name = rooms)]
pub(crate) struct NewRoom {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    #[diesel(embed)]
    pub(crate) columns: RoomColumns,
    pub(crate) password_phc: Option<String>,
    /// 1 with a password, 0 without.
    pub(crate) password_version: i64,
    /// As `password_version`.
    pub(crate) password_count: i64,
}

/// Makes a room. A taken name is a unique violation.
pub(crate) async fn insert(c: &mut Connection, room: &NewRoom) -> QueryResult<RoomRow> {
    diesel::insert_into(rooms::table)
        .values(room)
        .returning(RoomRow::as_returning())
        .get_result(c)
        .await
}

/// Reads a room.
pub(crate) async fn by_name(c: &mut Connection, name: &RoomName) -> QueryResult<Option<RoomRow>> {
    rooms::table
        .filter(rooms::name.eq(name.as_str()))
        .select(RoomRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads a room and keeps others from changing it until the transaction ends.
pub(crate) async fn lock(c: &mut Connection, name: &RoomName) -> QueryResult<Option<RoomRow>> {
    rooms::table
        .filter(rooms::name.eq(name.as_str()))
        .select(RoomRow::as_select())
        .for_update()
        .first(c)
        .await
        .optional()
}

/// Reads a room and keeps others from deleting it until the transaction ends.
pub(crate) async fn hold(c: &mut Connection, name: &RoomName) -> QueryResult<Option<Uuid>> {
    rooms::table
        .filter(rooms::name.eq(name.as_str()))
        .select(rooms::id)
        .for_key_share()
        .first(c)
        .await
        .optional()
}

/// Those of these rooms that were deleted.
pub(crate) async fn deleted_of(c: &mut Connection, ids: Vec<Uuid>) -> QueryResult<Vec<Uuid>> {
    deleted_rooms::table
        .filter(deleted_rooms::id.eq_any(ids))
        .select(deleted_rooms::id)
        .load(c)
        .await
}

/// Reads the rooms of a page whose names begin with `prefix`, ordered by name.
pub(crate) async fn page(
    c: &mut Connection,
    prefix: &str,
    page: &Page<String>,
) -> QueryResult<Vec<RoomRow>> {
    let mut query = rooms::table.select(RoomRow::as_select()).into_boxed();
    if !prefix.is_empty() {
        query = query
            .filter(rooms::name.ge(prefix))
            .filter(rooms::name.lt(format!("{prefix}{NAME_BYTE_AFTER}")));
    }
    if let Some(after) = &page.after {
        query = query.filter(rooms::name.gt(after));
    }
    query.order(rooms::name).limit(page.rows()).load(c).await
}

/// Changes a room.
pub(crate) async fn update(
    c: &mut Connection,
    id: Uuid,
    columns: &RoomColumns,
) -> QueryResult<RoomRow> {
    diesel::update(rooms::table.find(id))
        .set((
            columns,
            rooms::version.eq(rooms::version + 1),
            rooms::update_time.eq(diesel::dsl::now),
        ))
        .returning(RoomRow::as_returning())
        .get_result(c)
        .await
}

/// Replaces a room's password by one of a new version.
pub(crate) async fn set_password(c: &mut Connection, id: Uuid, phc: &str) -> QueryResult<RoomRow> {
    diesel::update(rooms::table.find(id))
        .set((
            rooms::password_phc.eq(phc),
            rooms::password_version.eq(rooms::password_count + 1),
            rooms::password_count.eq(rooms::password_count + 1),
            rooms::version.eq(rooms::version + 1),
            rooms::update_time.eq(diesel::dsl::now),
        ))
        .returning(RoomRow::as_returning())
        .get_result(c)
        .await
}

/// Takes a room's password away.
pub(crate) async fn clear_password(c: &mut Connection, id: Uuid) -> QueryResult<RoomRow> {
    diesel::update(rooms::table.find(id))
        .set((
            rooms::password_phc.eq(None::<String>),
            rooms::password_version.eq(0),
            rooms::version.eq(rooms::version + 1),
            rooms::update_time.eq(diesel::dsl::now),
        ))
        .returning(RoomRow::as_returning())
        .get_result(c)
        .await
}

/// Deletes a room with its memberships.
pub(crate) async fn delete(c: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::delete(rooms::table.find(id)).execute(c).await?;
    Ok(())
}
