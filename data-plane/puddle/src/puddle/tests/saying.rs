//! Speaking: what is not allowed, not in the format or too fast is refused, by
//! every way in alike, and nobody hears it; floods of nothing end.

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    BroadcastRules, Capabilities, Format, Member, MessageKind, MessageRules, Rate, Rates, Role,
    RoomRules,
};

use super::world::{Client, World, close_frame, frame, token};
use crate::input::{Command, Publish};
use crate::output::Reply;
use crate::wire::frame::{Opcode, client};

use MessageKind::{Binary, Text};

fn saying(messages: MessageRules) -> RoomRules {
    RoomRules {
        messages,
        ..RoomRules::default()
    }
}

fn in_format(format: Format) -> RoomRules {
    saying(MessageRules {
        format,
        ..MessageRules::default()
    })
}

fn at_most(per_second: u32, burst: u32) -> RoomRules {
    let some = |number| NonZeroU32::new(number).expect("not zero");
    saying(MessageRules {
        rates: Rates {
            per_socket: Some(Rate {
                per_second: some(per_second),
                burst: some(burst),
            }),
            ..Rates::default()
        },
        ..MessageRules::default()
    })
}

fn send(world: &mut World, client: Client, room: &str, id: u32, payload: &str) -> String {
    let line = format!("{{\"op\":\"send\",\"room\":\"{room}\",\"id\":{id}}}\n{payload}");
    world.line(client, &line);
    world.take_text(client)
}

#[test]
fn who_may_only_listen_does_not_speak() {
    let mut world = World::new(1);
    let rules = RoomRules {
        capabilities: Capabilities::announce_only(),
        ..RoomRules::default()
    };
    let room = world.room("stage", rules);
    let user = world.session(1);
    world.members.push(Member {
        room,
        user,
        role: Role::MODERATOR,
        expires: None,
        then: None,
    });
    let [ada, ben] = [(); 2].map(|()| world.raw(0, "stage"));
    world.say(ada, Text, b"hi");
    let (code, reason) = close_frame(&world.take(ada));
    assert_eq!(code, 1008);
    assert!(reason.starts_with("capabilities.send; "), "{reason}");
    assert_eq!(world.take(ben), b"", "nobody hears it");
    let bearer = format!("Authorization: Bearer {}", token(1));
    let moderator = world.upgrade(0, "/stage", &[&bearer]);
    world.say(moderator, Text, b"order!");
    assert_eq!(world.take(ben), frame(Text, b"order!"));
}

#[test]
fn what_is_not_in_the_room_s_format_is_refused_by_every_way_in() {
    let mut world = World::new(2);
    let schema = r#"{"type":"object","required":["text"]}"#;
    for (room, format, good, bad) in [
        ("json", Format::Json, &b"[1]"[..], &b"[1"[..]),
        (
            "schema",
            Format::JsonSchema(schema.into()),
            br#"{"text":1}"#,
            b"{}",
        ),
        ("pack", Format::MessagePack, &[0x91, 1], &[0x91]),
        ("cbor", Format::Cbor, &[0x81, 1], &[0x81]),
        (
            "words",
            Format::Expression("[a-z]+".into()),
            b"hello",
            b"Hello",
        ),
    ] {
        world.room(room, in_format(format));
        let [ada, ben] = [0, 1].map(|puddle| world.raw(puddle, room));
        let cleo = world.joined(0, &[room]);
        world.say(ada, Binary, good);
        assert_eq!(world.take(ben), frame(Binary, good), "{room}");
        world.take(cleo);
        let header = format!("{{\"op\":\"send\",\"room\":\"{room}\",\"id\":7}}\n");
        world.say(cleo, Binary, &[header.as_bytes(), bad].concat());
        let told = world.take_text(cleo);
        assert!(told.contains(r#""op":"refused","id":7"#), "{told}");
        assert!(told.contains("messages.format"), "{told}");
        world.say(ada, Binary, bad);
        assert_eq!(close_frame(&world.take(ada)).0, 4014);
        let post = post(&mut world, room, bad);
        assert!(post.starts_with("HTTP/1.1 422"), "{post}");
        let refused = world.order(&publish(room, bad));
        assert!(
            matches!(refused[..], [Reply::Refused(_), ..]),
            "{refused:?}"
        );
        assert_eq!(world.take(ben), b"", "nobody hears it");
    }
}

#[test]
fn a_backends_message_keeps_the_format_of_a_room_that_its_home_keeps_too() {
    let mut world = World::new(3);
    let rules = RoomRules {
        delivery: super::homes::ordered().delivery,
        ..in_format(Format::Json)
    };
    world.room("ledger", rules);
    let ada = world.joined(0, &["ledger"]);
    for (payload, placed) in [(&b"{}"[..], true), (b"{", false)] {
        let replies = world.order(&publish("ledger", payload));
        let is_placed = |reply: &Reply| matches!(reply, Reply::Placed { .. });
        assert_eq!(replies.iter().any(is_placed), placed, "{replies:?}");
    }
    assert_eq!(world.take_text(ada).matches(r#""op":"message""#).count(), 1);
}

fn publish(room: &str, payload: &[u8]) -> Command {
    Command::Publish(Arc::new(Publish {
        room: room.parse().expect("a name"),
        kind: Binary,
        payload: payload.into(),
        to: Vec::new(),
        except: Vec::new(),
    }))
}

fn post(world: &mut World, room: &str, payload: &[u8]) -> String {
    let client = world.connect(0);
    let length = payload.len();
    let head = format!(
        "POST /{room} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    world.bytes(client, [head.as_bytes(), payload].concat());
    world.take_text(client)
}

#[test]
fn a_raw_socket_that_goes_faster_than_its_room_allows_is_closed() {
    let mut world = World::new(1);
    world.room("slow", at_most(1, 3));
    let (ada, ben) = (world.raw(0, "slow"), world.raw(0, "slow"));
    for _ in 0..3 {
        world.say(ada, Text, b"hi");
    }
    world.wait(Duration::from_secs(1));
    world.say(ada, Text, b"hi");
    assert_eq!(world.take(ben), frame(Text, b"hi").repeat(4));
    world.say(ada, Text, b"hi");
    let (code, reason) = close_frame(&world.take(ada));
    assert_eq!(code, 1008);
    assert!(
        reason.starts_with("messages.rates.per_socket; "),
        "{reason}"
    );
    assert_eq!(world.take(ben), b"", "nobody hears it");
}

#[test]
fn a_multiplexed_socket_is_told_each_time_and_closed_if_it_does_not_heed() {
    let mut world = World::with(1, |settings| {
        settings.paces.haste_rate_max.burst = NonZeroU32::MIN;
    });
    world.room("slow", at_most(1, 1));
    let ada = world.joined(0, &["slow", "lobby"]);
    assert!(send(&mut world, ada, "slow", 1, "hi").contains("receipt"));
    let told = send(&mut world, ada, "slow", 2, "hi");
    assert!(told.contains(r#""op":"refused","id":2"#), "{told}");
    assert!(told.contains("messages.rates.per_socket"), "{told}");
    // Another room has a rate of its own.
    assert!(send(&mut world, ada, "lobby", 3, "hi").contains("receipt"));
    world.wait(Duration::from_secs(1));
    assert!(send(&mut world, ada, "slow", 4, "hi").contains("receipt"));
    assert!(send(&mut world, ada, "slow", 5, "hi").contains("refused"));
    world.line(ada, "{\"op\":\"send\",\"room\":\"slow\",\"id\":6}\nhi");
    assert_eq!(close_frame(&world.take(ada)).0, 1008);
}

#[test]
fn messages_in_the_wrong_format_count_against_the_rate() {
    let mut world = World::new(1);
    let mut rules = at_most(1, 2);
    rules.messages.format = Format::Json;
    world.room("json", rules);
    let ada = world.joined(0, &["json"]);
    for id in [1, 2] {
        assert!(send(&mut world, ada, "json", id, "{").contains("messages.format"));
    }
    let told = send(&mut world, ada, "json", 3, "{}");
    assert!(told.contains("messages.rates.per_socket"), "{told}");
}

#[test]
fn a_role_that_never_receives_hears_nothing_and_one_that_always_does_hears_all() {
    let mut world = World::new(2);
    let (bot, warden): (Role, Role) = (
        "bot".parse().expect("a role"),
        "warden".parse().expect("a role"),
    );
    let rules = RoomRules {
        broadcast: BroadcastRules {
            never: [bot].into(),
            always: [warden].into(),
            ..BroadcastRules::default()
        },
        ..RoomRules::default()
    };
    let room = world.room("watched", rules);
    let enter = |world: &mut World, user: u8, role, puddle| {
        let user_id = world.session(user);
        world.members.push(Member {
            room,
            user: user_id,
            role,
            expires: None,
            then: None,
        });
        let bearer = format!("Authorization: Bearer {}", token(user));
        let client = world.upgrade(puddle, "/watched", &[&bearer]);
        assert!(world.take_text(client).starts_with("HTTP/1.1 101"));
        client
    };
    let bot = enter(&mut world, 1, bot, 0);
    let wardens = [(2, 0), (3, 1)].map(|(user, puddle)| enter(&mut world, user, warden, puddle));
    let ada = world.joined(0, &["watched"]);
    let ben = world.raw(1, "watched");
    let line = "{\"op\":\"send\",\"room\":\"watched\"}\nall";
    world.line(ada, line);
    for client in [wardens[0], wardens[1], ben] {
        assert_eq!(world.take(client), frame(Text, b"all"));
    }
    let whom = "00000000-0000-0000-0000-000000000000";
    let line = format!("{{\"op\":\"send\",\"room\":\"watched\",\"to\":[\"{whom}\"]}}\none");
    world.line(ada, &line);
    for client in wardens {
        assert_eq!(world.take(client), frame(Text, b"one"));
    }
    assert_eq!(world.take(ben), b"");
    assert_eq!(world.take(bot), b"");
    // Whoever never receives may speak.
    world.say(bot, Text, b"beep");
    assert_eq!(world.take(ben), frame(Text, b"beep"));
}

/// What a flood of these is: each as a raw socket and as a line does it.
fn flood(kind: &str) -> (Vec<u8>, &'static str, &'static str) {
    match kind {
        "ping" => (
            client::frame(true, Opcode::Ping, b""),
            r#"{"op":"ping"}"#,
            "ping_rate_max",
        ),
        _ => (
            client::frame(true, client::TEXT, b""),
            "{\"op\":\"send\",\"room\":\"lobby\"}\n",
            "empty_message_rate_max",
        ),
    }
}

#[test]
fn a_flood_of_pings_or_of_empty_messages_ends_and_the_others_go_on() {
    for kind in ["ping", "empty"] {
        let (bytes, line, rule) = flood(kind);
        let mut world = World::new(1);
        let [ada, ben, cleo] = [(); 3].map(|()| world.raw(0, "lobby"));
        for _ in 0..1_000 {
            world.bytes(ada, bytes.clone());
        }
        assert!(!world.is_ended(ada), "{kind}: a thousand at once are none");
        world.take(ada);
        world.bytes(ada, bytes);
        let (code, reason) = close_frame(&world.take(ada));
        assert_eq!(code, 1008);
        assert!(reason.starts_with(rule), "{reason}");

        let dan = world.joined(0, &["lobby"]);
        for _ in 0..1_000 {
            world.line(dan, line);
        }
        world.take(dan);
        for _ in 0..16 {
            world.line(dan, line);
            let told = world.take_text(dan);
            assert!(
                told.contains(r#""op":"error""#) && told.contains(rule),
                "{told}"
            );
        }
        world.line(dan, line);
        assert_eq!(close_frame(&world.take(dan)).0, 1008);
        world.take(cleo);
        world.say(ben, Text, b"still here");
        assert_eq!(world.take(cleo), frame(Text, b"still here"));
    }
}

#[test]
fn a_flood_of_joins_and_leaves_ends() {
    let mut world = World::new(1);
    let ada = world.lobby(0);
    let ben = world.joined(0, &["lobby"]);
    for _ in 0..256 {
        world.line(ada, r#"{"op":"join","room":"lobby","id":1}"#);
        world.line(ada, r#"{"op":"leave","room":"lobby","id":2}"#);
    }
    assert!(!world.take_text(ada).contains("move_rate_max"));
    for _ in 0..16 {
        world.line(ada, r#"{"op":"join","room":"lobby","id":3}"#);
        let told = world.take_text(ada);
        assert!(told.contains(r#""op":"error","id":3"#), "{told}");
        assert!(told.contains("move_rate_max"), "{told}");
    }
    world.line(ada, r#"{"op":"join","room":"lobby","id":4}"#);
    let (code, reason) = close_frame(&world.take(ada));
    assert_eq!(code, 1008);
    assert!(reason.starts_with("move_rate_max"), "{reason}");
    assert!(!world.is_ended(ben));
}

#[test]
fn pings_at_the_rate_of_a_heartbeat_go_on_for_ever() {
    let mut world = World::new(1);
    let ada = world.raw(0, "lobby");
    for _ in 0..2_000 {
        world.bytes(ada, client::frame(true, Opcode::Ping, b"?"));
        world.wait(Duration::from_millis(100));
    }
    assert_eq!(world.take(ada), [0x8a, 1, b'?'].repeat(2_000));
}
