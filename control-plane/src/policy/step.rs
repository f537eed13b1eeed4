//! Steps of a room's entry that nodes ask about: a user's second factor, a room's
//! code, an owner's backend. Translates; whoever owns the step decides.

use std::time::Duration;

use porthouse_api::node::v1::verify_step_request::Proof;
use porthouse_api::node::v1::{StepVerdict, VerifyStepRequest, VerifyStepResponse};
use porthouse_model::{ClientId, Revision, RoomId, RoomName, SessionId};
use tonic::Status;
use uuid::Uuid;

use crate::api::{Checked, Given, RoomCodeChecked, Shower, Shown};

use super::PolicyFeed;
use super::refusal::Refusal;
use super::verify::{address, revision, wait};

/// Who stands at which door.
pub(super) struct Comer {
    pub(super) room: RoomId,
    /// What the room is called; a node of an earlier build does not say.
    pub(super) room_name: Option<RoomName>,
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
            room_name: match &*request.room_name {
                "" => None,
                name => Some(
                    name.parse()
                        .map_err(|_| Refusal::Bad("room_name: a room's"))?,
                ),
            },
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
            Proof::RoomCode(shown) => self.verify_room_code(comer, &shown.code).await,
            Proof::Hook(told) => self.ask_hook(&comer, told.origin).await,
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
        let given = Given::parse(code);
        let (shown, at) = self.verifiers.code.show(session, given).await?;
        Ok(match shown {
            Shown::Right(_) => ended(StepVerdict::Right, at),
            Shown::Not(checked) => unpassed(checked, at),
            Shown::SessionGone => ended(StepVerdict::Gone, at),
        })
    }

    async fn verify_room_code(
        &self,
        comer: Comer,
        code: &str,
    ) -> Result<VerifyStepResponse, Status> {
        let shower = Shower {
            client: Uuid::from_bytes(*comer.client.as_bytes()),
            session: comer
                .session
                .map(|session| Uuid::from_bytes(*session.as_bytes())),
            address: comer.address,
            room: comer.room_name,
        };
        let room = Uuid::from_bytes(*comer.room.as_bytes());
        let (checked, at) = self.verifiers.room_code.show(room, shower, code).await?;
        Ok(match checked {
            RoomCodeChecked::Right(version) => VerifyStepResponse {
                version: version.unsigned_abs(),
                ..ended(StepVerdict::Right, at)
            },
            RoomCodeChecked::Wrong => ended(StepVerdict::Wrong, at),
            RoomCodeChecked::Gone => ended(StepVerdict::Gone, at),
            RoomCodeChecked::Later(delay) => later(delay, at),
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
