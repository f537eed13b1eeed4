//! Messages: bytes and kind arrive unchanged, at whom they are for, in order.

use std::sync::Arc;

use porthouse_model::{BroadcastRules, Content, MessageKind, MessageRules, RoomRules};

use super::world::{World, close_frame, frame, taking};
use crate::input::{Command, Publish};
use crate::output::Reply;
use crate::wire::frame::client;

use MessageKind::{Binary, Text};

#[test]
fn what_one_says_the_others_hear_and_it_does_not() {
    let mut world = World::new(1);
    let [ada, ben, cleo] = [(); 3].map(|()| world.raw(0, "lobby"));
    for (kind, payload) in [(Text, &b"hello"[..]), (Binary, &[0, 255, 10]), (Text, b"")] {
        world.say(ada, kind, payload);
        for other in [ben, cleo] {
            assert_eq!(world.take(other), frame(kind, payload));
        }
        assert_eq!(world.take(ada), b"");
    }
}

#[test]
fn a_message_passes_between_puddles_and_wire_forms() {
    let mut world = World::new(3);
    let ada = world.raw(0, "lobby");
    let ben = world.raw(1, "lobby");
    let cleo = world.joined(2, &["lobby"]);
    world.say(ada, Binary, &[1, 2, 3]);
    assert_eq!(world.take(ben), frame(Binary, &[1, 2, 3]));
    let heard = world.take(cleo);
    assert!(heard.ends_with(b"\"}\n\x01\x02\x03"), "{heard:?}");
    world.say(
        cleo,
        Text,
        b"{\"op\":\"send\",\"room\":\"lobby\",\"id\":\"x\"}\nhi",
    );
    assert_eq!(world.take(ada), frame(Text, b"hi"));
    assert_eq!(world.take(ben), frame(Text, b"hi"));
    assert!(world.take_text(cleo).contains(r#""op":"receipt","id":"x""#));
}

#[test]
fn a_room_that_echoes_is_heard_by_the_sender_too() {
    let mut world = World::new(1);
    world.room(
        "echo",
        RoomRules {
            broadcast: BroadcastRules {
                echo: true,
                ..BroadcastRules::default()
            },
            ..RoomRules::default()
        },
    );
    let ada = world.raw(0, "echo");
    world.say(ada, Text, b"me");
    assert_eq!(world.take(ada), frame(Text, b"me"));
}

#[test]
fn a_long_run_of_small_messages_is_written_once() {
    let mut world = World::new(1);
    let (ada, ben) = (world.raw(0, "lobby"), world.raw(0, "lobby"));
    world.stall(ben, 0);
    let mut expected = Vec::new();
    for number in 0..200_u8 {
        // A pong of Ada's own between two messages: no two places touch.
        world.bytes(
            ada,
            client::frame(true, crate::wire::frame::Opcode::Ping, b""),
        );
        world.say(ada, Binary, &[number]);
        expected.extend(frame(Binary, &[number]));
    }
    world.unstall(ben);
    assert_eq!(world.take(ben), expected);
}

#[test]
fn a_directed_message_is_heard_by_those_it_names() {
    let mut world = World::new(2);
    let [ada, ben, cleo] = [0, 0, 1].map(|puddle| world.lobby(puddle));
    let mut ids = Vec::new();
    for client in [ada, ben, cleo] {
        world.line(client, r#"{"op":"join","room":"lobby","id":1}"#);
        let told = world.take_text(client);
        let at = told.find(r#""client":""#).expect("who it is") + 10;
        ids.push(told[at..at + 36].to_owned());
    }
    let to = format!(
        "{{\"op\":\"send\",\"room\":\"lobby\",\"to\":[\"{}\"]}}\nsecret",
        ids[2]
    );
    world.line(ada, &to);
    assert!(world.take_text(cleo).ends_with("\nsecret"));
    assert_eq!(world.take(ben), b"");
    let but = format!(
        "{{\"op\":\"send\",\"room\":\"lobby\",\"except\":[\"{}\"]}}\nrest",
        ids[2]
    );
    world.line(ada, &but);
    assert!(world.take_text(ben).ends_with("\nrest"));
    assert_eq!(world.take(cleo), b"");
}

#[test]
fn a_message_in_fragments_with_a_ping_between_is_one_message() {
    let mut world = World::new(1);
    let (ada, ben) = (world.raw(0, "lobby"), world.raw(0, "lobby"));
    let mut bytes = client::frame(false, client::TEXT, b"he");
    bytes.extend(client::frame(true, crate::wire::frame::Opcode::Ping, b"?"));
    bytes.extend(client::frame(true, client::CONTINUATION, b"llo"));
    for byte in bytes {
        world.bytes(ada, vec![byte]);
    }
    assert_eq!(world.take(ben), frame(Text, b"hello"));
    assert_eq!(world.take(ada), [0x8a, 1, b'?']);
}

#[test]
fn frames_that_come_with_the_request_are_the_first_messages() {
    let mut world = World::new(1);
    let ben = world.raw(0, "lobby");
    let ada = world.connect(0);
    let mut bytes = b"GET /lobby HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    bytes.extend(client::frame(true, client::TEXT, b"first"));
    world.bytes(ada, bytes);
    assert_eq!(world.take(ben), frame(Text, b"first"));
}

#[test]
fn what_a_room_does_not_take_ends_a_raw_socket_with_the_code_that_says_so() {
    let mut world = World::new(1);
    world.room("text", taking(Content::Text));
    world.room("binary", taking(Content::Binary));
    world.room(
        "short",
        RoomRules {
            messages: MessageRules {
                bytes_max: 3,
                ..MessageRules::default()
            },
            ..RoomRules::default()
        },
    );
    for (room, kind, payload, code, rule) in [
        ("text", Binary, &b"x"[..], 1003, "messages.binary"),
        ("binary", Text, b"x", 1003, "messages.text"),
        ("short", Text, b"four", 1009, "max"),
    ] {
        let ada = world.raw(0, room);
        let ben = world.raw(0, room);
        world.say(ada, kind, payload);
        let (told, reason) = close_frame(&world.take(ada));
        assert_eq!(told, code, "{room}: {reason}");
        assert!(reason.contains(rule), "{reason}");
        assert_eq!(world.take(ben), b"", "nobody hears it");
    }
}

#[test]
fn a_multiplexed_socket_stays_when_a_message_is_refused() {
    let mut world = World::new(1);
    world.room("text", taking(Content::Binary));
    let ada = world.joined(0, &["text"]);
    world.line(ada, "{\"op\":\"send\",\"room\":\"text\",\"id\":9}\nhello");
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"refused","id":9,"room":"text""#),
        "{told}"
    );
    world.line(ada, r#"{"op":"send","room":"elsewhere","id":10}"#);
    assert!(world.take_text(ada).contains(r#""op":"error","id":10"#));
    world.line(ada, r#"{"op":"ping","id":11}"#);
    assert!(world.take_text(ada).contains(r#""op":"pong","id":11"#));
}

#[test]
fn a_backend_publishes_to_every_puddle_once() {
    let mut world = World::new(2);
    let clients = [0, 0, 1].map(|puddle| world.raw(puddle, "lobby"));
    let publish = |room: &str| {
        Command::Publish(Arc::new(Publish {
            room: room.parse().expect("a name"),
            kind: Text,
            payload: b"news"[..].into(),
            to: Vec::new(),
            except: Vec::new(),
        }))
    };
    let replies = world.order(&publish("lobby"));
    let counts = [2, 1].map(|count| Reply::Published {
        receivers: Some(count),
    });
    assert_eq!(replies, counts);
    for client in clients {
        assert_eq!(world.take(client), frame(Text, b"news"));
    }
    assert_eq!(
        world.order(&publish("nowhere")),
        [0, 1].map(|_| Reply::Published { receivers: None })
    );
}

#[test]
fn the_last_to_leave_ends_a_transient_room_everywhere() {
    let mut world = World::new(2);
    let (ada, ben) = (world.raw(0, "lobby"), world.raw(1, "lobby"));
    for client in [ada, ben] {
        world.bytes(
            client,
            client::frame(true, crate::wire::frame::Opcode::Close, &[]),
        );
        assert!(world.is_ended(client));
    }
    let rooms = Command::ListRooms {
        after: None,
        rooms_max: 10,
    };
    assert_eq!(
        world.order(&rooms),
        [(); 2].map(|()| Reply::Rooms(Vec::new()))
    );
    assert_eq!(
        world
            .puddles
            .iter()
            .map(|puddle| puddle.counters().rooms)
            .sum::<u64>(),
        0
    );
}

#[test]
fn a_backend_names_receivers_in_any_order() {
    let mut world = World::new(1);
    let users = [3, 1, 2].map(|user| world.session(user));
    let sockets = [3, 1, 2].map(|user| {
        let socket = world.lobby_of(0, user);
        world.line(socket, r#"{"op":"join","room":"lobby","id":1}"#);
        world.take(socket);
        socket
    });
    world.order(&Command::Publish(Arc::new(Publish {
        room: "lobby".parse().expect("a name"),
        kind: Text,
        payload: (*b"for one of three").into(),
        to: users.map(Into::into).to_vec(),
        except: vec![users[0].into(), users[1].into()],
    })));
    let heard = sockets.map(|socket| world.take_text(socket).contains("for one of three"));
    assert_eq!(heard, [false, false, true]);
}
