//! The policy log: the one path by which what nodes obey changes,
//! and how a transaction gets its revision.
//!
//! In READ COMMITTED a transaction ends with two statements. The first takes the
//! log's advisory lock, which is held to commit. The second runs in a snapshot
//! taken after the lock was had, so it sees whatever its predecessor committed,
//! and gives the next revision. Numbering in the statement that waits would use
//! a snapshot from before the wait, and give a number twice. So the highest
//! revision that can be seen is always the end of a complete prefix.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use porthouse_api::node::{CHANGE_BYTES_MAX, v1};
use porthouse_model::{
    Address, ApiKeyId, ChangeItem, NamePrefix, Revision, RoomId, RoomName, SessionId, UserId,
};
use prost::Message;
use uuid::Uuid;

use super::position::{Entry, Position};
use super::schema::{policy_log, policy_pending};
use super::{
    Connection, Store, StoreError, address, covering, device_tokens, fail, guarded, kept_out,
    resolve, transaction_span,
};

/// The channel on which a commit wakes the tailers.
pub(crate) const CHANNEL: &str = "porthouse_policy";

/// The most things nodes obey that one transaction may change.
pub(crate) const ITEMS_MAX: usize = 1_024;

impl Store {
    /// Runs statements that may change what nodes obey in one READ COMMITTED
    /// transaction, numbers what they changed, and answers the revision at which
    /// it holds. Statements that change nothing nodes obey take no number: the
    /// answer is then the log's present head.
    ///
    /// The transaction runs to its end even when the caller goes away.
    ///
    /// # Errors
    ///
    /// Whatever the statements answer, with nothing written; a [`StoreError`]
    /// for what the database refuses, [`StoreError::TooMuch`] above
    /// [`ITEMS_MAX`] changes, [`StoreError::TooLong`] above [`CHANGE_BYTES_MAX`].
    pub(crate) async fn write<T, E>(
        &self,
        statements: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, E>>
        + Send
        + 'static,
    ) -> Result<(T, Revision), E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<diesel::result::Error> + Send + 'static,
    {
        let mut span = transaction_span();
        let place = match self.place_to_write().await {
            Ok(place) => place,
            Err(none) => {
                fail(&mut span, "no place to write");
                return Err(none.into());
            }
        };
        let (value, at) = self
            .transact_within(span, |connection| {
                async move {
                    let _place = place;
                    let value = statements(connection).await?;
                    Ok::<_, E>((value, number(connection).await?))
                }
                .boxed()
            })
            .await?;
        Ok((value, self.noted(at)))
    }

    fn noted(&self, at: Numbered) -> Revision {
        match at {
            Numbered::Now(revision) => {
                self.written.fetch_add(1, Ordering::Relaxed);
                revision
            }
            Numbered::Before(head) => head,
        }
    }
}

/// At which revision what a transaction wrote holds.
#[derive(Clone, Copy)]
enum Numbered {
    /// One of its own.
    Now(Revision),
    /// It changed nothing that nodes obey: the log's head.
    Before(Revision),
}

/// Says that all sessions of a user end with this transaction. Call it before
/// deleting them, and one item stands for them all, however many they are.
pub(crate) async fn note_user_gone(
    connection: &mut Connection,
    user: Uuid,
) -> Result<(), StoreError> {
    diesel::insert_into(policy_pending::table)
        .values((
            policy_pending::kind.eq("user_gone"),
            policy_pending::subject_id.eq(user),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// The log's head as the present snapshot sees it.
pub(crate) async fn head(connection: &mut Connection) -> Result<Revision, StoreError> {
    Ok(head_position(connection).await?.revision())
}

/// The log's head with its hash, as the present snapshot sees it.
pub(crate) async fn head_position(connection: &mut Connection) -> Result<Position, StoreError> {
    let head: Option<(i64, Vec<u8>)> = policy_log::table
        .order(policy_log::revision.desc())
        .select((policy_log::revision, policy_log::chain))
        .first(connection)
        .await
        .optional()?;
    match head {
        None => Ok(Position::BEGINNING),
        Some((revision, chain)) => position(revision, &chain),
    }
}

/// Up to `entries_max` entries from `position` on, that of `position` itself
/// excluded, in order; `None` when the log does not hold this position (its
/// start was compacted, or it is another history).
///
/// # Errors
///
/// [`StoreError::Corrupt`] when the log's revisions or hashes do not follow each
/// other.
pub(crate) async fn entries_after(
    connection: &mut Connection,
    position: &Position,
    entries_max: i64,
) -> Result<Option<Vec<Entry>>, StoreError> {
    let from = i64::try_from(position.revision().0).unwrap_or(i64::MAX);
    let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = policy_log::table
        .filter(policy_log::revision.ge(from))
        .order(policy_log::revision)
        .limit(entries_max.saturating_add(1))
        .select((policy_log::revision, policy_log::chain, policy_log::payload))
        .load(connection)
        .await?;
    let mut rows = rows.into_iter().map(entry).peekable();
    if *position == Position::BEGINNING {
        let first = rows.peek().and_then(|first| first.as_ref().ok());
        if first.is_some_and(|first| first.at.revision() != Revision(1)) {
            return Ok(None);
        }
    } else if !rows
        .next()
        .transpose()?
        .is_some_and(|own| own.at == *position)
    {
        return Ok(None);
    }
    let mut entries = Vec::with_capacity(rows.len());
    let mut last = *position;
    for entry in rows {
        let entry = entry?;
        if !entry.follows(&last) {
            return Err(StoreError::Corrupt("policy_log.chain"));
        }
        last = entry.at;
        entries.push(entry);
    }
    Ok(Some(entries))
}

fn entry((revision, chain, payload): (i64, Vec<u8>, Vec<u8>)) -> Result<Entry, StoreError> {
    Ok(Entry {
        at: position(revision, &chain)?,
        payload: payload.into(),
    })
}

fn position(revision: i64, chain: &[u8]) -> Result<Position, StoreError> {
    Position::new(revision, chain).ok_or(StoreError::Corrupt("policy_log.chain"))
}

/// A revision from a column.
pub(crate) fn revision(number: i64) -> Result<Revision, StoreError> {
    u64::try_from(number)
        .map(Revision)
        .map_err(|_| StoreError::Corrupt("policy_log.revision"))
}

/// Gives this transaction its revision, if it changed what nodes obey. The last
/// thing it does.
async fn number(connection: &mut Connection) -> Result<Numbered, StoreError> {
    let pending = pending(connection).await?;
    if pending.is_empty() {
        return Ok(Numbered::Before(head(connection).await?));
    }
    // The rows that changed are locked by this transaction till it ends, so what
    // is read of them now is what commits, and needs no lock on the log. What
    // covers the names of those that are gone, others may be changing.
    let ids: Vec<i64> = pending.iter().map(|row| row.id).collect();
    let mut items = items(connection, pending).await?;
    let time = Some(lock(connection).await?.into());
    covering::cover(connection, &mut items).await?;
    guarded::hold(connection, &items).await?;
    let items = items.iter().map(Into::into).collect();
    let payload = v1::ChangePayload { time, items }.encode_to_vec();
    if payload.len() > CHANGE_BYTES_MAX {
        return Err(StoreError::TooLong {
            bytes_max: CHANGE_BYTES_MAX,
        });
    }
    Ok(Numbered::Now(append(connection, &ids, payload).await?))
}

/// Says whether guards would let this transaction change what it has changed, as
/// far as nobody else writes meanwhile, and what nodes would be told. It is not
/// numbered, and cannot commit.
pub(crate) async fn rehearse(connection: &mut Connection) -> Result<Vec<ChangeItem>, StoreError> {
    let pending = pending(connection).await?;
    let mut items = items(connection, pending).await?;
    covering::cover(connection, &mut items).await?;
    guarded::hold(connection, &items).await?;
    Ok(items)
}

/// Takes the log's lock, which is held to commit; answers when it was had, by the
/// one clock that all replicas share.
pub(crate) async fn lock(connection: &mut Connection) -> Result<SystemTime, StoreError> {
    let locked: Locked = diesel::sql_query(
        "SELECT pg_advisory_xact_lock(hashtext('porthouse.policy_log'))::text AS locked,
                clock_timestamp() AS time",
    )
    .get_result(connection)
    .await?;
    Ok(locked.time.into())
}

#[derive(QueryableByName)]
struct Locked {
    #[diesel(sql_type = Timestamptz)]
    time: DateTime<Utc>,
}

/// Appends to the log whose lock this transaction holds, and takes the changes
/// out of those that are pending. What is given a number here no node has applied:
/// who says so means what a log had there that has lost its end.
async fn append(
    connection: &mut Connection,
    ids: &[i64],
    payload: Vec<u8>,
) -> Result<Revision, StoreError> {
    let appended: Appended = diesel::sql_query(
        "WITH head AS (
             SELECT revision, chain FROM policy_log ORDER BY revision DESC LIMIT 1
         ), numbered AS (
             DELETE FROM policy_pending WHERE id = ANY ($1) RETURNING id
         ), appended AS (
             INSERT INTO policy_log (revision, chain, payload)
             SELECT coalesce((SELECT revision FROM head), 0) + 1,
                    sha256(coalesce((SELECT chain FROM head), '') || $2), $2
             RETURNING revision
         ), forgotten AS (
             UPDATE nodes SET applied_revision = appended.revision - 1
             FROM appended WHERE applied_revision >= appended.revision
         )
         SELECT revision, pg_notify($3, revision::text)::text AS woken,
                (SELECT count(*) FROM numbered) AS numbered
         FROM appended",
    )
    .bind::<Array<BigInt>, _>(ids)
    .bind::<Binary, _>(payload)
    .bind::<Text, _>(CHANNEL)
    .get_result(connection)
    .await?;
    if usize::try_from(appended.numbered) != Ok(ids.len()) {
        return Err(StoreError::Corrupt("policy_pending"));
    }
    revision(appended.revision)
}

#[derive(QueryableByName)]
struct Appended {
    #[diesel(sql_type = BigInt)]
    revision: i64,
    #[diesel(sql_type = BigInt)]
    numbered: i64,
}

/// A change of this transaction that has no revision yet.
#[derive(Queryable, Selectable)]
#[diesel(table_name = policy_pending)]
struct Pending {
    id: i64,
    kind: String,
    subject_id: Uuid,
    user_id: Option<Uuid>,
    name: Option<String>,
}

/// This transaction's changes, in the order they were made. Nobody else's can be
/// seen: they are numbered before they are committed.
async fn pending(connection: &mut Connection) -> Result<Vec<Pending>, StoreError> {
    let limit = i64::try_from(ITEMS_MAX + 1).expect("a small number");
    let pending: Vec<Pending> = policy_pending::table
        .order(policy_pending::id)
        .limit(limit)
        .select(Pending::as_select())
        .load(connection)
        .await?;
    if pending.len() > ITEMS_MAX {
        return Err(StoreError::TooMuch {
            items_max: ITEMS_MAX,
        });
    }
    Ok(pending)
}

/// What a pending row says.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Noted {
    Room(RoomId),
    RoomGone(RoomId, RoomName),
    Member(RoomId, UserId),
    MemberGone(RoomId, UserId),
    Session(SessionId),
    SessionGone(SessionId),
    DeviceToken(Uuid),
    UserGone(UserId),
    ApiKeyGone(ApiKeyId),
    Template(RoomId),
    TemplateGone(RoomId, NamePrefix),
    Block(RoomId, UserId),
    BlockGone(RoomId, UserId),
    /// The endpoint that is or was there, or the user whose freeport was.
    Address(Uuid, Address),
}

impl Pending {
    fn noted(self) -> Result<Noted, StoreError> {
        let subject = self.subject_id.into_bytes();
        let room = RoomId::from_bytes(subject);
        let user = self
            .user_id
            .map(|user| UserId::from_bytes(user.into_bytes()));
        let noted = match (self.kind.as_str(), user, self.name) {
            ("room", None, None) => Some(Noted::Room(room)),
            ("room_gone", None, Some(name)) => {
                name.parse().ok().map(|name| Noted::RoomGone(room, name))
            }
            ("member", Some(user), None) => Some(Noted::Member(room, user)),
            ("member_gone", Some(user), None) => Some(Noted::MemberGone(room, user)),
            ("session", None, None) => Some(Noted::Session(SessionId::from_bytes(subject))),
            ("session_gone", None, None) => {
                Some(Noted::SessionGone(SessionId::from_bytes(subject)))
            }
            ("device_token", None, None) => Some(Noted::DeviceToken(self.subject_id)),
            ("user_gone", None, None) => Some(Noted::UserGone(UserId::from_bytes(subject))),
            ("api_key_gone", None, None) => Some(Noted::ApiKeyGone(ApiKeyId::from_bytes(subject))),
            ("template", None, None) => Some(Noted::Template(room)),
            ("template_gone", None, Some(prefix)) => format!("{prefix}*")
                .parse()
                .ok()
                .map(|prefix| Noted::TemplateGone(room, prefix)),
            ("block", Some(user), None) => Some(Noted::Block(room, user)),
            ("block_gone", Some(user), None) => Some(Noted::BlockGone(room, user)),
            ("address", None, Some(name)) => name
                .parse()
                .ok()
                .map(|address| Noted::Address(self.subject_id, address)),
            _ => None,
        };
        noted.ok_or(StoreError::Corrupt("policy_pending"))
    }
}

/// What must be read to say how it stands now.
#[derive(Default)]
struct Wanted {
    rooms: Vec<Uuid>,
    members: Vec<(RoomId, UserId)>,
    sessions: Vec<Uuid>,
    devices: Vec<Uuid>,
    templates: Vec<Uuid>,
    blocks: Vec<(RoomId, UserId)>,
    addresses: Vec<(Uuid, Address)>,
}

impl Wanted {
    fn of(all: &[Noted]) -> Self {
        let mut wanted = Self::default();
        for noted in all {
            match noted {
                Noted::Room(room) => wanted.rooms.push(Uuid::from_bytes(*room.as_bytes())),
                Noted::Member(room, user) => wanted.members.push((*room, *user)),
                Noted::Session(session) => {
                    wanted.sessions.push(Uuid::from_bytes(*session.as_bytes()));
                }
                Noted::DeviceToken(token) => wanted.devices.push(*token),
                Noted::Template(template) => {
                    wanted
                        .templates
                        .push(Uuid::from_bytes(*template.as_bytes()));
                }
                Noted::Block(room, user) => wanted.blocks.push((*room, *user)),
                Noted::Address(subject, address) => {
                    wanted.addresses.push((*subject, address.clone()));
                }
                Noted::RoomGone(..)
                | Noted::MemberGone(..)
                | Noted::SessionGone(_)
                | Noted::UserGone(_)
                | Noted::ApiKeyGone(_)
                | Noted::TemplateGone(..)
                | Noted::BlockGone(..) => {}
            }
        }
        wanted
    }
}

/// What the changes come to: rooms and memberships as they stand now, and what
/// is gone. Of several changes of one kind to one thing only the last counts,
/// and what was made and is gone again needs no word that it was made.
async fn items(
    connection: &mut Connection,
    pending: Vec<Pending>,
) -> Result<Vec<ChangeItem>, StoreError> {
    let noted = pending
        .into_iter()
        .map(Pending::noted)
        .collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    let mut last: Vec<Noted> = noted
        .into_iter()
        .rev()
        .filter(|n| seen.insert(n.clone()))
        .collect();
    last.reverse();

    let wanted = Wanted::of(&last);
    let mut rooms = resolve::rooms_by_id(connection, &wanted.rooms).await?;
    let mut members = resolve::members(connection, &wanted.members).await?;
    let mut sessions = resolve::sessions_by_id(connection, &wanted.sessions).await?;
    let mut devices = device_tokens::opened_by_id(connection, &wanted.devices).await?;
    let mut templates = covering::templates_by_id(connection, &wanted.templates).await?;
    let mut blocks = kept_out::blocks(connection, &wanted.blocks).await?;
    let at_addresses = address::items(connection, &wanted.addresses).await?;
    let item = |noted| match noted {
        Noted::Room(room) => rooms.remove(&room).map(ChangeItem::Room),
        Noted::RoomGone(id, name) => Some(ChangeItem::RoomGone {
            id,
            name,
            template: None,
        }),
        Noted::Member(room, user) => members
            .remove(&(room, user))
            .map(|(member, _)| ChangeItem::Member(member)),
        Noted::MemberGone(room, user) => Some(ChangeItem::MemberGone { room, user }),
        Noted::Session(session) => sessions.remove(&session).map(ChangeItem::Session),
        Noted::DeviceToken(token) => devices
            .remove(&token)
            .map(|(hash, session)| ChangeItem::DeviceToken(hash, session)),
        Noted::SessionGone(session) => Some(ChangeItem::SessionGone(session)),
        Noted::UserGone(user) => Some(ChangeItem::UserGone(user)),
        Noted::ApiKeyGone(key) => Some(ChangeItem::ApiKeyGone(key)),
        Noted::Template(id) => templates.remove(&id).map(ChangeItem::Template),
        Noted::TemplateGone(id, prefix) => Some(ChangeItem::TemplateGone {
            id,
            prefix,
            next: None,
        }),
        Noted::Block(room, user) => blocks.remove(&(room, user)).map(ChangeItem::Block),
        Noted::BlockGone(room, user) => Some(ChangeItem::BlockGone { room, user }),
        // Several items each: told below.
        Noted::Address(..) => None,
    };
    let items = last.into_iter().filter_map(item);
    Ok(items.chain(at_addresses).collect())
}
