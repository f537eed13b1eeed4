//! Everything that is sealed, wherever it is kept, in SQL: by which key, and sealed
//! anew. Holds no key, and opens nothing.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;

/// Where secrets are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Users' second factors.
    SecondFactor,
    /// Codes of rooms.
    RoomCode,
    /// What rooms' hooks are shown.
    RoomHook,
    /// Codes of templates.
    TemplateCode,
    /// What templates' hooks are shown.
    TemplateHook,
}

/// A secret as it is kept.
#[derive(QueryableByName)]
pub(crate) struct Sealed {
    /// Whose it is.
    #[diesel(sql_type = SqlUuid)]
    pub(crate) id: Uuid,
    #[diesel(sql_type = Binary)]
    pub(crate) sealed: Vec<u8>,
}

/// How much is sealed under a key.
#[derive(QueryableByName)]
pub(crate) struct UnderKey {
    #[diesel(sql_type = Text)]
    pub(crate) key: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) secrets: i64,
}

impl Column {
    /// Every one.
    pub(crate) const ALL: [Self; 5] = [
        Self::SecondFactor,
        Self::RoomCode,
        Self::RoomHook,
        Self::TemplateCode,
        Self::TemplateHook,
    ];

    /// The table, its key and the column.
    const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::SecondFactor => ("second_factors", "user_id", "secret_sealed"),
            Self::RoomCode => ("rooms", "id", "code_sealed"),
            Self::RoomHook => ("rooms", "id", "hook_secret_sealed"),
            Self::TemplateCode => ("room_templates", "id", "code_sealed"),
            Self::TemplateHook => ("room_templates", "id", "hook_secret_sealed"),
        }
    }

    /// Reads the name of the key that something was sealed under: after the form and
    /// its length, as `identity::sealing` writes it.
    fn key(self) -> String {
        let (_, _, column) = self.names();
        format!(
            "CASE WHEN octet_length({column}) > 1 THEN encode(
                 substring({column} FROM 3 FOR get_byte({column}, 1)), 'escape') ELSE '' END"
        )
    }
}

/// Up to so many secrets after this one that these keys sealed, which nobody else
/// changes until the transaction ends. Passes over what others hold.
pub(crate) async fn under(
    c: &mut Connection,
    column: Column,
    after: Uuid,
    keys: &[&str],
    rows_max: i64,
) -> QueryResult<Vec<Sealed>> {
    let (table, id, sealed) = column.names();
    let key = column.key();
    diesel::sql_query(format!(
        "SELECT {id} AS id, {sealed} AS sealed FROM {table}
         WHERE {id} > $1 AND {sealed} IS NOT NULL AND {key} = ANY ($2)
         ORDER BY {id} LIMIT $3 FOR UPDATE SKIP LOCKED"
    ))
    .bind::<SqlUuid, _>(after)
    .bind::<Array<Text>, _>(keys)
    .bind::<BigInt, _>(rows_max)
    .load(c)
    .await
}

/// Keeps a secret that is held sealed so from now on.
pub(crate) async fn reseal(
    c: &mut Connection,
    column: Column,
    id: Uuid,
    resealed: &[u8],
) -> QueryResult<()> {
    let (table, key, sealed) = column.names();
    diesel::sql_query(format!("UPDATE {table} SET {sealed} = $2 WHERE {key} = $1"))
        .bind::<SqlUuid, _>(id)
        .bind::<Binary, _>(resealed)
        .execute(c)
        .await?;
    Ok(())
}

/// How much is sealed under each key, in the order of their names.
pub(crate) async fn keys(c: &mut Connection) -> QueryResult<Vec<UnderKey>> {
    let parts = Column::ALL.map(|column| {
        let (table, _, sealed) = column.names();
        let key = column.key();
        format!("SELECT {key} AS key FROM {table} WHERE {sealed} IS NOT NULL")
    });
    diesel::sql_query(format!(
        "SELECT key, count(*) AS secrets FROM ({}) AS sealed GROUP BY key
         ORDER BY key COLLATE \"C\"",
        parts.join(" UNION ALL ")
    ))
    .load(c)
    .await
}
