//! Answers that only the control plane can verify: the password of a room, and a
//! user's name and password. Says whether they were right, and nothing else.

use std::sync::PoisonError;
use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::node::v1::{
    OpenSessionRequest, OpenSessionResponse, Verdict, VerifyRoomPasswordRequest,
    VerifyRoomPasswordResponse,
};
use porthouse_model::{ClientId, Revision, RoomId, Session, SessionId, UserId, Username};
use tokio::time::Instant;
use tonic::Status;

use crate::api::{Answer, ApiError, Checked, Client, Given, Second, SignedIn};
use crate::identity::hashing::Verified;
use crate::identity::password::Password;
use crate::identity::turns::Asker;
use crate::store::{log, resolve};

use super::PolicyFeed;
use super::attempts::Source;
use super::refusal::Refusal;

/// The longest address.
const ADDRESS_BYTES_MAX: usize = 255;

/// What a room's password is compared with.
struct Kept {
    phc: Option<String>,
    version: u64,
    revision: Revision,
}

impl PolicyFeed {
    /// Verifies the answer to a room's question.
    pub(super) async fn verify_password(
        &self,
        asker: Asker,
        request: VerifyRoomPasswordRequest,
    ) -> Result<VerifyRoomPasswordResponse, Status> {
        let room =
            RoomId::try_from(&*request.room_id).map_err(|_| Refusal::Bad("room_id: 16 bytes"))?;
        ClientId::try_from(&*request.client_id).map_err(|_| Refusal::Bad("client_id: 16 bytes"))?;
        let source = (room, address(request.address)?);
        let kept = self.kept_password(room).await?;
        let answer = |verdict: Verdict| VerifyRoomPasswordResponse {
            verdict: verdict.into(),
            password_version: kept.version,
            retry_delay: None,
            revision: revision(kept.revision),
        };
        let Some(phc) = kept.phc else {
            return Ok(answer(Verdict::Gone));
        };
        // What cannot be a password is a wrong one.
        let Ok(password) = Password::given(request.password) else {
            return Ok(answer(Verdict::Wrong));
        };
        let later = |delay| VerifyRoomPasswordResponse {
            retry_delay: Some(wait(delay)),
            ..answer(Verdict::Later)
        };
        if let Err(delay) = self.begin(&source) {
            return Ok(later(delay));
        }
        Ok(
            match self.hashing.verify(asker, password, Some(phc)).await {
                Ok(Verified::Right | Verified::RightKeepAs(_)) => {
                    self.forgive(&source);
                    answer(Verdict::Right)
                }
                Ok(Verified::Wrong) => answer(Verdict::Wrong),
                Err(busy) => {
                    self.forgive(&source);
                    later(busy.retry_after)
                }
            },
        )
    }

    /// Opens a session for a name and a password.
    pub(super) async fn sign_in_user(
        &self,
        asker: Asker,
        request: OpenSessionRequest,
    ) -> Result<OpenSessionResponse, Status> {
        let address = address(request.address)?;
        let (Ok(username), Ok(password)) = (
            request.username.parse::<Username>(),
            Password::given(request.password),
        ) else {
            return Ok(verdict(Verdict::Wrong));
        };
        let code = (!request.code.is_empty()).then(|| Given::parse(&request.code));
        let sign_in = &self.verifiers.sign_in;
        let opened = sign_in
            .open(Answer {
                username,
                password,
                second: Second::Along(code),
                lifetime: sign_in.lifetime_max,
                client: Client {
                    address,
                    ..Client::default()
                },
                asker,
            })
            .await;
        let opened = match opened {
            Ok(SignedIn::Opened(opened)) => opened,
            Ok(SignedIn::Not(Checked::Later(delay))) => {
                return Ok(OpenSessionResponse {
                    second_factor_required: true,
                    ..later(delay)
                });
            }
            Ok(SignedIn::Not(_) | SignedIn::Challenged(..)) => {
                return Ok(OpenSessionResponse {
                    second_factor_required: true,
                    ..verdict(Verdict::Wrong)
                });
            }
            Err(ApiError::CredentialsWrong) => return Ok(verdict(Verdict::Wrong)),
            Err(ApiError::HashingBusy(delay) | ApiError::AttemptsTooMany(delay)) => {
                return Ok(later(delay));
            }
            Err(other) => return Err(other.into()),
        };
        let session = Session {
            id: SessionId::from_bytes(opened.session.id.into_bytes()),
            user: UserId::from_bytes(opened.user.id.into_bytes()),
            username: opened
                .user
                .username
                .parse()
                .map_err(|_| Refusal::Internal)?,
            expires: resolve::unix_time(opened.session.expire_time),
            second_factor: opened.session.second_factor_time.map(resolve::unix_time),
        };
        Ok(OpenSessionResponse {
            session: Some((&session).into()),
            session_token_sha256: opened.token.hash().as_bytes().to_vec(),
            revision: revision(opened.revision),
            ..verdict(Verdict::Right)
        })
    }

    async fn kept_password(&self, room: RoomId) -> Result<Kept, Refusal> {
        self.store
            .snapshot(move |c| {
                async move {
                    let revision = log::head(c).await?;
                    let kept = resolve::room_password(c, room).await?;
                    let (phc, version) = kept.map_or((None, 0), |(phc, version)| (phc, version));
                    Ok(Kept {
                        phc,
                        version,
                        revision,
                    })
                }
                .boxed()
            })
            .await
    }

    fn begin(&self, source: &Source) -> Result<(), Duration> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.begin(source, Instant::now())
    }

    fn forgive(&self, source: &Source) {
        self.attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forgive(source);
    }
}

pub(super) fn address(address: String) -> Result<String, Refusal> {
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(Refusal::Bad("address: at most 255 bytes"));
    }
    Ok(address)
}

fn verdict(verdict: Verdict) -> OpenSessionResponse {
    OpenSessionResponse {
        verdict: verdict.into(),
        ..OpenSessionResponse::default()
    }
}

fn later(delay: Duration) -> OpenSessionResponse {
    OpenSessionResponse {
        retry_delay: Some(wait(delay)),
        ..verdict(Verdict::Later)
    }
}

pub(super) fn wait(delay: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(delay).unwrap_or_default()
}

pub(super) fn revision(revision: Revision) -> i64 {
    i64::try_from(revision.0).expect("it came from an int64")
}
