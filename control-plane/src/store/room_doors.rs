//! What a room, or every room that a template covers, asks at its door by a secret
//! of its own, in SQL: its code and its hook. That a code is taken once is one
//! statement; nothing is decided here.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::schema::room_code_uses;
use super::second_factors::clock_timestamp;

mod kept;

pub(crate) use kept::{DoorOf, DoorRow};

/// How long what was taken or wrong is of use.
const USES_KEPT: &str = "1 day";

/// A hook to set.
pub(crate) struct NewHook {
    pub(crate) url: String,
    pub(crate) deadline_ms: i32,
    pub(crate) secret_sealed: Option<Vec<u8>>,
}

/// Reads a door.
pub(crate) async fn by_name(c: &mut Connection, of: &DoorOf) -> QueryResult<Option<DoorRow>> {
    match of {
        DoorOf::Room(name) => kept::of_rooms::by_name(c, name.as_str()).await,
        DoorOf::Template(prefix) => kept::of_templates::by_name(c, prefix.as_str()).await,
    }
}

/// Reads a door and keeps others from changing what it belongs to until the
/// transaction ends.
pub(crate) async fn lock(c: &mut Connection, of: &DoorOf) -> QueryResult<Option<DoorRow>> {
    match of {
        DoorOf::Room(name) => kept::of_rooms::lock(c, name.as_str()).await,
        DoorOf::Template(prefix) => kept::of_templates::lock(c, prefix.as_str()).await,
    }
}

/// Reads a door, by the identity of the room or template.
pub(crate) async fn by_id(c: &mut Connection, id: Uuid) -> QueryResult<Option<DoorRow>> {
    match kept::of_rooms::by_id(c, id).await? {
        Some(door) => Ok(Some(door)),
        None => kept::of_templates::by_id(c, id).await,
    }
}

/// Replaces a door's code by one of a new version; what was taken and wrong of
/// the one before is forgotten.
pub(crate) async fn set_code(
    c: &mut Connection,
    door: &DoorRow,
    sealed: &[u8],
) -> QueryResult<DoorRow> {
    diesel::delete(room_code_uses::table.filter(room_code_uses::room_id.eq(door.id)))
        .execute(c)
        .await?;
    match door.of {
        DoorOf::Room(_) => kept::of_rooms::set_code(c, door.id, sealed).await,
        DoorOf::Template(_) => kept::of_templates::set_code(c, door.id, sealed).await,
    }
}

/// Takes a door's code away.
pub(crate) async fn clear_code(c: &mut Connection, door: &DoorRow) -> QueryResult<DoorRow> {
    match door.of {
        DoorOf::Room(_) => kept::of_rooms::clear_code(c, door.id).await,
        DoorOf::Template(_) => kept::of_templates::clear_code(c, door.id).await,
    }
}

/// Keeps the same code sealed by another key, unless it was replaced meanwhile.
pub(crate) async fn reseal_code(
    c: &mut Connection,
    door: &DoorRow,
    old: &[u8],
    new: &[u8],
) -> QueryResult<()> {
    match door.of {
        DoorOf::Room(_) => kept::of_rooms::reseal_code(c, door.id, old, new).await,
        DoorOf::Template(_) => kept::of_templates::reseal_code(c, door.id, old, new).await,
    }
}

/// Replaces a door's hook by one of a new version.
pub(crate) async fn set_hook(
    c: &mut Connection,
    door: &DoorRow,
    hook: &NewHook,
) -> QueryResult<DoorRow> {
    match door.of {
        DoorOf::Room(_) => kept::of_rooms::set_hook(c, door.id, hook).await,
        DoorOf::Template(_) => kept::of_templates::set_hook(c, door.id, hook).await,
    }
}

/// Takes a door's hook away.
pub(crate) async fn clear_hook(c: &mut Connection, door: &DoorRow) -> QueryResult<DoorRow> {
    match door.of {
        DoorOf::Room(_) => kept::of_rooms::clear_hook(c, door.id).await,
        DoorOf::Template(_) => kept::of_templates::clear_hook(c, door.id).await,
    }
}

/// Whose uses of which version of a door's code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uses<'a> {
    /// The room, or the template.
    pub(crate) door: Uuid,
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
            room_code_uses::room_id.eq(uses.door),
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
        .find((uses.door, uses.code_version, uses.who))
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
    diesel::update(room_code_uses::table.find((uses.door, uses.code_version, uses.who)))
        .set((
            room_code_uses::wrong_count.eq(count),
            room_code_uses::wrong_time.eq(clock_timestamp().nullable()),
            room_code_uses::use_time.eq(clock_timestamp()),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// Forgets all wrong codes of a door, and no code that was taken; answers how many
/// had given some.
pub(crate) async fn forget_wrong(c: &mut Connection, door: Uuid) -> QueryResult<usize> {
    let of_door = room_code_uses::room_id.eq(door);
    diesel::update(room_code_uses::table.filter(of_door.and(room_code_uses::wrong_count.gt(0))))
        .set(room_code_uses::wrong_count.eq(0))
        .execute(c)
        .await
}

/// Forgets the wrong codes of somebody, in all rooms; what was taken stays taken.
pub(crate) async fn forget_wrong_of(c: &mut Connection, who: &str) -> QueryResult<()> {
    let counted = room_code_uses::table.filter(room_code_uses::who.eq(who));
    diesel::update(counted.filter(room_code_uses::wrong_count.gt(0)))
        .set(room_code_uses::wrong_count.eq(0))
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
    .bind::<sql_types::Uuid, _>(uses.door)
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
