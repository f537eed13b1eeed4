//! Tickets, made and taken for nodes: translated, and no more.

use porthouse_api::node::resolve::token_hash;
use porthouse_api::node::v1::{
    MakeTicketRequest, MakeTicketResponse, RedeemTicketRequest, RedeemTicketResponse, Verdict,
};
use tonic::Status;

use crate::api::{Bound, time_to_wire};

use super::PolicyFeed;
use super::refusal::Refusal;
use super::verify::revision;

/// What an upgrade may be told by.
const UPGRADE_BYTES: std::ops::RangeInclusive<usize> = 1..=64;

impl PolicyFeed {
    /// Makes a ticket for the holder of a session.
    pub(super) async fn make_ticket_of(
        &self,
        request: MakeTicketRequest,
    ) -> Result<MakeTicketResponse, Status> {
        let session = token_hash(&request.session_token_sha256);
        let session = session.ok_or(Refusal::Bad("session_token_sha256: 32 bytes"))?;
        let ticket = token_hash(&request.ticket_sha256);
        let ticket = ticket.ok_or(Refusal::Bad("ticket_sha256: 32 bytes"))?;
        let bound = Bound::new(request.origin, request.path)?;
        let made = self.verifiers.tickets.make_for(session, ticket, bound);
        Ok(match made.await? {
            Some(expires) => MakeTicketResponse {
                verdict: Verdict::Right.into(),
                expire_time: Some(time_to_wire(expires)),
            },
            None => MakeTicketResponse {
                verdict: Verdict::Gone.into(),
                expire_time: None,
            },
        })
    }

    /// Takes a ticket for an upgrade.
    pub(super) async fn take_ticket(
        &self,
        request: RedeemTicketRequest,
    ) -> Result<RedeemTicketResponse, Status> {
        let ticket = token_hash(&request.ticket_sha256);
        let ticket = ticket.ok_or(Refusal::Bad("ticket_sha256: 32 bytes"))?;
        if !UPGRADE_BYTES.contains(&request.upgrade.len()) {
            return Err(Refusal::Bad("upgrade: 1 to 64 bytes").into());
        }
        let gone = || RedeemTicketResponse {
            verdict: Verdict::Gone.into(),
            ..RedeemTicketResponse::default()
        };
        // What no ticket can be bound to opens nothing.
        let Ok(bound) = Bound::new(request.origin, request.path) else {
            return Ok(gone());
        };
        let taken = self
            .verifiers
            .tickets
            .redeem(ticket, bound, request.upgrade);
        Ok(taken
            .await?
            .map_or_else(gone, |redeemed| RedeemTicketResponse {
                verdict: Verdict::Right.into(),
                session: Some((&redeemed.session).into()),
                session_token_sha256: redeemed.token.as_bytes().to_vec(),
                revision: revision(redeemed.revision),
            }))
    }
}
