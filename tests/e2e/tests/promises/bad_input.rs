//! What a socket must not send, each with the answer docs/protocol.md gives it;
//! the room and everybody else go on. Bad calls stand in `bad_calls`.

use porthouse_api::control::v1::MessageRules;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::{SUBPROTOCOL, Told};
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wire::Wire;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::with_messages;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const BYTES_MAX: usize = 1_000;

#[tokio::test]
async fn a_broken_frame_closes_its_socket_with_the_documented_code() {
    let house = house_with_room().await;
    let mut witness = Raw::enter(house.ws(), "hall", None).await;
    let mut friend = Raw::enter(house.ws(), "hall", None).await;
    let not_masked = async |wire: &mut Wire| wire.send_unmasked(TEXT, b"hello").await;
    expect_closed(&house, 1002, not_masked).await;
    let reserved_bit = async |wire: &mut Wire| wire.send_frame(0xc1, b"hello").await;
    expect_closed(&house, 1002, reserved_bit).await;
    let reserved_opcode = async |wire: &mut Wire| wire.send_frame(0x83, b"hello").await;
    expect_closed(&house, 1002, reserved_opcode).await;
    let nothing_continued = async |wire: &mut Wire| wire.send_frame(0x80, b"hello").await;
    expect_closed(&house, 1002, nothing_continued).await;
    let long_ping = async |wire: &mut Wire| wire.send_frame(0x89, &[0; 126]).await;
    expect_closed(&house, 1002, long_ping).await;
    let not_utf8 = async |wire: &mut Wire| wire.send_frame(TEXT, &[b'a', 0xff]).await;
    expect_closed(&house, 1007, not_utf8).await;
    let too_long = async |wire: &mut Wire| wire.send_frame(BINARY, &[0; BYTES_MAX + 1]).await;
    expect_closed(&house, 1009, too_long).await;
    // By its header: what it announces is never waited for.
    let announced = async |wire: &mut Wire| wire.send_head(BINARY, 1 << 40).await;
    expect_closed(&house, 1009, announced).await;
    // Past the limit by fragments.
    let fragments = async |wire: &mut Wire| {
        wire.send_frame(0x02, &[0; BYTES_MAX]).await;
        wire.send_frame(0x80, &[0; 1]).await;
    };
    expect_closed(&house, 1009, fragments).await;

    // None of it was heard, and the room goes on.
    friend.say(Message::text("all well")).await;
    assert_eq!(witness.next().await, Message::text("all well"));
    drop((witness, friend));
    house.close().await;
}

#[tokio::test]
async fn a_bad_header_line_is_explained_and_the_socket_stays() {
    let house = house_with_room().await;
    let mut client = house.multiplexed().await;
    for (frame, rule) in [
        ("no json at all\nhello", "header"),
        ("[]", "header"),
        (r#"{"op":"ping","op":"ping"}"#, "op"),
        (r#"{"room":"hall"}"#, "op"),
        (r#"{"op":"sned","room":"hall"}"#, "op"),
        (r#"{"op":"join","room":"no room"}"#, "room"),
        (r#"{"op":"send"}"#, "room"),
    ] {
        client.say_frame(Message::text(frame)).await;
        let error = client.event("error").await;
        assert_eq!(error["rule"], rule, "{frame}: {error}");
        assert!(error["needed"].is_string(), "{frame}: {error}");
    }
    let pong = client.ask("ping", json!({})).await;
    assert_eq!(pong["op"], "pong");
    // Not in the room: an error names the way.
    let outside = client
        .ask_with("send", json!({"room": "hall"}), Message::text("x"))
        .await;
    assert_eq!(outside["op"], "error", "{outside}");
    client.join("hall").await;
    let long = Message::binary(vec![0; BYTES_MAX + 1]);
    let refused = client.ask_with("send", json!({"room": "hall"}), long).await;
    assert_eq!(refused["op"], "refused", "{refused}");
    assert_eq!(refused["code"], 1009);
    assert_eq!(refused["rule"], "messages.bytes_max");
    drop(client);
    house.close().await;
}

#[tokio::test]
async fn a_header_line_too_long_closes_its_socket() {
    let house = house_with_room().await;
    let mut client = house.multiplexed().await;
    let line = json!({"op": "ping", "padding": "x".repeat(5_000)}).to_string();
    client.say_frame(Message::text(line)).await;
    match client.next().await {
        Told::Closed(closed) => assert_eq!(closed.code, 1008, "{closed:?}"),
        line @ Told::Line { .. } => panic!("not closed: {line:?}"),
    }
    house.close().await;
}

#[tokio::test]
async fn a_bad_request_gets_its_status_and_says_what_to_do() {
    let house = house_with_room().await;
    for (path, headers, status, rule) in [
        ("/no%20room", vec![], 404, "room"),
        ("/a..b", vec![], 404, "room"),
        ("/%zz", vec![], 400, "http.target"),
        ("/", vec![], 400, "subprotocol"),
        ("/hall", vec![multiplexed_offer()], 400, "subprotocol"),
        (
            "/hall",
            vec!["Content-Length: 3".to_owned()],
            400,
            "http.body",
        ),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let (_, answer) = Wire::upgrade(house.ws(), path, &headers).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let body = answer.json();
        assert_eq!(body["rule"], rule, "{path}");
        assert!(
            body["needed"].is_string() && body["message"].is_string(),
            "{body}"
        );
    }
    let mut wire = Wire::connect(house.ws()).await;
    let plain = format!("GET /hall HTTP/1.1\r\nHost: {}\r\n\r\n", house.ws());
    wire.send(plain.as_bytes()).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    let mut wire = Wire::connect(house.ws()).await;
    let long = format!(
        "GET /hall HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(17_000)
    );
    wire.send(long.as_bytes()).await;
    assert_eq!(wire.answer().await.status, 431);
    house.close().await;
}

async fn house_with_room() -> House {
    let house = House::start().await;
    let messages = MessageRules {
        bytes_max: Some(u32::try_from(BYTES_MAX).expect("it is small")),
        ..Default::default()
    };
    let revision = house
        .backend()
        .make_room("hall", with_messages(messages))
        .await;
    house.backend().applied(revision).await;
    house
}

async fn expect_closed(house: &House, code: u16, send: impl AsyncFnOnce(&mut Wire)) {
    let mut wire = Wire::open(house.ws(), "/hall", &[]).await;
    send(&mut wire).await;
    let closed = wire.closed().await;
    assert_eq!(closed.code, code, "{closed:?}");
    assert!(!closed.reason.is_empty(), "{code} says nothing");
}

fn multiplexed_offer() -> String {
    format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}")
}
