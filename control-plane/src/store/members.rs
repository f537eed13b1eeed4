//! Memberships, in SQL. Nodes are told of changes by the log; nothing is decided
//! here.

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::Timestamptz;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::page::Page;
use super::schema::{members, users};

/// What may be changed of a membership, as columns.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = members, treat_none_as_null = true)]
pub(crate) struct MemberColumns {
    pub(crate) role: String,
    pub(crate) expire_time: Option<DateTime<Utc>>,
}

/// A membership as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = members)]
pub(crate) struct MemberRow {
    #[diesel(embed)]
    pub(crate) columns: MemberColumns,
    pub(crate) create_time: DateTime<Utc>,
}

/// A room and a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemberKey {
    pub(crate) room: Uuid,
    pub(crate) user: Uuid,
}

/// Adds a user to a room. A membership that is there is a unique violation.
pub(crate) async fn insert(
    c: &mut Connection,
    key: MemberKey,
    columns: &MemberColumns,
) -> QueryResult<MemberRow> {
    diesel::insert_into(members::table)
        .values((
            members::room_id.eq(key.room),
            members::user_id.eq(key.user),
            columns,
        ))
        .returning(MemberRow::as_returning())
        .get_result(c)
        .await
}

/// Reads a membership that has not expired.
pub(crate) async fn by_key(c: &mut Connection, key: MemberKey) -> QueryResult<Option<MemberRow>> {
    members::table
        .find((key.room, key.user))
        .filter(
            members::expire_time
                .is_null()
                .or(members::expire_time.gt(now.into_sql::<Timestamptz>().nullable())),
        )
        .select(MemberRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads the memberships of a room's page that have not expired, of this role if
/// one is given, with the users' names, ordered by these.
pub(crate) async fn page(
    c: &mut Connection,
    room: Uuid,
    role: Option<&str>,
    page: &Page<String>,
) -> QueryResult<Vec<(MemberRow, String)>> {
    let mut query = members::table
        .inner_join(users::table)
        .filter(members::room_id.eq(room))
        .filter(
            members::expire_time
                .is_null()
                .or(members::expire_time.gt(now.into_sql::<Timestamptz>().nullable())),
        )
        .select((MemberRow::as_select(), users::username))
        .into_boxed();
    if let Some(role) = role {
        query = query.filter(members::role.eq(role));
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

/// Changes a membership, if it is there.
pub(crate) async fn update(
    c: &mut Connection,
    key: MemberKey,
    columns: &MemberColumns,
) -> QueryResult<Option<MemberRow>> {
    diesel::update(members::table.find((key.room, key.user)))
        .set((
            columns,
            members::version.eq(members::version + 1),
            members::update_time.eq(now),
        ))
        .returning(MemberRow::as_returning())
        .get_result(c)
        .await
        .optional()
}

/// Takes away a membership that has expired.
pub(crate) async fn delete_expired(c: &mut Connection, key: MemberKey) -> QueryResult<()> {
    let expired = members::table
        .find((key.room, key.user))
        .filter(members::expire_time.le(now.into_sql::<Timestamptz>().nullable()));
    diesel::delete(expired).execute(c).await?;
    Ok(())
}

/// Removes a user from a room; says whether it was a member.
pub(crate) async fn delete(c: &mut Connection, key: MemberKey) -> QueryResult<bool> {
    Ok(diesel::delete(members::table.find((key.room, key.user)))
        .execute(c)
        .await?
        > 0)
}
