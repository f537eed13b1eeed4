//! A step of a room's entry between the core and the wire: what is shown goes
//! out, a verdict comes back. Asks nobody, and shows no secret.

use porthouse_api::node::BadMessage;
use porthouse_api::node::v1::verify_step_request::Proof as Shown;
use porthouse_api::node::v1::{
    HookProof, RoomCodeProof, SecondFactorProof, StepVerdict, VerifyStepRequest, VerifyStepResponse,
};
use porthouse_model::{CodeVersion, HookVersion};
use porthouse_puddle::{Pass, Proof, Verdict, Verification};

use super::client::delay;

/// What is asked; `None`: it is no step of this kind.
pub(super) fn question(what: &Verification) -> Option<VerifyStepRequest> {
    let shown = match &what.proof {
        Proof::Password(_) => return None,
        Proof::SecondFactor(code) => Shown::SecondFactor(SecondFactorProof {
            code: code.expose().to_owned(),
        }),
        Proof::RoomCode(code) => Shown::RoomCode(RoomCodeProof {
            code: code.expose().to_owned(),
        }),
        Proof::Hook { origin } => Shown::Hook(HookProof {
            origin: origin.as_deref().unwrap_or_default().to_owned(),
        }),
    };
    let session = what.session.map(|session| session.as_bytes().to_vec());
    Some(VerifyStepRequest {
        room_id: what.room.as_bytes().to_vec(),
        client_id: what.client.as_bytes().to_vec(),
        session_id: session.unwrap_or_default(),
        address: what.address.to_string(),
        proof: Some(shown),
        room_name: what.name.as_str().to_owned(),
    })
}

/// What the answer to it means.
pub(super) fn verdict(asked: &Proof, answer: &VerifyStepResponse) -> Result<Verdict, BadMessage> {
    Ok(match answer.verdict() {
        StepVerdict::Right => Verdict::Right(pass(asked, answer.version)?),
        StepVerdict::Wrong => Verdict::Wrong,
        StepVerdict::Gone => Verdict::Gone,
        StepVerdict::Later => Verdict::Later(delay(answer.retry_delay)),
        StepVerdict::NotEnrolled => Verdict::NotEnrolled,
        StepVerdict::Refused => Verdict::Refused,
        StepVerdict::Away => Verdict::Away,
        StepVerdict::Unspecified => return Err(BadMessage { field: "verdict" }),
    })
}

fn pass(asked: &Proof, version: u64) -> Result<Pass, BadMessage> {
    match asked {
        Proof::SecondFactor(_) => Ok(Pass::SecondFactor),
        Proof::RoomCode(_) => Ok(Pass::RoomCode(CodeVersion(version))),
        Proof::Hook { .. } => Ok(Pass::Hook(HookVersion(version))),
        Proof::Password(_) => Err(BadMessage { field: "proof" }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use porthouse_model::{ClientId, RoomId, SessionId, UserId};
    use porthouse_puddle::Secret;

    use super::*;

    fn shown(proof: Proof) -> Verification {
        Verification {
            room: RoomId::from_bytes([1; 16]),
            name: "vault".parse().expect("a name"),
            client: ClientId::from_bytes([2; 16]),
            user: Some(UserId::from_bytes([2; 16])),
            session: Some(SessionId::from_bytes([3; 16])),
            address: IpAddr::from([127, 0, 0, 1]),
            proof,
        }
    }

    fn answer(verdict: StepVerdict, version: u64) -> VerifyStepResponse {
        VerifyStepResponse {
            verdict: verdict.into(),
            version,
            ..VerifyStepResponse::default()
        }
    }

    #[test]
    fn each_proof_is_asked_about_and_passes_its_own_step() {
        let code = || Secret::new("123456".to_owned());
        for (proof, pass) in [
            (Proof::SecondFactor(code()), Pass::SecondFactor),
            (Proof::RoomCode(code()), Pass::RoomCode(CodeVersion(7))),
            (Proof::Hook { origin: None }, Pass::Hook(HookVersion(7))),
        ] {
            let asked = question(&shown(proof.clone())).expect("a question");
            assert_eq!(asked.session_id, [3; 16]);
            assert_eq!(asked.room_name, "vault");
            assert!(!format!("{asked:?}").contains("123456"), "{asked:?}");
            let right = verdict(&proof, &answer(StepVerdict::Right, 7));
            assert_eq!(right, Ok(Verdict::Right(pass)));
        }
        assert!(question(&shown(Proof::Password(code()))).is_none());
    }

    #[test]
    fn a_verdict_that_is_none_is_no_answer() {
        let proof = Proof::Hook { origin: None };
        let heard = verdict(&proof, &answer(StepVerdict::Unspecified, 0));
        assert_eq!(heard, Err(BadMessage { field: "verdict" }));
        let away = verdict(&proof, &answer(StepVerdict::Away, 0));
        assert_eq!(away, Ok(Verdict::Away));
    }
}
