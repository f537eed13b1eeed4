//! Signing in: from a name and a password, and a code where the user has a second
//! factor, to a session. Owns the order of the steps, so that who does not exist,
//! may not sign in or has no password costs and says what a wrong password does,
//! and so that nobody learns whether a code is asked for who has no password.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use porthouse_model::{Credential, CredentialKind, Revision, Username};

use crate::identity::chance;
use crate::identity::hashing::{Hashing, Verified};
use crate::identity::password::Password;
use crate::identity::turns::Asker;
use crate::store::challenges::{self, ChallengeRow};
use crate::store::sessions::{self, NewSession, SessionRow};
use crate::store::users::{self, UserRow};
use crate::store::{Connection, Store, second_factors};

use super::code_check::{self, Checked, Given};
use super::error::ApiError;
use super::lockout::Attempt;
use super::sealing::Sealing;

/// The most live sessions of a user; with one more the oldest ends.
const SESSIONS_PER_USER_MAX: i64 = 256;
/// How long a sign-in waits for its code.
const CHALLENGE_TIME_MAX: TimeDelta = TimeDelta::minutes(5);

/// Opens sessions.
#[derive(Clone)]
pub(crate) struct SignIn {
    pub(crate) store: Store,
    pub(crate) hashing: Hashing,
    pub(crate) sealing: Sealing,
    /// The longest a session may last, and how long it does unless asked.
    pub(crate) lifetime_max: Duration,
}

/// Where an answer comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// Its address; empty: unknown.
    pub(crate) address: String,
    /// What it says it is, for people to read.
    pub(crate) user_agent: String,
    /// The mark it was given when somebody signed in on it before.
    pub(crate) mark: Option<Credential>,
}

/// Somebody's answer at the door.
pub(crate) struct Answer {
    pub(crate) username: Username,
    pub(crate) password: Password,
    /// How the second factor is to come, where there is one.
    pub(crate) second: Second,
    /// How long the session is to last; at most the longest.
    pub(crate) lifetime: Duration,
    pub(crate) client: Client,
    /// Whose turn it takes to have the password checked.
    pub(crate) asker: Asker,
}

/// How the second factor comes.
pub(crate) enum Second {
    /// Later, by a challenge.
    Later,
    /// Along with the password, if at all.
    Along(Option<Given>),
}

/// How signing in went, the password being right.
pub(crate) enum SignedIn {
    /// The session is open.
    Opened(Box<Opened>),
    /// A code is needed, which completes this.
    Challenged(Credential, DateTime<Utc>),
    /// A code is needed and was not there, or did not count.
    Not(Checked),
}

/// A session that was opened.
pub(crate) struct Opened {
    pub(crate) session: SessionRow,
    pub(crate) user: UserRow,
    pub(crate) token: Credential,
    pub(crate) revision: Revision,
    /// The mark that the client is known by from now on; none: it has one.
    pub(crate) mark: Option<Credential>,
}

/// A session to be opened, once everything was right.
struct Opening {
    user: UserRow,
    lifetime: TimeDelta,
    address: String,
    user_agent: String,
    device_known: bool,
    second_factor_time: Option<DateTime<Utc>>,
}

/// What one transaction came to.
enum Step {
    Opened(SessionRow, UserRow, Option<Credential>),
    Challenged(DateTime<Utc>),
    Not(Checked),
}

impl SignIn {
    /// Takes a name and a password.
    ///
    /// # Errors
    ///
    /// [`ApiError::CredentialsWrong`], [`ApiError::AttemptsTooMany`],
    /// [`ApiError::HashingBusy`], or what the store says.
    pub(crate) async fn open(&self, answer: Answer) -> Result<SignedIn, ApiError> {
        let Answer {
            username, client, ..
        } = answer;
        let mark = client.mark.as_ref().map(Credential::hash);
        let (found, attempt, device_known) = {
            let (name, address) = (username.clone(), client.address.clone());
            let begun = self.store.transact(move |c| {
                async move {
                    let found = users::by_name(c, &name).await?;
                    let device = match mark {
                        Some(mark) => challenges::device(c, found.as_ref(), &mark).await?,
                        None => None,
                    };
                    let attempt = Attempt::new(&name, device, &address);
                    match attempt.begin(c).await? {
                        Some(delay) => Err(ApiError::AttemptsTooMany(delay)),
                        None => Ok((found, attempt, device.is_some())),
                    }
                }
                .boxed()
            });
            begun.await?
        };
        let kept = found.as_ref().and_then(|user| user.password_phc.clone());
        let verified = self.hashing.verify(answer.asker, answer.password, kept);
        let rehashed = match verified.await {
            Ok(Verified::Wrong) => return Err(ApiError::CredentialsWrong),
            Ok(Verified::Right) => None,
            Ok(Verified::RightKeepAs(phc)) => Some(phc),
            Err(busy) => {
                self.store
                    .transact::<_, ApiError>(move |c| {
                        async move { Ok(attempt.take_back(c).await?) }.boxed()
                    })
                    .await?;
                return Err(busy.into());
            }
        };
        let verified = found.ok_or(ApiError::CredentialsWrong)?;
        let token = chance::credential(CredentialKind::Session);
        let challenge = chance::credential(CredentialKind::SignInChallenge);
        let (session_hash, challenge_hash) = (token.hash(), challenge.hash());
        let sealing = self.sealing.clone();
        let (step, revision) = self
            .store
            .write(move |c| {
                async move {
                    let user = users::lock(c, &username)
                        .await?
                        .filter(|user| may_sign_in(user, &verified))
                        .ok_or(ApiError::CredentialsWrong)?;
                    if let (Some(old), Some(new)) = (&user.password_phc, rehashed) {
                        users::rehash(c, user.id, old, &new).await?;
                    }
                    attempt.forgive(c).await?;
                    let opening = Opening {
                        user,
                        lifetime: TimeDelta::from_std(answer.lifetime).unwrap_or(TimeDelta::MAX),
                        address: client.address,
                        user_agent: client.user_agent,
                        device_known,
                        second_factor_time: None,
                    };
                    if !has_second_factor(c, &opening.user).await? {
                        return opening.open(c, session_hash.as_bytes()).await;
                    }
                    match answer.second {
                        Second::Later => opening.wait(c, challenge_hash.as_bytes()).await,
                        Second::Along(None) => Ok(Step::Not(Checked::Wrong)),
                        Second::Along(Some(given)) => {
                            opening
                                .show(c, &sealing, &given, session_hash.as_bytes())
                                .await
                        }
                    }
                }
                .boxed()
            })
            .await?;
        Ok(ended(step, token, challenge, revision))
    }

    /// Goes on with a sign-in that waits for its code.
    ///
    /// # Errors
    ///
    /// [`ApiError::ChallengeGone`] where there is none, or what the store says.
    pub(crate) async fn complete(
        &self,
        challenge: Credential,
        given: Given,
    ) -> Result<SignedIn, ApiError> {
        let token = chance::credential(CredentialKind::Session);
        let (session_hash, waiting) = (token.hash(), challenge.hash());
        let sealing = self.sealing.clone();
        let (step, revision) = self
            .store
            .write(move |c| {
                async move {
                    let (row, user) = challenges::lock(c, &waiting)
                        .await?
                        .filter(|(row, user)| {
                            user.password_version == row.password_version && !user.disabled
                        })
                        .ok_or(ApiError::ChallengeGone)?;
                    let opening = Opening {
                        user,
                        lifetime: TimeDelta::milliseconds(row.lifetime_ms),
                        address: row.client_address,
                        user_agent: row.user_agent,
                        device_known: row.device_known,
                        second_factor_time: None,
                    };
                    let step = opening.show(c, &sealing, &given, session_hash.as_bytes());
                    let step = step.await?;
                    if matches!(step, Step::Opened(..)) {
                        challenges::delete(c, &waiting).await?;
                    }
                    Ok::<_, ApiError>(step)
                }
                .boxed()
            })
            .await?;
        match step {
            // The second factor is gone: whoever signs in anew needs none.
            Step::Not(Checked::NotEnrolled) => Err(ApiError::ChallengeGone),
            step @ (Step::Opened(..) | Step::Challenged(_) | Step::Not(_)) => {
                Ok(ended(step, token, challenge, revision))
            }
        }
    }
}

impl Opening {
    /// Checks a code, and opens the session if it counts.
    async fn show(
        mut self,
        c: &mut Connection,
        sealing: &Sealing,
        given: &Given,
        token_sha256: &[u8],
    ) -> Result<Step, ApiError> {
        match code_check::check(c, sealing, self.user.id, given).await? {
            Checked::Right => {
                self.second_factor_time = Some(Utc::now());
                self.open(c, token_sha256).await
            }
            not @ (Checked::Wrong | Checked::Later(_) | Checked::NotEnrolled) => Ok(Step::Not(not)),
        }
    }

    async fn open(self, c: &mut Connection, token_sha256: &[u8]) -> Result<Step, ApiError> {
        sessions::make_room(c, self.user.id, SESSIONS_PER_USER_MAX - 1).await?;
        let new = NewSession {
            id: chance::identity(),
            user_id: self.user.id,
            token_sha256: token_sha256.to_vec(),
            expire_time: Utc::now() + self.lifetime,
            client_address: self.address,
            user_agent: self.user_agent,
            second_factor_time: self.second_factor_time,
        };
        let session = sessions::insert(c, &new).await?;
        let mut mark = None;
        if !self.device_known {
            let new = chance::credential(CredentialKind::Device);
            challenges::know_device(c, &self.user, chance::identity(), &new.hash()).await?;
            mark = Some(new);
        }
        Ok(Step::Opened(session, self.user, mark))
    }

    async fn wait(self, c: &mut Connection, token_sha256: &[u8]) -> Result<Step, ApiError> {
        let row = ChallengeRow {
            token_sha256: token_sha256.to_vec(),
            user_id: self.user.id,
            password_version: self.user.password_version,
            lifetime_ms: self.lifetime.num_milliseconds(),
            client_address: self.address,
            user_agent: self.user_agent,
            device_known: self.device_known,
            expire_time: Utc::now() + CHALLENGE_TIME_MAX,
        };
        challenges::insert(c, &row).await?;
        Ok(Step::Challenged(row.expire_time))
    }
}

fn ended(step: Step, token: Credential, challenge: Credential, revision: Revision) -> SignedIn {
    match step {
        Step::Opened(session, user, mark) => SignedIn::Opened(Box::new(Opened {
            session,
            user,
            token,
            revision,
            mark,
        })),
        Step::Challenged(expires) => SignedIn::Challenged(challenge, expires),
        Step::Not(checked) => SignedIn::Not(checked),
    }
}

async fn has_second_factor(c: &mut Connection, user: &UserRow) -> Result<bool, ApiError> {
    let row = second_factors::of(c, user.id).await?;
    Ok(row.is_some_and(|row| row.enable_time.is_some()))
}

/// Whether the user, as it stands now, is still the one whose password was
/// verified, and may sign in.
fn may_sign_in(now: &UserRow, verified: &UserRow) -> bool {
    now.id == verified.id && now.password_version == verified.password_version && !now.disabled
}
