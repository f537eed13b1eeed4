//! Tickets: a session's holder is given one for a page and a path, and it opens one
//! socket there. Owns what a ticket may be bound to; the store owns that it is used
//! once.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{Credential, CredentialKind, Revision, Session, TokenHash};
use uuid::Uuid;

use crate::identity::chance;
use crate::store::tickets::{self, NewTicket};
use crate::store::{Connection, Store, log, moment, resolve};

use super::error::ApiError;

/// How long a ticket is good.
const TICKET_TIME: TimeDelta = TimeDelta::seconds(30);
/// The most bytes of an origin, and of a path.
const BOUND_BYTES_MAX: usize = 255;

/// What a ticket is bound to.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    origin: String,
    path: String,
}

impl Bound {
    /// Checks that a ticket can be shown there.
    ///
    /// # Errors
    ///
    /// [`ApiError::Field`] names what cannot be.
    pub(crate) fn new(origin: String, path: String) -> Result<Self, ApiError> {
        let fits = |text: &str| text.len() <= BOUND_BYTES_MAX && !text.contains(char::is_control);
        if !fits(&origin) || origin == "null" {
            let rule = "at most 255 bytes, as browsers write it, and not `null`; empty: no page";
            return Err(ApiError::field("origin", rule));
        }
        if !fits(&path) || !path.starts_with('/') || path.contains(['?', '#', '%']) {
            let rule = "`/`, `/{room}` or `/@{address}`, at most 255 bytes, decoded";
            return Err(ApiError::field("path", rule));
        }
        Ok(Self { origin, path })
    }
}

/// Makes and takes tickets.
#[derive(Clone)]
pub(crate) struct Tickets {
    store: Store,
}

/// Whose a ticket was.
pub(crate) struct Redeemed {
    pub(crate) session: Session,
    pub(crate) token: TokenHash,
    pub(crate) revision: Revision,
}

impl Tickets {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Makes a ticket for the holder of a session; answers until when it is good,
    /// if there is such a session.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub(crate) async fn make_for(
        &self,
        session: TokenHash,
        ticket: TokenHash,
        bound: Bound,
    ) -> Result<Option<DateTime<Utc>>, ApiError> {
        self.store
            .transact::<_, ApiError>(move |c| {
                async move {
                    match tickets::session_of(c, &session).await? {
                        Some(session) => Ok(Some(make(c, session, &ticket, bound).await?)),
                        None => Ok(None),
                    }
                }
                .boxed()
            })
            .await
    }

    /// Takes a ticket for an upgrade; `None`: it opens nothing there.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub(crate) async fn redeem(
        &self,
        ticket: TokenHash,
        bound: Bound,
        upgrade: Vec<u8>,
    ) -> Result<Option<Redeemed>, ApiError> {
        let session = self
            .store
            .transact::<_, ApiError>(move |c| {
                async move {
                    let at = (bound.origin.as_str(), bound.path.as_str());
                    Ok(tickets::redeem(c, &ticket, at, &upgrade).await?)
                }
                .boxed()
            })
            .await?;
        let Some(session) = session else {
            return Ok(None);
        };
        self.store
            .snapshot(move |c| {
                async move {
                    let revision = log::head(c).await?;
                    let found = resolve::session_by_id(c, session).await?;
                    Ok::<_, ApiError>(found.map(|(session, token)| Redeemed {
                        session,
                        token,
                        revision,
                    }))
                }
                .boxed()
            })
            .await
    }
}

/// Makes a ticket of a session; answers until when it is good.
pub(super) async fn make(
    c: &mut Connection,
    session_id: Uuid,
    ticket: &TokenHash,
    bound: Bound,
) -> Result<DateTime<Utc>, ApiError> {
    let new = NewTicket {
        ticket_sha256: ticket.as_bytes().to_vec(),
        session_id,
        origin: bound.origin,
        path: bound.path,
        expire_time: moment::begun(c).await? + TICKET_TIME,
    };
    tickets::insert(c, &new).await?;
    Ok(new.expire_time)
}

/// A new ticket, and what is answered with it.
pub(super) fn drawn() -> Credential {
    chance::credential(CredentialKind::Ticket)
}

/// The answer of `CreateTicket`.
pub(super) fn to_wire(ticket: &Credential, expires: DateTime<Utc>) -> wire::CreateTicketResponse {
    wire::CreateTicketResponse {
        ticket: ticket.reveal(),
        expire_time: Some(super::time::to_wire(expires)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_bound_to_what_can_be_shown() {
        let bound = |origin: &str, path: &str| Bound::new(origin.to_owned(), path.to_owned());
        for (origin, path) in [
            ("", "/"),
            ("https://app.example.com", "/lobby"),
            ("http://localhost:8080", "/@ada"),
        ] {
            assert!(bound(origin, path).is_ok(), "{origin} {path}");
        }
        let long = format!("/{}", "r".repeat(255));
        for (origin, path) in [
            ("null", "/"),
            ("https://a\n", "/"),
            ("", ""),
            ("", "lobby"),
            ("", "/lobby?a=b"),
            ("", "/%6cobby"),
            ("", &long),
        ] {
            assert!(bound(origin, path).is_err(), "{origin} {path}");
        }
    }
}
