//! Writes that nodes ask for. Sign-ins and their ends are in the audit log; tickets and codes at
//! doors are not: that is what clients do, and not what administrators do.

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1 as node;
use porthouse_model::{Credential, CredentialKind, RoomId, UserId};
use uuid::Uuid;

use super::sessions::{Factor, factor, sign_in};
use super::{PASSWORD, Ready, Scene, Write, user};
use crate::second_factor::{STEP, app, code, code_after};

use node::policy_feed_service_client::PolicyFeedServiceClient;
use node::verify_step_request::Proof;

const ADDRESS: &str = "192.0.2.1";

pub(crate) const OF_NODES: &[Write] = writes! {
    PolicyFeedServiceClient.open_session |scene, name| {
        user(scene, &name).await;
        node::OpenSessionRequest {
            username: name,
            password: PASSWORD.into(),
            address: ADDRESS.into(),
            ..Default::default()
        }
    };
    PolicyFeedServiceClient.complete_session |scene, name| {
        let factor = factor(scene, &name).await;
        let begun = scene.plane.sessions().create_session(sign_in(name)).await;
        let waits = begun.expect("the right password").into_inner().second_factor_challenge;
        node::CompleteSessionRequest {
            challenge: waits.expect("a challenge").challenge,
            code: code_after(&factor.app, STEP),
            ..Default::default()
        }
    };
    PolicyFeedServiceClient.make_ticket |scene, name| node::MakeTicketRequest {
        session_token_sha256: token(scene, &name).await.1,
        ticket_sha256: Uuid::new_v4().as_bytes().repeat(2),
        origin: String::new(),
        path: "/".into(),
    };
    PolicyFeedServiceClient.redeem_ticket |scene, name| {
        let request = control::CreateTicketRequest {
            session: token(scene, &name).await.0,
            origin: String::new(),
            path: "/".into(),
        };
        let made = scene.plane.sessions().create_ticket(request).await;
        let ticket = made.expect("a ticket").into_inner().ticket;
        node::RedeemTicketRequest {
            ticket_sha256: hash(CredentialKind::Ticket, &ticket),
            origin: String::new(),
            path: "/".into(),
            upgrade: name.into_bytes(),
        }
    };
    PolicyFeedServiceClient.close_session |scene, name| node::CloseSessionRequest {
        session_token_sha256: token(scene, &name).await.1,
    };
    PolicyFeedServiceClient.keep_out |scene, name| node::KeepOutRequest {
        room_id: room(scene, &name).await,
        client_id: user_id(scene, &name).await,
        room_name: name,
        duration: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        by_client_id: Vec::new(),
    };
    // A code of the user's second factor.
    PolicyFeedServiceClient.verify_step |scene, name| {
        let factor = factor(scene, &name).await;
        step(&factor, vec![1; 16], Proof::SecondFactor(node::SecondFactorProof {
            code: code_after(&factor.app, STEP),
        }))
    };
    // A code of the room's.
    PolicyFeedServiceClient.verify_step |scene, name| {
        let (factor, room) = (factor(scene, &name).await, room(scene, &name).await);
        let request = control::SetRoomCodeRequest {
            room: format!("rooms/{name}"),
            ..Default::default()
        };
        let set = scene.plane.doors().set_room_code(request).await.expect("a code");
        let code = code(&app(&set.into_inner().secret));
        let proof = Proof::RoomCode(node::RoomCodeProof { code });
        node::VerifyStepRequest { room_name: name, ..step(&factor, room, proof) }
    };
};

fn step(factor: &Factor, room_id: Vec<u8>, proof: Proof) -> node::VerifyStepRequest {
    let session = factor.holder.session.strip_prefix("sessions/");
    let session: Uuid = session.expect("a name").parse().expect("an identity");
    node::VerifyStepRequest {
        room_id,
        client_id: session.as_bytes().to_vec(),
        session_id: session.as_bytes().to_vec(),
        address: ADDRESS.into(),
        proof: Some(proof),
        room_name: String::new(),
    }
}

fn hash(kind: CredentialKind, token: &str) -> Vec<u8> {
    let credential = Credential::parse(kind, token).expect("a token");
    credential.hash().as_bytes().to_vec()
}

/// A session of a new user's, and the hash of its token.
async fn token(scene: &Scene, name: &str) -> (String, Vec<u8>) {
    user(scene, name).await;
    let mut sessions = scene.plane.sessions();
    let opened = sessions.create_session(sign_in(name.into())).await;
    let opened = opened.expect("a session").into_inner();
    let token = hash(CredentialKind::Session, &opened.token);
    (opened.session.expect("it").name, token)
}

async fn user_id(scene: &Scene, name: &str) -> Vec<u8> {
    let name = user(scene, name).await;
    let get = control::GetUserRequest { name };
    let found = scene
        .plane
        .users()
        .get_user(get)
        .await
        .expect("it is there");
    let uid = found.into_inner().user.expect("a user").uid;
    let id: UserId = uid.parse().expect("an identity");
    id.as_bytes().to_vec()
}

async fn room(scene: &Scene, name: &str) -> Vec<u8> {
    let request = control::CreateRoomRequest {
        room_id: name.to_owned(),
        ..Default::default()
    };
    let made = scene.plane.rooms().create_room(request).await;
    let uid = made.expect("a room").into_inner().room.expect("it").uid;
    let id: RoomId = uid.parse().expect("an identity");
    id.as_bytes().to_vec()
}
