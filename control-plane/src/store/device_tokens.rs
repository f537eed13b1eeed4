//! Device tokens, in SQL: as they are kept, and as nodes decide by them. One that
//! is revoked is deleted; nothing is decided here.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use porthouse_model::{Act, Acts, Device, DeviceBlock, Session, SessionId, TokenHash, UserId};
use uuid::Uuid;

use super::moment::unix_time;
use super::page::Page;
use super::resolve::token_hash;
use super::schema::{device_tokens, users};
use super::{Connection, StoreError};

/// What may be changed of a token, as columns.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = device_tokens)]
pub(crate) struct DeviceTokenColumns {
    pub(crate) display_name: String,
    acts: i16,
    /// The names of the rooms it may enter.
    pub(crate) rooms: Vec<String>,
    pub(crate) expire_time: DateTime<Utc>,
}

impl DeviceTokenColumns {
    pub(crate) fn new(
        display_name: String,
        acts: Acts,
        rooms: Vec<String>,
        expire_time: DateTime<Utc>,
    ) -> Self {
        Self {
            display_name,
            acts: bits(acts),
            rooms,
            expire_time,
        }
    }

    /// What it may do at most.
    pub(crate) fn acts(&self) -> Acts {
        let has = |act: &Act| self.acts >> bit(*act) & 1 == 1;
        Act::ALL
            .into_iter()
            .filter(has)
            .fold(Acts::NONE, Acts::with)
    }

    pub(crate) fn set_acts(&mut self, acts: Acts) {
        self.acts = bits(acts);
    }
}

fn bits(acts: Acts) -> i16 {
    let among = Act::ALL.into_iter().filter(|act| acts.has(*act));
    among.map(|act| 1 << bit(act)).sum()
}

/// The place of an act in the column.
const fn bit(act: Act) -> u8 {
    match act {
        Act::See => 0,
        Act::Join => 1,
        Act::Send => 2,
        Act::ReadHistory => 3,
        Act::SeePresence => 4,
        Act::Invite => 5,
        Act::Kick => 6,
        Act::ChangeRules => 7,
    }
}

/// A token as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = device_tokens)]
pub(crate) struct DeviceTokenRow {
    pub(crate) id: Uuid,
    #[diesel(embed)]
    pub(crate) columns: DeviceTokenColumns,
    pub(crate) last_used_time: Option<DateTime<Utc>>,
    pub(crate) version: i64,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) update_time: DateTime<Utc>,
}

/// A token to make.
#[derive(Insertable)]
#[diesel(table_name = device_tokens)]
pub(crate) struct NewDeviceToken {
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) token_sha256: Vec<u8>,
    #[diesel(embed)]
    pub(crate) columns: DeviceTokenColumns,
}

/// Makes a token.
pub(crate) async fn insert(
    c: &mut Connection,
    new: &NewDeviceToken,
) -> QueryResult<DeviceTokenRow> {
    diesel::insert_into(device_tokens::table)
        .values(new)
        .returning(DeviceTokenRow::as_returning())
        .get_result(c)
        .await
}

/// How many a user has, expired ones too.
pub(crate) async fn count(c: &mut Connection, owner: Uuid) -> QueryResult<i64> {
    device_tokens::table
        .filter(device_tokens::owner_id.eq(owner))
        .count()
        .get_result(c)
        .await
}

/// Deletes those of a user that have expired.
pub(crate) async fn delete_expired(c: &mut Connection, owner: Uuid) -> QueryResult<()> {
    let expired = device_tokens::table
        .filter(device_tokens::owner_id.eq(owner))
        .filter(device_tokens::expire_time.le(now));
    diesel::delete(expired).execute(c).await?;
    Ok(())
}

/// Reads a token, with its owner's name.
pub(crate) async fn by_id(
    c: &mut Connection,
    id: Uuid,
) -> QueryResult<Option<(DeviceTokenRow, String)>> {
    device_tokens::table
        .inner_join(users::table)
        .filter(device_tokens::id.eq(id))
        .select((DeviceTokenRow::as_select(), users::username))
        .first(c)
        .await
        .optional()
}

/// Reads a token with its owner's name, and keeps others from changing it until
/// the transaction ends. Its owner, whom a deletion locks first, is held before.
pub(crate) async fn lock(
    c: &mut Connection,
    id: Uuid,
) -> QueryResult<Option<(DeviceTokenRow, String)>> {
    let owner: Option<Uuid> = users::table
        .inner_join(device_tokens::table)
        .filter(device_tokens::id.eq(id))
        .select(users::id)
        .first(c)
        .await
        .optional()?;
    let Some(owner) = owner else { return Ok(None) };
    let name: Option<String> = users::table
        .find(owner)
        .select(users::username)
        .for_key_share()
        .first(c)
        .await
        .optional()?;
    let row: Option<DeviceTokenRow> = device_tokens::table
        .find(id)
        .select(DeviceTokenRow::as_select())
        .for_update()
        .first(c)
        .await
        .optional()?;
    Ok(row.zip(name))
}

/// Reads the tokens of a page, all or an owner's, with their owners' names, ordered
/// by identity.
pub(crate) async fn page(
    c: &mut Connection,
    owner: Option<Uuid>,
    page: &Page<Uuid>,
) -> QueryResult<Vec<(DeviceTokenRow, String)>> {
    let mut query = device_tokens::table
        .inner_join(users::table)
        .select((DeviceTokenRow::as_select(), users::username))
        .into_boxed();
    if let Some(owner) = owner {
        query = query.filter(device_tokens::owner_id.eq(owner));
    }
    if let Some(after) = page.after {
        query = query.filter(device_tokens::id.gt(after));
    }
    query
        .order(device_tokens::id)
        .limit(page.rows())
        .load(c)
        .await
}

/// Changes a token.
pub(crate) async fn update(
    c: &mut Connection,
    id: Uuid,
    columns: &DeviceTokenColumns,
) -> QueryResult<DeviceTokenRow> {
    diesel::update(device_tokens::table.find(id))
        .set((
            columns,
            device_tokens::version.eq(device_tokens::version + 1),
            device_tokens::update_time.eq(now),
        ))
        .returning(DeviceTokenRow::as_returning())
        .get_result(c)
        .await
}

/// Ends a token.
pub(crate) async fn delete(c: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::delete(device_tokens::table.find(id))
        .execute(c)
        .await?;
    Ok(())
}

/// Notes that tokens are used now, unless that was noted in the last minute.
pub(crate) async fn note_use(c: &mut Connection, ids: &[Uuid]) -> QueryResult<()> {
    diesel::sql_query(
        "UPDATE device_tokens SET last_used_time = now()
         WHERE id IN (
             SELECT id FROM device_tokens
             WHERE id = ANY ($1)
                 AND coalesce(last_used_time < now() - interval '1 minute', true)
             ORDER BY id FOR UPDATE SKIP LOCKED
         )",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .execute(c)
    .await?;
    Ok(())
}

/// What those of these tokens open that have not expired and whose owners are not
/// disabled.
pub(crate) async fn opened_by_token(
    c: &mut Connection,
    hashes: &[TokenHash],
) -> Result<HashMap<TokenHash, Session>, StoreError> {
    if hashes.is_empty() {
        return Ok(HashMap::new());
    }
    let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash.as_bytes()[..]).collect();
    let rows: Vec<OpenedRow> = device_tokens::table
        .inner_join(users::table)
        .filter(device_tokens::token_sha256.eq_any(hashes))
        .filter(device_tokens::expire_time.gt(now))
        .filter(users::disabled.eq(false))
        .select(OpenedRow::as_select())
        .load(c)
        .await?;
    let mut blocks = blocks(c, &rows).await?;
    let opened = |row: OpenedRow| {
        let blocks = blocks.remove(&row.id).unwrap_or_default();
        row.session(blocks)
    };
    rows.into_iter().map(opened).collect()
}

/// The same by identity, with the hashes by which they are found.
pub(crate) async fn opened_by_id(
    c: &mut Connection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, (TokenHash, Session)>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<OpenedRow> = device_tokens::table
        .inner_join(users::table)
        .filter(device_tokens::id.eq_any(ids))
        .filter(device_tokens::expire_time.gt(now))
        .filter(users::disabled.eq(false))
        .select(OpenedRow::as_select())
        .load(c)
        .await?;
    let mut blocks = blocks(c, &rows).await?;
    let opened = |row: OpenedRow| {
        let blocks = blocks.remove(&row.id).unwrap_or_default();
        Ok((row.id, row.session(blocks)?))
    };
    rows.into_iter().map(opened).collect()
}

/// Which of their rooms keep devices out, by the database's clock.
async fn blocks(
    c: &mut Connection,
    rows: &[OpenedRow],
) -> Result<HashMap<Uuid, Vec<DeviceBlock>>, StoreError> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let found: Vec<BlockRow> = diesel::sql_query(
        "SELECT tokens.id, rooms.name, blocks.expire_time
         FROM room_blocks AS blocks
         JOIN device_tokens AS tokens ON tokens.id = blocks.device_id
         JOIN rooms ON rooms.id = blocks.room_id AND rooms.name = ANY (tokens.rooms)
         WHERE tokens.id = ANY ($1) AND coalesce(blocks.expire_time > now(), true)
         ORDER BY tokens.id, rooms.name",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .load(c)
    .await?;
    let mut blocks: HashMap<Uuid, Vec<DeviceBlock>> = HashMap::new();
    for row in found {
        let room = row.name.parse();
        blocks.entry(row.id).or_default().push(DeviceBlock {
            room: room.map_err(|_| StoreError::Corrupt("rooms.name"))?,
            expires: row.expire_time.map(unix_time),
        });
    }
    Ok(blocks)
}

/// A room that keeps a device out.
#[derive(QueryableByName)]
struct BlockRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    expire_time: Option<DateTime<Utc>>,
}

/// A token with its owner's name, as nodes need it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = device_tokens)]
struct OpenedRow {
    id: Uuid,
    owner_id: Uuid,
    token_sha256: Vec<u8>,
    #[diesel(embed)]
    columns: DeviceTokenColumns,
    #[diesel(select_expression = users::username)]
    username: String,
}

impl OpenedRow {
    fn session(self, blocks: Vec<DeviceBlock>) -> Result<(TokenHash, Session), StoreError> {
        let rooms = self.columns.rooms.iter();
        let device = Device {
            acts: self.columns.acts(),
            rooms: rooms
                .map(|room| room.parse())
                .collect::<Result<_, _>>()
                .map_err(|_| StoreError::Corrupt("device_tokens.rooms"))?,
            display_name: self.columns.display_name,
            blocks,
        };
        let session = Session {
            id: SessionId::from_bytes(self.id.into_bytes()),
            user: UserId::from_bytes(self.owner_id.into_bytes()),
            username: self
                .username
                .parse()
                .map_err(|_| StoreError::Corrupt("users.username"))?,
            expires: unix_time(self.columns.expire_time),
            second_factor: None,
            device: Some(Box::new(device)),
        };
        let token = token_hash(&self.token_sha256, "device_tokens.token_sha256")?;
        Ok((token, session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_come_back_from_their_column() {
        let among = |bits: u32| {
            let has = |act: &Act| bits >> bit(*act) & 1 == 1;
            Act::ALL
                .into_iter()
                .filter(has)
                .fold(Acts::NONE, Acts::with)
        };
        for acts in (0..256).map(among) {
            let columns =
                DeviceTokenColumns::new(String::new(), acts, Vec::new(), DateTime::UNIX_EPOCH);
            assert_eq!(columns.acts(), acts);
            assert!((0..256).contains(&columns.acts), "{}", columns.acts);
        }
    }
}
