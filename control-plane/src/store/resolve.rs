//! What nodes decide by, read by key: rooms, live sessions, memberships, API
//! keys. What has expired by the database's clock is not there. Never writes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::{self, Array};
use diesel_async::RunQueryDsl;
use porthouse_model::{
    ApiKey, ApiKeyId, Member, Room, RoomBlocks, RoomId, RoomName, RoomRules, Session, SessionId,
    Then, TokenHash, UserId,
};
use uuid::Uuid;

use super::api_keys::opens_by;
use super::moment::unix_time;
use super::rule::SecretVersions;
use super::schema::{api_keys, room_templates, rooms, sessions, users};
use super::{Connection, StoreError, kept_out, rule};

/// The rooms of these names that are there.
pub(crate) async fn rooms_by_name(
    connection: &mut Connection,
    names: &[&str],
) -> Result<HashMap<RoomName, Room>, StoreError> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<RoomRow> = rooms::table
        .filter(rooms::name.eq_any(names))
        .select(RoomRow::as_select())
        .load(connection)
        .await?;
    let mut rooms = rooms_of(rows)?;
    kept_out::fill(connection, rooms.iter_mut()).await?;
    Ok(rooms
        .into_iter()
        .map(|room| (room.name.clone(), room))
        .collect())
}

/// The rooms of these identities that are there.
pub(crate) async fn rooms_by_id(
    connection: &mut Connection,
    ids: &[Uuid],
) -> Result<HashMap<RoomId, Room>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<RoomRow> = rooms::table
        .filter(rooms::id.eq_any(ids))
        .select(RoomRow::as_select())
        .load(connection)
        .await?;
    let mut rooms = rooms_of(rows)?;
    kept_out::fill(connection, rooms.iter_mut()).await?;
    Ok(rooms.into_iter().map(|room| (room.id, room)).collect())
}

fn rooms_of(rows: Vec<RoomRow>) -> Result<Vec<Room>, StoreError> {
    rows.into_iter().map(RoomRow::room).collect()
}

/// The live sessions of enabled users with these tokens.
pub(crate) async fn sessions_by_token(
    connection: &mut Connection,
    hashes: &[TokenHash],
) -> Result<HashMap<TokenHash, Session>, StoreError> {
    if hashes.is_empty() {
        return Ok(HashMap::new());
    }
    let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash.as_bytes()[..]).collect();
    let rows: Vec<SessionRow> = sessions::table
        .inner_join(users::table)
        .filter(sessions::token_sha256.eq_any(hashes))
        .filter(sessions::expire_time.gt(now))
        .filter(users::disabled.eq(false))
        .select(SessionRow::as_select())
        .load(connection)
        .await?;
    rows.into_iter().map(SessionRow::session).collect()
}

/// The live sessions of enabled users of these identities.
pub(crate) async fn sessions_by_id(
    connection: &mut Connection,
    ids: &[Uuid],
) -> Result<HashMap<SessionId, Session>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<SessionRow> = sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq_any(ids))
        .filter(sessions::expire_time.gt(now))
        .filter(users::disabled.eq(false))
        .select(SessionRow::as_select())
        .load(connection)
        .await?;
    rows.into_iter()
        .map(|row| row.session().map(|(_, session)| (session.id, session)))
        .collect()
}

/// Those of these memberships that are there, each with whether it is still
/// live by the database's clock.
pub(crate) async fn members(
    connection: &mut Connection,
    pairs: &[(RoomId, UserId)],
) -> Result<HashMap<(RoomId, UserId), (Member, bool)>, StoreError> {
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
    let rows: Vec<MemberRow> = diesel::sql_query(
        "SELECT room_id, user_id,
                CASE WHEN gone THEN then_role ELSE role END AS role,
                CASE WHEN gone THEN then_expire_time ELSE expire_time END AS expire_time,
                CASE WHEN gone THEN NULL ELSE then_role END AS then_role,
                CASE WHEN gone THEN NULL ELSE then_expire_time END AS then_expire_time,
                coalesce(CASE WHEN gone THEN then_expire_time ELSE expire_time END > now(), true)
                    AS live
         FROM (
             SELECT members.*, then_role IS NOT NULL AND expire_time <= now() AS gone
             FROM members
             JOIN unnest($1, $2) AS wanted (room_id, user_id) USING (room_id, user_id)
         ) AS known",
    )
    .bind::<Array<sql_types::Uuid>, _>(rooms)
    .bind::<Array<sql_types::Uuid>, _>(users)
    .load(connection)
    .await?;
    rows.into_iter().map(MemberRow::member).collect()
}

/// The API keys with these secrets that have not expired.
pub(crate) async fn api_keys_by_secret(
    connection: &mut Connection,
    hashes: &[TokenHash],
) -> Result<HashMap<TokenHash, ApiKey>, StoreError> {
    if hashes.is_empty() {
        return Ok(HashMap::new());
    }
    let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash.as_bytes()[..]).collect();
    let rows: Vec<ApiKeyRow> = api_keys::table
        .filter(opens_by(hashes.clone()))
        .filter(
            api_keys::expire_time
                .is_null()
                .or(api_keys::expire_time.gt(now.into_sql::<sql_types::Timestamptz>().nullable())),
        )
        .select(ApiKeyRow::as_select())
        .load(connection)
        .await?;
    let mut found = HashMap::new();
    for row in rows {
        for hash in [Some(&row.secret_sha256), row.previous_sha256.as_ref()] {
            if let Some(hash) = hash.filter(|hash| hashes.contains(&hash.as_slice())) {
                let (hash, key) = row.clone().api_key(hash)?;
                found.insert(hash, key);
            }
        }
    }
    Ok(found)
}

/// What the password of a room or a template is compared with, and its version;
/// `None`: there is neither.
pub(crate) async fn room_password(
    connection: &mut Connection,
    room: RoomId,
) -> Result<Option<(Option<String>, u64)>, StoreError> {
    let id = Uuid::from_bytes(*room.as_bytes());
    let of_room: Option<(Option<String>, i64)> = rooms::table
        .find(id)
        .select((rooms::password_phc, rooms::password_version))
        .first(connection)
        .await
        .optional()?;
    let row = match of_room {
        Some(row) => Some(row),
        None => room_templates::table
            .find(id)
            .select((
                room_templates::password_phc,
                room_templates::password_version,
            ))
            .first(connection)
            .await
            .optional()?,
    };
    row.map(|(phc, number)| Ok((phc, version(number, "rooms.password_version")?)))
        .transpose()
}

/// Keeps the same password of a room or a template by another hash, unless it was
/// replaced meanwhile. Nodes are told nothing: it is of the same version.
pub(crate) async fn rehash_room_password(
    c: &mut Connection,
    room: RoomId,
    (old, new): (&str, &str),
) -> Result<(), StoreError> {
    let id = Uuid::from_bytes(*room.as_bytes());
    let kept = diesel::update(rooms::table.find(id).filter(rooms::password_phc.eq(old)))
        .set(rooms::password_phc.eq(new))
        .execute(c)
        .await?;
    if kept == 0 {
        let of_template = room_templates::password_phc.eq(old);
        diesel::update(room_templates::table.find(id).filter(of_template))
            .set(room_templates::password_phc.eq(new))
            .execute(c)
            .await?;
    }
    Ok(())
}

/// A room as it stands in its table.
#[derive(Queryable, Selectable)]
#[diesel(table_name = rooms)]
struct RoomRow {
    id: Uuid,
    name: String,
    owner_id: Option<Uuid>,
    members_only: bool,
    rules: Vec<u8>,
    password_version: i64,
    code_version: i64,
    hook_version: i64,
}

impl RoomRow {
    fn room(self) -> Result<Room, StoreError> {
        Ok(Room {
            // Read of their own, of all rooms together.
            blocks: RoomBlocks::default(),
            id: RoomId::from_bytes(self.id.into_bytes()),
            rules: Box::new(self.rules()?),
            owner: self
                .owner_id
                .map(|owner| UserId::from_bytes(owner.into_bytes())),
            name: self
                .name
                .parse()
                .map_err(|_| StoreError::Corrupt("rooms.name"))?,
        })
    }

    fn rules(&self) -> Result<RoomRules, StoreError> {
        let versions = SecretVersions::of_columns(
            self.password_version,
            self.code_version,
            self.hook_version,
        )?;
        Ok(rule::in_force(
            rule::decode(&self.rules)?,
            self.members_only,
            versions,
        ))
    }
}

/// A session with its user's name.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct SessionRow {
    id: Uuid,
    user_id: Uuid,
    token_sha256: Vec<u8>,
    expire_time: DateTime<Utc>,
    second_factor_time: Option<DateTime<Utc>>,
    #[diesel(select_expression = users::username)]
    username: String,
}

impl SessionRow {
    fn session(self) -> Result<(TokenHash, Session), StoreError> {
        let session = Session {
            id: SessionId::from_bytes(self.id.into_bytes()),
            user: UserId::from_bytes(self.user_id.into_bytes()),
            username: self
                .username
                .parse()
                .map_err(|_| StoreError::Corrupt("users.username"))?,
            expires: unix_time(self.expire_time),
            second_factor: self.second_factor_time.map(unix_time),
            device: None,
        };
        Ok((
            token_hash(&self.token_sha256, "sessions.token_sha256")?,
            session,
        ))
    }
}

/// A live session by its identity, if its user is enabled.
pub(crate) async fn session_by_id(
    c: &mut Connection,
    id: Uuid,
) -> Result<Option<(Session, TokenHash)>, StoreError> {
    let row: Option<SessionRow> = sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq(id))
        .filter(sessions::expire_time.gt(now))
        .filter(users::disabled.eq(false))
        .select(SessionRow::as_select())
        .first(c)
        .await
        .optional()?;
    row.map(|row| row.session().map(|(token, session)| (session, token)))
        .transpose()
}

/// A membership by its key, and whether it is live.
type Membership = ((RoomId, UserId), (Member, bool));

/// A membership, and whether it is live.
#[derive(QueryableByName)]
struct MemberRow {
    #[diesel(sql_type = sql_types::Uuid)]
    room_id: Uuid,
    #[diesel(sql_type = sql_types::Uuid)]
    user_id: Uuid,
    #[diesel(sql_type = sql_types::Text)]
    role: String,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    expire_time: Option<DateTime<Utc>>,
    /// What comes after it, where something does.
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    then_role: Option<String>,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    then_expire_time: Option<DateTime<Utc>>,
    #[diesel(sql_type = sql_types::Bool)]
    live: bool,
}

impl MemberRow {
    fn member(self) -> Result<Membership, StoreError> {
        const CORRUPT: StoreError = StoreError::Corrupt("members.role");
        let then = match self.then_role {
            None => None,
            Some(role) => Some(Then {
                role: role.parse().map_err(|_| CORRUPT)?,
                expires: self.then_expire_time.map(unix_time),
            }),
        };
        let member = Member {
            room: RoomId::from_bytes(self.room_id.into_bytes()),
            user: UserId::from_bytes(self.user_id.into_bytes()),
            role: self.role.parse().map_err(|_| CORRUPT)?,
            expires: self.expire_time.map(unix_time),
            then,
        };
        Ok(((member.room, member.user), (member, self.live)))
    }
}

/// An API key.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = api_keys)]
struct ApiKeyRow {
    id: Uuid,
    secret_sha256: Vec<u8>,
    scopes: Vec<String>,
    expire_time: Option<DateTime<Utc>>,
    previous_sha256: Option<Vec<u8>>,
    previous_until: Option<DateTime<Utc>>,
}

impl ApiKeyRow {
    /// The key as the secret of this hash opens it.
    fn api_key(self, hash: &[u8]) -> Result<(TokenHash, ApiKey), StoreError> {
        let previous = self.previous_until.filter(|_| self.secret_sha256 != hash);
        let expires = self.expire_time.into_iter().chain(previous).min();
        let key = ApiKey {
            id: ApiKeyId::from_bytes(self.id.into_bytes()),
            scopes: self.scopes,
            expires: expires.map(unix_time),
        };
        Ok((token_hash(hash, "api_keys.secret_sha256")?, key))
    }
}

pub(super) fn token_hash(bytes: &[u8], column: &'static str) -> Result<TokenHash, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Corrupt(column))?;
    Ok(TokenHash::from_bytes(bytes))
}

fn version(version: i64, column: &'static str) -> Result<u64, StoreError> {
    u64::try_from(version).map_err(|_| StoreError::Corrupt(column))
}
