//! `porthouse.raw.v1`: the handshake always runs, asks what is to be asked, and
//! is over before the first byte of the room.

use core::time::Duration;

use porthouse_model::{CodeVersion, EntryStep, MessageKind, PasswordVersion};

use super::world::{
    Client, World, asking, close_frame, frame, members_only, password_rules, token,
};

const RAW: &str = "Sec-WebSocket-Protocol: porthouse.raw.v1";

/// One that was upgraded, and what it was told after that.
fn shaking(world: &mut World, puddle: usize, room: &str) -> (Client, String) {
    let client = world.upgrade(puddle, &format!("/{room}"), &[RAW]);
    let told = world.take_text(client);
    let (head, told) = told.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(
        head.contains("Sec-WebSocket-Protocol: porthouse.raw.v1"),
        "{head}"
    );
    (client, told.to_owned())
}

fn started(world: &mut World, puddle: usize, room: &str) -> Client {
    let (client, told) = shaking(world, puddle, room);
    assert!(told.contains(r#""op":"admitted""#), "{told}");
    world.line(client, r#"{"op":"start"}"#);
    assert!(world.take_text(client).ends_with(r#"{"op":"started"}"#));
    client
}

#[test]
fn the_handshake_runs_where_nothing_is_asked_and_then_frames_are_raw() {
    let mut world = World::new(2);
    let (ada, bob) = (started(&mut world, 0, "a"), started(&mut world, 1, "a"));
    world.say(ada, MessageKind::Binary, b"\xff\x00");
    assert_eq!(world.take(bob), frame(MessageKind::Binary, b"\xff\x00"));
    world.say(bob, MessageKind::Text, br#"{"op":"start"}"#);
    assert_eq!(
        world.take(ada),
        frame(MessageKind::Text, br#"{"op":"start"}"#),
        "plain bytes, now"
    );
}

#[test]
fn nothing_of_the_room_comes_before_the_start() {
    let mut world = World::new(2);
    let ada = world.raw(0, "a");
    let (bob, told) = shaking(&mut world, 1, "a");
    assert!(told.contains("admitted"), "{told}");
    world.say(ada, MessageKind::Text, b"too early");
    assert_eq!(world.take(bob), b"");
    world.line(bob, r#"{"op":"start"}"#);
    world.say(ada, MessageKind::Text, b"hello");
    let told = world.take_text(bob);
    assert!(
        told.contains("started") && told.ends_with("hello"),
        "{told}"
    );
    assert!(!told.contains("too early"), "{told}");
}

#[test]
fn what_is_sent_before_the_start_is_nobodys_message() {
    let mut world = World::new(1);
    let ada = world.raw(0, "a");
    let (bob, _) = shaking(&mut world, 0, "a");
    world.say(bob, MessageKind::Binary, b"early");
    world.say(
        bob,
        MessageKind::Text,
        br#"{"op":"answer","password":"open sesame"}"#,
    );
    world.line(bob, r#"{"op":"start"}"#);
    world.say(bob, MessageKind::Text, b"hello");
    assert_eq!(world.take(ada), frame(MessageKind::Text, b"hello"));
}

#[test]
fn an_answer_that_crosses_the_admission_is_never_broadcast() {
    let mut world = World::new(1);
    world.room("vault", password_rules(1));
    let host = world.joined(0, &[]);
    world.line(host, r#"{"op":"join","room":"vault","id":1}"#);
    world.line(
        host,
        r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#,
    );
    world.take(host);
    let (ada, told) = shaking(&mut world, 0, "vault");
    assert!(
        told.contains(r#""step":"password","attempts_left":3"#),
        "{told}"
    );
    world.line(ada, r#"{"op":"answer","password":"wrong"}"#);
    assert!(world.take_text(ada).contains(r#""attempts_left":2"#));
    let answer = r#"{"op":"answer","password":"open sesame"}"#;
    world.line(ada, answer);
    world.line(ada, answer);
    assert!(world.take_text(ada).contains("admitted"));
    world.line(ada, answer);
    world.line(ada, r#"{"op":"start"}"#);
    assert_eq!(world.take(host), b"", "no secret reaches the room");
    world.say(ada, MessageKind::Text, b"hello");
    assert!(world.take_text(host).ends_with("hello"));
}

#[test]
fn saying_too_much_before_the_start_is_the_end() {
    for payload in [vec![b'x'; 5_000], vec![b'x'; 40]] {
        let mut world = World::with(1, |settings| settings.before_start_bytes_max = 4_096);
        let (ada, _) = shaking(&mut world, 0, "a");
        for _ in 0..200 {
            world.say(ada, MessageKind::Binary, &payload);
        }
        let (code, reason) = close_frame(&world.take(ada));
        assert_eq!(code, 1008, "{reason}");
        assert!(reason.starts_with("before_start_bytes_max"), "{reason}");
    }
}

#[test]
fn who_never_starts_is_put_out() {
    let mut world = World::new(1);
    let (ada, _) = shaking(&mut world, 0, "a");
    world.wait(Duration::from_mins(1));
    assert_eq!(close_frame(&world.take(ada)).0, 4200);
    let bob = world.raw(0, "a");
    world.say(bob, MessageKind::Text, b"the room goes on");
}

#[test]
fn rules_that_change_before_the_start_are_asked_for() {
    let mut world = World::new(1);
    world.room("vault", asking(&[]));
    let (ada, told) = shaking(&mut world, 0, "vault");
    assert!(told.contains("admitted"), "{told}");
    world.rule("vault", asking(&[EntryStep::RoomCode(CodeVersion(1))]));
    let told = world.take_text(ada);
    assert!(told.contains(r#""step":"room_code""#), "{told}");
    world.line(ada, r#"{"op":"start"}"#);
    assert_eq!(world.take_text(ada), "", "an answer is owed first");
    world.line(ada, r#"{"op":"answer","code":"123456"}"#);
    assert!(world.take_text(ada).contains("admitted"));
    world.line(ada, r#"{"op":"start"}"#);
    assert!(world.take_text(ada).contains("started"));
}

#[test]
fn rules_that_change_inside_put_out_who_cannot_be_asked_any_more() {
    let mut world = World::new(1);
    world.room("vault", asking(&[]));
    let ada = started(&mut world, 0, "vault");
    world.rule("vault", asking(&[EntryStep::Password(PasswordVersion(1))]));
    assert_eq!(close_frame(&world.take(ada)).0, 4104);
}

#[test]
fn who_waits_for_approval_is_let_in_by_the_handshake() {
    let mut world = World::new(2);
    world.session(7);
    world.room("vault", asking(&[EntryStep::Approval]));
    let host = world.lobby_of(0, 7);
    world.line(host, r#"{"op":"join","room":"vault","id":1}"#);
    world.take(host);
    let (ada, told) = shaking(&mut world, 1, "vault");
    assert!(told.contains(r#""step":"approval""#), "{told}");
    let crowd = world.take_text(host);
    let (_, rest) = crowd.split_once(r#""clients":[""#).expect("a crowd");
    let client = &rest[..36];
    world.line(
        host,
        &format!(r#"{{"op":"admit","room":"vault","client":"{client}"}}"#),
    );
    assert!(world.take_text(ada).contains("admitted"));
    world.line(ada, r#"{"op":"start"}"#);
    assert!(world.take_text(ada).contains("started"));
}

#[test]
fn frames_right_behind_the_start_are_messages() {
    let mut world = World::new(2);
    let ada = world.raw(1, "a");
    let (bob, _) = shaking(&mut world, 0, "a");
    let mut bytes = crate::wire::frame::client::frame(
        true,
        crate::wire::frame::client::TEXT,
        br#"{"op":"start"}"#,
    );
    bytes.extend(crate::wire::frame::client::frame(
        true,
        crate::wire::frame::client::BINARY,
        b"first",
    ));
    world.bytes(bob, bytes);
    assert_eq!(world.take(ada), frame(MessageKind::Binary, b"first"));
}

#[test]
fn a_door_that_is_shut_is_told_behind_the_upgrade() {
    let mut world = World::new(1);
    world.room("club", members_only());
    let first = world.upgrade(0, "/club", &[RAW]);
    let told = world.take(first);
    assert!(
        told.starts_with(b"HTTP/1.1 101"),
        "a page reads no other status"
    );
    assert_eq!(close_frame(&told).0, 4103);
    // Now the door is known, and shut in the very turn of the request.
    let second = world.upgrade(0, "/club", &[RAW]);
    let told = world.take(second);
    assert!(
        told.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&told)
    );
    assert_eq!(close_frame(&told).0, 4103);
}

#[test]
fn a_token_known_to_open_nothing_is_told_behind_the_upgrade_too() {
    let mut world = World::new(1);
    let bearer = format!("Authorization: Bearer {}", token(3));
    for _ in 0..2 {
        let lines = ["Sec-WebSocket-Protocol: porthouse.v1", &bearer];
        let client = world.upgrade(0, "/", &lines);
        let told = world.take(client);
        assert!(told.starts_with(b"HTTP/1.1 101"));
        assert_eq!(close_frame(&told).0, 4100);
    }
}
