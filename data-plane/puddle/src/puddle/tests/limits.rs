//! Limits: what is slow, silent, hostile or too much costs only itself.

use core::time::Duration;

use porthouse_model::{MessageKind, RoomRules};

use super::world::{World, close_frame, frame};
use crate::wire::frame::client;

use MessageKind::{Binary, Text};

#[test]
fn a_request_that_does_not_come_whole_is_answered_408() {
    let mut world = World::new(1);
    let slow = world.connect(0);
    world.bytes(slow, b"GET / HTTP/1.1\r\n".to_vec());
    world.wait(Duration::from_secs(11));
    assert!(world.take_text(slow).starts_with("HTTP/1.1 408"));
    assert!(world.is_ended(slow));
}

#[test]
fn handshakes_of_one_address_are_bounded() {
    let mut world = World::with(1, |settings| settings.handshakes_per_address_max = 2);
    let first = [(); 2].map(|()| world.connect(0));
    let third = world.connect(0);
    world.run();
    assert!(world.take_text(third).starts_with("HTTP/1.1 429"));
    for client in first {
        assert!(!world.is_ended(client));
    }
    world.wait(Duration::from_secs(11));
    world.raw(0, "lobby");
}

#[test]
fn a_socket_that_neither_signs_in_nor_joins_is_closed() {
    let mut world = World::new(1);
    let idle = world.lobby(0);
    world.wait(Duration::from_secs(31));
    assert_eq!(close_frame(&world.take(idle)).0, 4200);
}

#[test]
fn a_silent_socket_is_asked_and_then_given_up() {
    let mut world = World::new(1);
    let (ada, ben) = (world.raw(0, "lobby"), world.raw(0, "lobby"));
    world.wait(Duration::from_secs(46));
    assert_eq!(world.take(ada), [0x89, 0]);
    world.bytes(
        ben,
        client::frame(true, crate::wire::frame::Opcode::Pong, b""),
    );
    world.wait(Duration::from_secs(45));
    assert!(world.is_ended(ada));
    assert!(!world.is_ended(ben));
}

#[test]
fn a_reader_that_does_not_read_is_put_out_and_the_others_go_on() {
    let mut world = World::with(1, |settings| settings.socket_backlog_bytes_max = 10_000);
    let [ada, ben, cleo] = [(); 3].map(|()| world.raw(0, "lobby"));
    world.stall(cleo, 0);
    for _ in 0..11 {
        world.say(ada, Binary, &[7; 1_000]);
    }
    assert_eq!(world.take(ben).len(), 11 * frame(Binary, &[7; 1_000]).len());
    world.unstall(cleo);
    assert_eq!(close_frame(&world.take(cleo)).0, 4203);
    assert_eq!(world.puddles[0].counters().slow, 1);
    assert_eq!(world.puddles[0].counters().held_bytes, 0);
}

#[test]
fn what_many_stalled_sockets_hold_is_counted_once_and_bounded() {
    let mut world = World::with(1, |settings| settings.payload_bytes_max = 600_000);
    let ada = world.raw(0, "lobby");
    let stalled: Vec<_> = (0..20).map(|_| world.raw(0, "lobby")).collect();
    for client in &stalled {
        world.stall(*client, 0);
    }
    for _ in 0..8 {
        world.say(ada, Binary, &vec![7; 60_000]);
    }
    let held = world.puddles[0].counters().held_bytes;
    assert!((480_000..500_000).contains(&held), "{held}");
    for _ in 0..4 {
        world.say(ada, Binary, &vec![7; 60_000]);
    }
    assert!(world.puddles[0].counters().held_bytes <= 600_000);
    for client in stalled {
        world.unstall(client);
        assert_eq!(close_frame(&world.take(client)).0, 4203);
    }
    assert!(!world.is_ended(ada));
}

#[test]
fn a_large_room_does_not_keep_a_small_one_waiting() {
    let mut world = World::with(1, |settings| settings.slice_sockets_max = 64);
    let large: Vec<_> = (0..1_000).map(|_| world.raw(0, "large")).collect();
    let (ada, ben) = (world.raw(0, "small"), world.raw(0, "small"));
    world.links[0].writes.clear();
    let mut loud = client::frame(true, client::TEXT, b"to all");
    let mut quiet = client::frame(true, client::TEXT, b"to one");
    let now = world.now;
    for (client, bytes) in [(large[0], &mut loud), (ada, &mut quiet)] {
        world.puddles[0].handle(
            now,
            crate::Input::Received {
                socket: client.socket,
                bytes,
            },
        );
    }
    world.run();
    let at = world.links[0]
        .writes
        .iter()
        .position(|socket| *socket == ben.socket);
    assert!(
        at.expect("it was written to") < 128,
        "rooms take turns: {at:?}"
    );
    assert_eq!(world.links[0].writes.len(), 1_000);
}

#[test]
fn broken_frames_close_with_the_code_the_rfc_gives() {
    let mut world = World::new(1);
    let ben = world.raw(0, "lobby");
    for (bytes, code) in [
        (vec![0x81, 0x01, b'x'], 1002),
        (client::frame(true, client::TEXT, &[0xff]), 1007),
        (vec![0xf1, 0x80, 0, 0, 0, 0], 1002),
        (
            vec![0x82, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
            1009,
        ),
    ] {
        let hostile = world.raw(0, "lobby");
        world.bytes(hostile, bytes);
        assert_eq!(close_frame(&world.take(hostile)).0, code);
        world.wait(Duration::from_secs(6));
        assert!(world.is_ended(hostile), "it is not waited for long");
    }
    let ada = world.raw(0, "lobby");
    world.say(ada, Text, b"unharmed");
    assert_eq!(world.take(ben), frame(Text, b"unharmed"));
}

#[test]
fn a_header_line_that_does_not_end_closes() {
    let mut world = World::new(1);
    let ada = world.lobby(0);
    world.line(ada, &"x".repeat(5_000));
    assert_eq!(close_frame(&world.take(ada)).0, 1008);
}

#[test]
fn rooms_of_one_socket_are_bounded() {
    let mut world = World::with(1, |settings| settings.rooms_per_socket_max = 2);
    let ada = world.joined(0, &["one", "two"]);
    world.line(ada, r#"{"op":"join","room":"three","id":3}"#);
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"refused","id":3"#) && told.contains("rooms_per_socket_max"));
    world.line(ada, r#"{"op":"leave","room":"one","id":4}"#);
    assert!(world.take_text(ada).contains(r#""op":"left","id":4"#));
    world.line(ada, r#"{"op":"join","room":"three","id":5}"#);
    assert!(world.take_text(ada).contains(r#""op":"admitted","id":5"#));
}

#[test]
fn a_node_that_goes_away_sends_its_sockets_away_one_after_the_other() {
    let mut world = World::new(1);
    world.room("lobby", RoomRules::default());
    let clients: Vec<_> = (0..10).map(|_| world.raw(0, "lobby")).collect();
    let muxed = world.joined(0, &["lobby"]);
    let until = world.now + Duration::from_secs(10);
    world.puddles[0].handle(world.now, crate::Input::Drain { until });
    world.run();
    assert!(
        world
            .take_text(muxed)
            .contains(r#""op":"draining","delay_ms":8000"#)
    );
    world.wait(Duration::from_secs(4));
    let told: Vec<_> = clients
        .iter()
        .filter(|client| !world.take(**client).is_empty())
        .collect();
    assert!((3..8).contains(&told.len()), "{}", told.len());
    let late = world.connect(0);
    world.run();
    assert!(world.take_text(late).starts_with("HTTP/1.1 503"));
    world.wait(Duration::from_secs(5));
    assert_eq!(close_frame(&world.take(muxed)).0, 1012);
}
