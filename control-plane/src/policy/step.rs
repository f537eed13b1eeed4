//! Steps of a room's entry that nodes ask about: a user's second factor, a room's
//! code, an owner's backend. Translates; whoever owns the step decides.

use std::time::Duration;

use porthouse_api::node::v1::verify_step_request::Proof;
use porthouse_api::node::v1::{StepVerdict, VerifyStepRequest, VerifyStepResponse};
use porthouse_model::{ClientId, Revision, RoomId, SessionId};
use tonic::Status;
use uuid::Uuid;

use crate::api::{Checked, Given, Shown};

use super::PolicyFeed;
use super::refusal::Refusal;
use super::verify::{address, revision, wait};

/// Who stands at which door.
#[expect(dead_code, reason = "only a second factor is verified yet")]
pub(super) struct Comer {
    pub(super) room: RoomId,
    pub(super) client: ClientId,
    pub(super) session: Option<SessionId>,
    pub(super) address: String,
}

impl PolicyFeed {
    /// Verifies a step.
    pub(super) async fn verify_step_of(
        &self,
        request: VerifyStepRequest,
    ) -> Result<VerifyStepResponse, Status> {
        let proof = request.proof.ok_or(Refusal::Bad("proof: one of them"))?;
        let comer = Comer {
            room: RoomId::try_from(&*request.room_id)
                .map_err(|_| Refusal::Bad("room_id: 16 bytes"))?,
            client: ClientId::try_from(&*request.client_id)
                .map_err(|_| Refusal::Bad("client_id: 16 bytes"))?,
            session: match &*request.session_id {
                [] => None,
                id => Some(
                    SessionId::try_from(id)
                        .map_err(|_| Refusal::Bad("session_id: 16 bytes or none"))?,
                ),
            },
            address: address(request.address)?,
        };
        match proof {
            Proof::SecondFactor(shown) => self.verify_second_factor(&comer, &shown.code).await,
            Proof::RoomCode(_) | Proof::Hook(_) => Ok(ended(StepVerdict::Gone, Revision(0))),
        }
    }

    async fn verify_second_factor(
        &self,
        comer: &Comer,
        code: &str,
    ) -> Result<VerifyStepResponse, Status> {
        let session = comer
            .session
            .ok_or(Refusal::Bad("session_id: a second factor is a user's"))?;
        let session = Uuid::from_bytes(*session.as_bytes());
        let (shown, at) = self.code_check.show(session, Given::parse(code)).await?;
        Ok(match shown {
            Shown::Right(_) => ended(StepVerdict::Right, at),
            Shown::Not(checked) => unpassed(checked, at),
            Shown::SessionGone => ended(StepVerdict::Gone, at),
        })
    }
}

/// As a node is told.
pub(super) fn unpassed(checked: Checked, at: Revision) -> VerifyStepResponse {
    match checked {
        Checked::Right => ended(StepVerdict::Right, at),
        Checked::Wrong => ended(StepVerdict::Wrong, at),
        Checked::Later(delay) => later(delay, at),
        Checked::NotEnrolled => ended(StepVerdict::NotEnrolled, at),
    }
}

pub(super) fn later(delay: Duration, at: Revision) -> VerifyStepResponse {
    VerifyStepResponse {
        retry_delay: Some(wait(delay)),
        ..ended(StepVerdict::Later, at)
    }
}

pub(super) fn ended(verdict: StepVerdict, at: Revision) -> VerifyStepResponse {
    VerifyStepResponse {
        verdict: verdict.into(),
        revision: revision(at),
        ..VerifyStepResponse::default()
    }
}
