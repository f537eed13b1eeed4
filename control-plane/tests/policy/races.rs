//! Each thing that counts once is shown by 64 clients over two replicas at once, again
//! and again, and one of them wins each time. `PORTHOUSE_RACES` says how often; a few
//! times unless it does.

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::second_factor_service_client::SecondFactorServiceClient;
use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use porthouse_api::node::v1::verify_step_request::Proof;
use porthouse_api::node::v1::{
    CompleteSessionRequest, RedeemTicketRequest, SecondFactorProof, StepVerdict, Verdict,
    VerifyStepRequest,
};
use porthouse_model::{Credential, CredentialKind, SessionId};
use tokio::task::JoinSet;
use tonic::{Code, Response, Status};
use uuid::Uuid;

use crate::plane::{Keyed, Plane};
use crate::room_code::{self, Lobby};
use crate::second_factor::{Ada, app, ask_again, begin, code};

type Feed = PolicyFeedServiceClient<Keyed>;

const CLIENTS: usize = 64;

/// How often each is raced.
fn races() -> usize {
    let races = std::env::var("PORTHOUSE_RACES");
    races.map_or(2, |text| text.parse().expect("a number"))
}

/// Two replicas over one database.
struct Track {
    plane: Plane,
    feeds: [Feed; 2],
    factors: [SecondFactorServiceClient<Keyed>; 2],
    database: tokio_postgres::Client,
}

impl Track {
    async fn new() -> Self {
        let mut plane = Plane::start().await;
        let replicas = [plane.address(), plane.add_replica().await];
        Self {
            feeds: replicas.map(|replica| plane.feed_at(replica)),
            factors: replicas.map(|replica| plane.second_factors_at(replica)),
            database: plane.cluster.connect().await,
            plane,
        }
    }

    async fn set(&self, sql: &str) {
        self.database.batch_execute(sql).await.expect("it is set");
    }

    /// A code of the second factor, or a recovery code.
    async fn code(&self, session: SessionId, code: String) {
        let proof = Proof::SecondFactor(SecondFactorProof { code });
        let request = at_the_door(session, proof);
        self.set("UPDATE second_factors SET step_last = 0, wrong_count = 0, wrong_time = NULL")
            .await;
        self.step(&request).await;
    }

    async fn step(&self, request: &VerifyStepRequest) {
        one(|client| {
            let (feed, request) = (self.feeds[client % 2].clone(), request.clone());
            async move {
                let shown = answered(|| {
                    let (mut feed, request) = (feed.clone(), request.clone());
                    async move { feed.verify_step(request).await }
                });
                (shown.await.verdict() == StepVerdict::Right).then_some(())
            }
        })
        .await;
    }
}

/// One of all wins; answers what.
async fn one<T, F>(attempt: impl Fn(usize) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = Option<T>> + Send + 'static,
{
    let mut racing = JoinSet::new();
    for client in 0..CLIENTS {
        racing.spawn(attempt(client));
    }
    let mut won: Vec<T> = racing.join_all().await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "one wins");
    won.remove(0)
}

/// Asks until there is an answer.
async fn answered<T, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    loop {
        match ask().await {
            Ok(answer) => return answer.into_inner(),
            Err(busy) => ask_again(&busy).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_who_show_one_code_over_two_replicas_one_wins() {
    let track = Track::new().await;
    let ada = Ada::new(&track.plane).await;
    for _ in 0..races() {
        track.code(ada.session, code(&ada.app)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_who_show_one_recovery_code_over_two_replicas_one_wins() {
    let track = Track::new().await;
    let ada = Ada::new(&track.plane).await;
    track
        .set("CREATE TABLE kept_codes AS SELECT * FROM recovery_codes")
        .await;
    let codes = ada.recovery_codes.iter().cycle();
    for code in codes.take(races()) {
        track.code(ada.session, code.clone()).await;
        track
            .set("INSERT INTO recovery_codes SELECT * FROM kept_codes ON CONFLICT DO NOTHING")
            .await;
    }
}

/// A user's, and by turns that of a client without a name.
#[tokio::test(flavor = "multi_thread")]
async fn of_64_who_show_one_code_of_a_room_over_two_replicas_one_wins() {
    let track = Track::new().await;
    let lobby = Lobby::new(&track.plane).await;
    let ada = room_code::user(&track.plane, "ada").await;
    let nobody = room_code::Who::Anonymous(Uuid::from_bytes([1; 16]));
    for who in [ada, nobody].into_iter().cycle().take(races()) {
        track.set("DELETE FROM room_code_uses").await;
        let request = lobby.question(who, "192.0.2.1", &lobby.code());
        track.step(&request).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_who_confirm_one_second_factor_over_two_replicas_one_wins() {
    let track = Track::new().await;
    room_code::user(&track.plane, "ada").await;
    let begun = begin(&track.plane).await.expect("begun");
    let app = app(&begun.secret);
    for _ in 0..races() {
        track
            .set(
                "UPDATE second_factors SET enable_time = NULL, step_last = 0, wrong_count = 0,
                     wrong_time = NULL",
            )
            .await;
        let request = control::ConfirmTotpRequest {
            user: "users/ada".into(),
            code: code(&app),
        };
        let codes = one(|client| {
            let (mut factors, request) = (track.factors[client % 2].clone(), request.clone());
            async move {
                loop {
                    match factors.confirm_totp(request.clone()).await {
                        Ok(confirmed) => return Some(confirmed.into_inner().recovery_codes),
                        Err(busy) if busy.code() == Code::Unavailable => ask_again(&busy).await,
                        Err(lost) => {
                            assert_eq!(lost.code(), Code::FailedPrecondition, "{lost}");
                            return None;
                        }
                    }
                }
            }
        })
        .await;
        assert_eq!(codes.len(), 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_who_show_one_ticket_over_two_replicas_one_wins() {
    let track = Track::new().await;
    let ada = room_code::user(&track.plane, "ada").await;
    let room_code::Who::User(session) = ada else {
        unreachable!("a user")
    };
    for _ in 0..races() {
        let request = control::CreateTicketRequest {
            session: format!("sessions/{session}"),
            origin: String::new(),
            path: "/".into(),
        };
        let made = track.plane.sessions().create_ticket(request).await;
        let ticket = made.expect("a ticket").into_inner().ticket;
        let ticket = Credential::parse(CredentialKind::Ticket, &ticket).expect("a ticket");
        one(|client| {
            let feed = track.feeds[client % 2].clone();
            let request = RedeemTicketRequest {
                ticket_sha256: ticket.hash().as_bytes().to_vec(),
                origin: String::new(),
                path: "/".into(),
                upgrade: client.to_be_bytes().to_vec(),
            };
            async move {
                let shown = answered(|| {
                    let (mut feed, request) = (feed.clone(), request.clone());
                    async move { feed.redeem_ticket(request).await }
                });
                (shown.await.verdict() == Verdict::Right).then_some(())
            }
        })
        .await;
    }
}

/// A sign-in that waits for it, a session that is asked for it anew, and a room's door.
#[tokio::test(flavor = "multi_thread")]
async fn of_64_who_show_one_code_by_three_calls_over_two_replicas_one_wins() {
    let track = Track::new().await;
    let ada = Ada::new(&track.plane).await;
    let challenge = waiting_sign_in(&track).await;
    for _ in 0..races() {
        track
            .set(
                "UPDATE second_factors SET step_last = 0, wrong_count = 0, wrong_time = NULL;
                 DELETE FROM sign_in_challenges;
                 INSERT INTO sign_in_challenges SELECT * FROM kept_challenge;
                 UPDATE sign_in_challenges SET expire_time = now() + interval '1 minute'",
            )
            .await;
        let code = code(&ada.app);
        let session = one(|client| {
            let shown = Shown {
                feed: track.feeds[client % 2].clone(),
                factors: track.factors[client % 2].clone(),
                session: ada.session,
                challenge: challenge.clone(),
                code: code.clone(),
            };
            async move {
                match client % 3 {
                    0 => shown.at_a_sign_in().await,
                    1 => shown.by_a_session().await.then(Vec::new),
                    _ => shown.at_a_door().await.then(Vec::new),
                }
            }
        })
        .await;
        // A user has room for so many.
        if !session.is_empty() {
            end(&track, &session).await;
        }
    }
}

/// Somebody with a code.
struct Shown {
    feed: Feed,
    factors: SecondFactorServiceClient<Keyed>,
    session: SessionId,
    challenge: String,
    code: String,
}

impl Shown {
    /// The identity of the session that it opens.
    async fn at_a_sign_in(self) -> Option<Vec<u8>> {
        let ended = answered(|| {
            let mut feed = self.feed.clone();
            let request = CompleteSessionRequest {
                challenge: self.challenge.clone(),
                code: self.code.clone(),
                ..Default::default()
            };
            async move { feed.complete_session(request).await }
        })
        .await;
        let right = ended.verdict() == Verdict::Right;
        right.then(|| ended.session.expect("a session").id)
    }

    async fn by_a_session(self) -> bool {
        let request = control::ShowSecondFactorRequest {
            session: format!("sessions/{}", self.session),
            code: self.code,
        };
        loop {
            let mut factors = self.factors.clone();
            match factors.show_second_factor(request.clone()).await {
                Ok(_) => return true,
                Err(busy) if busy.code() == Code::Unavailable => ask_again(&busy).await,
                Err(lost) => {
                    let refused = [Code::PermissionDenied, Code::ResourceExhausted];
                    assert!(refused.contains(&lost.code()), "{lost}");
                    return false;
                }
            }
        }
    }

    async fn at_a_door(self) -> bool {
        let shown = answered(|| {
            let mut feed = self.feed.clone();
            let proof = SecondFactorProof {
                code: self.code.clone(),
            };
            let request = at_the_door(self.session, Proof::SecondFactor(proof));
            async move { feed.verify_step(request).await }
        })
        .await;
        shown.verdict() == StepVerdict::Right
    }
}

/// What is shown at a room's door.
fn at_the_door(session: SessionId, proof: Proof) -> VerifyStepRequest {
    VerifyStepRequest {
        room_id: vec![1; 16],
        client_id: vec![2; 16],
        session_id: session.as_bytes().to_vec(),
        address: "192.0.2.1".into(),
        proof: Some(proof),
        room_name: String::new(),
    }
}

async fn end(track: &Track, session: &[u8]) {
    let id = Uuid::from_slice(session).expect("an identity");
    let revoke = control::RevokeSessionRequest {
        name: format!("sessions/{id}"),
    };
    let revoked = track.plane.sessions().revoke_session(revoke).await;
    revoked.expect("it ends");
}

/// Ten have a code each that is right, so that the challenge alone decides.
#[tokio::test(flavor = "multi_thread")]
async fn of_64_who_complete_one_sign_in_over_two_replicas_one_wins() {
    let track = Track::new().await;
    let ada = Ada::new(&track.plane).await;
    let challenge = waiting_sign_in(&track).await;
    for _ in 0..races() {
        track
            .set(
                "UPDATE second_factors SET wrong_count = 0, wrong_time = NULL;
                 INSERT INTO recovery_codes SELECT * FROM kept_codes ON CONFLICT DO NOTHING;
                 INSERT INTO sign_in_challenges SELECT * FROM kept_challenge;
                 UPDATE sign_in_challenges SET expire_time = now() + interval '1 minute'",
            )
            .await;
        let session = one(|client| {
            let feed = track.feeds[client % 2].clone();
            let codes = &ada.recovery_codes;
            let request = CompleteSessionRequest {
                challenge: challenge.clone(),
                code: codes[client % codes.len()].clone(),
                ..Default::default()
            };
            async move {
                let ended = answered(|| {
                    let (mut feed, request) = (feed.clone(), request.clone());
                    async move { feed.complete_session(request).await }
                })
                .await;
                (ended.verdict() == Verdict::Right).then_some(ended.session)
            }
        })
        .await;
        // A user has room for so many.
        end(&track, &session.expect("a session").id).await;
    }
}

/// A sign-in that waits for its code, and what it takes to put it back.
async fn waiting_sign_in(track: &Track) -> String {
    let open = control::CreateSessionRequest {
        username: "ada".into(),
        password: "correct horse".into(),
        ..Default::default()
    };
    let opened = track.plane.sessions().create_session(open).await;
    let opened = opened.expect("the right password").into_inner();
    let waits = opened.second_factor_challenge.expect("a challenge");
    track
        .set(
            "CREATE TABLE kept_codes AS SELECT * FROM recovery_codes;
             CREATE TABLE kept_challenge AS SELECT * FROM sign_in_challenges;
             DELETE FROM sign_in_challenges",
        )
        .await;
    waits.challenge
}
