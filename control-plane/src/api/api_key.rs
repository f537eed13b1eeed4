//! `ApiKeyService`. A secret leaves here once, to whoever made the key.

use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{Credential, CredentialKind, TokenHash};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::identity::scope::{BadScope, Scope};
use crate::identity::{certificate, chance};
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
        let request = request.into_inner();
        let key = request.api_key.unwrap_or_default();
        let shows = Shows::new(&request.certificate)?;
        let new = NewApiKey {
            id: chance::identity(),
            display_name: label::display_name("api_key.display_name", key.display_name)?,
            secret_sha256: shows.hash().as_bytes().to_vec(),
            by_certificate: shows.by_certificate(),
            scopes: shows.fitting(scopes(&key.scopes)?)?,
            expire_time: time::future("api_key.expire_time", key.expire_time, Utc::now())?,
        };
        let (row, revision) = self
            .write(Write::Keep, move |c| {
                async move { api_keys::insert(c, &new).await.map_err(taken) }.boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateApiKeyResponse {
            api_key: Some(to_wire(row)),
            secret: shows.reveal(),
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
        let shows = Shows::new(&request.certificate)?;
        let (hash, by_certificate) = (shows.hash(), shows.by_certificate());
        let fits = shows.clone();
        let (row, revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let shows = (hash.as_bytes().as_slice(), by_certificate);
                    let rotated = api_keys::rotate(c, id, shows, until).await;
                    let row = rotated.map_err(taken)?.ok_or_else(|| absent(id))?;
                    fits.fitting(row.scopes.clone())?;
                    Ok(row)
                }
                .boxed()
            })
            .await?;
        self.keys.forget(id);
        Ok(Response::new(wire::RotateApiKeyResponse {
            api_key: Some(to_wire(row)),
            secret: shows.reveal(),
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

/// By what whoever calls shows a key.
#[derive(Clone)]
enum Shows {
    /// A secret that was drawn.
    Secret(Credential),
    /// A certificate that was given.
    Certificate(TokenHash),
}

impl Shows {
    /// The certificate that was given, or else a new secret.
    fn new(certificate: &str) -> Result<Self, ApiError> {
        if certificate.is_empty() {
            return Ok(Self::Secret(chance::credential(CredentialKind::ApiKey)));
        }
        let key = certificate::read(certificate);
        let key = key.ok_or_else(|| ApiError::field("certificate", certificate::RULE))?;
        Ok(Self::Certificate(key))
    }

    /// The scopes, if they are of a key that is shown so. An admin's is not a
    /// certificate: where TLS is not spoken that opens nothing, and nobody could mend it.
    fn fitting(&self, scopes: Vec<String>) -> Result<Vec<String>, ApiError> {
        let admin = scopes.iter().any(|scope| scope == Scope::Admin.as_str());
        if admin && self.by_certificate() {
            let rule = "no key with the scope `admin`, which must open wherever TLS is not spoken";
            return Err(ApiError::field("certificate", rule));
        }
        Ok(scopes)
    }

    fn hash(&self) -> TokenHash {
        match self {
            Self::Secret(secret) => secret.hash(),
            Self::Certificate(key) => *key,
        }
    }

    const fn by_certificate(&self) -> bool {
        matches!(self, Self::Certificate(_))
    }

    /// The secret, to whoever made it; of a certificate there is none here.
    fn reveal(&self) -> String {
        match self {
            Self::Secret(secret) => secret.reveal(),
            Self::Certificate(_) => String::new(),
        }
    }
}

/// Of all that is written only a certificate may be another key's.
fn taken(error: diesel::result::Error) -> ApiError {
    ApiError::taken(error, Kind::ApiKey, "of this certificate".to_owned())
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
        certificate_sha256: row
            .certificate()
            .map(certificate::shown)
            .unwrap_or_default(),
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
