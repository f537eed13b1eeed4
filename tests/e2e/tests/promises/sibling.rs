//! A command socket beside a raw one, on real processes: wherever the kernel
//! puts the two, questions come on the one and the other has only frames.

use porthouse_api::control::v1::Room;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::{Multiplexed, Told};
use porthouse_e2e::raw::{Closed, Raw, request, with_header};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::for_users;

const PASSWORD: &str = "open sesame, please";
/// So many pairs that some are on one puddle, and some on two.
const PAIRS: usize = 12;

/// A sibling, and a raw socket that has shown its secret.
async fn pair(house: &House, room: &str, token: Option<&str>) -> (Multiplexed, Raw) {
    let ws = house.ws();
    let mut sibling = Multiplexed::open_as(ws, "porthouse.sibling.v1", token).await;
    if token.is_some() {
        sibling.event("authenticated").await;
    }
    let bind = sibling.event("bind").await;
    let raw = showing(house, room, token, &bind).await;
    assert_eq!(sibling.event("bound").await["room"], room);
    (sibling, raw)
}

async fn showing(house: &House, room: &str, token: Option<&str>, bind: &Value) -> Raw {
    let secret = bind["secret"].as_str().expect("a secret");
    let secret = house.secrets().keep("a sibling's secret", secret);
    let offer = format!("porthouse.raw.v1, porthouse.bind.{secret}");
    let request = request(house.ws(), &format!("/{room}"), token);
    let request = with_header(request, "sec-websocket-protocol", &offer);
    Raw::ask(house.ws(), request).await.expect("it is upgraded")
}

/// Starts, and has nothing but the handshake.
async fn start(raw: &mut Raw) {
    let admitted = line(raw).await;
    assert_eq!(admitted["op"], "admitted", "{admitted}");
    raw.say(Message::text(r#"{"op":"start"}"#)).await;
    assert_eq!(line(raw).await["op"], "started");
}

async fn line(raw: &mut Raw) -> Value {
    let told = raw.next().await.into_text().expect("text");
    serde_json::from_str(&told).expect("JSON")
}

#[tokio::test]
async fn a_door_asks_the_sibling_wherever_the_two_are() {
    let house = House::start().await;
    let backend = house.backend();
    backend.make_room("vault", Room::default()).await;
    let revision = backend.set_room_password("vault", PASSWORD).await;
    backend.applied(revision).await;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let (mut sibling, mut raw) = pair(&house, "vault", None).await;
        assert_eq!(sibling.event("challenge").await["step"], "password");
        let password = house.secrets().keep("a room's password", PASSWORD);
        let answer = json!({"room": "vault", "password": password});
        let admitted = sibling.ask("answer", answer).await;
        assert_eq!(admitted["op"], "admitted", "{admitted}");
        start(&mut raw).await;
        pairs.push((sibling, raw));
    }
    pairs[0].1.say(Message::text("forty thieves")).await;
    for (_, raw) in &mut pairs[1..] {
        assert_eq!(raw.next().await, Message::text("forty thieves"));
    }
    let (mut sibling, mut raw) = pairs.remove(0);
    let left = sibling.ask("leave", json!({"room": "vault"})).await;
    assert_eq!(left["op"], "left", "{left}");
    assert_eq!(raw.closed().await.code, 1000);
    assert_eq!(sibling.closed().await.code, 1000);
    drop(pairs);
    house.close().await;
}

#[tokio::test]
async fn a_sibling_renews_the_session_of_both_wherever_the_two_are() {
    let house = House::start().await;
    let backend = house.backend();
    backend.make_room("hall", for_users()).await;
    let ada = backend.signed_in_user("ada").await;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let (mut sibling, mut raw) = pair(&house, "hall", Some(&ada.token)).await;
        start(&mut raw).await;
        assert_eq!(sibling.event("admitted").await["room"], "hall");
        pairs.push((sibling, raw));
    }
    let next = backend.sign_in("ada", "the password of ada").await;
    for (sibling, _) in &mut pairs {
        let renewed = sibling.ask("renew", json!({"token": next.token})).await;
        assert_eq!(renewed["op"], "renewed", "{renewed}");
    }
    let revision = backend.revoke(&ada.session).await;
    backend.applied(revision).await;
    pairs[0].1.say(Message::text("we stay")).await;
    for (_, raw) in &mut pairs[1..] {
        assert_eq!(raw.next().await, Message::text("we stay"));
    }
    let revision = backend.revoke(&next.session).await;
    backend.applied(revision).await;
    for (mut sibling, mut raw) in pairs {
        assert_eq!(raw.closed().await.code, 4101);
        // Its own puddle may hear of it first, or the raw socket's.
        let (told, closed) = sibling.rest().await;
        for line in told {
            let Told::Line { header, .. } = line else {
                unreachable!("the close frame comes last")
            };
            assert_eq!(
                (&header["op"], &header["code"]),
                (&json!("closed"), &json!(4101))
            );
        }
        assert_eq!(closed.code, 4101);
    }
    house.close().await;
}

#[tokio::test]
async fn who_is_inside_when_a_password_comes_is_asked_and_hears_on() {
    let house = House::start().await;
    let backend = house.backend();
    let revision = backend.make_room("hall", Room::default()).await;
    backend.applied(revision).await;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let (sibling, mut raw) = pair(&house, "hall", None).await;
        start(&mut raw).await;
        pairs.push((sibling, raw));
    }
    let mut alone = Raw::enter(house.ws(), "hall", None).await;
    let revision = backend.set_room_password("hall", PASSWORD).await;
    backend.applied(revision).await;
    assert_eq!(alone.closed().await.code, 4104, "it cannot be asked");
    for (sibling, _) in &mut pairs {
        sibling.event("admitted").await;
        assert_eq!(sibling.event("challenge").await["step"], "password");
        let password = house.secrets().keep("a room's password", PASSWORD);
        let answer = json!({"room": "hall", "password": password});
        let admitted = sibling.ask("answer", answer).await;
        assert_eq!(admitted["op"], "admitted", "{admitted}");
    }
    pairs[0].1.say(Message::text("still here")).await;
    for (_, raw) in &mut pairs[1..] {
        assert_eq!(
            raw.next().await,
            Message::text("still here"),
            "and nothing of ours"
        );
    }
    drop(pairs);
    house.close().await;
}

#[tokio::test]
async fn a_secret_is_for_one_raw_socket_of_its_session() {
    let house = House::start().await;
    let backend = house.backend();
    let revision = backend.make_room("hall", Room::default()).await;
    backend.applied(revision).await;
    let ada = backend.signed_in_user("ada").await;
    let bob = backend.signed_in_user("bob").await;
    let refused = |closed: Closed| {
        assert_eq!(closed.code, 4111, "{}", closed.reason);
        assert!(
            closed.reason.starts_with("sibling.secret"),
            "{}",
            closed.reason
        );
    };
    for _ in 0..PAIRS {
        let ws = house.ws();
        let token = Some(&*ada.token);
        let mut sibling = Multiplexed::open_as(ws, "porthouse.sibling.v1", token).await;
        sibling.event("authenticated").await;
        let bind = sibling.event("bind").await;
        for thief in [Some(&*bob.token), None] {
            let mut raw = showing(&house, "hall", thief, &bind).await;
            refused(raw.closed().await);
        }
        let mut first = showing(&house, "hall", token, &bind).await;
        start(&mut first).await;
        let mut second = showing(&house, "hall", token, &bind).await;
        refused(second.closed().await);
    }
    house.close().await;
}
