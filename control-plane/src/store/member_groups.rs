//! Groups of members, in SQL. What a group gives is derived by the database, and noted
//! for nodes as any membership is; nothing is decided here.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Jsonb, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::json;
use uuid::Uuid;

use super::Connection;
use super::members::{MemberColumns, MemberKey};
use super::page::Page;
use super::schema::member_groups;

/// A group as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = member_groups)]
pub(crate) struct GroupRow {
    pub(crate) room_id: Uuid,
    pub(crate) name: String,
    pub(crate) label_key: String,
    pub(crate) label_value: String,
    pub(crate) role: String,
    pub(crate) expire_time: Option<DateTime<Utc>>,
    pub(crate) create_time: DateTime<Utc>,
}

impl GroupRow {
    /// What it gives.
    pub(crate) fn columns(&self) -> MemberColumns {
        MemberColumns {
            role: self.role.clone(),
            expire_time: self.expire_time,
        }
    }
}

/// Keeps others from writing groups, and from changing labels, until the transaction
/// ends. Who has the label is held before, so that whoever changes those users is waited
/// for by nobody who has the lock.
pub(crate) async fn alone(c: &mut Connection, label: (&str, &str)) -> QueryResult<()> {
    diesel::sql_query("SELECT id FROM users WHERE labels @> $1 ORDER BY id FOR KEY SHARE")
        .bind::<Jsonb, _>(json!({ label.0: label.1 }))
        .execute(c)
        .await?;
    lock(c).await
}

/// Keeps others from writing groups, and from changing labels, until the transaction
/// ends. Taken after the users and rooms concerned are held, and before any membership.
pub(crate) async fn lock(c: &mut Connection) -> QueryResult<()> {
    diesel::sql_query("SELECT pg_advisory_xact_lock(hashtext('porthouse.member_groups'))")
        .execute(c)
        .await?;
    Ok(())
}

/// Makes a group. A taken name is a unique violation.
pub(crate) async fn insert(c: &mut Connection, group: &GroupRow) -> QueryResult<GroupRow> {
    diesel::insert_into(member_groups::table)
        .values(group)
        .returning(GroupRow::as_returning())
        .get_result(c)
        .await
}

/// Reads a group.
pub(crate) async fn by_name(
    c: &mut Connection,
    room: Uuid,
    name: &str,
) -> QueryResult<Option<GroupRow>> {
    member_groups::table
        .find((room, name))
        .select(GroupRow::as_select())
        .first(c)
        .await
        .optional()
}

/// How many groups a room has.
pub(crate) async fn count(c: &mut Connection, room: Uuid) -> QueryResult<i64> {
    member_groups::table
        .filter(member_groups::room_id.eq(room))
        .count()
        .get_result(c)
        .await
}

/// Reads the groups of a room's page, ordered by name.
pub(crate) async fn page(
    c: &mut Connection,
    room: Uuid,
    page: &Page<String>,
) -> QueryResult<Vec<GroupRow>> {
    let mut query = member_groups::table
        .filter(member_groups::room_id.eq(room))
        .select(GroupRow::as_select())
        .into_boxed();
    if let Some(after) = &page.after {
        query = query.filter(member_groups::name.gt(after));
    }
    let query = query.order(member_groups::name);
    query.limit(page.rows()).load(c).await
}

/// Changes what a group gives.
pub(crate) async fn update(
    c: &mut Connection,
    group: &GroupRow,
    columns: &MemberColumns,
) -> QueryResult<GroupRow> {
    diesel::update(member_groups::table.find((group.room_id, &group.name)))
        .set((
            member_groups::role.eq(&columns.role),
            member_groups::expire_time.eq(columns.expire_time),
        ))
        .returning(GroupRow::as_returning())
        .get_result(c)
        .await
}

/// Deletes a group.
pub(crate) async fn delete(c: &mut Connection, group: &GroupRow) -> QueryResult<()> {
    diesel::delete(member_groups::table.find((group.room_id, &group.name)))
        .execute(c)
        .await?;
    Ok(())
}

/// Derives anew what a group gives and gave: of everybody with its label, and of
/// everybody who is a member by it.
pub(crate) async fn derive(c: &mut Connection, group: &GroupRow) -> QueryResult<()> {
    diesel::sql_query(
        "SELECT members_derive($1, concerned.id)
         FROM (SELECT id FROM users WHERE labels @> $2
               UNION SELECT user_id FROM members WHERE room_id = $1 AND group_name = $3
               ORDER BY id) AS concerned",
    )
    .bind::<SqlUuid, _>(group.room_id)
    .bind::<Jsonb, _>(json!({ &group.label_key: &group.label_value }))
    .bind::<Text, _>(&group.name)
    .execute(c)
    .await?;
    Ok(())
}

/// Derives anew what the groups of a room give to one user.
pub(crate) async fn derive_one(c: &mut Connection, key: MemberKey) -> QueryResult<()> {
    diesel::sql_query("SELECT members_derive($1, $2)")
        .bind::<SqlUuid, _>(key.room)
        .bind::<SqlUuid, _>(key.user)
        .execute(c)
        .await?;
    Ok(())
}
