//! What is posted over plain HTTP: a key stands for one message, whoever has no
//! session is counted by its address, and a page reads the answer wherever the
//! room's address is.

use porthouse_api::control::v1::{
    ConnectionRules, CreateEndpointRequest, Endpoint, MessageRates, MessageRules, Rate, Room,
    RoomRules,
};
use porthouse_e2e::house::House;
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wire::{Answer, Wire};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::plain::{curl, saying};
use crate::shapes::{keeping_last, with_messages};

#[tokio::test]
async fn a_message_posted_again_under_its_key_is_said_once() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let kept = Room {
        rules: Some(RoomRules {
            history: Some(keeping_last(10)),
            ..Default::default()
        }),
        ..Default::default()
    };
    backend
        .applied(backend.make_room("orders", kept).await)
        .await;
    let bearer = format!("Authorization: Bearer {}", ada.token);
    for room in ["orders", "lobby"] {
        let path = format!("/{room}");
        let mut raw = Raw::enter(house.ws(), room, Some(&ada.token)).await;
        let keyed = ["-H", &bearer, "-H", "Idempotency-Key: \"7f-1\""];
        for _ in 0..16 {
            let once = [&saying("once")[..], &keyed].concat();
            let (body, status) = curl(&house, &path, &once).await;
            assert_eq!(status, 202, "{body}");
            let expected = format!("{{\"room\":\"{room}\",\"level\":\"accepted\"}}\n");
            assert_eq!(body, expected);
        }
        let next = [&saying("next")[..], &["-H", &bearer]].concat();
        assert_eq!(curl(&house, &path, &next).await.1, 202);
        assert_eq!(raw.next().await, Message::text("once"));
        assert_eq!(raw.next().await, Message::text("next"));
        drop(raw);
    }
    let nobodys = [&saying("x")[..], &["-H", "Idempotency-Key: 1"]].concat();
    let (body, status) = curl(&house, "/lobby", &nobodys).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        (status, &body["rule"]),
        (401, &"http.idempotency_key".into())
    );
    house.close().await;
}

#[tokio::test]
async fn who_posts_without_a_session_is_one_client_an_address() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let calm = with_messages(MessageRules {
        rates: Some(MessageRates {
            per_client: Some(Rate {
                per_second: 1,
                burst: Some(2),
            }),
            ..Default::default()
        }),
        ..Default::default()
    });
    backend.applied(backend.make_room("calm", calm).await).await;
    // So many at once that one second's more does not hide it.
    let mut posts = Vec::new();
    for _ in 0..16 {
        posts.push(Wire::connect(house.ws()).await);
    }
    for wire in &mut posts {
        let head = format!("POST /calm HTTP/1.1\r\nHost: {}\r\n", house.ws());
        let request = head + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";
        wire.send(request.as_bytes()).await;
    }
    let mut refused = 0;
    for mut wire in posts {
        let answer = wire.answer().await;
        if answer.status == 429 {
            assert_eq!(answer.json()["rule"], "messages.rates.per_client");
            refused += 1;
        }
    }
    assert!(refused > 0, "16 at once were taken");
    let bearer = format!("Authorization: Bearer {}", ada.token);
    let hers = [&saying("hello")[..], &["-H", &bearer]].concat();
    assert_eq!(curl(&house, "/calm", &hers).await.1, 202);
    house.close().await;
}

const PAGE: &str = "Origin: https://shop.example";

/// Sends a request of the page, and reads its answer.
async fn asks(house: &House, line: &str, headers: &str, body: &str) -> Answer {
    let mut wire = Wire::connect(house.ws()).await;
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {}\r\n{PAGE}\r\n{headers}\r\n\r\n{body}",
        house.ws()
    );
    wire.send(request.as_bytes()).await;
    wire.answer().await
}

#[tokio::test]
async fn a_page_that_a_room_names_reads_what_it_posts_to_its_address() {
    let house = House::start().await;
    let backend = house.backend();
    let shop = Room {
        rules: Some(RoomRules {
            connection: Some(ConnectionRules {
                origins: vec!["https://shop.example".to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    backend.make_room("shop", shop).await;
    let request = CreateEndpointRequest {
        endpoint_id: "@counter".to_owned(),
        endpoint: Some(Endpoint {
            rooms: vec!["rooms/shop".to_owned()],
            ..Endpoint::default()
        }),
        ..CreateEndpointRequest::default()
    };
    let made = backend.endpoints().create_endpoint(request).await;
    backend
        .applied(made.expect("an endpoint").into_inner().revision)
        .await;
    for path in ["/shop", "/@counter"] {
        let preflight = "Access-Control-Request-Method: POST";
        let may = asks(&house, &format!("OPTIONS {path}"), preflight, "").await;
        let allowed = may.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://shop.example"), "{path}");
        let posted = asks(
            &house,
            &format!("POST {path}"),
            "Content-Length: 2\r\nContent-Type: text/plain",
            "hi",
        )
        .await;
        assert_eq!(posted.status, 202, "{}", posted.body);
        let allowed = posted.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://shop.example"), "{path}");
    }
    house.close().await;
}
