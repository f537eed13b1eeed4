//! `ApiKeyService`. A secret leaves here once, to whoever made the key.

use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::CredentialKind;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::identity::chance;
use crate::identity::scope::{BadScope, Scope};
use crate::store::api_keys::{self, ApiKeyRow, NewApiKey};

use super::error::{ApiError, Kind};
use super::{Api, Write, label, page, resource_name, revision_to_wire, time};

/// How long a secret is taken beside the one that replaced it, unless asked.
const OVERLAP_DEFAULT: Duration = Duration::from_hours(24);
/// The same at most.
const OVERLAP_MAX: Duration = Duration::from_hours(30 * 24);

#[tonic::async_trait]
impl wire::api_key_service_server::ApiKeyService for Api {
    async fn create_api_key(
        &self,
        request: Request<wire::CreateApiKeyRequest>,
    ) -> Result<Response<wire::CreateApiKeyResponse>, Status> {
        let key = request.into_inner().api_key.unwrap_or_default();
        let secret = chance::credential(CredentialKind::ApiKey);
        let new = NewApiKey {
            id: chance::identity(),
            display_name: label::display_name("api_key.display_name", key.display_name)?,
            secret_sha256: secret.hash().as_bytes().to_vec(),
            scopes: scopes(&key.scopes)?,
            expire_time: time::future("api_key.expire_time", key.expire_time, Utc::now())?,
        };
        let (row, revision) = self
            .write(Write::Keep, move |c| {
                async move { Ok(api_keys::insert(c, &new).await?) }.boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateApiKeyResponse {
            api_key: Some(to_wire(row)),
            secret: secret.reveal(),
            revision: revision_to_wire(revision),
        }))
    }

    async fn get_api_key(
        &self,
        request: Request<wire::GetApiKeyRequest>,
    ) -> Result<Response<wire::GetApiKeyResponse>, Status> {
        let id = resource_name::api_key("name", &request.into_inner().name)?;
        let row = self
            .read(move |c| {
                async move { api_keys::by_id(c, id).await?.ok_or_else(|| absent(id)) }.boxed()
            })
            .await?;
        Ok(Response::new(wire::GetApiKeyResponse {
            api_key: Some(to_wire(row)),
        }))
    }

    async fn list_api_keys(
        &self,
        request: Request<wire::ListApiKeysRequest>,
    ) -> Result<Response<wire::ListApiKeysResponse>, Status> {
        const LISTING: &str = "api keys";
        let request = request.into_inner();
        let asked = page::read::<Uuid>(request.page_size, &request.page_token, LISTING)?;
        let read = asked.clone();
        let rows = self
            .read(move |c| async move { Ok(api_keys::page(c, &read).await?) }.boxed())
            .await?;
        let (rows, next_page_token) = page::cut(rows, &asked, LISTING, |row| row.id);
        let api_keys = rows.into_iter().map(to_wire).collect();
        Ok(Response::new(wire::ListApiKeysResponse {
            api_keys,
            next_page_token,
        }))
    }

    async fn rotate_api_key(
        &self,
        request: Request<wire::RotateApiKeyRequest>,
    ) -> Result<Response<wire::RotateApiKeyResponse>, Status> {
        let request = request.into_inner();
        let id = resource_name::api_key("name", &request.name)?;
        let overlap = request.overlap.map_or(Ok(OVERLAP_DEFAULT), |overlap| {
            time::span("overlap", overlap, Duration::ZERO, OVERLAP_MAX)
        })?;
        let until = Utc::now() + overlap;
        let secret = chance::credential(CredentialKind::ApiKey);
        let hash = secret.hash();
        let (row, revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let rotated = api_keys::rotate(c, id, hash.as_bytes(), until).await?;
                    rotated.ok_or_else(|| absent(id))
                }
                .boxed()
            })
            .await?;
        self.keys.forget(id);
        Ok(Response::new(wire::RotateApiKeyResponse {
            api_key: Some(to_wire(row)),
            secret: secret.reveal(),
            revision: revision_to_wire(revision),
        }))
    }

    async fn delete_api_key(
        &self,
        request: Request<wire::DeleteApiKeyRequest>,
    ) -> Result<Response<wire::DeleteApiKeyResponse>, Status> {
        let id = resource_name::api_key("name", &request.into_inner().name)?;
        let ((), revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let lasting = api_keys::lock_lasting(c, Scope::Admin.as_str()).await?;
                    if lasting == [id] {
                        return Err(ApiError::LastAdminKey);
                    }
                    let deleted = api_keys::delete(c, id).await?;
                    if deleted { Ok(()) } else { Err(absent(id)) }
                }
                .boxed()
            })
            .await?;
        self.keys.forget(id);
        Ok(Response::new(wire::DeleteApiKeyResponse {
            revision: revision_to_wire(revision),
        }))
    }
}

/// Scopes as they are stored: known ones, each once.
fn scopes(given: &[String]) -> Result<Vec<String>, ApiError> {
    let refuse = |rule: BadScope| ApiError::field("api_key.scopes", rule.to_string());
    let mut scopes = given
        .iter()
        .map(|scope| scope.parse::<Scope>().map_err(refuse))
        .collect::<Result<Vec<_>, _>>()?;
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(refuse(BadScope));
    }
    Ok(scopes
        .into_iter()
        .map(|scope| scope.as_str().to_owned())
        .collect())
}

fn absent(id: Uuid) -> ApiError {
    ApiError::Absent(Kind::ApiKey, format!("apiKeys/{id}"))
}

fn to_wire(row: ApiKeyRow) -> wire::ApiKey {
    wire::ApiKey {
        name: format!("apiKeys/{}", row.id),
        display_name: row.display_name,
        scopes: row.scopes,
        create_time: Some(time::to_wire(row.create_time)),
        expire_time: row.expire_time.map(time::to_wire),
        last_used_time: row.last_used_time.map(time::to_wire),
        rotate_time: row.rotate_time.map(time::to_wire),
        previous_expire_time: row
            .previous_until
            .filter(|until| *until > Utc::now())
            .map(time::to_wire),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_known_scopes_each_once() {
        let given = |texts: &[&str]| {
            scopes(
                &texts
                    .iter()
                    .map(|&text| text.to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            given(&["rooms", "users", "rooms"]),
            Ok(vec!["users".into(), "rooms".into()])
        );
        assert!(given(&[]).is_err());
        assert!(given(&["rooms", "root"]).is_err());
    }
}
