//! Blocks, in SQL. Nodes are told of changes by the log; nothing is decided here.
//! Whoever makes one or takes one away has locked its room.

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::Timestamptz;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::page::Page;
use super::schema::{room_blocks, users};

/// What is said of a block when it is made.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable)]
#[diesel(table_name = room_blocks)]
pub(crate) struct BlockColumns {
    pub(crate) user_id: Option<Uuid>,
    pub(crate) address_range: Option<String>,
    pub(crate) device_id: Option<Uuid>,
    pub(crate) reason: String,
    pub(crate) expire_time: Option<DateTime<Utc>>,
}

/// A block as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = room_blocks)]
pub(crate) struct BlockRow {
    pub(crate) id: Uuid,
    #[diesel(embed)]
    pub(crate) columns: BlockColumns,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) version: i64,
}

/// Makes a block. One of the same in the room is a unique violation.
pub(crate) async fn insert(
    c: &mut Connection,
    id: Uuid,
    room: Uuid,
    columns: &BlockColumns,
) -> QueryResult<BlockRow> {
    diesel::insert_into(room_blocks::table)
        .values((
            room_blocks::id.eq(id),
            room_blocks::room_id.eq(room),
            columns,
        ))
        .returning(BlockRow::as_returning())
        .get_result(c)
        .await
}

/// Takes away the blocks of a room that have expired.
pub(crate) async fn delete_expired(c: &mut Connection, room: Uuid) -> QueryResult<()> {
    let expired = room_blocks::table
        .filter(room_blocks::room_id.eq(room))
        .filter(room_blocks::expire_time.le(now.into_sql::<Timestamptz>().nullable()));
    diesel::delete(expired).execute(c).await?;
    Ok(())
}

/// How many ranges of addresses are kept out of a room, expired ones too.
pub(crate) async fn count_ranges(c: &mut Connection, room: Uuid) -> QueryResult<i64> {
    room_blocks::table
        .filter(room_blocks::room_id.eq(room))
        .filter(room_blocks::address_range.is_not_null())
        .count()
        .get_result(c)
        .await
}

/// Reads a block of a room that has not expired, with its user's name.
pub(crate) async fn by_id(
    c: &mut Connection,
    room: Uuid,
    id: Uuid,
) -> QueryResult<Option<(BlockRow, Option<String>)>> {
    room_blocks::table
        .left_join(users::table)
        .filter(room_blocks::id.eq(id))
        .filter(room_blocks::room_id.eq(room))
        .filter(
            room_blocks::expire_time
                .is_null()
                .or(room_blocks::expire_time.gt(now.into_sql::<Timestamptz>().nullable())),
        )
        .select((BlockRow::as_select(), users::username.nullable()))
        .first(c)
        .await
        .optional()
}

/// Reads the block of a user, or of a device, in a room, expired or not.
pub(crate) async fn of_client(
    c: &mut Connection,
    room: Uuid,
    (user, device): (Option<Uuid>, Option<Uuid>),
) -> QueryResult<Option<BlockRow>> {
    room_blocks::table
        .filter(room_blocks::room_id.eq(room))
        .filter(room_blocks::user_id.is_not_distinct_from(user))
        .filter(room_blocks::device_id.is_not_distinct_from(device))
        .filter(room_blocks::address_range.is_null())
        .select(BlockRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads the blocks of a room's page that have not expired, all or one user's,
/// with their users' names, ordered by identity, which is by when they were made.
pub(crate) async fn page(
    c: &mut Connection,
    room: Uuid,
    user: Option<&str>,
    page: &Page<Uuid>,
) -> QueryResult<Vec<(BlockRow, Option<String>)>> {
    let mut query = room_blocks::table
        .left_join(users::table)
        .filter(room_blocks::room_id.eq(room))
        .filter(
            room_blocks::expire_time
                .is_null()
                .or(room_blocks::expire_time.gt(now.into_sql::<Timestamptz>().nullable())),
        )
        .select((BlockRow::as_select(), users::username.nullable()))
        .into_boxed();
    if let Some(user) = user {
        query = query.filter(users::username.eq(user));
    }
    if let Some(after) = page.after {
        query = query.filter(room_blocks::id.gt(after));
    }
    query
        .order(room_blocks::id)
        .limit(page.rows())
        .load(c)
        .await
}

/// Changes why and until when a block is.
pub(crate) async fn update(
    c: &mut Connection,
    id: Uuid,
    (reason, expire_time): (&str, Option<DateTime<Utc>>),
) -> QueryResult<BlockRow> {
    diesel::update(room_blocks::table.find(id))
        .set((
            room_blocks::reason.eq(reason),
            room_blocks::expire_time.eq(expire_time),
            room_blocks::version.eq(room_blocks::version + 1),
        ))
        .returning(BlockRow::as_returning())
        .get_result(c)
        .await
}

/// Takes a block away; says whether it was there and had not expired.
pub(crate) async fn delete(c: &mut Connection, room: Uuid, id: Uuid) -> QueryResult<bool> {
    let live = room_blocks::table
        .filter(room_blocks::id.eq(id))
        .filter(room_blocks::room_id.eq(room))
        .filter(
            room_blocks::expire_time
                .is_null()
                .or(room_blocks::expire_time.gt(now.into_sql::<Timestamptz>().nullable())),
        );
    Ok(diesel::delete(live).execute(c).await? > 0)
}
