//! The audit log, in SQL: events in one order, each with the hash of the one
//! before. Only appends and reads: the database refuses anything else.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use prost::Message;
use sha2::{Digest, Sha256};

use super::migrate::MigrateError;
use super::page::Page;
use super::schema::audit_log;
use super::{Connection, Store, StoreError, StoreSettings};

/// Events that one statement of a check reads.
const CHECKED_AT_ONCE: i64 = 1_000;

/// An event as it is kept. What it says is the payload; the other columns are for
/// looking it up, and are checked against it.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = audit_log)]
pub(crate) struct AuditRow {
    pub(crate) number: i64,
    pub(crate) chain: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    time: DateTime<Utc>,
    actor: String,
    action: String,
}

/// What must hold of an event to be listed: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditFilter {
    pub(crate) actors: Vec<String>,
    pub(crate) actions: Vec<String>,
}

#[derive(QueryableByName)]
struct Locked {
    #[diesel(sql_type = Timestamptz)]
    time: DateTime<Utc>,
}

/// Takes the log's lock, which is held to the transaction's end; answers when it
/// was had. Whoever takes the policy log's lock too takes it after this one.
pub(crate) async fn lock(c: &mut Connection) -> QueryResult<DateTime<Utc>> {
    let locked: Locked = diesel::sql_query(
        "SELECT pg_advisory_xact_lock(hashtext('porthouse.audit_log'))::text AS locked,
                clock_timestamp() AS time",
    )
    .get_result(c)
    .await?;
    Ok(locked.time)
}

/// Appends an event, whose time is when the log's lock was had, so that the order
/// of events is that of commits.
pub(crate) async fn append(c: &mut Connection, event: &wire::AuditEvent) -> QueryResult<()> {
    let time = lock(c).await?;
    let event = wire::AuditEvent {
        time: Some(to_wire(time)),
        name: String::new(),
        chain: Vec::new(),
        ..event.clone()
    };
    diesel::sql_query(
        "WITH head AS (SELECT number, chain FROM audit_log ORDER BY number DESC LIMIT 1)
         INSERT INTO audit_log (number, chain, payload, time, actor, action)
         SELECT coalesce((SELECT number FROM head), 0) + 1,
                sha256(coalesce((SELECT chain FROM head), '') || $1), $1, $2, $3, $4",
    )
    .bind::<Binary, _>(event.encode_to_vec())
    .bind::<Timestamptz, _>(time)
    .bind::<Text, _>(&event.actor)
    .bind::<Text, _>(&event.action)
    .execute(c)
    .await?;
    Ok(())
}

/// Reads the events of a page, in order.
pub(crate) async fn page(
    c: &mut Connection,
    filter: &AuditFilter,
    page: &Page<i64>,
) -> QueryResult<Vec<AuditRow>> {
    let mut query = audit_log::table.select(AuditRow::as_select()).into_boxed();
    for actor in &filter.actors {
        query = query.filter(audit_log::actor.eq(actor));
    }
    for action in &filter.actions {
        query = query.filter(audit_log::action.eq(action));
    }
    if let Some(after) = page.after {
        query = query.filter(audit_log::number.gt(after));
    }
    query
        .order(audit_log::number)
        .limit(page.rows())
        .load(c)
        .await
}

/// The number of the last event; 0: there is none.
pub(crate) async fn head(c: &mut Connection) -> QueryResult<i64> {
    let head: Option<i64> = audit_log::table
        .select(audit_log::number)
        .order(audit_log::number.desc())
        .first(c)
        .await
        .optional()?;
    Ok(head.unwrap_or(0))
}

/// An event that was seen before: its number and hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of the last event; 0 before the first.
    pub number: i64,
    /// Its hash, 32 bytes; empty before the first.
    pub chain: Vec<u8>,
}

/// How a check of the whole log ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditChecked {
    /// Every event follows the one before, and the one that was seen before is
    /// among them. This is the last one.
    Whole(AuditHead),
    /// This row is the first that is not as it was written; why.
    Broken(i64, &'static str),
}

/// Goes through the whole log. `seen` is an event that was seen before: without
/// it nobody can tell that the end was cut off or the whole written anew.
pub(crate) async fn check(
    c: &mut Connection,
    seen: Option<&AuditHead>,
) -> Result<AuditChecked, StoreError> {
    let mut head = AuditHead {
        number: 0,
        chain: Vec::new(),
    };
    loop {
        let rows: Vec<AuditRow> = audit_log::table
            .filter(audit_log::number.gt(head.number))
            .order(audit_log::number)
            .limit(CHECKED_AT_ONCE)
            .select(AuditRow::as_select())
            .load(c)
            .await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if let Some(why) = row.breaks(&head) {
                return Ok(AuditChecked::Broken(head.number + 1, why));
            }
            if seen.is_some_and(|seen| seen.number == row.number && seen.chain != row.chain) {
                return Ok(AuditChecked::Broken(
                    row.number,
                    "it is not the event that was seen before: the log was written anew",
                ));
            }
            head = AuditHead {
                number: row.number,
                chain: row.chain,
            };
        }
    }
    match seen {
        Some(seen) if seen.number > head.number => Ok(AuditChecked::Broken(
            head.number + 1,
            "it is missing, and so are all up to the one that was seen before",
        )),
        Some(_) | None => Ok(AuditChecked::Whole(head)),
    }
}

/// Goes through the whole audit log of the database at `url`; `seen` is the head
/// that an earlier check answered, without which nobody can tell that the end was
/// cut off.
///
/// # Errors
///
/// [`MigrateError`] when the database cannot be read.
pub async fn verify_audit_log(
    url: &str,
    seen: Option<AuditHead>,
) -> Result<AuditChecked, MigrateError> {
    let checked = async {
        Store::new(url, &StoreSettings::default())?
            .snapshot::<_, StoreError>(move |c| {
                async move { check(c, seen.as_ref()).await }.boxed()
            })
            .await
    };
    checked.await.map_err(MigrateError::from)
}

impl AuditRow {
    /// Why this is not what follows `before`, if it is not.
    fn breaks(&self, before: &AuditHead) -> Option<&'static str> {
        if self.number != before.number + 1 {
            return Some("it is missing");
        }
        let mut hash = Sha256::new();
        hash.update(&before.chain);
        hash.update(&self.payload);
        if hash.finalize()[..] != self.chain[..] {
            return Some("its hash is not that of what it says and the hash before");
        }
        let Ok(event) = wire::AuditEvent::decode(&*self.payload) else {
            return Some("it cannot be read");
        };
        let columns = (Some(to_wire(self.time)), &self.actor, &self.action);
        if columns != (event.time, &event.actor, &event.action) {
            return Some("its columns are not what it says");
        }
        None
    }

    /// The event, named.
    pub(crate) fn event(self) -> Result<wire::AuditEvent, StoreError> {
        let event = wire::AuditEvent::decode(&*self.payload)
            .map_err(|_| StoreError::Corrupt("audit_log.payload"))?;
        Ok(wire::AuditEvent {
            name: format!("auditEvents/{}", self.number),
            chain: self.chain,
            ..event
        })
    }
}

fn to_wire(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_micros() * 1_000).unwrap_or(0),
    }
}
