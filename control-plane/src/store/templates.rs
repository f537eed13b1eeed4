//! Templates of rooms, in SQL. Nodes are told of changes by the log; nothing is
//! decided here.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use porthouse_model::NamePrefix;
use serde_json::Value;
use uuid::Uuid;

use super::Connection;
use super::page::Page;
use super::schema::room_templates;

/// What may be changed of a template, as columns.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = room_templates)]
pub(crate) struct TemplateColumns {
    /// As [`super::rule`] writes them.
    pub(crate) rules: Vec<u8>,
    pub(crate) labels: Value,
}

/// A template as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = room_templates)]
pub(crate) struct TemplateRow {
    pub(crate) id: Uuid,
    /// Without the `*`.
    pub(crate) prefix: String,
    #[diesel(embed)]
    pub(crate) columns: TemplateColumns,
    /// 0: no password.
    pub(crate) password_version: i64,
    /// 0: no code.
    pub(crate) code_version: i64,
    /// 0: no hook.
    pub(crate) hook_version: i64,
    pub(crate) version: i64,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) update_time: DateTime<Utc>,
}

/// A template to make.
#[derive(Insertable)]
#[diesel(table_name = room_templates)]
pub(crate) struct NewTemplate {
    pub(crate) id: Uuid,
    pub(crate) prefix: String,
    #[diesel(embed)]
    pub(crate) columns: TemplateColumns,
    pub(crate) password_phc: Option<String>,
    /// 1 with a password, 0 without.
    pub(crate) password_version: i64,
    /// As `password_version`.
    pub(crate) password_count: i64,
}

/// Makes a template. A taken prefix is a unique violation.
pub(crate) async fn insert(c: &mut Connection, new: &NewTemplate) -> QueryResult<TemplateRow> {
    diesel::insert_into(room_templates::table)
        .values(new)
        .returning(TemplateRow::as_returning())
        .get_result(c)
        .await
}

/// Reads a template.
pub(crate) async fn by_prefix(
    c: &mut Connection,
    prefix: &NamePrefix,
) -> QueryResult<Option<TemplateRow>> {
    room_templates::table
        .filter(room_templates::prefix.eq(prefix.as_str()))
        .select(TemplateRow::as_select())
        .first(c)
        .await
        .optional()
}

/// Reads a template and keeps others from changing it until the transaction ends.
pub(crate) async fn lock(
    c: &mut Connection,
    prefix: &NamePrefix,
) -> QueryResult<Option<TemplateRow>> {
    room_templates::table
        .filter(room_templates::prefix.eq(prefix.as_str()))
        .select(TemplateRow::as_select())
        .for_update()
        .first(c)
        .await
        .optional()
}

/// Reads the templates of a page, ordered by prefix.
pub(crate) async fn page(c: &mut Connection, page: &Page<String>) -> QueryResult<Vec<TemplateRow>> {
    let mut query = room_templates::table
        .select(TemplateRow::as_select())
        .into_boxed();
    if let Some(after) = &page.after {
        query = query.filter(room_templates::prefix.gt(after));
    }
    query
        .order(room_templates::prefix)
        .limit(page.rows())
        .load(c)
        .await
}

/// Changes a template.
pub(crate) async fn update(
    c: &mut Connection,
    id: Uuid,
    columns: &TemplateColumns,
) -> QueryResult<TemplateRow> {
    diesel::update(room_templates::table.find(id))
        .set((
            columns,
            room_templates::version.eq(room_templates::version + 1),
            room_templates::update_time.eq(diesel::dsl::now),
        ))
        .returning(TemplateRow::as_returning())
        .get_result(c)
        .await
}

/// Replaces a template's password by one of a new version.
pub(crate) async fn set_password(
    c: &mut Connection,
    id: Uuid,
    phc: &str,
) -> QueryResult<TemplateRow> {
    diesel::update(room_templates::table.find(id))
        .set((
            room_templates::password_phc.eq(phc),
            room_templates::password_version.eq(room_templates::password_count + 1),
            room_templates::password_count.eq(room_templates::password_count + 1),
            room_templates::version.eq(room_templates::version + 1),
            room_templates::update_time.eq(diesel::dsl::now),
        ))
        .returning(TemplateRow::as_returning())
        .get_result(c)
        .await
}

/// Takes a template's password away.
pub(crate) async fn clear_password(c: &mut Connection, id: Uuid) -> QueryResult<TemplateRow> {
    diesel::update(room_templates::table.find(id))
        .set((
            room_templates::password_phc.eq(None::<String>),
            room_templates::password_version.eq(0),
            room_templates::version.eq(room_templates::version + 1),
            room_templates::update_time.eq(diesel::dsl::now),
        ))
        .returning(TemplateRow::as_returning())
        .get_result(c)
        .await
}

/// Deletes a template.
pub(crate) async fn delete(c: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::delete(room_templates::table.find(id))
        .execute(c)
        .await?;
    Ok(())
}
