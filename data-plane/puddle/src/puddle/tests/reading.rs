//! Reading what was said, and who is there, costs only who reads.

use core::time::Duration;

use porthouse_model::{Keep, PresenceRules, RoomRules, Shown};

use super::history::{keeping, send};
use super::homes::{home_and_other, join, told};
use super::world::{Client, World, close_frame};
use crate::Input;
use crate::wire::frame::{Opcode, client};

fn house() -> World {
    let mut world = World::new(3);
    let rules = RoomRules {
        presence: PresenceRules {
            shown: Shown::Identities,
            ..PresenceRules::default()
        },
        ..keeping(Keep::Last {
            messages_max: 1_000,
            age_max: Duration::from_hours(1),
        })
    };
    world.room("news", rules);
    world
}

const HISTORY: &str = r#"{"op":"history","room":"news","id":9}"#;

#[test]
fn reading_history_without_end_is_refused() {
    let presence = r#"{"op":"presence","room":"news","id":9}"#;
    for line in [HISTORY, presence] {
        let mut world = house();
        let (_, other) = home_and_other("news");
        let (ada, _) = join(&mut world, other, "news");
        let (ben, _) = join(&mut world, other, "news");
        for _ in 0..512 {
            world.line(ada, line);
        }
        assert!(!world.take_text(ada).contains(r#""op":"error""#));
        for _ in 0..16 {
            world.line(ada, line);
            let told = world.take_text(ada);
            assert!(told.contains(r#""op":"error","id":9"#), "{told}");
            assert!(told.contains("read_rate_max"), "{told}");
        }
        world.line(ada, line);
        let (code, reason) = close_frame(&world.take(ada));
        assert_eq!(code, 1008);
        assert!(reason.starts_with("read_rate_max"), "{reason}");
        assert!(!world.is_ended(ben));
    }
}

#[test]
fn who_floods_on_after_its_close_is_soon_not_read_any_more() {
    let mut world = World::with(1, |settings| settings.closing_bytes_max = 10_000);
    for payload in [&b""[..], b"a word"] {
        let ada = world.raw(0, "a");
        world.bytes(
            ada,
            client::frame(true, client::CONTINUATION, b"of nothing"),
        );
        assert_eq!(close_frame(&world.take(ada)).0, 1002);
        let opcode = if payload.is_empty() {
            Opcode::Ping
        } else {
            client::TEXT
        };
        let flood = client::frame(true, opcode, payload).repeat(500);
        let mut sent = 0;
        while !world.links[0].paused.contains(&ada.socket) {
            assert!(sent <= 10_000, "it is read on");
            world.bytes(ada, flood.clone());
            sent += flood.len();
        }
        assert_eq!(world.take(ada), b"", "nothing is said to it");
        assert!(!world.is_ended(ada), "it may read its close frame");
        world.wait(Duration::from_secs(5));
        assert!(world.is_ended(ada));
    }
}

#[test]
fn a_close_frame_behind_what_was_under_way_ends_the_connection() {
    let mut world = World::new(1);
    let ada = world.raw(0, "a");
    world.bytes(
        ada,
        client::frame(true, client::CONTINUATION, b"of nothing"),
    );
    world.bytes(ada, client::frame(true, client::TEXT, &vec![b'x'; 60_000]));
    assert!(!world.is_ended(ada));
    world.bytes(ada, client::frame(true, Opcode::Close, &[3, 234]));
    assert!(world.is_ended(ada));
}

fn many(line: &str, times: usize) -> Vec<u8> {
    client::frame(true, client::TEXT, line.as_bytes()).repeat(times)
}

fn heard(world: &mut World, client: Client, mut bytes: Vec<u8>) {
    let input = Input::Received {
        socket: client.socket,
        bytes: &mut bytes,
    };
    world.puddles[client.puddle].handle(world.now, input);
}

#[test]
fn a_turn_holds_no_more_than_a_backlog_of_one_sockets_answers() {
    let mut world = house();
    let (home, _) = home_and_other("news");
    let (ada, _) = join(&mut world, home, "news");
    for _ in 0..10 {
        send(&mut world, ada, "", &"x".repeat(60_000));
    }
    world.take(ada);
    heard(&mut world, ada, many(HISTORY, 100));
    let held = world.puddles[home].counters().held_bytes;
    assert!(held <= (1_024 + 300) * 1_024, "{held}");
    world.run();
    let answers = world.take_text(ada);
    assert_eq!(
        answers.matches(r#""op":"history""#).count(),
        100,
        "all come"
    );
    // Who does not read is put out before the rest is looked at.
    world.stall(ada, 0);
    heard(&mut world, ada, many(HISTORY, 100));
    world.run();
    world.unstall(ada);
    assert_eq!(close_frame(&world.take(ada)).0, 4203);
    let (ben, admitted) = join(&mut world, home, "news");
    assert!(told(&admitted, "admitted", "offset").is_some());
    world.line(ben, HISTORY);
    assert!(world.take_text(ben).contains(r#""op":"history""#));
}
