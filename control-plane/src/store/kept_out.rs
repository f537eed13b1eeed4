//! Who is kept out of rooms, as nodes need it: each user by key, and ranges of
//! addresses with their room. What has expired by the database's clock is not
//! there. Never writes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use porthouse_model::{AddressBlock, Block, Room, RoomBlocks, RoomId, UserId};
use uuid::Uuid;

use super::moment::unix_time;
use super::{Connection, StoreError};

/// Tells rooms of their blocks.
pub(super) async fn fill(
    connection: &mut Connection,
    rooms: impl Iterator<Item = &mut Room>,
) -> Result<(), StoreError> {
    let rooms: Vec<&mut Room> = rooms.collect();
    if rooms.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = rooms
        .iter()
        .map(|room| Uuid::from_bytes(*room.id.as_bytes()))
        .collect();
    let mut blocks = of_rooms(connection, &ids).await?;
    for room in rooms {
        room.blocks = blocks.remove(&room.id).unwrap_or_default();
    }
    Ok(())
}

async fn of_rooms(
    connection: &mut Connection,
    ids: &[Uuid],
) -> Result<HashMap<RoomId, RoomBlocks>, StoreError> {
    let rows: Vec<RoomBlockRow> = diesel::sql_query(
        "SELECT wanted.id AS room_id, NULL AS address_range, NULL::timestamptz AS expire_time
         FROM unnest($1) AS wanted (id)
         WHERE EXISTS (
             SELECT FROM room_blocks AS blocks
             WHERE blocks.room_id = wanted.id AND blocks.user_id IS NOT NULL
                 AND coalesce(blocks.expire_time > now(), true))
         UNION ALL
         SELECT room_id, address_range, expire_time FROM room_blocks
         WHERE room_id = ANY ($1) AND address_range IS NOT NULL
             AND coalesce(expire_time > now(), true)
         ORDER BY room_id, address_range",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .load(connection)
    .await?;
    let mut found: HashMap<RoomId, RoomBlocks> = HashMap::new();
    for row in rows {
        let room = RoomId::from_bytes(row.room_id.into_bytes());
        let blocks = found.entry(room).or_default();
        match row.address_range {
            None => blocks.users = true,
            Some(range) => blocks.addresses.push(AddressBlock {
                range: range
                    .parse()
                    .map_err(|_| StoreError::Corrupt("room_blocks.address_range"))?,
                expires: row.expire_time.map(unix_time),
            }),
        }
    }
    Ok(found)
}

/// A range that is kept out of a room; without one: users are.
#[derive(QueryableByName)]
struct RoomBlockRow {
    #[diesel(sql_type = SqlUuid)]
    room_id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    address_range: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    expire_time: Option<DateTime<Utc>>,
}

/// Those of these users who are kept out of these rooms.
pub(crate) async fn blocks(
    connection: &mut Connection,
    pairs: &[(RoomId, UserId)],
) -> Result<HashMap<(RoomId, UserId), Block>, StoreError> {
    if pairs.is_empty() {
        return Ok(HashMap::new());
    }
    let (rooms, users): (Vec<_>, Vec<_>) = pairs
        .iter()
        .map(|(room, user)| {
            (
                Uuid::from_bytes(*room.as_bytes()),
                Uuid::from_bytes(*user.as_bytes()),
            )
        })
        .unzip();
    let rows: Vec<BlockRow> = diesel::sql_query(
        "SELECT room_id, user_id, expire_time
         FROM room_blocks JOIN unnest($1, $2) AS wanted (room_id, user_id) USING (room_id, user_id)
         WHERE coalesce(expire_time > now(), true)",
    )
    .bind::<Array<SqlUuid>, _>(rooms)
    .bind::<Array<SqlUuid>, _>(users)
    .load(connection)
    .await?;
    let block = |row: BlockRow| {
        let block = Block {
            room: RoomId::from_bytes(row.room_id.into_bytes()),
            user: UserId::from_bytes(row.user_id.into_bytes()),
            expires: row.expire_time.map(unix_time),
        };
        ((block.room, block.user), block)
    };
    Ok(rows.into_iter().map(block).collect())
}

/// A user who is kept out of a room.
#[derive(QueryableByName)]
struct BlockRow {
    #[diesel(sql_type = SqlUuid)]
    room_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    expire_time: Option<DateTime<Utc>>,
}
