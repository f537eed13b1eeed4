//! Tickets: one opens one socket of a session, where and for whom it was made, and is
//! answered the same again for a moment to the upgrade that it opened.

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::{
    MakeTicketRequest, RedeemTicketRequest, RedeemTicketResponse, Verdict,
};
use porthouse_model::{Credential, CredentialKind};
use tokio::task::JoinSet;
use tonic::Code;

use crate::plane::Plane;

const PAGE: &str = "https://app.example.com";

/// A session's name and token.
async fn session(plane: &Plane) -> (String, Credential) {
    let create = control::CreateUserRequest {
        user_id: "ada".into(),
        password: "correct horse".into(),
        ..Default::default()
    };
    plane.users().create_user(create).await.expect("a user");
    let open = control::CreateSessionRequest {
        username: "ada".into(),
        password: "correct horse".into(),
        ..Default::default()
    };
    let opened = plane.sessions().create_session(open).await;
    let opened = opened.expect("a session").into_inner();
    let token = Credential::parse(CredentialKind::Session, &opened.token);
    (opened.session.expect("it").name, token.expect("a token"))
}

#[tokio::test]
async fn a_session_ends_by_the_clock_that_judges_it() {
    let plane = Plane::start().await;
    let (name, _) = session(&plane).await;
    let request = control::GetSessionRequest { name };
    let found = plane.sessions().get_session(request).await.expect("there");
    let found = found.into_inner().session.expect("it");
    let (begins, ends) = (found.create_time.expect("a time"), found.expire_time);
    let ends = ends.expect("a time");
    assert!(ends.seconds > begins.seconds);
    // The database's moment of beginning, and a lifetime of whole seconds after it.
    assert_eq!(ends.nanos, begins.nanos);
}

async fn created(plane: &Plane, session: &str) -> Credential {
    let request = control::CreateTicketRequest {
        session: session.to_owned(),
        origin: PAGE.to_owned(),
        path: "/lobby".to_owned(),
    };
    let made = plane.sessions().create_ticket(request).await;
    let made = made.expect("a ticket").into_inner();
    assert!(made.expire_time.is_some());
    Credential::parse(CredentialKind::Ticket, &made.ticket).expect("a ticket")
}

fn shown(ticket: &Credential, upgrade: &[u8]) -> RedeemTicketRequest {
    RedeemTicketRequest {
        ticket_sha256: ticket.hash().as_bytes().to_vec(),
        origin: PAGE.to_owned(),
        path: "/lobby".to_owned(),
        upgrade: upgrade.to_vec(),
    }
}

async fn redeem(plane: &Plane, request: RedeemTicketRequest) -> RedeemTicketResponse {
    let redeemed = plane.feed().redeem_ticket(request).await;
    redeemed.expect("a verdict").into_inner()
}

#[tokio::test]
async fn a_ticket_is_its_sessions_for_one_upgrade_at_its_page_and_path() {
    let plane = Plane::start().await;
    let (name, token) = session(&plane).await;
    let ticket = created(&plane, &name).await;
    for other in [
        RedeemTicketRequest {
            origin: String::new(),
            ..shown(&ticket, b"first")
        },
        RedeemTicketRequest {
            origin: "https://evil.example".to_owned(),
            ..shown(&ticket, b"first")
        },
        RedeemTicketRequest {
            path: "/".to_owned(),
            ..shown(&ticket, b"first")
        },
    ] {
        assert_eq!(redeem(&plane, other).await.verdict(), Verdict::Gone);
    }
    let redeemed = redeem(&plane, shown(&ticket, b"first")).await;
    assert_eq!(redeemed.verdict(), Verdict::Right);
    assert_eq!(redeemed.session_token_sha256, token.hash().as_bytes());
    let again = redeem(&plane, shown(&ticket, b"first")).await;
    assert_eq!(again.session, redeemed.session, "the same upgrade");
    let other = redeem(&plane, shown(&ticket, b"second")).await;
    assert_eq!(other.verdict(), Verdict::Gone);
    let database = plane.cluster.connect().await;
    let age = "UPDATE tickets SET use_time = use_time - interval '5 seconds'";
    database.execute(age, &[]).await.expect("aged");
    let late = redeem(&plane, shown(&ticket, b"first")).await;
    assert_eq!(late.verdict(), Verdict::Gone);
}

#[tokio::test]
async fn a_ticket_ends_with_its_time_and_with_its_session() {
    let plane = Plane::start().await;
    let (name, token) = session(&plane).await;
    let old = created(&plane, &name).await;
    let database = plane.cluster.connect().await;
    let age = "UPDATE tickets SET expire_time = clock_timestamp() - interval '1 second'";
    database.execute(age, &[]).await.expect("aged");
    let verdict = redeem(&plane, shown(&old, b"upgrade")).await.verdict();
    assert_eq!(verdict, Verdict::Gone, "a second late");
    let ticket = created(&plane, &name).await;
    let revoke = control::RevokeSessionRequest { name: name.clone() };
    plane
        .sessions()
        .revoke_session(revoke)
        .await
        .expect("it ends");
    let verdict = redeem(&plane, shown(&ticket, b"upgrade")).await.verdict();
    assert_eq!(verdict, Verdict::Gone);
    let request = control::CreateTicketRequest {
        session: name,
        origin: String::new(),
        path: "/".to_owned(),
    };
    let none = plane.sessions().create_ticket(request).await;
    assert_eq!(none.expect_err("it has ended").code(), Code::NotFound);
    let asked = MakeTicketRequest {
        session_token_sha256: token.hash().as_bytes().to_vec(),
        ticket_sha256: vec![1; 32],
        origin: String::new(),
        path: "/".to_owned(),
    };
    let made = plane.feed().make_ticket(asked).await.expect("a verdict");
    assert_eq!(made.into_inner().verdict(), Verdict::Gone);
}

/// A node that lost the answer asks again, wherever it finds a replica.
#[tokio::test(flavor = "multi_thread")]
async fn one_upgrade_is_answered_the_same_however_often_and_wherever_it_is_asked_about() {
    let mut plane = Plane::start().await;
    let replicas = [plane.address(), plane.add_replica().await];
    let (name, token) = session(&plane).await;
    let ticket = created(&plane, &name).await;
    let mut asking = JoinSet::new();
    for asked in 0..16 {
        let mut feed = plane.feed_at(replicas[asked % 2]);
        let request = shown(&ticket, b"upgrade");
        asking.spawn(async move {
            let redeemed = feed.redeem_ticket(request).await;
            redeemed.expect("a verdict").into_inner()
        });
    }
    for redeemed in asking.join_all().await {
        assert_eq!(redeemed.verdict(), Verdict::Right);
        assert_eq!(redeemed.session_token_sha256, token.hash().as_bytes());
    }
    let other = redeem(&plane, shown(&ticket, b"another")).await;
    assert_eq!(other.verdict(), Verdict::Gone);
}

#[tokio::test]
async fn what_a_ticket_cannot_be_bound_to_is_refused_by_name() {
    let plane = Plane::start().await;
    let (name, _) = session(&plane).await;
    for (origin, path) in [("null", "/"), ("", "lobby"), ("", "/a?b"), ("", "")] {
        let request = control::CreateTicketRequest {
            session: name.clone(),
            origin: origin.to_owned(),
            path: path.to_owned(),
        };
        let refused = plane.sessions().create_ticket(request).await;
        let code = refused.expect_err("not a place").code();
        assert_eq!(code, Code::InvalidArgument, "{origin} {path}");
    }
}
