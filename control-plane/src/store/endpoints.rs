//! Endpoints, in SQL. Nodes are told of changes by the log; nothing is decided
//! here.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use porthouse_model::Address;
use uuid::Uuid;

use super::Connection;
use super::page::Page;
use super::schema::{endpoints, users};

/// What may be changed of an endpoint, as columns.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = endpoints, treat_none_as_null = true)]
pub(crate) struct EndpointColumns {
    pub(crate) owner_id: Option<Uuid>,
    /// None: the owner's freeport.
    pub(crate) rooms: Vec<String>,
    /// `anyone`, `users` or `owner`.
    pub(crate) access: String,
}

/// An endpoint as it stands.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = endpoints)]
pub(crate) struct EndpointRow {
    pub(crate) id: Uuid,
    pub(crate) address: String,
    #[diesel(embed)]
    pub(crate) columns: EndpointColumns,
    pub(crate) version: i64,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) update_time: DateTime<Utc>,
}

/// An endpoint to make.
#[derive(Insertable)]
#[diesel(table_name = endpoints)]
pub(crate) struct NewEndpoint {
    pub(crate) id: Uuid,
    pub(crate) address: String,
    #[diesel(embed)]
    pub(crate) columns: EndpointColumns,
}

/// Makes an endpoint. A taken address is a unique violation.
pub(crate) async fn insert(c: &mut Connection, new: &NewEndpoint) -> QueryResult<EndpointRow> {
    diesel::insert_into(endpoints::table)
        .values(new)
        .returning(EndpointRow::as_returning())
        .get_result(c)
        .await
}

/// Reads an endpoint, with its owner's name.
pub(crate) async fn by_address(
    c: &mut Connection,
    address: &Address,
) -> QueryResult<Option<(EndpointRow, Option<String>)>> {
    endpoints::table
        .left_join(users::table.on(endpoints::owner_id.eq(users::id.nullable())))
        .filter(endpoints::address.eq(address.as_str()))
        .select((EndpointRow::as_select(), users::username.nullable()))
        .first(c)
        .await
        .optional()
}

/// Reads an endpoint and keeps others from changing it until the transaction
/// ends.
pub(crate) async fn lock(
    c: &mut Connection,
    address: &Address,
) -> QueryResult<Option<EndpointRow>> {
    endpoints::table
        .filter(endpoints::address.eq(address.as_str()))
        .select(EndpointRow::as_select())
        .for_update()
        .first(c)
        .await
        .optional()
}

/// Reads the endpoints of a page, all or an owner's, with their owners' names,
/// ordered by address.
pub(crate) async fn page(
    c: &mut Connection,
    owner: Option<Uuid>,
    page: &Page<String>,
) -> QueryResult<Vec<(EndpointRow, Option<String>)>> {
    let mut query = endpoints::table
        .left_join(users::table.on(endpoints::owner_id.eq(users::id.nullable())))
        .select((EndpointRow::as_select(), users::username.nullable()))
        .into_boxed();
    if let Some(owner) = owner {
        query = query.filter(endpoints::owner_id.eq(owner));
    }
    if let Some(after) = &page.after {
        query = query.filter(endpoints::address.gt(after));
    }
    query
        .order(endpoints::address)
        .limit(page.rows())
        .load(c)
        .await
}

/// Changes an endpoint.
pub(crate) async fn update(
    c: &mut Connection,
    id: Uuid,
    columns: &EndpointColumns,
) -> QueryResult<EndpointRow> {
    diesel::update(endpoints::table.find(id))
        .set((
            columns,
            endpoints::version.eq(endpoints::version + 1),
            endpoints::update_time.eq(diesel::dsl::now),
        ))
        .returning(EndpointRow::as_returning())
        .get_result(c)
        .await
}

/// Withdraws an endpoint.
pub(crate) async fn delete(c: &mut Connection, id: Uuid) -> QueryResult<()> {
    diesel::delete(endpoints::table.find(id)).execute(c).await?;
    Ok(())
}
