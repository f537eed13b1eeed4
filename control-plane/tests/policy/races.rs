//! Each thing that counts once is shown by 64 clients over two replicas at once, again
//! and again, and one of them wins each time. `PORTHOUSE_RACES` says how often; a few
//! times unless it does.

use std::future::Future;
use std::net::SocketAddr;

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use porthouse_api::node::v1::verify_step_request::Proof;
use porthouse_api::node::v1::{
    CompleteSessionRequest, RedeemTicketRequest, SecondFactorProof, StepVerdict, Verdict,
    VerifyStepRequest,
};
use porthouse_model::{Credential, CredentialKind};
use tokio::task::JoinSet;
use tonic::Status;

use crate::plane::{Keyed, Plane};
use crate::room_code::{self, Lobby};
use crate::second_factor::{Ada, ask_again, code};

type Feed = PolicyFeedServiceClient<Keyed>;

const CLIENTS: usize = 64;
/// Kinds of things that count once.
const KINDS: usize = 5;

/// Two replicas, a user with a second factor, and the database.
struct Track {
    plane: Plane,
    feeds: [Feed; 2],
    ada: Ada,
    database: tokio_postgres::Client,
}

impl Track {
    async fn new() -> Self {
        let mut plane = Plane::start().await;
        let replicas: [SocketAddr; 2] = [plane.address(), plane.add_replica().await];
        let ada = Ada::new(&plane).await;
        Self {
            feeds: replicas.map(|replica| plane.feed_at(replica)),
            database: plane.cluster.connect().await,
            plane,
            ada,
        }
    }

    async fn set(&self, sql: &str) {
        self.database.batch_execute(sql).await.expect("it is set");
    }

    /// One of so many wins.
    async fn race<F>(&self, what: &str, attempt: impl Fn(Feed, usize) -> F)
    where
        F: Future<Output = Result<bool, Status>> + Send + 'static,
    {
        let mut racing = JoinSet::new();
        for client in 0..CLIENTS {
            racing.spawn(attempt(self.feeds[client % 2].clone(), client));
        }
        let ended = racing.join_all().await;
        let won = |ended: &&Result<bool, Status>| matches!(ended, Ok(true));
        assert_eq!(ended.iter().filter(won).count(), 1, "{what}");
    }

    async fn step(&self, what: &str, request: VerifyStepRequest) {
        self.race(what, |mut feed, _| {
            let request = request.clone();
            async move {
                loop {
                    match feed.verify_step(request.clone()).await {
                        Ok(shown) => return Ok(shown.into_inner().verdict() == StepVerdict::Right),
                        Err(busy) => ask_again(&busy).await,
                    }
                }
            }
        })
        .await;
    }

    async fn code_of_the_time(&self, code: String) {
        let request = VerifyStepRequest {
            room_id: vec![1; 16],
            client_id: vec![2; 16],
            session_id: self.ada.session.as_bytes().to_vec(),
            address: "192.0.2.1".into(),
            proof: Some(Proof::SecondFactor(SecondFactorProof { code })),
            room_name: String::new(),
        };
        self.set("UPDATE second_factors SET step_last = 0, wrong_count = 0, wrong_time = NULL")
            .await;
        self.step("a second factor's code", request).await;
    }

    async fn room_code(&self, lobby: &Lobby, who: room_code::Who) {
        self.set("DELETE FROM room_code_uses").await;
        let request = lobby.question(who, "192.0.2.1", &lobby.code());
        self.step("a room's code", request).await;
    }

    async fn ticket(&self) {
        let request = control::CreateTicketRequest {
            session: format!("sessions/{}", self.ada.session),
            origin: String::new(),
            path: "/".into(),
        };
        let made = self.plane.sessions().create_ticket(request).await;
        let ticket = made.expect("a ticket").into_inner().ticket;
        let ticket = Credential::parse(CredentialKind::Ticket, &ticket).expect("a ticket");
        self.race("a ticket", |mut feed, client| {
            let request = RedeemTicketRequest {
                ticket_sha256: ticket.hash().as_bytes().to_vec(),
                origin: String::new(),
                path: "/".into(),
                upgrade: client.to_be_bytes().to_vec(),
            };
            async move {
                loop {
                    match feed.redeem_ticket(request.clone()).await {
                        Ok(shown) => return Ok(shown.into_inner().verdict() == Verdict::Right),
                        Err(busy) => ask_again(&busy).await,
                    }
                }
            }
        })
        .await;
    }

    /// Ten have a code each that is right, so that the challenge alone decides.
    async fn challenge(&self, challenge: &str) {
        self.set(
            "UPDATE second_factors SET wrong_count = 0, wrong_time = NULL;
             INSERT INTO recovery_codes SELECT * FROM kept_codes ON CONFLICT DO NOTHING;
             INSERT INTO sign_in_challenges SELECT * FROM kept_challenge;
             UPDATE sign_in_challenges SET expire_time = now() + interval '1 minute'",
        )
        .await;
        self.race("a challenge", |mut feed, client| {
            let codes = &self.ada.recovery_codes;
            let request = CompleteSessionRequest {
                challenge: challenge.to_owned(),
                code: codes[client % codes.len()].clone(),
                ..Default::default()
            };
            async move {
                loop {
                    match feed.complete_session(request.clone()).await {
                        Ok(ended) => return Ok(ended.into_inner().verdict() == Verdict::Right),
                        Err(busy) => ask_again(&busy).await,
                    }
                }
            }
        })
        .await;
    }

    async fn waiting_sign_in(&self) -> String {
        let open = control::CreateSessionRequest {
            username: "ada".into(),
            password: "correct horse".into(),
            ..Default::default()
        };
        let opened = self.plane.sessions().create_session(open).await;
        let opened = opened.expect("the right password").into_inner();
        let waits = opened.second_factor_challenge.expect("a challenge");
        self.set(
            "CREATE TABLE kept_codes AS SELECT * FROM recovery_codes;
             CREATE TABLE kept_challenge AS SELECT * FROM sign_in_challenges;
             DELETE FROM sign_in_challenges",
        )
        .await;
        waits.challenge
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_over_two_replicas_one_wins_whatever_counts_once() {
    let races = std::env::var("PORTHOUSE_RACES");
    let races = races.map_or(2 * KINDS, |text| text.parse().expect("a number"));
    let track = Track::new().await;
    let lobby = Lobby::new(&track.plane).await;
    let bob = room_code::user(&track.plane, "bob").await;
    let challenge = track.waiting_sign_in().await;
    for round in 0..races / KINDS {
        track.code_of_the_time(code(&track.ada.app)).await;
        let codes = &track.ada.recovery_codes;
        track
            .set("INSERT INTO recovery_codes SELECT * FROM kept_codes ON CONFLICT DO NOTHING")
            .await;
        track
            .code_of_the_time(codes[round % codes.len()].clone())
            .await;
        track.room_code(&lobby, bob).await;
        track.ticket().await;
        track.challenge(&challenge).await;
    }
}
