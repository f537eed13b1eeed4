//! Signing in by the token of an identity provider: who it names is looked up by
//! issuer and subject, never by a name, and made a user where the issuer may make
//! some. A token is a secret, and leaves here in no form.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::HEXLOWER;
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_jwt::{Refused, Token, Verified};
use porthouse_model::{CredentialKind, TokenHash, Username};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::identity::chance;
use crate::issuer::{Believed, Claims, NotBelieved, key_set};
use crate::store::Connection;
use crate::store::issuers::{self, IssuerRow};
use crate::store::users::{self, NewUser, UserRow};

use super::error::ApiError;
use super::sign_in::{ByToken, Client, Opening, Second, SignIn, SignedIn, ended};
use super::{call, label, note};

/// A token that somebody shows.
pub(crate) struct ShownToken {
    pub(crate) jwt: Zeroizing<String>,
    /// How the second factor is to come, where the user has one.
    pub(crate) second: Second,
    /// How long the session is to last; at most the longest.
    pub(crate) lifetime: Duration,
    pub(crate) client: Client,
    /// The hash of the session's token, where somebody else has drawn it.
    pub(crate) token: Option<TokenHash>,
}

impl SignIn {
    /// Takes the token of an issuer.
    ///
    /// # Errors
    ///
    /// [`ApiError::TokenRefused`], [`ApiError::TokensTooMany`], [`ApiError::IssuerAway`],
    /// [`ApiError::IssuersBusy`], or what the store says.
    pub(crate) async fn open_by_token(&self, shown: ShownToken) -> Result<SignedIn, ApiError> {
        let address = shown.client.address.clone();
        match self.open_by_right_token(shown).await {
            Err(ApiError::TokenRefused(why)) => Err(self.refuse(why, &address)),
            opened => opened,
        }
    }

    /// Counts a token that is refused, and has it noted: as often as a network is borne
    /// with, and then none before its wait is over. Only what is refused waits: nobody
    /// guesses a signature, and whoever shares the network with a broken client, or with
    /// a bully, signs in.
    fn refuse(&self, why: String, address: &str) -> ApiError {
        let event = call::event("TOKEN_REFUSED").map(|event| wire::AuditEvent {
            client_address: address.to_owned(),
            ..event
        });
        match self.refused.count(address, event) {
            Some(delay) => ApiError::TokensTooMany(delay),
            None => ApiError::TokenRefused(why),
        }
    }

    async fn open_by_right_token(&self, shown: ShownToken) -> Result<SignedIn, ApiError> {
        let token = Token::parse(&shown.jwt).map_err(|bad| refused(&bad))?;
        drop(shown.jwt);
        let Believed { issuer, verified } = match self.issuers.judge(&token).await {
            Ok(believed) => believed,
            Err(not) => {
                tracing::debug!(key = ?token.key_id(), why = ?not, "a token signs nobody in");
                return Err(not.into());
            }
        };
        let event = call::event("OK").map(|event| wire::AuditEvent {
            client_address: shown.client.address.clone(),
            ..event
        });
        let session = chance::credential(CredentialKind::Session);
        let challenge = chance::credential(CredentialKind::SignInChallenge);
        let session_hash = shown.token.unwrap_or_else(|| session.hash());
        let challenge_hash = challenge.hash();
        let sealing = self.sealing.clone();
        let (step, revision) = self
            .store
            .write(move |c| {
                async move {
                    let row = still_trusted(c, issuer, &verified).await?;
                    let user = user(c, &row, &verified).await?;
                    let event = event.map(|event| wire::AuditEvent {
                        target: format!("username={} issuer=issuers/{}", user.username, row.name),
                        ..event
                    });
                    let opening = Opening {
                        user,
                        lifetime: TimeDelta::from_std(shown.lifetime).unwrap_or(TimeDelta::MAX),
                        address: shown.client.address,
                        user_agent: shown.client.user_agent,
                        // Who shows no password is not kept waiting for wrong ones.
                        device_known: true,
                        new_mark: None,
                        second_factor_time: None,
                        by: Some(by(&row, &verified)?),
                    };
                    let hashes = (session_hash.as_bytes(), challenge_hash.as_bytes());
                    let hashes = (hashes.0.as_slice(), hashes.1.as_slice());
                    let step = opening.go_on(c, shown.second, &sealing, hashes).await?;
                    note(c, event.map(|event| step.noted(event))).await?;
                    Ok::<_, ApiError>(step)
                }
                .boxed()
            })
            .await?;
        Ok(ended(step, session, challenge, revision))
    }
}

impl From<NotBelieved> for ApiError {
    fn from(not: NotBelieved) -> Self {
        match not {
            NotBelieved::IssuerUnknown => Self::TokenRefused(
                "its `iss` is no issuer that is trusted here, byte for byte".to_owned(),
            ),
            NotBelieved::Refused(why) => refused(&why),
            NotBelieved::KeysTooOld => Self::IssuerAway,
            NotBelieved::Later(delay) => Self::IssuersBusy(delay),
            NotBelieved::Store(error) => error.into(),
        }
    }
}

fn refused(why: &impl ToString) -> ApiError {
    ApiError::TokenRefused(why.to_string())
}

/// The issuer, which is not withdrawn and keeps its key until the transaction ends.
async fn still_trusted(
    c: &mut Connection,
    issuer: uuid::Uuid,
    verified: &Verified,
) -> Result<IssuerRow, ApiError> {
    let row = issuers::hold(c, issuer).await?;
    let row = row.filter(|row| !row.columns.disabled);
    let row = row.ok_or(NotBelieved::IssuerUnknown)?;
    if key_set(&row)?.contains(verified.key) {
        Ok(row)
    } else {
        Err(refused(&Refused::KeyUnknown))
    }
}

/// What the session keeps of the token.
fn by(row: &IssuerRow, verified: &Verified) -> Result<ByToken, ApiError> {
    let until = row
        .columns
        .sessions_end_with_token
        .then(|| moment(verified));
    // Within the leeway: the session would be over.
    if let Some(over) = until.and_then(|until| (Utc::now() - until).to_std().ok()) {
        return Err(refused(&Refused::Expired(over)));
    }
    Ok(ByToken {
        issuer: row.id,
        key: verified.key.as_bytes().to_vec(),
        until,
    })
}

fn moment(verified: &Verified) -> DateTime<Utc> {
    let millis = i64::try_from(verified.expires.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Whom the token names, who may sign in, as the token describes them.
async fn user(
    c: &mut Connection,
    row: &IssuerRow,
    verified: &Verified,
) -> Result<UserRow, ApiError> {
    let claims = Claims::from_json(&row.columns.claims);
    let user = match users::lock_by_identity(c, &row.issuer, &verified.subject).await? {
        Some(user) => user,
        None if row.columns.creates_users => new_user(c, row, verified, &claims).await?,
        None => {
            return Err(refused(
                &"whom it names is no user here, and its issuer makes none",
            ));
        }
    };
    if user.disabled {
        return Err(refused(&"the user is disabled"));
    }
    let (display_name, labels) = described(&user, verified, &claims);
    if (&display_name, &labels) == (&user.display_name, &user.labels) {
        return Ok(user);
    }
    Ok(users::describe(c, user.id, &display_name, &labels).await?)
}

async fn new_user(
    c: &mut Connection,
    row: &IssuerRow,
    verified: &Verified,
    claims: &Claims,
) -> Result<UserRow, ApiError> {
    let new = |username: Username| NewUser {
        id: chance::identity(),
        username: username.as_str().to_owned(),
        display_name: String::new(),
        labels: Value::Object(serde_json::Map::new()),
        password_phc: None,
        issuer: Some(row.issuer.clone()),
        subject: Some(verified.subject.clone()),
    };
    // Below the issuer's name, so that no issuer gives somebody another's name.
    let claimed = verified.text(&claims.username).and_then(|claimed| {
        let claimed: Username = claimed.parse().ok()?;
        format!("{}.{claimed}", row.name).parse().ok()
    });
    if let Some(username) = claimed {
        if let Some(user) = users::insert_new(c, &new(username)).await? {
            return Ok(user);
        }
        // Somebody signed in with this very identity meanwhile; or the name is taken.
        let known = users::lock_by_identity(c, &row.issuer, &verified.subject).await?;
        if let Some(user) = known {
            return Ok(user);
        }
    }
    let drawn = HEXLOWER.encode(&chance::name_bytes());
    let username = format!("{}.{drawn}", row.name).parse();
    let username: Username = username.map_err(|_| ApiError::Internal)?;
    if let Some(user) = users::insert_new(c, &new(username)).await? {
        return Ok(user);
    }
    let known = users::lock_by_identity(c, &row.issuer, &verified.subject).await?;
    known.ok_or(ApiError::StoreContended)
}

/// What the user is called and labelled now. A name that a token lacks, or that does
/// not fit, stays as it is. A label is gone with its claim: who lost a group at the
/// provider is no member by it any more.
fn described(user: &UserRow, verified: &Verified, claims: &Claims) -> (String, Value) {
    let name = verified.text(&claims.display_name).map(str::to_owned);
    let name = name.and_then(|name| label::display_name("", name).ok());
    let mut labels = label::from_json(user.labels.clone());
    labels.retain(|key, _| !claims.labels.contains_key(key));
    let kept = label::to_json("", labels.clone()).unwrap_or_else(|_| user.labels.clone());
    for (key, claim) in &claims.labels {
        let value = verified.text(claim);
        if let Some(value) = value.filter(|value| label::one("", key, value).is_ok()) {
            labels.insert(key.clone(), value.to_owned());
        }
    }
    // Of more than fit none is given.
    let labels = label::to_json("", labels).unwrap_or(kept);
    (name.unwrap_or_else(|| user.display_name.clone()), labels)
}

/// Whether a token, and neither name nor password, is shown.
pub(super) fn is_alone(jwt: &str, username: &str, password: &str) -> Result<bool, ApiError> {
    match (jwt.is_empty(), username.is_empty() && password.is_empty()) {
        (true, _) => Ok(false),
        (false, true) => Ok(true),
        (false, false) => Err(ApiError::field(
            "jwt",
            "either a JWT, or `username` and `password`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_a_password_are_not_taken_together() {
        assert_eq!(is_alone("", "sana", "password"), Ok(false));
        assert_eq!(is_alone("", "", ""), Ok(false));
        assert_eq!(is_alone("a.b.c", "", ""), Ok(true));
        assert!(is_alone("a.b.c", "sana", "").is_err());
        assert!(is_alone("a.b.c", "", "password").is_err());
    }
}
