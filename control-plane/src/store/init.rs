//! A new database's first API key, without which nobody could make another.

use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use porthouse_model::{Credential, CredentialKind};

use crate::identity::chance;
use crate::identity::scope::{BadScope, Scope};

use super::api_keys::{self, NewApiKey};
use super::{Store, StoreError, StoreSettings};

/// Why there is no first key.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a key with the scope `admin`, so there was a first one.
    #[error("there is an API key with the scope `admin` already; make others with it")]
    Done,
    /// Not a scope; the text says which are.
    #[error("{0}")]
    Scope(String),
    /// The database cannot be used; the text says what to do.
    #[error("{0}")]
    Database(String),
}

impl From<StoreError> for InitError {
    fn from(error: StoreError) -> Self {
        Self::Database(error.to_string())
    }
}

impl From<diesel::result::Error> for InitError {
    fn from(error: diesel::result::Error) -> Self {
        StoreError::from(error).into()
    }
}

/// Makes the first API key of the database at `url`, with the scope `admin` and
/// without expiry, and answers it, this once.
///
/// # Errors
///
/// [`InitError::Done`] when there is one; [`InitError::Database`] when the
/// database cannot be used.
pub async fn init(url: &str) -> Result<String, InitError> {
    make(
        url,
        "the first key".to_owned(),
        vec![Scope::Admin],
        First::Must,
    )
    .await
}

/// Makes an API key with these scopes and without expiry, for whoever may write
/// to the database at `url`, and answers it, this once.
///
/// # Errors
///
/// [`InitError::Scope`] when one is none; [`InitError::Database`] when the
/// database cannot be used.
pub async fn issue_api_key(
    url: &str,
    display_name: &str,
    scopes: &[&str],
) -> Result<String, InitError> {
    let scopes = scopes
        .iter()
        .map(|scope| {
            scope
                .parse()
                .map_err(|bad: BadScope| InitError::Scope(bad.to_string()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    make(url, display_name.to_owned(), scopes, First::May).await
}

/// Whether `key` is one that the database at `url` has now, with this scope.
///
/// # Errors
///
/// [`InitError::Database`] when the database cannot be used.
pub async fn api_key_opens(url: &str, key: &str, scope: &str) -> Result<bool, InitError> {
    let Ok(credential) = Credential::parse(CredentialKind::ApiKey, key) else {
        return Ok(false);
    };
    let hash = credential.hash();
    let row = Store::new(url, &StoreSettings::default())?
        .snapshot::<_, InitError>(move |c| {
            async move { Ok(api_keys::by_hash(c, &hash).await?) }.boxed()
        })
        .await?;
    Ok(row.is_some_and(|row| row.scopes.iter().any(|has| has == scope)))
}

/// Whether a key is made only where there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Must,
    May,
}

async fn make(
    url: &str,
    display_name: String,
    scopes: Vec<Scope>,
    first: First,
) -> Result<String, InitError> {
    let secret = chance::credential(CredentialKind::ApiKey);
    let key = NewApiKey {
        id: chance::identity(),
        display_name,
        secret_sha256: secret.hash().as_bytes().to_vec(),
        by_certificate: false,
        scopes: scopes.iter().map(ToString::to_string).collect(),
        expire_time: None,
    };
    Store::new(url, &StoreSettings::default())?
        .write::<_, InitError>(move |c| {
            async move {
                if first == First::Must {
                    // Two at once: one waits, and finds the other's key.
                    diesel::sql_query("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE")
                        .execute(c)
                        .await?;
                    if !api_keys::lock_lasting(c, Scope::Admin.as_str())
                        .await?
                        .is_empty()
                    {
                        return Err(InitError::Done);
                    }
                }
                Ok(api_keys::insert(c, &key).await?)
            }
            .boxed()
        })
        .await?;
    Ok(secret.reveal())
}
