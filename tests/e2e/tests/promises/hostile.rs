//! Rows of docs/hostile.md tried by sockets in the same room and on the same node
//! while honest ones talk: each gets its answer and costs only itself, all that
//! is said honestly arrives, once and in order, and memory stays bounded. How
//! long it took is told, not judged.

use std::net::SocketAddr;

use porthouse_api::control::v1::message_format::Kind;
use porthouse_api::control::v1::{JsonFormat, MessageFormat, MessageRules, Room};
use porthouse_e2e::honest::Honest;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::{Multiplexed, Told};
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wire::Wire;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::with_messages;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
/// How often each frame is tried.
const TIMES: usize = 10;
/// So many frames are a flood.
const FLOOD: usize = 2_000;
/// What the house may hold more at the end, in a build that optimises nothing.
const GROWN_KIB_MAX: u64 = 128 * 1024;

/// Frames that are none, and the code each closes with.
async fn broken_frames(ws: SocketAddr) {
    let long = vec![0; 70_000];
    for _ in 0..TIMES {
        for (code, first, payload) in [
            (1002, 0xc1, &b"compressed, which was not agreed"[..]),
            (1002, 0x83, b"an opcode that is none"),
            (1002, 0x80, b"more of nothing"),
            (1002, 0x89, &[0; 126]),
            (1002, 0x09, b"a ping in fragments"),
            (1002, 0x88, &[3, 237]),
            (1007, TEXT, &[b'a', 0xff]),
            (1009, BINARY, &long),
        ] {
            let mut wire = Wire::open(ws, "/hall", &[]).await;
            wire.send_frame(first, payload).await;
            let closed = wire.closed_at_last().await;
            assert_eq!(closed.code, code, "{first:x}: {closed:?}");
        }
        let mut wire = Wire::open(ws, "/hall", &[]).await;
        wire.send_unmasked(TEXT, b"not masked").await;
        assert_eq!(wire.closed_at_last().await.code, 1002);
        let mut wire = Wire::open(ws, "/hall", &[]).await;
        wire.send_head(BINARY, 1 << 40).await;
        assert_eq!(wire.closed_at_last().await.code, 1009);
    }
}

/// Floods of what carries nothing: each ends with 1008.
async fn floods(ws: SocketAddr) {
    let mut wire = Wire::open(ws, "/hall", &[]).await;
    wire.send(&masked(PING, &[]).repeat(FLOOD)).await;
    let closed = wire.closed_at_last().await;
    assert_eq!(closed.code, 1008, "pings: {closed:?}");
    let mut wire = Wire::open(ws, "/hall", &[]).await;
    wire.send_frame(0x01, b"begun").await;
    wire.send(&masked(0x00, &[]).repeat(FLOOD)).await;
    let closed = wire.closed_at_last().await;
    assert_eq!(closed.code, 1008, "empty fragments: {closed:?}");
    let mut client = Multiplexed::open(ws, None).await;
    for number in 0.. {
        let op = if number % 2 == 0 { "join" } else { "leave" };
        let line = json!({"op": op, "room": "passing"});
        client.say_line(&line, Message::text("")).await;
        match client.next().await {
            Told::Closed(closed) => {
                assert_eq!(closed.code, 1008, "{closed:?}");
                break;
            }
            Told::Line { .. } => assert!(number < 10_000, "it goes on for ever"),
        }
    }
}

/// A frame with a mask of zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let short = u8::try_from(payload.len()).expect("short");
    [&[first, 0x80 | short, 0, 0, 0, 0], payload].concat()
}

/// Requests that are none, and the status each gets.
async fn broken_requests(ws: SocketAddr) {
    let many: Vec<String> = (0..2_000)
        .map(|number| format!("X-{number}: x\r\n"))
        .collect();
    let long = format!("X: {}\r\n", "x".repeat(100 * 1024));
    let blank = format!("Sec-WebSocket-Protocol: a{}\r\n", " ".repeat(20_000));
    let names: Vec<String> = (0..1_000).map(|number| format!("n{number}")).collect();
    let offered = format!("Sec-WebSocket-Protocol: {}\r\n", names.join(","));
    let spaced = format!("Sec-WebSocket-Protocol: a{}\r\n", " ".repeat(9_000));
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let at =
        |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}{more}\r\n");
    let requests = [
        (431, at("/hall", &many.concat())),
        (431, at("/hall", &long)),
        (431, at("/hall", &blank)),
        (400, format!("GET /hall HTTP/1.1\r\n{upgrade}\r\n")),
        (400, at("/hall", "Host: y\r\n")),
        (426, at("/hall", "").replace("Version: 13", "Version: 8")),
        (400, at("/hall", "Content-Length: 5\r\n")),
        (400, at("http://other.example/hall", "")),
        (404, at("/hall%2500", "")),
        (404, at("/hall%00", "")),
        (404, at("/%2d/ready", "")),
        (404, at("/-%2fready", "")),
        (404, at("/%2e%2e/hall", "")),
        (404, at("/a*", "")),
        (404, at("/%e2%80%aehall", "")),
        (404, at(&format!("/{}", "a".repeat(10 * 1024)), "")),
        (400, at("/hall", "Sec-WebSocket-Protocol: \u{e4}\r\n")),
        (400, at("/hall", &offered)),
        (400, at("/hall?token=phs_nothing", "")),
        (
            400,
            at(
                "/hall",
                "Authorization: Bearer a\r\nSec-WebSocket-Protocol: porthouse.bearer.b\r\n",
            ),
        ),
        (
            505,
            "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\n\r\n".to_owned(),
        ),
        (400, "\u{16}\u{3}\u{1}\0\u{5}hello\r\n\r\n".to_owned()),
    ];
    for (status, request) in requests {
        let mut wire = Wire::connect(ws).await;
        wire.try_send(request.as_bytes()).await;
        let answer = String::from_utf8_lossy(&wire.rest().await).into_owned();
        let first = request.lines().next().unwrap_or_default();
        let first: String = first.chars().take(60).collect();
        let expected = format!("HTTP/1.1 {status} ");
        assert!(
            answer.starts_with(&expected),
            "{first}: {status}, not {answer}"
        );
        assert!(!answer.contains("phs_nothing"), "it is repeated: {answer}");
    }
    let mut wire = Wire::connect(ws).await;
    wire.try_send(at("/hall", &spaced).as_bytes()).await;
    let answer = wire.answer().await.status;
    assert_eq!(answer, 101, "spaces behind a value are no part of it");
    // What somebody claims to be forwarded for is nobody's address.
    let forwarded = [
        "X-Forwarded-For: 10.0.0.1, 10.0.0.2",
        "Forwarded: for=10.0.0.9",
    ];
    Wire::open(ws, "/hall", &forwarded).await;
}

/// Lines that are none, on a socket that stays, or is closed by a limit.
async fn broken_lines(ws: SocketAddr) {
    let mut client = Multiplexed::open(ws, None).await;
    let id = client.join("hall").await;
    for room in [
        "",
        "..",
        "a..b",
        "a/b",
        "a*",
        ">",
        "a b",
        "\u{202e}a",
        "a\0b",
        "-x",
    ] {
        let told = client.ask("join", json!({ "room": room })).await;
        assert_eq!(
            (&told["op"], &told["rule"]),
            (&json!("error"), &json!("room")),
            "{room:?}"
        );
    }
    for line in [
        r#"{"op":"ping","id":1e999}"#,
        r#"{"op":"ping","op":"join"}"#,
        r#"{"op":"sned"}"#,
        "{\"op\":\"ping\",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "{\n\"op\": \"ping\"\n}",
    ] {
        client.say_frame(Message::text(line)).await;
        let error = told(&mut client).await;
        assert_eq!(error["op"], "error", "{line}: {error}");
        assert!(error["needed"].is_string(), "{line}: {error}");
    }
    let to: Vec<&str> = std::iter::repeat_n(&*id, 60).collect();
    let told = client.ask("send", json!({"room": "hall", "to": to})).await;
    assert_eq!(told["op"], "receipt", "as far as they fit the line: {told}");
    for line in [
        json!({"op": "ping", "id": "x".repeat(1 << 20)}),
        json!({"op": "send", "room": "hall", "to": vec![&*id; 10_000]}),
        json!({"op": "ping", "padding": "x".repeat(5_000)}),
    ] {
        let mut client = Multiplexed::open(ws, None).await;
        client.say_line(&line, Message::text("")).await;
        let (_, closed) = client.rest().await;
        assert!([1008, 1009].contains(&closed.code), "{closed:?}");
    }
}

/// The next line but what the honest say.
async fn told(client: &mut Multiplexed) -> Value {
    loop {
        match client.next().await {
            Told::Line { header, .. } if header["op"] == "message" => {}
            Told::Line { header, .. } => return header,
            Told::Closed(closed) => panic!("it stays: {closed:?}"),
        }
    }
}

/// Payloads that a room's format refuses, however deep they are.
async fn broken_payloads(ws: SocketAddr) {
    for payload in [
        format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000)),
        format!("[{}", "9".repeat(60_000)) + "e",
        "{\"a\":".repeat(10_000),
    ] {
        let mut raw = Raw::enter(ws, "json", None).await;
        raw.say(Message::text(payload)).await;
        assert_eq!(raw.closed().await.code, 4014);
    }
}

/// A house whose room `json` takes JSON alone.
async fn house() -> House {
    let house = House::start().await;
    let json = with_messages(MessageRules {
        format: Some(MessageFormat {
            kind: Some(Kind::Json(JsonFormat::default())),
        }),
        ..Default::default()
    });
    house.backend().make_room("json", json).await;
    let revision = house.backend().make_room("hall", Room::default()).await;
    house.backend().applied(revision).await;
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hostile_costs_only_its_own_socket() {
    let mut house = house().await;
    let ws = house.ws();
    let honest = Honest::talk(&mut house, "hall").await;
    tokio::join!(
        broken_frames(ws),
        floods(ws),
        broken_requests(ws),
        broken_lines(ws),
        broken_payloads(ws),
    );
    // A reader that never reads hears what the honest say, and costs nobody more.
    let idle = Wire::open(ws, "/hall", &[]).await;
    let grown = honest
        .stop("broken frames, requests, lines and floods")
        .await;
    assert!(grown < GROWN_KIB_MAX, "{grown} KiB more");
    drop(idle);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_behind_an_upgrade_is_held_to_the_same_limits() {
    let mut house = house().await;
    let ws = house.ws();
    let honest = Honest::talk(&mut house, "hall").await;
    let request = "GET /hall HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for payload_bytes in [70_000_u64, 1 << 20, 1 << 30] {
        let mut head = request.as_bytes().to_vec();
        head.extend([BINARY, 0xff]);
        head.extend(payload_bytes.to_be_bytes());
        head.extend([0; 4]);
        // A frame's header alone is enough, and is answered.
        let mut wire = Wire::connect(ws).await;
        wire.send(&head).await;
        assert_eq!(wire.answer().await.status, 101);
        let closed = wire.closed_at_last().await;
        assert_eq!(closed.code, 1009, "{payload_bytes}: {closed:?}");
        assert!(
            closed.reason.starts_with("messages.bytes_max"),
            "{closed:?}"
        );
        // With a payload behind it, which is not read: the connection ends, and its
        // end may overtake the answer.
        head.resize(head.len() + 1_000_000, 0);
        let mut wire = Wire::connect(ws).await;
        wire.try_send(&head).await;
        wire.rest().await;
    }
    honest.stop("what is pipelined").await;
    house.close().await;
}
