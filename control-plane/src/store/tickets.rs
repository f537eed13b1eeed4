//! Tickets, in SQL. That one opens one socket is one UPDATE here, whatever the number
//! of nodes and replicas that are asked at once.

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Text};
use diesel_async::RunQueryDsl;
use porthouse_model::TokenHash;
use uuid::Uuid;

use super::Connection;
use super::schema::{sessions, tickets, users};

/// Tickets of one session that wait at once; of more the oldest goes.
const TICKETS_PER_SESSION_MAX: i64 = 64;

/// A ticket to be made.
#[derive(Insertable)]
#[diesel(table_name = tickets)]
pub(crate) struct NewTicket {
    pub(crate) ticket_sha256: Vec<u8>,
    pub(crate) session_id: Uuid,
    pub(crate) origin: String,
    pub(crate) path: String,
    pub(crate) expire_time: DateTime<Utc>,
}

/// The live session of a token, if its user is enabled.
pub(crate) async fn session_of(c: &mut Connection, token: &TokenHash) -> QueryResult<Option<Uuid>> {
    sessions::table
        .inner_join(users::table)
        .filter(sessions::token_sha256.eq(token.as_bytes().as_slice()))
        .filter(sessions::expire_time.gt(now))
        .filter(users::disabled.eq(false))
        .select(sessions::id)
        .first(c)
        .await
        .optional()
}

/// Makes a ticket.
pub(crate) async fn insert(c: &mut Connection, ticket: &NewTicket) -> QueryResult<()> {
    let own = tickets::session_id.eq(ticket.session_id);
    let oldest: Vec<Vec<u8>> = tickets::table
        .filter(own)
        .order(tickets::expire_time.desc())
        .offset(TICKETS_PER_SESSION_MAX - 1)
        .select(tickets::ticket_sha256)
        .load(c)
        .await?;
    let gone = own.and(
        tickets::expire_time
            .le(now)
            .or(tickets::ticket_sha256.eq_any(oldest)),
    );
    diesel::delete(tickets::table.filter(gone))
        .execute(c)
        .await?;
    diesel::insert_into(tickets::table)
        .values(ticket)
        .execute(c)
        .await?;
    Ok(())
}

/// Uses a ticket for an upgrade; answers the session it was made for. The upgrade it
/// opened is answered the same again for 5 seconds: it may be asked about twice,
/// where an answer was lost or another node was tried.
pub(crate) async fn redeem(
    c: &mut Connection,
    ticket: &TokenHash,
    (origin, path): (&str, &str),
    upgrade: &[u8],
) -> QueryResult<Option<Uuid>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Uuid)]
        session_id: Uuid,
    }
    let row: Option<Row> = diesel::sql_query(
        "UPDATE tickets
         SET used_by = $4, use_time = coalesce(use_time, clock_timestamp())
         WHERE ticket_sha256 = $1 AND origin = $2 AND path = $3
           AND (used_by IS NULL AND expire_time > clock_timestamp()
             OR used_by = $4 AND use_time > clock_timestamp() - interval '5 seconds')
         RETURNING session_id",
    )
    .bind::<Binary, _>(ticket.as_bytes().as_slice())
    .bind::<Text, _>(origin)
    .bind::<Text, _>(path)
    .bind::<Binary, _>(upgrade)
    .get_result(c)
    .await
    .optional()?;
    Ok(row.map(|row| row.session_id))
}
