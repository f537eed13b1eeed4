//! Sockets that read too slowly: what each rule lets them miss, what they are
//! told, and that nobody else notices.

use porthouse_model::{DeliveryRules, MessageKind, Order, RoomRules, SlowConsumer};

use super::world::{Client, World, close_frame, frame};
use crate::wire::frame::client;

use MessageKind::{Binary, Text};

/// What a socket may have queued in these tests, and what it has after it had
/// more.
const BYTES_MAX: usize = 8_000;

fn rule(slow_consumer: SlowConsumer) -> RoomRules {
    RoomRules {
        delivery: DeliveryRules {
            slow_consumer,
            ..DeliveryRules::default()
        },
        ..RoomRules::default()
    }
}

/// Two puddles with a room for each rule, called as the rule is.
fn world() -> World {
    let mut world = World::with(2, |settings| {
        settings.socket_backlog_bytes_max = BYTES_MAX;
    });
    world.room("close", rule(SlowConsumer::Close));
    world.room("oldest", rule(SlowConsumer::DropOldest));
    world.room("newest", rule(SlowConsumer::DropNewest));
    world.room("latest", rule(SlowConsumer::Conflate));
    world
}

/// A message of 1,000 bytes that starts with its number.
fn numbered(number: usize) -> Vec<u8> {
    let mut payload = format!("{number:03}").into_bytes();
    payload.resize(1_000, b'.');
    payload
}

fn say_numbered(world: &mut World, speaker: Client, numbers: core::ops::Range<usize>) {
    for number in numbers {
        world.say(speaker, Binary, &numbered(number));
    }
}

/// The numbers of the messages in what came, and of each gap how many are missing.
fn told(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut told = Vec::new();
    for part in text.split(|char: char| !char.is_ascii_graphic()) {
        if let Some((_, dropped)) = part.split_once(r#""dropped":"#) {
            let count: String = dropped.chars().take_while(char::is_ascii_digit).collect();
            told.push(format!("-{count}"));
        }
        if let Some((number, _)) = part.split_once("....") {
            told.push(number[number.len() - 3..].to_owned());
        }
    }
    told
}

/// 20 messages are said while a socket takes 1,500 bytes of them and no more;
/// then it reads everything.
fn stalled_for_20(world: &mut World, slow: Client, room: &str) -> Vec<u8> {
    let speaker = world.raw(1, room);
    let keen = world.raw(0, room);
    world.stall(slow, 1_500);
    say_numbered(world, speaker, 0..20);
    world.unstall(slow);
    let heard = world.take(slow);
    assert_eq!(
        told(&world.take(keen)).len(),
        20,
        "nobody else misses anything"
    );
    say_numbered(world, speaker, 20..21);
    if !world.is_ended(slow) && !heard.ends_with(b"x") {
        let last = told(&world.take(slow));
        assert_eq!(last, ["020"], "it goes on");
    }
    heard
}

#[test]
fn a_raw_socket_misses_the_oldest_that_it_has_not_begun() {
    let mut world = world();
    let slow = world.raw(0, "oldest");
    let heard = stalled_for_20(&mut world, slow, "oldest");
    let whole: Vec<u8> = [0, 1]
        .into_iter()
        .chain(14..20)
        .flat_map(|number| frame(Binary, &numbered(number)))
        .collect();
    assert_eq!(told(&heard), told(&whole));
    assert_eq!(heard, whole, "whole frames, and nothing else");
    assert_eq!(world.puddles[0].counters().dropped, 12);
    assert_eq!(world.puddles[0].counters().slow, 0);
}

#[test]
fn a_raw_socket_misses_the_newest() {
    let mut world = world();
    let slow = world.raw(0, "newest");
    let heard = stalled_for_20(&mut world, slow, "newest");
    let numbers = told(&heard);
    assert_eq!(
        &numbers[..7],
        ["000", "001", "002", "003", "004", "005", "006"]
    );
    assert!(numbers.len() < 10, "{numbers:?}");
}

#[test]
fn a_raw_socket_gets_the_latest_alone() {
    let mut world = world();
    let slow = world.raw(0, "latest");
    let heard = stalled_for_20(&mut world, slow, "latest");
    assert_eq!(told(&heard), ["000", "001", "019"]);
}

#[test]
fn a_multiplexed_socket_is_told_how_many_it_misses_and_where() {
    for (room, heard_of) in [
        ("oldest", "000 001 -12 014 015 016 017 018 019"),
        ("newest", "000 001 002 003 004 005 006 -12 019"),
        ("latest", "000 001 -17 019"),
    ] {
        let mut world = world();
        let slow = world.joined(0, &[room]);
        let heard = stalled_for_20(&mut world, slow, room);
        assert_eq!(told(&heard).join(" "), heard_of, "{room}");
    }
}

#[test]
fn an_event_stream_is_told_too() {
    let mut world = world();
    let request = "GET /oldest HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n";
    let slow = world.connect(0);
    world.bytes(slow, request.as_bytes().to_vec());
    assert!(world.take(slow).starts_with(b"HTTP/1.1 200"));
    let speaker = world.raw(1, "oldest");
    world.stall(slow, 1_500);
    for number in 0..20 {
        world.say(speaker, Text, &numbered(number));
    }
    world.unstall(slow);
    let heard = world.take(slow);
    assert_eq!(
        told(&heard).join(" "),
        "000 001 -12 014 015 016 017 018 019"
    );
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(heard.contains("\n\nevent: gap\ndata: {\"dropped\":12}\n\nevent: message\n"));
}

#[test]
fn each_room_of_a_socket_goes_by_its_own_rule() {
    let mut world = world();
    let rooms = ["close", "oldest", "newest", "latest"];
    let slow = world.joined(0, &rooms);
    let speakers = rooms.map(|room| world.raw(1, room));
    world.stall(slow, 0);
    for number in 0..3 {
        for speaker in speakers {
            say_numbered(&mut world, speaker, number..number + 1);
        }
    }
    world.line(slow, r#"{"op":"ping","id":9}"#);
    world.unstall(slow);
    let heard = world.take_text(slow);
    let heard_in = |room: &str| {
        let own = format!(r#""room":"{room}""#);
        let frames = heard.split(r#"{"op":""#).filter(|part| part.contains(&own));
        told(frames.collect::<String>().as_bytes()).join(" ")
    };
    assert_eq!(heard_in("close"), "000 001 002", "all of it");
    assert_eq!(heard_in("oldest"), "-3");
    assert_eq!(heard_in("newest"), "000 001 -1");
    assert_eq!(heard_in("latest"), "-2 002");
    assert!(heard.contains(r#"{"op":"pong","id":9}"#));
    assert!(!world.is_ended(slow));
}

#[test]
fn what_the_rules_do_not_let_it_miss_still_puts_a_socket_out() {
    let mut world = world();
    let slow = world.joined(0, &["close", "oldest"]);
    let speakers = ["close", "oldest"].map(|room| world.raw(1, room));
    world.stall(slow, 0);
    say_numbered(&mut world, speakers[1], 0..20);
    say_numbered(&mut world, speakers[0], 0..6);
    assert_eq!(world.puddles[0].counters().slow, 0);
    say_numbered(&mut world, speakers[0], 6..9);
    world.unstall(slow);
    assert_eq!(close_frame(&world.take(slow)).0, 4203);
}

#[test]
fn in_an_ordered_room_the_offsets_show_the_hole_too() {
    let mut world = world();
    let mut rules = rule(SlowConsumer::DropOldest);
    rules.delivery.order = Order::Ordered;
    world.room("ordered", rules);
    let slow = world.joined(0, &["ordered"]);
    let heard = stalled_for_20(&mut world, slow, "ordered");
    let heard = String::from_utf8_lossy(&heard).into_owned();
    let offsets: Vec<&str> = heard
        .split(r#""offset":"#)
        .skip(1)
        .filter_map(|part| part.split('}').next())
        .collect();
    assert_eq!(offsets, ["1", "2", "15", "16", "17", "18", "19", "20"]);
    assert_eq!(told(heard.as_bytes())[2], "-12");
}

#[test]
fn what_all_queues_hold_is_bounded_by_the_rules_before_anybody_goes() {
    let mut world = World::with(1, |settings| settings.payload_bytes_max = 600_000);
    world.room("oldest", rule(SlowConsumer::DropOldest));
    let slow = world.joined(0, &["oldest"]);
    let speaker = world.raw(0, "oldest");
    world.stall(slow, 0);
    for _ in 0..30 {
        world.say(speaker, Binary, &vec![7; 60_000]);
        assert!(world.puddles[0].counters().held_bytes <= 600_000);
    }
    assert_eq!(world.puddles[0].counters().slow, 0);
    world.unstall(slow);
    let heard = world.take_text(slow);
    let missed: u32 = told(heard.as_bytes())[0]
        .trim_start_matches('-')
        .parse()
        .expect("a gap comes first");
    let came = heard.matches(r#""op":"message""#).count();
    assert_eq!(came + usize::try_from(missed).expect("few"), 30);
    assert!(came >= 5, "{came}");
}

#[test]
fn a_socket_that_keeps_up_is_not_slow_however_much_comes_in_one_turn() {
    let mut world = world();
    let rooms = ["close", "other"];
    world.room("other", rule(SlowConsumer::Close));
    let keen = world.joined(0, &rooms);
    let speakers = rooms.map(|room| world.raw(0, room));
    for _ in 0..200 {
        for speaker in speakers {
            let now = world.now;
            let mut bytes = client::frame(true, client::BINARY, &[7; 100]);
            let input = crate::Input::Received {
                socket: speaker.socket,
                bytes: &mut bytes,
            };
            world.puddles[0].handle(now, input);
        }
    }
    world.run();
    let heard = world.take_text(keen);
    assert_eq!(heard.matches(r#""op":"message""#).count(), 400);
}
