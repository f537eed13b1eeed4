//! Which template covers a name, as nodes are told: the one with the longest
//! prefix. Never writes.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use diesel::sql_types::{Array, Text};
use diesel_async::RunQueryDsl;
use porthouse_model::{ChangeItem, RoomId, Template};
use uuid::Uuid;

use super::rule::SecretVersions;
use super::schema::room_templates;
use super::{Connection, StoreError, rule};

/// The templates of these identities that are there.
pub(crate) async fn templates_by_id(
    connection: &mut Connection,
    ids: &[Uuid],
) -> Result<HashMap<RoomId, Template>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Row> = room_templates::table
        .filter(room_templates::id.eq_any(ids))
        .select(Row::as_select())
        .load(connection)
        .await?;
    rows.into_iter()
        .map(|row| {
            let template = row.template()?;
            Ok((template.id, template))
        })
        .collect()
}

/// The longest of all prefixes with which each of these texts begins, where one
/// does.
pub(crate) async fn templates_covering(
    connection: &mut Connection,
    texts: &[&str],
) -> Result<HashMap<String, Template>, StoreError> {
    if texts.is_empty() {
        return Ok(HashMap::new());
    }
    // A text has few beginnings, each of which the index finds or does not.
    let rows: Vec<Covering> = diesel::sql_query(
        "SELECT covered.name, template.*
         FROM unnest($1) AS covered (name)
         CROSS JOIN LATERAL (
             SELECT id, prefix, rules, password_version, code_version, hook_version
             FROM room_templates
             WHERE prefix = ANY (ARRAY(
                 SELECT left(covered.name, length)
                 FROM generate_series(1, length(covered.name)) AS length))
             ORDER BY length(prefix) DESC LIMIT 1
         ) AS template",
    )
    .bind::<Array<Text>, _>(texts)
    .load(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.name, row.template.template()?)))
        .collect()
}

/// Says of rooms and templates that are gone what covers their names now. Read
/// under the log's lock: every template that was told of before is seen, and none
/// that will be told of later.
pub(super) async fn cover(
    connection: &mut Connection,
    items: &mut [ChangeItem],
) -> Result<(), StoreError> {
    let texts: BTreeSet<String> = items
        .iter_mut()
        .filter_map(uncovered)
        .map(|(text, _)| text)
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let found = templates_covering(connection, &texts).await?;
    for (text, covering) in items.iter_mut().filter_map(uncovered) {
        *covering = found.get(&text).cloned();
    }
    Ok(())
}

/// What a change leaves to be covered, and where that is said.
fn uncovered(item: &mut ChangeItem) -> Option<(String, &mut Option<Template>)> {
    match item {
        ChangeItem::RoomGone { name, template, .. } => Some((name.as_str().to_owned(), template)),
        ChangeItem::TemplateGone { prefix, next, .. } => Some((prefix.as_str().to_owned(), next)),
        ChangeItem::Room(_)
        | ChangeItem::Template(_)
        | ChangeItem::Member(_)
        | ChangeItem::MemberGone { .. }
        | ChangeItem::Session(_)
        | ChangeItem::DeviceToken(..)
        | ChangeItem::Block(_)
        | ChangeItem::BlockGone { .. }
        | ChangeItem::SessionGone(_)
        | ChangeItem::UserGone(_)
        | ChangeItem::ApiKeyGone(_)
        | ChangeItem::Endpoint(_)
        | ChangeItem::EndpointGone(_) => None,
    }
}

/// A template as it stands in its table.
#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = room_templates)]
struct Row {
    id: Uuid,
    prefix: String,
    rules: Vec<u8>,
    password_version: i64,
    code_version: i64,
    hook_version: i64,
}

impl Row {
    fn template(self) -> Result<Template, StoreError> {
        let versions = SecretVersions::of_columns(
            self.password_version,
            self.code_version,
            self.hook_version,
        )?;
        let rules = rule::in_force(rule::decode(&self.rules)?, false, versions);
        Ok(Template {
            id: RoomId::from_bytes(self.id.into_bytes()),
            prefix: format!("{}*", self.prefix)
                .parse()
                .map_err(|_| StoreError::Corrupt("room_templates.prefix"))?,
            rules: Box::new(rules),
        })
    }
}

/// A text, and the template that covers it.
#[derive(QueryableByName)]
struct Covering {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(embed)]
    template: Row,
}
