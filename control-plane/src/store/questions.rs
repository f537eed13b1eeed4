//! Questions to nodes, and what they answered, in SQL: so that it does not matter
//! which replica a node watches. Believes no answer; only carries it.

use diesel::prelude::*;
use diesel::sql_types::{Binary, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::schema::{node_answers, node_questions};
use super::{Connection, StoreError};

/// The channel on which a question wakes those who hand it to nodes.
pub(crate) const ASKED: &str = "porthouse_asked";
/// The channel on which an answer wakes who asked.
pub(crate) const ANSWERED: &str = "porthouse_answered";

/// Puts a question to all nodes that watch; answers the names of those whose
/// lease lasts, in order. Questions that nobody waits for any more are taken away.
pub(crate) async fn ask(
    c: &mut Connection,
    id: Uuid,
    question: Vec<u8>,
) -> Result<Vec<String>, StoreError> {
    diesel::sql_query("DELETE FROM node_questions WHERE create_time < now() - interval '1 minute'")
        .execute(c)
        .await?;
    diesel::sql_query(
        "WITH asked AS (
             INSERT INTO node_questions (id, question) VALUES ($1, $2) RETURNING id
         )
         SELECT pg_notify($3, id::text) FROM asked",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Binary, _>(question)
    .bind::<Text, _>(ASKED)
    .execute(c)
    .await?;
    let names: Vec<Named> =
        diesel::sql_query("SELECT name FROM nodes WHERE lease_until > now() ORDER BY name")
            .load(c)
            .await?;
    Ok(names.into_iter().map(|named| named.name).collect())
}

/// A node's name.
#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Reads a question, if somebody still waits for its answer.
pub(crate) async fn question(c: &mut Connection, id: Uuid) -> QueryResult<Option<Vec<u8>>> {
    node_questions::table
        .find(id)
        .select(node_questions::question)
        .first(c)
        .await
        .optional()
}

/// Writes a node's answer down, once, if somebody waits for it.
pub(crate) async fn answer(
    c: &mut Connection,
    id: Uuid,
    node: &str,
    answer: Vec<u8>,
) -> Result<(), StoreError> {
    diesel::sql_query(
        "WITH answered AS (
             INSERT INTO node_answers (question_id, node, answer)
             SELECT id, $2, $3 FROM node_questions WHERE id = $1
             ON CONFLICT DO NOTHING RETURNING question_id
         )
         SELECT pg_notify($4, '') FROM answered",
    )
    .bind::<SqlUuid, _>(id)
    .bind::<Text, _>(node)
    .bind::<Binary, _>(answer)
    .bind::<Text, _>(ANSWERED)
    .execute(c)
    .await?;
    Ok(())
}

/// What nodes have answered so far, ordered by their names.
pub(crate) async fn answers(c: &mut Connection, id: Uuid) -> QueryResult<Vec<(String, Vec<u8>)>> {
    node_answers::table
        .filter(node_answers::question_id.eq(id))
        .order(node_answers::node)
        .select((node_answers::node, node_answers::answer))
        .load(c)
        .await
}

/// Nobody waits for an answer any more.
pub(crate) async fn forget(c: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::delete(node_questions::table.find(id))
        .execute(c)
        .await?;
    Ok(())
}
