//! Memberships, in SQL. Nodes are told of changes by the log; nothing is decided
//! here.

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::Timestamptz;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::page::Page;
use super::schema::{members, users};
use super::{Connection, member_groups};

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
    /// The group that gives it; `None`: it is the user's own.
    pub(crate) group_name: Option<String>,
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

/// Makes a membership that a group gives the user's own, if there is one.
pub(crate) async fn make_own(
    c: &mut Connection,
    key: MemberKey,
    columns: &MemberColumns,
) -> QueryResult<Option<MemberRow>> {
    let given = members::table.find((key.room, key.user));
    diesel::update(given.filter(members::group_name.is_not_null()))
        .set((
            columns,
            members::group_name.eq(None::<String>),
            members::version.eq(members::version + 1),
            members::update_time.eq(now),
        ))
        .returning(MemberRow::as_returning())
        .get_result(c)
        .await
        .optional()
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

/// Some memberships that have ended, and that others give way to; in order.
pub(crate) async fn outlived(c: &mut Connection, rows_max: i64) -> QueryResult<Vec<MemberKey>> {
    let keys: Vec<(Uuid, Uuid)> = members::table
        .filter(members::then_role.is_not_null())
        .filter(members::expire_time.le(now.into_sql::<Timestamptz>().nullable()))
        .order(members::expire_time)
        .limit(rows_max)
        .select((members::room_id, members::user_id))
        .load(c)
        .await?;
    let keys = keys.into_iter();
    Ok(keys.map(|(room, user)| MemberKey { room, user }).collect())
}

/// Takes away a membership that has expired.
pub(crate) async fn delete_expired(c: &mut Connection, key: MemberKey) -> QueryResult<()> {
    let expired = members::table
        .find((key.room, key.user))
        .filter(members::expire_time.le(now.into_sql::<Timestamptz>().nullable()));
    diesel::delete(expired).execute(c).await?;
    Ok(())
}

/// Takes a user's own membership away; says whether there was one. What a group gives
/// the same user stands in its place, and nobody is told of a moment between.
pub(crate) async fn delete(c: &mut Connection, key: MemberKey) -> QueryResult<bool> {
    member_groups::lock(c).await?;
    let own = members::table.find((key.room, key.user));
    let nobodys = diesel::update(own.filter(members::group_name.is_null()))
        .set(members::group_name.eq(""))
        .execute(c)
        .await?;
    if nobodys > 0 {
        member_groups::derive_one(c, key).await?;
    }
    Ok(nobodys > 0)
}
