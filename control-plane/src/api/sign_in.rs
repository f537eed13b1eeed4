//! Signing in: from a name and a password, and a code where the user has a second
//! factor, to a session. Owns the order of the steps, so that who does not exist,
//! may not sign in or has no password costs and says what a wrong password does,
//! and so that nobody learns whether a code is asked for who has no password.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{Credential, CredentialKind, Revision, TokenHash, Username};
use uuid::Uuid;

use crate::identity::chance;
use crate::identity::hashing::{Hashing, Verified};
use crate::identity::password::Password;
use crate::identity::turns::Asker;
use crate::issuer::Issuers;
use crate::store::challenges::{self, ChallengeRow};
use crate::store::sessions::{self, NewSession, SessionRow};
use crate::store::users::{self, UserRow};
use crate::store::{Connection, Store, StoreError, moment, second_factors};

use super::code_check::{self, Checked, Given};
use super::error::ApiError;
use super::lockout::Attempt;
use super::refused_token::RefusedTokens;
use super::sealing::Sealing;
use super::{call, note, user};

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
    pub(crate) issuers: Issuers,
    pub(crate) refused: RefusedTokens,
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
    /// The hash of the mark it was handed when somebody signed in on it before.
    pub(crate) mark: Option<TokenHash>,
    /// The hash of a mark that was drawn for it, to be handed out if it is not known;
    /// none: it is handed none, so it stays unknown.
    pub(crate) new_mark: Option<TokenHash>,
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
    /// The hash of the session's token, where somebody else has drawn it.
    pub(crate) token: Option<TokenHash>,
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
    /// The client is known by the mark that was drawn for it from now on.
    pub(crate) marked: bool,
}

/// A session to be opened, once everything was right.
pub(super) struct Opening {
    pub(super) user: UserRow,
    pub(super) lifetime: TimeDelta,
    pub(super) address: String,
    pub(super) user_agent: String,
    pub(super) device_known: bool,
    /// The mark that a device that is not known is handed, if it is.
    pub(super) new_mark: Option<TokenHash>,
    pub(super) second_factor_time: Option<DateTime<Utc>>,
    /// By which issuer's token, where it was no password, and what else that says.
    pub(super) by: Option<ByToken>,
}

/// What a session keeps of the token that opened it.
#[derive(Clone)]
pub(super) struct ByToken {
    pub(super) issuer: Uuid,
    /// The thumbprint of the key that it was signed with.
    pub(super) key: Vec<u8>,
    /// Until when the session may last, where that is less than it would.
    pub(super) until: Option<DateTime<Utc>>,
}

/// What the user of a session has shown for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// The password, or an issuer's token.
    Password,
    /// Nothing: a backend answers for them.
    Nothing,
}

/// An answer that is counted, and not looked at yet.
struct Begun {
    found: Option<UserRow>,
    attempt: Attempt,
    device_known: bool,
}

/// A password that was right when it was looked at.
struct Right {
    user: UserRow,
    /// What to keep of it from now on, where that is outdated.
    rehashed: Option<String>,
    attempt: Attempt,
    device_known: bool,
    lifetime: Duration,
    client: Client,
}

/// What somebody else has drawn, and hands out: hashes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drawn {
    /// Of the session's token; none: it is drawn here.
    pub(crate) token: Option<TokenHash>,
    /// Of a mark, as in [`Client`].
    pub(crate) new_mark: Option<TokenHash>,
}

/// What one transaction came to.
pub(super) enum Step {
    /// And whether the device is known by its new mark from now on.
    Opened(Box<(SessionRow, UserRow, bool)>),
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
        let event = call::event("OK").map(|event| wire::AuditEvent {
            target: format!("username={}", answer.username),
            client_address: answer.client.address.clone(),
            ..event
        });
        let opened = self.open_noted(answer, event.clone()).await;
        // Attempts that are not looked at are not noted either: they cost nothing.
        if let Err(ApiError::CredentialsWrong) = &opened {
            let event = event.map(|event| wire::AuditEvent {
                outcome: ApiError::CredentialsWrong.reason().to_owned(),
                ..event
            });
            self.store
                .transact::<_, ApiError>(move |c| note(c, event).boxed())
                .await?;
        }
        opened
    }

    async fn open_noted(
        &self,
        answer: Answer,
        event: Option<wire::AuditEvent>,
    ) -> Result<SignedIn, ApiError> {
        let begun = self.begin(&answer).await?;
        let kept = begun.found.as_ref();
        let kept = kept.and_then(|user| user.password_phc.clone());
        let verified = self.hashing.verify(answer.asker, answer.password, kept);
        let rehashed = match verified.await {
            Ok(Verified::Wrong) => return Err(ApiError::CredentialsWrong),
            Ok(Verified::Right) => None,
            Ok(Verified::RightKeepAs(phc)) => Some(phc),
            Err(busy) => {
                self.store
                    .transact::<_, ApiError>(move |c| {
                        async move { Ok(begun.attempt.take_back(c).await?) }.boxed()
                    })
                    .await?;
                return Err(busy.into());
            }
        };
        let verified = Right {
            user: begun.found.ok_or(ApiError::CredentialsWrong)?,
            rehashed,
            attempt: begun.attempt,
            device_known: begun.device_known,
            lifetime: answer.lifetime,
            client: answer.client,
        };
        let token = chance::credential(CredentialKind::Session);
        let challenge = chance::credential(CredentialKind::SignInChallenge);
        let session_hash = answer.token.unwrap_or_else(|| token.hash());
        let challenge_hash = challenge.hash();
        let sealing = self.sealing.clone();
        let (step, revision) = self
            .store
            .write(move |c| {
                async move {
                    let opening = verified.opening(c).await?;
                    let hashes = (session_hash.as_bytes(), challenge_hash.as_bytes());
                    let hashes = (hashes.0.as_slice(), hashes.1.as_slice());
                    let step = opening.go_on(c, answer.second, &sealing, hashes).await?;
                    note(c, event.map(|event| step.noted(event))).await?;
                    Ok::<_, ApiError>(step)
                }
                .boxed()
            })
            .await?;
        Ok(ended(step, token, challenge, revision))
    }

    /// Opens a session for a user whom the caller answers for.
    ///
    /// # Errors
    ///
    /// [`ApiError::Absent`], [`ApiError::UserDisabled`], or what the store says.
    pub(crate) async fn open_unasked(
        &self,
        username: Username,
        lifetime: Duration,
        client: Client,
    ) -> Result<Opened, ApiError> {
        let token = chance::credential(CredentialKind::Session);
        let hash = token.hash();
        let event = call::event("OK").map(|event| wire::AuditEvent {
            client_address: client.address.clone(),
            ..event
        });
        let ((session, user), revision) = self
            .store
            .write(move |c| {
                async move {
                    let user = users::lock(c, &username).await?;
                    let user = user.ok_or_else(|| user::absent(&username))?;
                    if user.disabled {
                        return Err(ApiError::UserDisabled);
                    }
                    let opening = Opening {
                        user,
                        lifetime: TimeDelta::from_std(lifetime).unwrap_or(TimeDelta::MAX),
                        address: client.address,
                        user_agent: client.user_agent,
                        // Nobody has signed in on it.
                        device_known: true,
                        new_mark: None,
                        second_factor_time: None,
                        by: None,
                    };
                    let session = opening.insert(c, hash.as_bytes(), Shown::Nothing).await?;
                    note(c, event).await?;
                    Ok((session, opening.user))
                }
                .boxed()
            })
            .await?;
        Ok(Opened {
            session,
            user,
            token,
            revision,
            marked: false,
        })
    }

    /// Looks up who it may be, and counts the answer as wrong for now.
    async fn begin(&self, answer: &Answer) -> Result<Begun, ApiError> {
        let (name, address) = (answer.username.clone(), answer.client.address.clone());
        let mark = answer.client.mark;
        self.store
            .transact(move |c| {
                async move {
                    let found = users::by_name(c, &name).await?;
                    let device = match mark {
                        Some(mark) => challenges::device(c, found.as_ref(), &mark).await?,
                        None => None,
                    };
                    let attempt = Attempt::new(&name, device, &address);
                    match attempt.begin(c).await? {
                        Some(delay) => Err(ApiError::AttemptsTooMany(delay)),
                        None => Ok(Begun {
                            found,
                            attempt,
                            device_known: device.is_some(),
                        }),
                    }
                }
                .boxed()
            })
            .await
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
        drawn: Drawn,
    ) -> Result<SignedIn, ApiError> {
        let token = chance::credential(CredentialKind::Session);
        let session_hash = drawn.token.unwrap_or_else(|| token.hash());
        let waiting = challenge.hash();
        let sealing = self.sealing.clone();
        let event = call::event("OK");
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
                    let event = event.map(|event| wire::AuditEvent {
                        target: format!("username={}", user.username),
                        client_address: row.client_address.clone(),
                        ..event
                    });
                    let opening = Opening {
                        user,
                        lifetime: TimeDelta::milliseconds(row.lifetime_ms),
                        address: row.client_address,
                        user_agent: row.user_agent,
                        device_known: row.device_known,
                        new_mark: drawn.new_mark,
                        second_factor_time: None,
                        by: row
                            .issuer_id
                            .zip(row.issuer_key)
                            .map(|(issuer, key)| ByToken {
                                issuer,
                                key,
                                until: row.session_until,
                            }),
                    };
                    let step = opening.show(c, &sealing, &given, session_hash.as_bytes());
                    let step = step.await?;
                    if matches!(step, Step::Opened(..)) {
                        challenges::delete(c, &waiting).await?;
                    }
                    note(c, event.map(|event| step.noted(event))).await?;
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

impl SignIn {
    /// Ends the session of this token, if there is one.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub(crate) async fn close(&self, token: TokenHash) -> Result<Revision, ApiError> {
        let event = call::event("OK");
        let ((), revision) = self
            .store
            .write(move |c| {
                async move {
                    if let Some(id) = sessions::delete_by_token(c, &token).await? {
                        let event = event.map(|event| wire::AuditEvent {
                            target: format!("session=sessions/{id}"),
                            ..event
                        });
                        note(c, event).await?;
                    }
                    Ok::<_, ApiError>(())
                }
                .boxed()
            })
            .await?;
        Ok(revision)
    }
}

impl Step {
    /// The event of a call that came to this.
    pub(super) fn noted(&self, event: wire::AuditEvent) -> wire::AuditEvent {
        match self {
            Self::Opened(..) => event,
            Self::Challenged(_) => wire::AuditEvent {
                outcome: "SECOND_FACTOR_NEEDED".to_owned(),
                ..event
            },
            Self::Not(checked) => checked.noted(event),
        }
    }
}

impl Right {
    /// Locks the user, who must still be the one, and forgives the answer.
    async fn opening(self, c: &mut Connection) -> Result<Opening, ApiError> {
        let name = self.user.username.parse();
        let name: Username = name.map_err(|_| StoreError::Corrupt("users.username"))?;
        let user = users::lock(c, &name)
            .await?
            .filter(|user| may_sign_in(user, &self.user))
            .ok_or(ApiError::CredentialsWrong)?;
        if let (Some(old), Some(new)) = (&user.password_phc, self.rehashed) {
            users::rehash(c, user.id, old, &new).await?;
        }
        self.attempt.forgive(c).await?;
        Ok(Opening {
            user,
            lifetime: TimeDelta::from_std(self.lifetime).unwrap_or(TimeDelta::MAX),
            address: self.client.address,
            user_agent: self.client.user_agent,
            device_known: self.device_known,
            new_mark: self.client.new_mark,
            second_factor_time: None,
            by: None,
        })
    }
}

impl Opening {
    /// Opens the session, or asks for the second factor where the user has one.
    pub(super) async fn go_on(
        self,
        c: &mut Connection,
        second: Second,
        sealing: &Sealing,
        (session_sha256, challenge_sha256): (&[u8], &[u8]),
    ) -> Result<Step, ApiError> {
        if !has_second_factor(c, &self.user).await? {
            return self.open(c, session_sha256).await;
        }
        match second {
            Second::Later => self.wait(c, challenge_sha256).await,
            Second::Along(None) => Ok(Step::Not(Checked::Wrong)),
            Second::Along(Some(given)) => self.show(c, sealing, &given, session_sha256).await,
        }
    }

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
        let session = self.insert(c, token_sha256, Shown::Password).await?;
        let marked = match self.new_mark {
            Some(mark) if !self.device_known => {
                challenges::know_device(c, &self.user, chance::identity(), &mark).await?;
                true
            }
            Some(_) | None => false,
        };
        Ok(Step::Opened(Box::new((session, self.user, marked))))
    }

    async fn insert(
        &self,
        c: &mut Connection,
        token_sha256: &[u8],
        shown: Shown,
    ) -> Result<SessionRow, ApiError> {
        sessions::make_room(c, self.user.id, SESSIONS_PER_USER_MAX - 1).await?;
        let until = self.by.as_ref().and_then(|by| by.until);
        let expires = moment::begun(c).await? + self.lifetime;
        let by = self.by.clone().map(|by| (by.issuer, by.key));
        let (issuer_id, issuer_key) = by.unzip();
        let new = NewSession {
            id: chance::identity(),
            user_id: self.user.id,
            token_sha256: token_sha256.to_vec(),
            expire_time: until.map_or(expires, |until| until.min(expires)),
            client_address: self.address.clone(),
            user_agent: self.user_agent.clone(),
            second_factor_time: self.second_factor_time,
            by_backend: shown == Shown::Nothing,
            issuer_id,
            issuer_key,
        };
        Ok(sessions::insert(c, &new).await?)
    }

    async fn wait(self, c: &mut Connection, token_sha256: &[u8]) -> Result<Step, ApiError> {
        let session_until = self.by.as_ref().and_then(|by| by.until);
        let (issuer_id, issuer_key) = self.by.map(|by| (by.issuer, by.key)).unzip();
        let row = ChallengeRow {
            token_sha256: token_sha256.to_vec(),
            user_id: self.user.id,
            password_version: self.user.password_version,
            lifetime_ms: self.lifetime.num_milliseconds(),
            client_address: self.address,
            user_agent: self.user_agent,
            device_known: self.device_known,
            expire_time: moment::begun(c).await? + CHALLENGE_TIME_MAX,
            issuer_id,
            issuer_key,
            session_until,
        };
        challenges::insert(c, &row).await?;
        Ok(Step::Challenged(row.expire_time))
    }
}

pub(super) fn ended(
    step: Step,
    token: Credential,
    challenge: Credential,
    revision: Revision,
) -> SignedIn {
    match step {
        Step::Opened(opened) => {
            let (session, user, marked) = *opened;
            SignedIn::Opened(Box::new(Opened {
                session,
                user,
                token,
                revision,
                marked,
            }))
        }
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
