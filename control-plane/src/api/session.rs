//! `SessionService`. A token leaves here once, to whoever opened the session.

use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{Credential, CredentialKind};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::identity::chance;
use crate::identity::password::Password;
use crate::store::sessions::{self, NamedSession};
use crate::store::{issuers, log, users};

use super::code_check::{Checked, Given};
use super::error::{ApiError, Kind};
use super::sign_in::{Answer, Client, Drawn, Opened, Second, SignedIn};
use super::ticket::{self, Bound};
use super::token_sign_in::{ShownToken, is_alone};
use super::{Api, Write, asker, page, resource_name, revision_to_wire, time, user};

/// The most bytes of a client's address.
const ADDRESS_BYTES_MAX: usize = 255;
/// The most bytes of what a client says it is.
const USER_AGENT_BYTES_MAX: usize = 1024;

#[tonic::async_trait]
impl wire::session_service_server::SessionService for Api {
    async fn create_session(
        &self,
        request: Request<wire::CreateSessionRequest>,
    ) -> Result<Response<wire::CreateSessionResponse>, Status> {
        let asker = asker(&request, &request.get_ref().client_address);
        let request = request.into_inner();
        let new_mark = chance::credential(CredentialKind::Device);
        let client = Client {
            // What is no mark is none: a device that mistypes it is merely unknown.
            mark: Credential::parse(CredentialKind::Device, &request.device_mark)
                .ok()
                .map(|mark| mark.hash()),
            new_mark: Some(new_mark.hash()),
            ..client(request.client_address, request.user_agent)?
        };
        let lifetime = self.lifetime(request.lifetime)?;
        let by_token = is_alone(&request.jwt, &request.username, &request.password)?;
        let signed_in = if by_token {
            let shown = ShownToken {
                jwt: Zeroizing::new(request.jwt),
                second: Second::Later,
                lifetime,
                client,
                token: None,
            };
            self.sign_in.open_by_token(shown).await?
        } else {
            let rule = "1 to 1024 bytes of UTF-8 without NUL";
            let password = Password::given(request.password);
            let answer = Answer {
                username: resource_name::id("username", &request.username)?,
                password: password.map_err(|_| ApiError::field("password", rule))?,
                lifetime,
                second: Second::Later,
                client,
                asker,
                token: None,
            };
            self.sign_in.open(answer).await?
        };
        let answer = match signed_in {
            SignedIn::Opened(opened) => wire::CreateSessionResponse {
                token: opened.token.reveal(),
                revision: revision_to_wire(Some(opened.revision)),
                device_mark: handed_out(&opened, &new_mark),
                second_factor_challenge: None,
                session: Some(self.opened(*opened).await?),
            },
            SignedIn::Challenged(challenge, expires) => wire::CreateSessionResponse {
                second_factor_challenge: Some(wire::SecondFactorChallenge {
                    challenge: challenge.reveal(),
                    expire_time: Some(time::to_wire(expires)),
                }),
                ..wire::CreateSessionResponse::default()
            },
            SignedIn::Not(checked) => return Err(unpassed(checked).into()),
        };
        Ok(Response::new(answer))
    }

    async fn complete_session(
        &self,
        request: Request<wire::CompleteSessionRequest>,
    ) -> Result<Response<wire::CompleteSessionResponse>, Status> {
        let request = request.into_inner();
        let challenge = Credential::parse(CredentialKind::SignInChallenge, &request.challenge)
            .map_err(|bad| ApiError::field("challenge", bad.to_string()))?;
        let given = Given::parse(&request.code);
        let new_mark = chance::credential(CredentialKind::Device);
        let drawn = Drawn {
            token: None,
            new_mark: Some(new_mark.hash()),
        };
        match self.sign_in.complete(challenge, given, drawn).await? {
            SignedIn::Opened(opened) => Ok(Response::new(wire::CompleteSessionResponse {
                token: opened.token.reveal(),
                revision: revision_to_wire(Some(opened.revision)),
                device_mark: handed_out(&opened, &new_mark),
                session: Some(self.opened(*opened).await?),
            })),
            SignedIn::Not(checked) => Err(unpassed(checked).into()),
            SignedIn::Challenged(..) => Err(ApiError::ChallengeGone.into()),
        }
    }

    async fn create_ticket(
        &self,
        request: Request<wire::CreateTicketRequest>,
    ) -> Result<Response<wire::CreateTicketResponse>, Status> {
        let request = request.into_inner();
        let session = resource_name::session("session", &request.session)?;
        let bound = Bound::new(request.origin, request.path)?;
        let ticket = ticket::drawn();
        let hash = ticket.hash();
        let (expires, _) = self
            .write(Write::Keep, move |c| {
                async move {
                    let live = sessions::holder(c, session).await?;
                    live.ok_or_else(|| absent(session))?;
                    ticket::make(c, session, &hash, bound).await
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(ticket::to_wire(&ticket, expires)))
    }

    async fn create_user_session(
        &self,
        request: Request<wire::CreateUserSessionRequest>,
    ) -> Result<Response<wire::CreateUserSessionResponse>, Status> {
        let request = request.into_inner();
        let username = resource_name::user("user", &request.user)?;
        let lifetime = self.lifetime(request.lifetime)?;
        let client = client(request.client_address, request.user_agent)?;
        let opened = self
            .sign_in
            .open_unasked(username, lifetime, client)
            .await?;
        Ok(Response::new(wire::CreateUserSessionResponse {
            token: opened.token.reveal(),
            revision: revision_to_wire(Some(opened.revision)),
            session: Some(self.opened(opened).await?),
        }))
    }

    async fn get_session(
        &self,
        request: Request<wire::GetSessionRequest>,
    ) -> Result<Response<wire::GetSessionResponse>, Status> {
        let id = resource_name::session("name", &request.into_inner().name)?;
        let found = self
            .read(move |c| {
                async move { sessions::by_id(c, id).await?.ok_or_else(|| absent(id)) }.boxed()
            })
            .await?;
        Ok(Response::new(wire::GetSessionResponse {
            session: Some(to_wire(found)),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<wire::ListSessionsRequest>,
    ) -> Result<Response<wire::ListSessionsResponse>, Status> {
        let request = request.into_inner();
        let of_user = match request.user.as_str() {
            "" => None,
            name => Some(resource_name::user("user", name)?),
        };
        let listing = format!("sessions {}", request.user);
        let asked = page::read::<Uuid>(request.page_size, &request.page_token, &listing)?;
        let read = asked.clone();
        let rows = self
            .read(move |c| {
                async move {
                    let id = match of_user {
                        None => None,
                        Some(name) => {
                            let user = users::by_name(c, &name).await?;
                            Some(user.ok_or_else(|| user::absent(&name))?.id)
                        }
                    };
                    Ok(sessions::page(c, id, &read).await?)
                }
                .boxed()
            })
            .await?;
        let (rows, next_page_token) = page::cut(rows, &asked, &listing, |(row, ..)| row.id);
        let sessions = rows.into_iter().map(to_wire).collect();
        Ok(Response::new(wire::ListSessionsResponse {
            sessions,
            next_page_token,
        }))
    }

    async fn revoke_session(
        &self,
        request: Request<wire::RevokeSessionRequest>,
    ) -> Result<Response<wire::RevokeSessionResponse>, Status> {
        let id = resource_name::session("name", &request.into_inner().name)?;
        let (gone, revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let session = sessions::by_id(c, id).await?.ok_or_else(|| absent(id))?;
                    let deleted = sessions::delete(c, id).await?;
                    deleted.then_some(session).ok_or_else(|| absent(id))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::RevokeSessionResponse {
            session: Some(to_wire(gone)),
            revision: revision_to_wire(revision),
        }))
    }

    async fn revoke_all_sessions(
        &self,
        request: Request<wire::RevokeAllSessionsRequest>,
    ) -> Result<Response<wire::RevokeAllSessionsResponse>, Status> {
        let name = resource_name::user("user", &request.into_inner().user)?;
        let (count, revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let user = users::lock(c, &name)
                        .await?
                        .ok_or_else(|| user::absent(&name))?;
                    log::note_user_gone(c, user.id).await?;
                    Ok(sessions::delete_of_user(c, user.id).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::RevokeAllSessionsResponse {
            revoked_count: i32::try_from(count).unwrap_or(i32::MAX),
            revision: revision_to_wire(revision),
        }))
    }
}

impl Api {
    /// A session that was just opened, as it is sent.
    async fn opened(&self, opened: Opened) -> Result<wire::Session, ApiError> {
        let issuer = match opened.session.issuer_id {
            None => None,
            Some(id) => {
                let read =
                    self.read(move |c| async move { Ok(issuers::by_id(c, id).await?) }.boxed());
                read.await?.map(|row| row.name)
            }
        };
        Ok(to_wire((opened.session, opened.user.username, issuer)))
    }

    fn lifetime(&self, asked: Option<prost_types::Duration>) -> Result<Duration, ApiError> {
        let max = self.sign_in.lifetime_max;
        asked.map_or(Ok(max), |span| {
            time::span("lifetime", span, Duration::from_secs(1), max)
        })
    }
}

/// Where a sign-in comes from, as the caller says.
fn client(address: String, user_agent: String) -> Result<Client, ApiError> {
    if address.len() > ADDRESS_BYTES_MAX || address.contains(char::is_control) {
        let rule = format!("at most {ADDRESS_BYTES_MAX} bytes, no control characters");
        return Err(ApiError::field("client_address", rule));
    }
    if !is_user_agent(&user_agent) {
        let rule = format!("at most {USER_AGENT_BYTES_MAX} bytes, no control characters");
        return Err(ApiError::field("user_agent", rule));
    }
    Ok(Client {
        address,
        user_agent,
        mark: None,
        new_mark: None,
    })
}

/// Whether a client may say that it is this.
pub(crate) fn is_user_agent(text: &str) -> bool {
    text.len() <= USER_AGENT_BYTES_MAX && !text.contains(char::is_control)
}

/// The mark that was drawn for a device, where it is known by that now.
fn handed_out(opened: &Opened, new_mark: &Credential) -> String {
    if opened.marked {
        new_mark.reveal()
    } else {
        String::new()
    }
}

fn unpassed(checked: Checked) -> ApiError {
    checked.passed().err().unwrap_or(ApiError::CodeWrong)
}

fn absent(id: Uuid) -> ApiError {
    ApiError::Absent(Kind::Session, format!("sessions/{id}"))
}

fn to_wire((row, username, issuer): NamedSession) -> wire::Session {
    let factor = |factor: wire::Factor, time| wire::SatisfiedFactor {
        factor: factor.into(),
        time: Some(time::to_wire(time)),
    };
    let second = row.second_factor_time;
    let second = second.map(|time| factor(wire::Factor::Second, time));
    let first = match row.issuer_id {
        Some(_) => wire::Factor::Issuer,
        None => wire::Factor::Password,
    };
    let first = (!row.by_backend).then(|| factor(first, row.create_time));
    wire::Session {
        name: format!("sessions/{}", row.id),
        user: format!("users/{username}"),
        create_time: Some(time::to_wire(row.create_time)),
        expire_time: Some(time::to_wire(row.expire_time)),
        last_seen_time: Some(time::to_wire(row.last_seen_time)),
        client_address: row.client_address,
        user_agent: row.user_agent,
        factors: first.into_iter().chain(second).collect(),
        issuer: issuer
            .map(|name| format!("issuers/{name}"))
            .unwrap_or_default(),
    }
}
