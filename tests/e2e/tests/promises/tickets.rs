//! A ticket opens one socket, at the path and for the page it was made for; and what
//! stands in a URL is in no log.

use std::net::SocketAddr;

use porthouse_api::control::v1::CreateTicketRequest;
use porthouse_e2e::backend::{Backend, SignedIn};
use porthouse_e2e::house::House;
use porthouse_e2e::planes::Planes;
use porthouse_e2e::wire::Wire;
use serde_json::json;

const V1: &str = "Sec-WebSocket-Protocol: porthouse.v1";
const PAGE: &str = "https://app.example.com";
/// Keys of two upgrades.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const OTHER_KEY: &str = "b3RoZXIgbm9uY2UgMTYgYg==";

#[tokio::test]
async fn a_ticket_opens_one_socket_where_it_was_made_for() {
    let house = House::start().await;
    let ada = house.backend().signed_in_user("ada").await;
    let origin = format!("Origin: {PAGE}");
    let ticket = made(&house, &ada, PAGE, "/").await;
    for (path, lines) in [
        ("/lobby", vec![origin.as_str()]),
        ("/", vec![V1]),
        ("/", vec![V1, "Origin: https://evil.example"]),
    ] {
        assert!(
            !opens(&house, path, &ticket, &lines).await,
            "{path} {lines:?}"
        );
    }
    assert!(
        opens(&house, "/", &ticket, &[V1, &origin]).await,
        "nobody used it up"
    );
    // The same key is the same upgrade, tried again.
    assert!(opens(&house, "/", &ticket, &[V1, &origin]).await);
    let mut wire = Wire::connect(house.ws()).await;
    let other = request(
        house.ws(),
        &format!("/?ticket={ticket}"),
        OTHER_KEY,
        &[V1, &origin],
    );
    wire.send(other.as_bytes()).await;
    assert_eq!(wire.answer().await.status, 101);
    assert_eq!(wire.closed().await.code, 4114, "used by another upgrade");

    let raw = made(&house, &ada, "", "/lobby").await;
    assert!(opens(&house, "/lobby", &raw, &[]).await);
    let late = made(&house, &ada, "", "/lobby").await;
    house.backend().revoke(&ada.session).await;
    assert!(
        !opens(&house, "/lobby", &late, &[]).await,
        "its session has ended"
    );
    house.close().await;
}

/// Each node asks a replica of its own.
#[tokio::test]
async fn of_two_nodes_that_are_shown_one_ticket_at_once_one_opens_a_socket() {
    let planes = Planes::found().await;
    let replicas = vec![planes.replica(None).await, planes.replica(None).await];
    let first = planes.node("first", &replicas[0], &[]).await;
    let second = planes.node("second", &replicas[1], &[]).await;
    let backend = planes.backend(&replicas[0]);
    let ada = backend.signed_in_user("ada").await;
    for round in 0..8 {
        let ticket = made_by(&backend, &ada, "", "/lobby").await;
        let ticket = planes.secrets().keep("a ticket", &ticket);
        let target = format!("/lobby?ticket={ticket}");
        let shown = async |ws, key| {
            let mut wire = Wire::connect(ws).await;
            wire.send(request(ws, &target, key, &[]).as_bytes()).await;
            wire.answer().await.status
        };
        let shown = tokio::join!(shown(first.ws, KEY), shown(second.ws, OTHER_KEY));
        assert!(
            matches!(shown, (101, 401) | (401, 101)),
            "{round}: {shown:?}"
        );
    }
    planes
        .close(first, replicas, vec![second.kill().await])
        .await;
}

#[tokio::test]
async fn who_has_a_session_is_given_a_ticket_by_the_node() {
    let house = House::start().await;
    let ada = house.backend().signed_in_user("ada").await;
    let body = json!({"path": "/lobby"}).to_string();
    let ask = async |credential: &str, body: &str| {
        let mut wire = Wire::connect(house.ws()).await;
        let request = format!(
            "POST /-/ticket HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             {credential}\r\nContent-Length: {}\r\n\r\n{body}",
            house.ws(),
            body.len(),
        );
        wire.send(request.as_bytes()).await;
        wire.answer().await
    };
    let own = format!("Origin: http://{}", house.ws());
    let cookie = format!("Cookie: __Host-porthouse={}\r\n{own}", ada.token);
    let bearer = format!("Authorization: Bearer {}", ada.token);
    let given = ask(&cookie, &body).await;
    assert_eq!(given.status, 201, "{}", given.body);
    let ticket = given.json()["ticket"]
        .as_str()
        .expect("a ticket")
        .to_owned();
    house.secrets().keep("a page's ticket", &ticket);
    assert!(
        !opens(&house, "/lobby", &ticket, &[]).await,
        "it is the page's"
    );
    assert!(opens(&house, "/lobby", &ticket, &[&own]).await);
    assert_eq!(ask(&bearer, &body).await.status, 201);
    for (credential, body, status) in [
        ("X: none", body.as_str(), 401),
        ("Authorization: Bearer phs_mistyped", body.as_str(), 401),
        (bearer.as_str(), "{}", 400),
        (bearer.as_str(), r#"{"path":"lobby"}"#, 400),
    ] {
        assert_eq!(ask(credential, body).await.status, status, "{body}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_token_in_the_url_is_refused_with_a_hint_to_tickets() {
    let house = House::start().await;
    let ada = house.backend().signed_in_user("ada").await;
    let path = format!("/lobby?token={}", ada.token);
    let (_, refused) = Wire::upgrade(house.ws(), &path, &[]).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["rule"], "credential.in_url");
    assert!(refused.body.contains("?ticket="), "{}", refused.body);
    house.close().await;
}

/// A ticket, kept as a secret.
async fn made(house: &House, holder: &SignedIn, origin: &str, path: &str) -> String {
    let ticket = made_by(house.backend(), holder, origin, path).await;
    house.secrets().keep("a ticket", &ticket)
}

async fn made_by(backend: &Backend, holder: &SignedIn, origin: &str, path: &str) -> String {
    let request = CreateTicketRequest {
        session: holder.session.clone(),
        origin: origin.to_owned(),
        path: path.to_owned(),
    };
    let made = backend.sessions().create_ticket(request).await;
    made.expect("a ticket").into_inner().ticket
}

/// A request to upgrade, of this key.
fn request(ws: SocketAddr, target: &str, key: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().flat_map(|line| [*line, "\r\n"]).collect();
    format!(
        "GET {target} HTTP/1.1\r\nHost: {ws}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
    )
}

/// Whether it opens a socket that stays.
async fn opens(house: &House, path: &str, ticket: &str, lines: &[&str]) -> bool {
    let target = format!("{path}?ticket={ticket}");
    let (mut wire, answer) = Wire::upgrade(house.ws(), &target, lines).await;
    if answer.status != 101 {
        assert_eq!(
            (answer.status, &answer.json()["rule"]),
            (401, &json!("ticket"))
        );
        return false;
    }
    wire.send_frame(0x89, b"").await;
    loop {
        match wire.frame().await.opcode {
            0xa => return true,
            8 => return false,
            _ => {}
        }
    }
}
