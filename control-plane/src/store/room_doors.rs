//! What a room asks at its door by a secret of its own, in SQL: its code and its
//! hook. That a code is taken once is one statement; nothing is decided here.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types;
use diesel_async::RunQueryDsl;
use porthouse_model::RoomName;
use uuid::Uuid;

use super::Connection;
use super::schema::{room_code_uses, rooms};
use super::second_factors::clock_timestamp;

/// How long what was taken or wrong is of use.
const USES_KEPT: &str = "1 day";

/// A room's door as it stands.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = rooms)]
pub(crate) struct DoorRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// `None`: no code.
    pub(crate) code_sealed: Option<Vec<u8>>,
    /// 0: no code.
    pub(crate) code_version: i64,
    /// `None`: no hook.
    pub(crate) hook_url: Option<String>,
    pub(crate) hook_deadline_ms: i32,
    /// `None`: it is shown nothing.
    pub(crate) hook_secret_sealed: Option<Vec<u8>>,
    /// 0: no hook.
    pub(crate) hook_version: i64,
    /// The room's.
    pub(crate) version: i64,
}

/// Reads a room's door.
pub(crate) async fn by_name(c: &mut Connection, name: &RoomName) -> QueryResult<Option<DoorRow>> {
    rooms::table
        .filter(rooms::name.eq(name.as_str()))
        .select(DoorRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads a room's door and keeps others from changing the room until the
/// transaction ends.
pub(crate) async fn lock(c: &mut Connection, name: &RoomName) -> QueryResult<Option<DoorRow>> {
    rooms::table
        .filter(rooms::name.eq(name.as_str()))
        .select(DoorRow::as_select())
        .for_update()
        .first(c)
        .await
        .optional()
}

/// Reads a room's door, by the room's identity.
pub(crate) async fn by_id(c: &mut Connection, room: Uuid) -> QueryResult<Option<DoorRow>> {
    rooms::table
        .find(room)
        .select(DoorRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Replaces a room's code by one of a new version; what was taken and wrong of
/// the one before is forgotten.
pub(crate) async fn set_code(
    c: &mut Connection,
    room: Uuid,
    sealed: &[u8],
) -> QueryResult<DoorRow> {
    diesel::delete(room_code_uses::table.filter(room_code_uses::room_id.eq(room)))
        .execute(c)
        .await?;
    diesel::update(rooms::table.find(room))
        .set((
            rooms::code_sealed.eq(sealed),
            rooms::code_version.eq(rooms::code_count + 1),
            rooms::code_count.eq(rooms::code_count + 1),
            rooms::version.eq(rooms::version + 1),
            rooms::update_time.eq(diesel::dsl::now),
        ))
        .returning(DoorRow::as_returning())
        .get_result(c)
        .await
}

/// Takes a room's code away.
pub(crate) async fn clear_code(c: &mut Connection, room: Uuid) -> QueryResult<DoorRow> {
    diesel::update(rooms::table.find(room))
        .set((
            rooms::code_sealed.eq(None::<Vec<u8>>),
            rooms::code_version.eq(0),
            rooms::version.eq(rooms::version + 1),
            rooms::update_time.eq(diesel::dsl::now),
        ))
        .returning(DoorRow::as_returning())
        .get_result(c)
        .await
}

/// Keeps the same code sealed by another key, unless it was replaced meanwhile.
pub(crate) async fn reseal_code(
    c: &mut Connection,
    room: Uuid,
    old: &[u8],
    new: &[u8],
) -> QueryResult<()> {
    let own = rooms::table.find(room);
    diesel::update(own.filter(rooms::code_sealed.eq(old)))
        .set(rooms::code_sealed.eq(new))
        .execute(c)
        .await?;
    Ok(())
}

/// A hook to set.
pub(crate) struct NewHook {
    pub(crate) url: String,
    pub(crate) deadline_ms: i32,
    pub(crate) secret_sealed: Option<Vec<u8>>,
}

/// Replaces a room's hook by one of a new version.
pub(crate) async fn set_hook(
    c: &mut Connection,
    room: Uuid,
    hook: &NewHook,
) -> QueryResult<DoorRow> {
    diesel::update(rooms::table.find(room))
        .set((
            rooms::hook_url.eq(&hook.url),
            rooms::hook_deadline_ms.eq(hook.deadline_ms),
            rooms::hook_secret_sealed.eq(&hook.secret_sealed),
            rooms::hook_version.eq(rooms::hook_count + 1),
            rooms::hook_count.eq(rooms::hook_count + 1),
            rooms::version.eq(rooms::version + 1),
            rooms::update_time.eq(diesel::dsl::now),
        ))
        .returning(DoorRow::as_returning())
        .get_result(c)
        .await
}

/// Takes a room's hook away.
pub(crate) async fn clear_hook(c: &mut Connection, room: Uuid) -> QueryResult<DoorRow> {
    diesel::update(rooms::table.find(room))
        .set((
            rooms::hook_url.eq(None::<String>),
            rooms::hook_deadline_ms.eq(0),
            rooms::hook_secret_sealed.eq(None::<Vec<u8>>),
            rooms::hook_version.eq(0),
            rooms::version.eq(rooms::version + 1),
            rooms::update_time.eq(diesel::dsl::now),
        ))
        .returning(DoorRow::as_returning())
        .get_result(c)
        .await
}

/// Whose uses of which version of a room's code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uses<'a> {
    pub(crate) room: Uuid,
    pub(crate) code_version: i64,
    /// Who, or from where.
    pub(crate) who: &'a str,
}

/// Wrong codes so far, when the last was, and the database's clock; nobody else
/// counts or takes for the same until the transaction ends.
pub(crate) async fn lock_uses(
    c: &mut Connection,
    uses: Uses<'_>,
) -> QueryResult<(i32, Option<DateTime<Utc>>, DateTime<Utc>)> {
    let made = diesel::insert_into(room_code_uses::table)
        .values((
            room_code_uses::room_id.eq(uses.room),
            room_code_uses::code_version.eq(uses.code_version),
            room_code_uses::who.eq(uses.who),
        ))
        .on_conflict_do_nothing()
        .execute(c)
        .await?;
    if made > 0 {
        forget_old(c).await?;
    }
    room_code_uses::table
        .find((uses.room, uses.code_version, uses.who))
        .select((
            room_code_uses::wrong_count,
            room_code_uses::wrong_time,
            clock_timestamp(),
        ))
        .for_update()
        .first(c)
        .await
}

/// Notes that there have been so many wrong codes, the last one now; 0 forgets
/// them.
pub(crate) async fn count_wrong(c: &mut Connection, uses: Uses<'_>, count: i32) -> QueryResult<()> {
    diesel::update(room_code_uses::table.find((uses.room, uses.code_version, uses.who)))
        .set((
            room_code_uses::wrong_count.eq(count),
            room_code_uses::wrong_time.eq(clock_timestamp().nullable()),
            room_code_uses::use_time.eq(clock_timestamp()),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// Takes the code of a step, if none of it or of a later one was taken before;
/// says whether it did. One statement: of many at once one is answered yes.
pub(crate) async fn take_step(c: &mut Connection, uses: Uses<'_>, step: i64) -> QueryResult<bool> {
    let taken = diesel::sql_query(
        "INSERT INTO room_code_uses (room_id, code_version, who, step_last)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (room_id, code_version, who)
         DO UPDATE SET step_last = excluded.step_last, use_time = clock_timestamp()
         WHERE room_code_uses.step_last < excluded.step_last",
    )
    .bind::<sql_types::Uuid, _>(uses.room)
    .bind::<sql_types::BigInt, _>(uses.code_version)
    .bind::<sql_types::Text, _>(uses.who)
    .bind::<sql_types::BigInt, _>(step)
    .execute(c)
    .await?;
    Ok(taken > 0)
}

/// Two old rows go for each new one, so that there are no more than of a day.
async fn forget_old(c: &mut Connection) -> QueryResult<()> {
    diesel::sql_query(
        "DELETE FROM room_code_uses WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM room_code_uses WHERE use_time < now() - $1::interval
             ORDER BY use_time LIMIT 2 FOR UPDATE SKIP LOCKED))",
    )
    .bind::<sql_types::Text, _>(USES_KEPT)
    .execute(c)
    .await?;
    Ok(())
}
