//! Sessions that nodes ask to be opened: for a name and a password, and a code
//! where one is needed. A session's token stays here; its hash is answered.

use std::time::Duration;

use porthouse_api::node::resolve::token_hash;
use porthouse_api::node::v1::{
    CloseSessionRequest, CloseSessionResponse, CompleteSessionRequest, CompleteSessionResponse,
    OpenSessionRequest, OpenSessionResponse, Session as WireSession, Verdict,
};
use porthouse_model::{
    Credential, CredentialKind, Session, SessionId, TokenHash, UserId, Username,
};
use tonic::Status;
use zeroize::Zeroizing;

use crate::api::{
    Answer, ApiError, Checked, Client, Drawn, Given, Opened, Second, ShownToken, SignedIn,
    is_user_agent, time_to_wire,
};
use crate::identity::password::Password;
use crate::identity::turns::Asker;
use crate::store::moment;

use super::PolicyFeed;
use super::refusal::Refusal;
use super::verify::{address, revision, wait};

impl PolicyFeed {
    /// Opens a session for a name and a password.
    pub(super) async fn sign_in_user(
        &self,
        asker: Asker,
        request: OpenSessionRequest,
    ) -> Result<OpenSessionResponse, Status> {
        let address = address(request.address)?;
        let token = hash_of(
            "session_token_sha256: 32 bytes",
            &request.session_token_sha256,
        )?;
        if !is_user_agent(&request.user_agent) {
            let rule = "user_agent: at most 1024 bytes, no control characters";
            return Err(Refusal::Bad(rule).into());
        }
        let code = (!request.code.is_empty()).then(|| Given::parse(&request.code));
        let second = match code {
            None if request.challenge_wanted => Second::Later,
            code => Second::Along(code),
        };
        let client = Client {
            address,
            user_agent: request.user_agent,
            mark: hash_of("device_mark_sha256: 32 bytes", &request.device_mark_sha256)?,
            new_mark: new_mark(&request.new_device_mark_sha256)?,
        };
        let sign_in = &self.verifiers.sign_in;
        let lifetime = sign_in.lifetime_max;
        let opened = if request.jwt.is_empty() {
            let (Ok(username), Ok(password)) = (
                request.username.parse::<Username>(),
                Password::given(request.password),
            ) else {
                return Ok(verdict(Verdict::Wrong));
            };
            let answer = Answer {
                username,
                password,
                second,
                lifetime,
                client,
                asker,
                token,
            };
            sign_in.open(answer).await
        } else {
            let shown = ShownToken {
                jwt: Zeroizing::new(request.jwt),
                second,
                lifetime,
                client,
                token,
            };
            sign_in.open_by_token(shown).await
        };
        answered(opened, token)
    }

    /// Goes on with a sign-in that waits for its code.
    pub(super) async fn complete_sign_in(
        &self,
        request: CompleteSessionRequest,
    ) -> Result<CompleteSessionResponse, Status> {
        let ended = |verdict: Verdict| CompleteSessionResponse {
            verdict: verdict.into(),
            ..CompleteSessionResponse::default()
        };
        let kind = CredentialKind::SignInChallenge;
        let Ok(challenge) = Credential::parse(kind, &request.challenge) else {
            return Ok(ended(Verdict::Gone));
        };
        let token = hash_of(
            "session_token_sha256: 32 bytes",
            &request.session_token_sha256,
        )?;
        let drawn = Drawn {
            token,
            new_mark: new_mark(&request.new_device_mark_sha256)?,
        };
        let sign_in = &self.verifiers.sign_in;
        let given = Given::parse(&request.code);
        let opened = match sign_in.complete(challenge, given, drawn).await {
            Ok(SignedIn::Opened(opened)) => opened,
            Ok(SignedIn::Not(Checked::Later(delay))) => {
                return Ok(CompleteSessionResponse {
                    retry_delay: Some(wait(delay)),
                    ..ended(Verdict::Later)
                });
            }
            Ok(SignedIn::Not(_)) => return Ok(ended(Verdict::Wrong)),
            Ok(SignedIn::Challenged(..)) | Err(ApiError::ChallengeGone) => {
                return Ok(ended(Verdict::Gone));
            }
            Err(other) => return Err(other.into()),
        };
        Ok(CompleteSessionResponse {
            session: Some(session(&opened)?),
            session_token_sha256: hash(token, &opened),
            revision: revision(opened.revision),
            device_marked: opened.marked,
            ..ended(Verdict::Right)
        })
    }
}

impl PolicyFeed {
    /// Ends a session whose holder signs out.
    pub(super) async fn sign_out(
        &self,
        request: CloseSessionRequest,
    ) -> Result<CloseSessionResponse, Status> {
        let rule = "session_token_sha256: 32 bytes";
        let token = hash_of(rule, &request.session_token_sha256)?.ok_or(Refusal::Bad(rule))?;
        let closed = self.verifiers.sign_in.close(token).await;
        Ok(CloseSessionResponse {
            revision: revision(closed.map_err(Status::from)?),
        })
    }
}

/// How a sign-in ended, as it is answered.
fn answered(
    opened: Result<SignedIn, ApiError>,
    token: Option<TokenHash>,
) -> Result<OpenSessionResponse, Status> {
    let opened = match opened {
        Ok(SignedIn::Opened(opened)) => opened,
        Ok(SignedIn::Not(Checked::Later(delay))) => {
            return Ok(OpenSessionResponse {
                second_factor_required: true,
                ..later(delay)
            });
        }
        Ok(SignedIn::Challenged(challenge, expires)) => {
            return Ok(OpenSessionResponse {
                second_factor_required: true,
                challenge: challenge.reveal(),
                challenge_expire_time: Some(time_to_wire(expires)),
                ..verdict(Verdict::Wrong)
            });
        }
        Ok(SignedIn::Not(_)) => {
            return Ok(OpenSessionResponse {
                second_factor_required: true,
                ..verdict(Verdict::Wrong)
            });
        }
        Err(ApiError::CredentialsWrong | ApiError::TokenRefused(_)) => {
            return Ok(verdict(Verdict::Wrong));
        }
        Err(
            ApiError::HashingBusy(delay)
            | ApiError::AttemptsTooMany(delay)
            | ApiError::TokensTooMany(delay)
            | ApiError::IssuersBusy(delay),
        ) => {
            return Ok(later(delay));
        }
        Err(other) => return Err(other.into()),
    };
    Ok(OpenSessionResponse {
        session: Some(session(&opened)?),
        session_token_sha256: hash(token, &opened),
        revision: revision(opened.revision),
        device_marked: opened.marked,
        ..verdict(Verdict::Right)
    })
}

/// A hash, if there is one.
fn hash_of(rule: &'static str, hash: &[u8]) -> Result<Option<TokenHash>, Refusal> {
    if hash.is_empty() {
        return Ok(None);
    }
    token_hash(hash).map(Some).ok_or(Refusal::Bad(rule))
}

fn new_mark(hash: &[u8]) -> Result<Option<TokenHash>, Refusal> {
    hash_of("new_device_mark_sha256: 32 bytes", hash)
}

fn hash(drawn: Option<TokenHash>, opened: &Opened) -> Vec<u8> {
    let hash = drawn.unwrap_or_else(|| opened.token.hash());
    hash.as_bytes().to_vec()
}

fn session(opened: &Opened) -> Result<WireSession, Refusal> {
    let username = opened.user.username.parse();
    let session = Session {
        id: SessionId::from_bytes(opened.session.id.into_bytes()),
        user: UserId::from_bytes(opened.user.id.into_bytes()),
        username: username.map_err(|_| Refusal::Internal)?,
        expires: moment::unix_time(opened.session.expire_time),
        second_factor: opened.session.second_factor_time.map(moment::unix_time),
        device: None,
    };
    Ok((&session).into())
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
