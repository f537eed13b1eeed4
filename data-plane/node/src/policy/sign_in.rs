//! Sign-ins, asked of the control plane and its answers read. Keeps nothing.

use std::net::IpAddr;
use std::sync::Arc;

use porthouse_api::node::resolve::token_hash;
use porthouse_api::node::{BadMessage, unix_time, v1};
use porthouse_model::{Credential, CredentialKind, TokenHash, UnixTime};
use porthouse_puddle::{DeviceMark, Event, RequestId, Secret, SignInBy, SignInVerdict};

use tonic::Code;

use super::client::{Replicas, delay, heard, revision};

impl Replicas {
    /// Signs somebody in.
    pub(crate) async fn sign_in(&self, request: RequestId, by: SignInBy, address: IpAddr) -> Event {
        let mark = Credential::new(CredentialKind::Device, rand::random());
        let drawn = Drawn::for_device(by.device(), &mark);
        let ended = self.verdict(by, address, drawn).await;
        let verdict = ended.map(|ended| ended.handing_out(&mark));
        Event::SignedIn { request, verdict }
    }

    /// How signing in ends; `None`: nobody could be asked.
    pub(crate) async fn verdict(
        &self,
        by: SignInBy,
        address: IpAddr,
        drawn: Drawn,
    ) -> Option<Ended> {
        match by {
            SignInBy::Password {
                username, password, ..
            } => {
                let shown = v1::OpenSessionRequest {
                    username: username.as_str().to_owned(),
                    password: password.expose().to_owned(),
                    ..v1::OpenSessionRequest::default()
                };
                self.opened_by(shown, address, drawn).await
            }
            SignInBy::Jwt(jwt) => {
                let shown = v1::OpenSessionRequest {
                    jwt: jwt.expose().to_owned(),
                    ..v1::OpenSessionRequest::default()
                };
                self.opened_by(shown, address, drawn).await
            }
            SignInBy::Code {
                challenge, code, ..
            } => {
                let message = v1::CompleteSessionRequest {
                    challenge: challenge.expose().to_owned(),
                    code: code.expose().to_owned(),
                    session_token_sha256: drawn.session_token_sha256,
                    new_device_mark_sha256: drawn.new_device_mark_sha256,
                };
                let answer = self.feed().complete_session(self.request(message)).await;
                heard("sign in", answer, completed)
            }
            SignInBy::Ticket(shown) => {
                let message = v1::RedeemTicketRequest {
                    ticket_sha256: shown.ticket.as_bytes().to_vec(),
                    origin: shown.origin.map(String::from).unwrap_or_default(),
                    path: shown.path,
                    upgrade: shown.upgrade.into(),
                };
                let verdict = self.redeemed(message).await?;
                Some(Ended {
                    verdict,
                    device_marked: false,
                })
            }
        }
    }

    async fn opened_by(
        &self,
        shown: v1::OpenSessionRequest,
        address: IpAddr,
        drawn: Drawn,
    ) -> Option<Ended> {
        let message = v1::OpenSessionRequest {
            address: address.to_string(),
            challenge_wanted: true,
            session_token_sha256: drawn.session_token_sha256,
            user_agent: drawn.user_agent,
            device_mark_sha256: drawn.device_mark_sha256,
            new_device_mark_sha256: drawn.new_device_mark_sha256,
            ..shown
        };
        let answer = self.feed().open_session(self.request(message)).await;
        heard("sign in", answer, opened)
    }

    /// Asked a second time where no answer came: the ticket is used by this upgrade
    /// then, which is answered the same again.
    async fn redeemed(&self, message: v1::RedeemTicketRequest) -> Option<SignInVerdict> {
        let answer = self
            .feed()
            .redeem_ticket(self.request(message.clone()))
            .await;
        if answer.is_ok() {
            return heard("redeem", answer, redeemed);
        }
        let answer = self.feed().redeem_ticket(self.request(message)).await;
        heard("redeem", answer, redeemed)
    }

    /// Makes a ticket; answers until when it is good, if there is such a session.
    /// `None`: nobody could be asked.
    pub(crate) async fn make_ticket(
        &self,
        session: TokenHash,
        ticket: TokenHash,
        (origin, path): (String, String),
    ) -> Option<Result<Option<UnixTime>, Wrong>> {
        let message = v1::MakeTicketRequest {
            session_token_sha256: session.as_bytes().to_vec(),
            ticket_sha256: ticket.as_bytes().to_vec(),
            origin,
            path,
        };
        let answer = self.feed().make_ticket(self.request(message)).await;
        if matches!(&answer, Err(status) if status.code() == Code::InvalidArgument) {
            return Some(Err(Wrong));
        }
        heard("make a ticket", answer, made).map(Ok)
    }

    /// Ends the session of a token; `None`: nobody could be asked.
    pub(crate) async fn sign_out(&self, token: TokenHash) -> Option<()> {
        let message = v1::CloseSessionRequest {
            session_token_sha256: token.as_bytes().to_vec(),
        };
        let answer = self.feed().close_session(self.request(message)).await;
        heard("sign out", answer, |_| Ok(()))
    }
}

/// What was asked for cannot be had, as it was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrong;

/// What a node that hands a token out has drawn for it.
#[derive(Debug, Default)]
pub(crate) struct Drawn {
    /// The token's hash; empty: it is not handed out.
    pub(crate) session_token_sha256: Vec<u8>,
    /// What the client says it is.
    pub(crate) user_agent: String,
    /// The hash of the mark that the client shows; empty: none.
    pub(crate) device_mark_sha256: Vec<u8>,
    /// The mark's hash that it is handed if it is not known; empty: it is handed none.
    pub(crate) new_device_mark_sha256: Vec<u8>,
}

impl Drawn {
    /// For a client that is handed its mark on its socket.
    fn for_device(device: DeviceMark, mark: &Credential) -> Self {
        let (shown, new) = match device {
            DeviceMark::Unkept => (None, None),
            DeviceMark::Wanted => (None, Some(mark.hash())),
            DeviceMark::Shown(shown) => (Some(shown), Some(mark.hash())),
        };
        let bytes = |hash: Option<TokenHash>| hash.map(|hash| hash.as_bytes().to_vec());
        Self {
            device_mark_sha256: bytes(shown).unwrap_or_default(),
            new_device_mark_sha256: bytes(new).unwrap_or_default(),
            ..Self::default()
        }
    }
}

impl Ended {
    /// With the mark that was drawn, where the device is known by it now.
    fn handing_out(self, mark: &Credential) -> SignInVerdict {
        match self.verdict {
            SignInVerdict::Right {
                session,
                token,
                revision,
                ..
            } => SignInVerdict::Right {
                session,
                token,
                revision,
                device_mark: self.device_marked.then(|| Secret::new(mark.reveal())),
            },
            other @ (SignInVerdict::CodeNeeded { .. }
            | SignInVerdict::Wrong
            | SignInVerdict::Gone
            | SignInVerdict::Later(_)) => other,
        }
    }
}

/// How a sign-in ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) verdict: SignInVerdict,
    /// The device is known by the mark that was drawn for it.
    pub(crate) device_marked: bool,
}

fn opened(answer: v1::OpenSessionResponse) -> Result<Ended, BadMessage> {
    Ok(Ended {
        device_marked: answer.device_marked,
        verdict: judged(answer)?,
    })
}

fn judged(answer: v1::OpenSessionResponse) -> Result<SignInVerdict, BadMessage> {
    match answer.verdict() {
        v1::Verdict::Right => right(
            answer.session,
            &answer.session_token_sha256,
            answer.revision,
        ),
        v1::Verdict::Wrong if !answer.challenge.is_empty() => {
            let field = "challenge_expire_time";
            let expires = answer.challenge_expire_time.ok_or(BadMessage { field })?;
            Ok(SignInVerdict::CodeNeeded {
                challenge: Secret::new(answer.challenge),
                expires: unix_time(expires).ok_or(BadMessage { field })?,
            })
        }
        v1::Verdict::Wrong => Ok(SignInVerdict::Wrong),
        v1::Verdict::Later => Ok(SignInVerdict::Later(delay(answer.retry_delay))),
        v1::Verdict::Gone | v1::Verdict::Unspecified => Err(BadMessage { field: "verdict" }),
    }
}

fn completed(answer: v1::CompleteSessionResponse) -> Result<Ended, BadMessage> {
    let device_marked = answer.device_marked;
    let verdict = match answer.verdict() {
        v1::Verdict::Right => right(
            answer.session,
            &answer.session_token_sha256,
            answer.revision,
        ),
        v1::Verdict::Wrong => Ok(SignInVerdict::Wrong),
        v1::Verdict::Gone => Ok(SignInVerdict::Gone),
        v1::Verdict::Later => Ok(SignInVerdict::Later(delay(answer.retry_delay))),
        v1::Verdict::Unspecified => Err(BadMessage { field: "verdict" }),
    };
    Ok(Ended {
        verdict: verdict?,
        device_marked,
    })
}

fn redeemed(answer: v1::RedeemTicketResponse) -> Result<SignInVerdict, BadMessage> {
    match answer.verdict() {
        v1::Verdict::Right => right(
            answer.session,
            &answer.session_token_sha256,
            answer.revision,
        ),
        v1::Verdict::Gone | v1::Verdict::Wrong => Ok(SignInVerdict::Gone),
        v1::Verdict::Later | v1::Verdict::Unspecified => Err(BadMessage { field: "verdict" }),
    }
}

fn made(answer: v1::MakeTicketResponse) -> Result<Option<UnixTime>, BadMessage> {
    match answer.verdict() {
        v1::Verdict::Right => {
            let field = "expire_time";
            let expires = answer.expire_time.and_then(unix_time);
            Ok(Some(expires.ok_or(BadMessage { field })?))
        }
        v1::Verdict::Gone => Ok(None),
        v1::Verdict::Wrong | v1::Verdict::Later | v1::Verdict::Unspecified => {
            Err(BadMessage { field: "verdict" })
        }
    }
}

fn right(
    session: Option<v1::Session>,
    token_sha256: &[u8],
    at: i64,
) -> Result<SignInVerdict, BadMessage> {
    let session = session.ok_or(BadMessage { field: "session" })?;
    let field = "session_token_sha256";
    Ok(SignInVerdict::Right {
        session: Arc::new(session.try_into()?),
        token: token_hash(token_sha256).ok_or(BadMessage { field })?,
        revision: revision(at)?,
        device_mark: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_that_is_none_is_no_answer() {
        assert!(opened(v1::OpenSessionResponse::default()).is_err());
        assert!(completed(v1::CompleteSessionResponse::default()).is_err());
    }

    #[test]
    fn a_challenge_says_until_when() {
        let mut answer = v1::OpenSessionResponse {
            verdict: v1::Verdict::Wrong.into(),
            challenge: "phc_challenge".to_owned(),
            ..Default::default()
        };
        assert!(judged(answer.clone()).is_err());
        answer.challenge_expire_time = Some(prost_types::Timestamp {
            seconds: 7,
            nanos: 0,
        });
        assert!(matches!(
            judged(answer),
            Ok(SignInVerdict::CodeNeeded { expires, .. }) if expires.as_millis() == 7_000
        ));
    }
}
