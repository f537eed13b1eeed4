//! Signing in: from a name and a password to a session. Owns the order of the
//! steps, so that who does not exist, may not sign in or has no password costs
//! and says what a wrong password does.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::FutureExt;
use porthouse_model::{Credential, CredentialKind, Revision, Username};

use crate::identity::chance;
use crate::identity::hashing::{Hashing, Verified};
use crate::identity::password::Password;
use crate::identity::turns::Asker;
use crate::store::Store;
use crate::store::sessions::{self, NewSession, SessionRow};
use crate::store::users::{self, UserRow};

use super::error::ApiError;

/// The most live sessions of a user; with one more the oldest ends.
const SESSIONS_PER_USER_MAX: i64 = 256;

/// Opens sessions.
#[derive(Clone)]
pub(crate) struct SignIn {
    pub(crate) store: Store,
    pub(crate) hashing: Hashing,
    /// The longest a session may last, and how long it does unless asked.
    pub(crate) lifetime_max: Duration,
}

/// Somebody's answer at the door.
pub(crate) struct Answer {
    pub(crate) username: Username,
    pub(crate) password: Password,
    /// How long the session is to last; at most the longest.
    pub(crate) lifetime: Duration,
    /// Where it came from, for people to read; empty: unknown.
    pub(crate) address: String,
    /// Whose turn it takes to have the password checked.
    pub(crate) asker: Asker,
}

/// A session that was opened.
pub(crate) struct Opened {
    pub(crate) session: SessionRow,
    pub(crate) user: UserRow,
    pub(crate) token: Credential,
    pub(crate) revision: Revision,
}

impl SignIn {
    /// Opens a session for the right answer.
    ///
    /// # Errors
    ///
    /// [`ApiError::CredentialsWrong`], [`ApiError::HashingBusy`], or what the
    /// store says.
    pub(crate) async fn open(&self, answer: Answer) -> Result<Opened, ApiError> {
        let user = self.find(answer.username.clone()).await?;
        let kept = user.as_ref().and_then(|user| user.password_phc.clone());
        let rehashed = match self
            .hashing
            .verify(answer.asker, answer.password, kept)
            .await?
        {
            Verified::Wrong => return Err(ApiError::CredentialsWrong),
            Verified::Right => None,
            Verified::RightKeepAs(phc) => Some(phc),
        };
        let verified = user.ok_or(ApiError::CredentialsWrong)?;
        let token = chance::credential(CredentialKind::Session);
        let new = NewSession {
            id: chance::identity(),
            user_id: verified.id,
            token_sha256: token.hash().as_bytes().to_vec(),
            expire_time: Utc::now()
                + TimeDelta::from_std(answer.lifetime).unwrap_or(TimeDelta::MAX),
            client_address: answer.address,
        };
        let ((session, user), revision) = self
            .store
            .write(move |c| {
                async move {
                    let user = users::lock(c, &answer.username)
                        .await?
                        .filter(|user| may_sign_in(user, &verified))
                        .ok_or(ApiError::CredentialsWrong)?;
                    if let (Some(old), Some(new)) = (&user.password_phc, rehashed) {
                        users::rehash(c, user.id, old, &new).await?;
                    }
                    sessions::make_room(c, user.id, SESSIONS_PER_USER_MAX - 1).await?;
                    Ok::<_, ApiError>((sessions::insert(c, &new).await?, user))
                }
                .boxed()
            })
            .await?;
        Ok(Opened {
            session,
            user,
            token,
            revision,
        })
    }

    async fn find(&self, name: Username) -> Result<Option<UserRow>, ApiError> {
        self.store
            .snapshot(move |c| {
                async move { Ok::<_, ApiError>(users::by_name(c, &name).await?) }.boxed()
            })
            .await
    }
}

/// Whether the user, as it stands now, is still the one whose password was
/// verified, and may sign in.
fn may_sign_in(now: &UserRow, verified: &UserRow) -> bool {
    now.id == verified.id && now.password_version == verified.password_version && !now.disabled
}
