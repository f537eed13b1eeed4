//! Plain HTTP: one message posted, a room heard as events. Both pass the doors
//! that sockets pass, at every moment.

use core::num::NonZeroU32;
use core::time::Duration;

use porthouse_model::{
    Acts, Capabilities, ChangeItem, ConnectionRules, Content, MessageKind, MessageRules, Rate,
    RoomRules, SessionId,
};

use super::world::{Client, World, frame, members_only, password_rules, taking, token};

use MessageKind::{Binary, Text};

/// Sends a request with a body.
pub(super) fn request(
    world: &mut World,
    puddle: usize,
    line: &str,
    headers: &[&str],
    body: &[u8],
) -> Client {
    let client = world.connect(puddle);
    let mut bytes = format!("{line} HTTP/1.1\r\nHost: x\r\n").into_bytes();
    for header in headers {
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    world.bytes(client, bytes);
    client
}

/// Posts text whole; answers what came back.
pub(super) fn post(
    world: &mut World,
    puddle: usize,
    target: &str,
    headers: &[&str],
    body: &str,
) -> String {
    let length = format!("Content-Length: {}", body.len());
    let headers = [&["Content-Type: text/plain", &length], headers].concat();
    let line = format!("POST {target}");
    let client = request(world, puddle, &line, &headers, body.as_bytes());
    assert!(world.is_ended(client), "one message a connection");
    world.take_text(client)
}

/// A stream that has begun; its head is read.
pub(super) fn stream(world: &mut World, puddle: usize, target: &str, headers: &[&str]) -> Client {
    let headers = [&["Accept: text/event-stream"], headers].concat();
    let client = request(world, puddle, &format!("GET {target}"), &headers, b"");
    let head = world.take_text(client);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/event-stream\r\n"));
    assert!(head.ends_with("\r\n\r\n"), "nothing but the head: {head}");
    client
}

fn naming(origin: &str) -> RoomRules {
    RoomRules {
        connection: ConnectionRules {
            origins: [origin.to_owned()].into(),
            ..ConnectionRules::default()
        },
        ..RoomRules::default()
    }
}

#[test]
fn messages_posted_from_one_address_are_limited_like_those_of_one_socket() {
    let mut world = World::new(1);
    let mut rules = RoomRules::default();
    rules.messages.rates.per_socket = Some(Rate {
        per_second: NonZeroU32::MIN,
        burst: NonZeroU32::new(2).expect("not zero"),
    });
    world.room("calm", rules);
    let ada = world.raw(0, "calm");
    for _ in 0..2 {
        let answer = post(&mut world, 0, "/calm", &[], "hello");
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }
    let answer = post(&mut world, 0, "/calm", &[], "hello");
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains(r#""rule":"messages.rates.per_socket""#));
    assert_eq!(world.take(ada), frame(Text, b"hello").repeat(2));
    let answer = post(&mut world, 0, "/lobby", &[], "elsewhere it may");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    world.wait(Duration::from_secs(1));
    let answer = post(&mut world, 0, "/calm", &[], "and later");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

#[test]
fn a_posted_message_reaches_every_wire_form_on_every_puddle() {
    let mut world = World::new(2);
    let ada = world.raw(0, "lobby");
    let ben = world.joined(1, &["lobby"]);
    let cleo = stream(&mut world, 1, "/lobby", &[]);
    let answer = post(&mut world, 0, "/lobby", &[], "hello");
    assert!(answer.starts_with("HTTP/1.1 202 Accepted\r\n"), "{answer}");
    assert!(answer.ends_with("{\"room\":\"lobby\",\"level\":\"accepted\"}\n"));
    assert_eq!(world.take(ada), frame(Text, b"hello"));
    assert!(world.take_text(ben).ends_with("\nhello"));
    assert_eq!(world.take_text(cleo), "event: message\ndata: hello\n\n");

    let bytes = request(
        &mut world,
        1,
        "POST /lobby",
        &["Content-Length: 3"],
        &[0, 255, 1],
    );
    assert!(world.take_text(bytes).starts_with("HTTP/1.1 202 "));
    assert_eq!(world.take(ada), frame(Binary, &[0, 255, 1]));
    assert_eq!(world.take_text(cleo), "event: binary\ndata: AP8B\n\n");
}

#[test]
fn a_stream_hears_what_sockets_say_as_it_was_said() {
    let mut world = World::new(1);
    let ada = world.raw(0, "lobby");
    let stream = stream(&mut world, 0, "/lobby", &[]);
    world.say(ada, Text, b"x\nevent: admin");
    assert_eq!(
        world.take_text(stream),
        "event: message\ndata: x\ndata: event: admin\n\n"
    );
    world.bytes(stream, b"what a stream is sent is not listened to".to_vec());
    assert!(!world.is_ended(stream));
    world.wait(Duration::from_secs(46));
    world.wait(Duration::from_secs(46));
    world.wait(Duration::from_secs(46));
    assert_eq!(world.take_text(stream), ":\n\n:\n\n:\n\n");
    assert!(!world.is_ended(stream), "silence is no fault of a stream");
}

#[test]
fn a_room_that_only_messages_are_posted_to_ends_with_each() {
    let mut world = World::new(2);
    let answer = post(&mut world, 0, "/lobby", &[], "is anybody there");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(world.puddles[0].counters().rooms, 0);
}

#[test]
fn the_door_is_the_same_over_plain_http() {
    let mut world = World::new(1);
    world.session(1);
    world.room("vault", password_rules(1));
    world.room("club", members_only());
    world.room("pictures", taking(Content::Binary));
    world.room(
        "news",
        RoomRules {
            capabilities: Capabilities {
                anonymous: Acts::LISTEN,
                ..Capabilities::default()
            },
            ..RoomRules::default()
        },
    );
    let bearer = format!("Authorization: Bearer {}", token(1));
    for (target, headers, status, rule) in [
        ("/vault", &[][..], 403, "entry.password"),
        ("/club", &[], 401, "connection.user_required"),
        ("/club", &[&bearer[..]], 403, "visibility.private"),
        ("/club", &["Authorization: Bearer x"], 401, "credential"),
        ("/pictures", &[], 415, "messages.text"),
        ("/news", &[], 403, "capabilities.send"),
    ] {
        let answer = post(&mut world, 0, target, headers, "hello");
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{target}: {answer}");
        assert!(answer.contains(&format!("\"rule\":\"{rule}\"")), "{answer}");
    }
    let headers = ["Accept: text/event-stream"];
    let shut = request(&mut world, 0, "GET /club", &headers, b"");
    let answer = world.take_text(shut);
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    stream(&mut world, 0, "/news", &[]);
}

#[test]
fn a_message_that_is_too_long_is_refused_before_it_is_kept() {
    let mut world = World::new(1);
    world.room(
        "short",
        RoomRules {
            messages: MessageRules {
                bytes_max: 10,
                ..MessageRules::default()
            },
            ..RoomRules::default()
        },
    );
    for length in ["11", "99999999999999999999999"] {
        let length = format!("Content-Length: {length}");
        let client = request(&mut world, 0, "POST /short", &[&length], b"");
        let answer = world.take_text(client);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("\"rule\":\"messages.bytes_max\""));
        assert!(world.is_ended(client));
    }
}

#[test]
fn a_long_message_comes_in_pieces_and_is_asked_for_where_it_waits() {
    let mut world = World::new(1);
    let ada = world.raw(0, "lobby");
    let headers = [
        "Content-Type: text/plain",
        "Content-Length: 40000",
        "Expect: 100-continue",
    ];
    let client = request(&mut world, 0, "POST /lobby", &headers, b"");
    assert_eq!(world.take_text(client), "HTTP/1.1 100 Continue\r\n\r\n");
    for _ in 0..4 {
        assert_eq!(world.take(ada), b"");
        world.bytes(client, vec![b'x'; 10_000]);
    }
    assert!(world.take_text(client).starts_with("HTTP/1.1 202 "));
    assert_eq!(world.take(ada), frame(Text, &vec![b'x'; 40_000]));
}

#[test]
fn what_follows_a_posted_message_is_never_said() {
    let mut world = World::new(3);
    world.room("news", super::homes::ordered());
    let (home, other) = super::homes::home_and_other("news");
    let ada = world.raw(home, "news");
    let headers = ["Content-Length: 5", "Expect: 100-continue"];
    let client = request(&mut world, other, "POST /news", &headers, b"");
    assert_eq!(world.take_text(client), "HTTP/1.1 100 Continue\r\n\r\n");
    world.hops_stand = true;
    world.bytes(client, b"hello".to_vec());
    world.bytes(
        client,
        b"GET / HTTP/1.1\r\nAuthorization: secret\r\n\r\n".to_vec(),
    );
    world.bytes(client, vec![b'x'; 20_000]);
    let paused = world.links[other].paused.contains(&client.socket);
    world.release_hops();
    let answer = world.take_text(client);
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(world.is_ended(client));
    assert_eq!(world.take(ada), frame(Binary, b"hello"));
    assert!(paused, "nothing more is read");
}

#[test]
fn little_is_kept_of_a_message_while_its_door_is_not_known() {
    let mut world = World::new(1);
    world.away = true;
    let client = world.connect(0);
    let mut bytes = b"POST /lobby HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n".to_vec();
    bytes.resize(bytes.len() + 20_000, b'x');
    let input = crate::Input::Received {
        socket: client.socket,
        bytes: &mut bytes,
    };
    world.puddles[0].handle(world.now, input);
    world.settle_only(0);
    assert!(world.links[0].paused.contains(&client.socket));
}

#[test]
fn a_message_that_does_not_come_whole_in_time_is_not_said() {
    let mut world = World::new(1);
    let ada = world.raw(0, "lobby");
    let headers = ["Content-Length: 10"];
    let client = request(&mut world, 0, "POST /lobby", &headers, b"hello");
    world.wait(Duration::from_secs(61));
    assert!(world.take_text(client).starts_with("HTTP/1.1 408 "));
    assert!(world.is_ended(client));
    world.take(ada);
    world.bytes(client, b"world".to_vec());
    assert_eq!(world.take(ada), b"");
}

#[test]
fn text_is_text() {
    let mut world = World::new(1);
    let ada = world.raw(0, "lobby");
    let headers = ["Content-Type: text/plain", "Content-Length: 2"];
    let client = request(&mut world, 0, "POST /lobby", &headers, &[b'a', 255]);
    let answer = world.take_text(client);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(world.take(ada), b"");
}

#[test]
fn a_message_whose_sender_is_put_out_while_it_comes_is_not_said() {
    let mut world = World::new(1);
    world.session(1);
    let ada = world.raw(0, "lobby");
    let bearer = format!("Authorization: Bearer {}", token(1));
    let headers = ["Content-Length: 10", &bearer];
    let client = request(&mut world, 0, "POST /lobby", &headers, b"hello");
    world.change(vec![ChangeItem::SessionGone(SessionId::from_bytes(
        [1; 16],
    ))]);
    let answer = world.take_text(client);
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    world.bytes(client, b"world".to_vec());
    assert_eq!(world.take(ada), b"");
}

#[test]
fn a_rule_that_changes_while_a_message_comes_holds_for_it() {
    let mut world = World::new(1);
    world.room("lobby", RoomRules::default());
    let headers = ["Content-Length: 10"];
    let client = request(&mut world, 0, "POST /lobby", &headers, b"hello");
    world.rule("lobby", taking(Content::Text));
    world.bytes(client, b"world".to_vec());
    let answer = world.take_text(client);
    assert!(answer.contains("\"rule\":\"messages.binary\""), "{answer}");
}

#[test]
fn a_stream_ends_with_the_right_to_it_and_says_why() {
    let mut world = World::new(1);
    world.session(1);
    let ada = world.raw(0, "lobby");
    let bearer = format!("Authorization: Bearer {}", token(1));
    let cleo = stream(&mut world, 0, "/lobby", &[&bearer]);
    world.stall(cleo, 10);
    world.say(ada, Text, b"before");
    world.say(ada, Text, b"never heard");
    world.change(vec![ChangeItem::SessionGone(SessionId::from_bytes(
        [1; 16],
    ))]);
    world.unstall(cleo);
    let told = world.take_text(cleo);
    let begun = "event: message\ndata: before\n\nevent: closed\ndata: {\"code\":4101,";
    assert!(told.starts_with(begun), "{told}");
    assert!(!told.contains("never heard"));
    assert!(world.is_ended(cleo));
    assert_eq!(world.puddles[0].counters().sockets, 1);
}

#[test]
fn a_stream_is_put_before_its_door_again_without_a_new_head() {
    let mut world = World::new(1);
    world.room("lobby", RoomRules::default());
    let cleo = stream(&mut world, 0, "/lobby", &[]);
    world.rule("lobby", password_rules(1));
    let told = world.take_text(cleo);
    assert!(
        told.starts_with("event: closed\ndata: {\"code\":4104,"),
        "{told}"
    );
    assert!(world.is_ended(cleo));
}

#[test]
fn a_page_reads_answers_only_where_the_room_names_it() {
    let mut world = World::new(1);
    world.room("shop", naming("https://shop.example"));
    world.room("open", RoomRules::default());
    let allowed = "Access-Control-Allow-Origin: https://shop.example\r\nVary: Origin\r\n";
    let page = ["Origin: https://shop.example"];
    for (room, other) in [("/shop", false), ("/open", true)] {
        let answer = post(&mut world, 0, room, &page, "hello");
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
        assert_eq!(answer.contains(allowed), !other, "{answer}");
        assert_eq!(answer.contains("Access-Control"), !other, "{answer}");
    }
    let asks = |origin| [origin, "Access-Control-Request-Method: POST"];
    let preflight = request(&mut world, 0, "OPTIONS /shop", &asks(page[0]), b"");
    let answer = world.take_text(preflight);
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(answer.contains(allowed) && answer.contains("Allow-Methods: GET, POST\r\n"));
    let other = asks("Origin: https://other.example");
    let preflight = request(&mut world, 0, "OPTIONS /shop", &other, b"");
    let answer = world.take_text(preflight);
    assert!(answer.starts_with("HTTP/1.1 204 ") && !answer.contains("Access-Control"));
    // The refusal can be read too.
    world.rule(
        "shop",
        RoomRules {
            messages: MessageRules {
                content: Content::Binary,
                ..MessageRules::default()
            },
            ..naming("https://shop.example")
        },
    );
    let answer = post(&mut world, 0, "/shop", &page, "hello");
    assert!(answer.starts_with("HTTP/1.1 415 ") && answer.contains(allowed));
}

#[test]
fn a_node_that_goes_away_ends_its_streams_with_a_time_to_come_again() {
    let mut world = World::new(1);
    let cleo = stream(&mut world, 0, "/lobby", &[]);
    let until = world.now + Duration::from_secs(1);
    world.puddles[0].handle(world.now, crate::Input::Drain { until });
    world.wait(Duration::from_secs(1));
    let told = world.take_text(cleo);
    assert!(told.starts_with("retry: 1000\nevent: closed\n"), "{told}");
}
