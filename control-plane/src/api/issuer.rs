//! `IssuerService`: identity providers trusted, changed and withdrawn. Fetches
//! nothing and judges no token.

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::Revision;
use tonic::{Request, Response, Status};

use crate::identity::chance;
use crate::issuer::{SESSIONS_PER_WRITE_MAX, end_rest, end_slice};
use crate::store::Connection;
use crate::store::issuers::{self, IssuerRow, NewIssuer};

use super::error::{ApiError, Kind};
use super::issuer_columns::{Field, PATHS, Written, identity, to_wire};
use super::{Api, Write, etag, mask, page, resource_name, revision_to_wire};

/// The most issuers that are trusted.
const ISSUERS_MAX: usize = 64;

#[tonic::async_trait]
impl wire::issuer_service_server::IssuerService for Api {
    async fn create_issuer(
        &self,
        request: Request<wire::CreateIssuerRequest>,
    ) -> Result<Response<wire::CreateIssuerResponse>, Status> {
        let request = request.into_inner();
        let name: resource_name::IssuerName = resource_name::id("issuer_id", &request.issuer_id)?;
        let issuer = request.issuer.unwrap_or_default();
        let new = NewIssuer {
            id: chance::identity(),
            name: name.to_string(),
            issuer: identity("issuer.issuer", &issuer.issuer)?,
            columns: Written::read(issuer)?.into_new()?,
        };
        let (row, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    if issuers::count(c).await? >= i64::try_from(ISSUERS_MAX).unwrap_or(i64::MAX) {
                        return Err(ApiError::IssuersTooMany(ISSUERS_MAX));
                    }
                    let made = issuers::insert(c, &new).await;
                    made.map_err(|error| ApiError::taken(error, Kind::Issuer, taken(&new)))
                }
                .boxed()
            })
            .await?;
        self.sign_in.issuers.one_was_made().await;
        Ok(Response::new(wire::CreateIssuerResponse {
            issuer: Some(to_wire(row)?),
            revision: revision_to_wire(revision),
        }))
    }

    async fn get_issuer(
        &self,
        request: Request<wire::GetIssuerRequest>,
    ) -> Result<Response<wire::GetIssuerResponse>, Status> {
        let name = resource_name::issuer("name", &request.into_inner().name)?.to_string();
        let row = self
            .read(move |c| {
                async move {
                    let found = issuers::by_name(c, &name).await?;
                    found.ok_or_else(|| absent(&name))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetIssuerResponse {
            issuer: Some(to_wire(row)?),
        }))
    }

    async fn list_issuers(
        &self,
        request: Request<wire::ListIssuersRequest>,
    ) -> Result<Response<wire::ListIssuersResponse>, Status> {
        let request = request.into_inner();
        let asked = page::read(request.page_size, &request.page_token, "issuers")?;
        let read = asked.clone();
        let rows = self
            .read(move |c| async move { Ok(issuers::page(c, &read).await?) }.boxed())
            .await?;
        let (rows, next_page_token) = page::cut(rows, &asked, "issuers", |row| row.name.clone());
        Ok(Response::new(wire::ListIssuersResponse {
            issuers: rows.into_iter().map(to_wire).collect::<Result<_, _>>()?,
            next_page_token,
        }))
    }

    async fn update_issuer(
        &self,
        request: Request<wire::UpdateIssuerRequest>,
    ) -> Result<Response<wire::UpdateIssuerResponse>, Status> {
        let request = request.into_inner();
        let fields: Vec<Field> = mask::read(request.update_mask, PATHS)?;
        let issuer = request.issuer.unwrap_or_default();
        let name = resource_name::issuer("issuer.name", &issuer.name)?.to_string();
        let etag = issuer.etag.clone();
        let written = Written::read(issuer)?;
        let ((row, ended), revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let old = locked(c, &name, &etag).await?;
                    let columns = written.over(&old.columns, &fields)?;
                    if columns == old.columns {
                        return Ok((old, 0));
                    }
                    let new = issuers::update(c, &old, &columns).await?;
                    let ended = end_slice(c, &new).await?;
                    Ok((new, ended))
                }
                .boxed()
            })
            .await?;
        let revision = self.rest_ended(&row, ended, revision).await?;
        Ok(Response::new(wire::UpdateIssuerResponse {
            issuer: Some(to_wire(row)?),
            revision: revision_to_wire(revision),
        }))
    }

    async fn delete_issuer(
        &self,
        request: Request<wire::DeleteIssuerRequest>,
    ) -> Result<Response<wire::DeleteIssuerResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::issuer("name", &request.name)?.to_string();
        let write = Write::of(request.validate_only);
        let mut etag = request.etag;
        loop {
            let (name, given) = (name.clone(), std::mem::take(&mut etag));
            let (ended, revision) = self
                .write(write, move |c| {
                    async move {
                        let row = locked(c, &name, &given).await?;
                        Ok(withdraw(c, row).await?)
                    }
                    .boxed()
                })
                .await?;
            // As long as sessions are left, the issuer stays, and is disabled.
            if ended < SESSIONS_PER_WRITE_MAX || write == Write::Rehearse {
                return Ok(Response::new(wire::DeleteIssuerResponse {
                    revision: revision_to_wire(revision),
                }));
            }
        }
    }
}

impl Api {
    /// Ends what one transaction has left of a withdrawal.
    async fn rest_ended(
        &self,
        row: &IssuerRow,
        ended: usize,
        revision: Option<Revision>,
    ) -> Result<Option<Revision>, ApiError> {
        if ended < SESSIONS_PER_WRITE_MAX || revision.is_none() {
            return Ok(revision);
        }
        Ok(Some(end_rest(&self.store, row.id).await?))
    }
}

/// Ends a slice of a locked issuer's sessions, and deletes it where none are left.
async fn withdraw(
    c: &mut Connection,
    mut row: IssuerRow,
) -> Result<usize, crate::store::StoreError> {
    row.columns.disabled = true;
    let ended = end_slice(c, &row).await?;
    if ended < SESSIONS_PER_WRITE_MAX {
        issuers::delete(c, row.id).await?;
    } else {
        issuers::disable(c, row.id).await?;
    }
    Ok(ended)
}

/// The issuer to change, which nobody else changes and by which nobody signs in
/// meanwhile.
async fn locked(c: &mut Connection, name: &str, etag: &str) -> Result<IssuerRow, ApiError> {
    let found = issuers::by_name(c, name).await?;
    let found = found.ok_or_else(|| absent(name))?;
    let row = issuers::lock(c, found.id).await?;
    let row = row.ok_or_else(|| absent(name))?;
    if etag::holds(etag, row.id, row.version) {
        Ok(row)
    } else {
        Err(ApiError::Stale(Kind::Issuer, full_name(name)))
    }
}

fn taken(new: &NewIssuer) -> String {
    format!("{}, or an issuer of this `issuer`,", full_name(&new.name))
}

fn full_name(name: &str) -> String {
    format!("issuers/{name}")
}

fn absent(name: &str) -> ApiError {
    ApiError::Absent(Kind::Issuer, full_name(name))
}
