//! Who is not let in is told why, in words their client can read: a browser by a
//! close frame, anybody else by an HTTP status. Never enters a room that asks.

use porthouse_e2e::house::House;
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wire::Wire;
use porthouse_model::{Credential, CredentialKind};
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::{assert_closed, for_users, private};

const ORIGIN: &str = "Origin: https://app.example.com";

#[tokio::test]
async fn a_private_room_refuses_a_stranger_with_a_reason_a_browser_can_read() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let eve = backend.signed_in_user("eve").await;
    backend.make_room("vault", private()).await;
    let revision = backend.make_member("vault", "ada").await;
    backend.applied(revision).await;

    let mut member = Raw::enter(house.ws(), "vault", Some(&ada.token)).await;
    let mut other = Raw::enter(house.ws(), "vault", Some(&ada.token)).await;
    member.say(Message::text("ours")).await;
    assert_eq!(other.next().await, Message::text("ours"));

    // A program: the status, and the same as JSON.
    let refused = Raw::refused(house.ws(), "vault", Some(&eve.token)).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.body["code"], 4003);
    assert_eq!(refused.body["rule"], "visibility.private");
    assert_eq!(refused.body["needed"], "membership of the room");
    assert_eq!(refused.body["retry"], "never");
    assert!(refused.body["refusal_id"].is_string(), "{:?}", refused.body);
    assert!(refused.body["message"].is_string(), "{:?}", refused.body);

    // A page: an open socket, then the close frame, the token never echoed.
    let bearer = format!(
        "Sec-WebSocket-Protocol: porthouse.plain, porthouse.bearer.{}",
        eve.token
    );
    let (mut page, answer) = Wire::upgrade(house.ws(), "/vault", &[ORIGIN, &bearer]).await;
    assert_eq!(answer.status, 101);
    assert_eq!(
        answer.header("sec-websocket-protocol"),
        Some("porthouse.plain")
    );
    assert_closed(
        &page.closed().await,
        4003,
        "visibility.private",
        "retry never",
    );
    drop((member, other));
    house.close().await;
}

#[tokio::test]
async fn who_is_nobody_is_told_to_sign_in() {
    let house = House::start().await;
    let revision = house.backend().make_room("office", for_users()).await;
    house.backend().make_room("vault", private()).await;
    house.backend().applied(revision).await;
    for room in ["office", "vault"] {
        let refused = Raw::refused(house.ws(), room, None).await;
        assert_eq!(refused.status, 401, "{room}: {:?}", refused.body);
        assert_eq!(refused.body["code"], 4103);
        assert_eq!(refused.body["retry"], "authenticate");
        let mut page = Wire::open(house.ws(), &format!("/{room}"), &[ORIGIN]).await;
        let rule = "connection.user_required";
        assert_closed(&page.closed().await, 4103, rule, "retry authenticate");
    }
    house.close().await;
}

#[tokio::test]
async fn a_token_opens_nothing_in_a_url_and_nothing_when_it_is_wrong() {
    let house = House::start().await;
    let ada = house.backend().signed_in_user("ada").await;
    for path in [
        format!("/lobby?token={}", ada.token),
        format!("/lobby?access_token={}", ada.token),
        format!("/{}", ada.token),
    ] {
        let (_, answer) = Wire::upgrade(house.ws(), &path, &[]).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert_eq!(answer.json()["rule"], "credential.in_url");
        assert!(!answer.body.contains(&ada.token), "it is echoed");
        let mut page = Wire::open(house.ws(), &path, &[ORIGIN]).await;
        let closed = page.closed().await;
        assert_eq!(closed.code, 1008);
        assert!(closed.reason.starts_with("credential.in_url"), "{closed:?}");
    }

    // Well-formed, and nobody's.
    let wrong = Credential::new(CredentialKind::Session, [9; 32]).reveal();
    house.secrets().keep("a wrong token", &wrong);
    let wrong_header = format!("Authorization: Bearer {wrong}");
    let refused = Raw::refused(house.ws(), "lobby", Some(&wrong)).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.body["code"], 4100);
    assert_eq!(refused.body["rule"], "credential");
    let mut page = Wire::open(house.ws(), "/lobby", &[ORIGIN, &wrong_header]).await;
    assert_closed(
        &page.closed().await,
        4100,
        "credential",
        "retry authenticate",
    );
    // Not even well-formed.
    let refused = Raw::refused(house.ws(), "lobby", Some("phs_short")).await;
    assert_eq!((refused.status, &refused.body["code"]), (401, &4100.into()));
    house.close().await;
}
