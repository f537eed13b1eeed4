//! A command socket beside a raw one: the two find each other by a secret, what
//! is asked goes over the one, and the other has nothing but the room's frames.

use core::time::Duration;

use porthouse_model::{ChangeItem, EntryStep, MessageKind, RoomName, Shown};

use super::world::{Client, World, asking, close_frame, frame, hash, password_rules, token};
use crate::{Command, Input, PuddleId};

pub(super) const SIBLING: &str = "Sec-WebSocket-Protocol: porthouse.sibling.v1";

/// Where the sibling and the raw socket are: on one puddle, or on two.
pub(super) const PLACES: [(usize, usize); 3] = [(0, 0), (0, 1), (1, 0)];

/// A sibling, and the secret it was given.
pub(super) fn sibling(
    world: &mut World,
    puddle: usize,
    path: &str,
    lines: &[&str],
) -> (Client, String) {
    let lines: Vec<&str> = [SIBLING].into_iter().chain(lines.iter().copied()).collect();
    let client = world.upgrade(puddle, path, &lines);
    let told = world.take_text(client);
    assert!(told.starts_with("HTTP/1.1 101"), "{told}");
    assert!(
        told.contains("Sec-WebSocket-Protocol: porthouse.sibling.v1"),
        "{told}"
    );
    (client, secret(&told).expect("a secret").to_owned())
}

fn secret(told: &str) -> Option<&str> {
    let (_, secret) = told.split_once(r#""op":"bind","secret":""#)?;
    Some(secret.split_once('"')?.0)
}

/// A raw socket that shows a secret.
pub(super) fn showing(
    world: &mut World,
    puddle: usize,
    room: &str,
    secret: &str,
    lines: &[&str],
) -> Client {
    let offer = format!("Sec-WebSocket-Protocol: porthouse.raw.v1, porthouse.bind.{secret}");
    let lines: Vec<&str> = [&*offer].into_iter().chain(lines.iter().copied()).collect();
    world.upgrade(puddle, &format!("/{room}"), &lines)
}

/// A pair whose raw socket is inside, with all it was told taken.
pub(super) fn paired(
    world: &mut World,
    at: (usize, usize),
    room: &str,
    lines: &[&str],
) -> (Client, Client) {
    let (sibling, secret) = sibling(world, at.0, "/", lines);
    let raw = showing(world, at.1, room, &secret, lines);
    world.line(raw, r#"{"op":"start"}"#);
    let told = world.take_text(raw);
    assert!(told.ends_with(r#"{"op":"started"}"#), "{told}");
    let told = world.take_text(sibling);
    assert!(told.contains(r#""op":"bound""#), "{told}");
    (sibling, raw)
}

#[test]
fn a_door_asks_the_sibling_and_the_raw_socket_hears_only_that_it_is_in() {
    for at in PLACES {
        let mut world = World::new(2);
        world.room("vault", password_rules(1));
        let (ada, shown) = sibling(&mut world, at.0, "/", &[]);
        let raw = showing(&mut world, at.1, "vault", &shown, &[]);
        let told = world.take_text(ada);
        assert!(told.contains(r#"{"op":"bound","room":"vault"}"#), "{told}");
        assert!(told.contains(r#""step":"password""#), "{told}");
        let head = world.take_text(raw);
        assert!(head.ends_with("\r\n\r\n"), "no question here: {head}");
        assert!(!head.contains("porthouse.bind"), "never echoed: {head}");
        world.line(
            ada,
            r#"{"op":"answer","room":"vault","password":"wrong","id":1}"#,
        );
        let told = world.take_text(ada);
        assert!(
            told.contains(r#"{"op":"challenge","id":1,"#) && told.contains(r#""attempts_left":2"#),
            "{told}"
        );
        world.line(
            ada,
            r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#,
        );
        let told = world.take_text(ada);
        assert!(told.contains(r#"{"op":"admitted","id":2,"#), "{told}");
        let told = world.take_text(raw);
        assert!(told.contains(r#"{"op":"admitted","room""#), "{told}");
        world.line(raw, r#"{"op":"start"}"#);
        assert!(world.take_text(raw).ends_with(r#"{"op":"started"}"#));
        assert_eq!(world.take(ada), b"");
    }
}

#[test]
fn an_answer_on_the_raw_socket_is_nobodys() {
    let mut world = World::new(1);
    world.room("vault", password_rules(1));
    let (_, shown) = sibling(&mut world, 0, "/", &[]);
    let raw = showing(&mut world, 0, "vault", &shown, &[]);
    world.take(raw);
    world.line(raw, r#"{"op":"answer","password":"open sesame"}"#);
    assert_eq!(world.take(raw), b"");
}

#[test]
fn a_secret_is_used_once() {
    for at in PLACES {
        let mut world = World::new(2);
        let (ada, shown) = sibling(&mut world, at.0, "/", &[]);
        let first = showing(&mut world, at.1, "a", &shown, &[]);
        let second = showing(&mut world, at.1, "a", &shown, &[]);
        assert_eq!(close_frame(&world.take(second)).0, 4111);
        world.line(first, r#"{"op":"start"}"#);
        assert!(world.take_text(first).ends_with(r#"{"op":"started"}"#));
        world.line(ada, r#"{"op":"leave","room":"a","id":1}"#);
        assert_eq!(close_frame(&world.take(first)).0, 1000);
    }
}

#[test]
fn what_is_no_secret_binds_nothing() {
    let mut world = World::new(2);
    let (ada, shown) = sibling(&mut world, 0, "/", &[]);
    let host = world.upgrade(0, "/a", &["Sec-WebSocket-Protocol: porthouse.raw.v1"]);
    let told = world.take_text(host);
    let (_, client) = told.split_once(r#""client":""#).expect("a client id");
    let client = &client[..36];
    let mut other = shown.clone().into_bytes();
    let last = other.len() - 2;
    other[last] = if other[last] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).expect("ASCII");
    // Another puddle, and one that is none.
    let elsewhere = [format!("AQ{}", &shown[2..]), format!("_w{}", &shown[2..])];
    for wrong in [client, "x", &other, &elsewhere[0], &elsewhere[1]] {
        let raw = showing(&mut world, 0, "a", wrong, &[]);
        let (code, reason) = close_frame(&world.take(raw));
        assert_eq!(code, 4111, "{wrong}");
        assert!(
            reason.starts_with("sibling.secret; retry authenticate"),
            "{reason}"
        );
    }
    assert_eq!(world.take(ada), b"", "nobody hears of it");
}

#[test]
fn another_session_is_refused_and_the_right_one_still_binds() {
    for at in PLACES {
        let mut world = World::new(2);
        world.session(1);
        world.session(2);
        let (ada, bob) = (
            format!("Authorization: Bearer {}", token(1)),
            format!("Authorization: Bearer {}", token(2)),
        );
        let (_, shown) = sibling(&mut world, at.0, "/", &[&ada]);
        for lines in [&[&*bob][..], &[]] {
            let thief = showing(&mut world, at.1, "a", &shown, lines);
            assert_eq!(close_frame(&world.take(thief)).0, 4111);
        }
        let raw = showing(&mut world, at.1, "a", &shown, &[&ada]);
        assert!(world.take_text(raw).contains(r#""op":"admitted""#));
    }
}

#[test]
fn one_opened_at_a_rooms_address_is_for_that_room() {
    let mut world = World::new(1);
    let (_, shown) = sibling(&mut world, 0, "/a", &[]);
    let raw = showing(&mut world, 0, "b", &shown, &[]);
    assert_eq!(close_frame(&world.take(raw)).0, 4111);
    let raw = showing(&mut world, 0, "a", &shown, &[]);
    assert!(world.take_text(raw).contains(r#""op":"admitted""#));
}

#[test]
fn a_secret_that_nobody_shows_in_time_is_over() {
    let mut world = World::new(1);
    let (ada, shown) = sibling(&mut world, 0, "/", &[]);
    world.wait(Duration::from_secs(31));
    assert_eq!(close_frame(&world.take(ada)).0, 4200);
    let raw = showing(&mut world, 0, "a", &shown, &[]);
    assert_eq!(close_frame(&world.take(raw)).0, 4111);
    let (bob, _) = paired(&mut world, (0, 0), "a", &[]);
    world.wait(Duration::from_secs(31));
    assert_eq!(world.take(bob), b"", "who is bound stays");
}

#[test]
fn a_rule_that_changes_asks_the_sibling_and_the_pipe_stays_pure() {
    for at in PLACES {
        let mut world = World::new(2);
        world.room("vault", asking(&[]));
        let (ada, raw) = paired(&mut world, at, "vault", &[]);
        let other = world.raw(0, "vault");
        world.rule("vault", password_rules(1));
        assert_eq!(
            close_frame(&world.take(other)).0,
            4104,
            "who cannot be asked"
        );
        let told = world.take_text(ada);
        assert!(told.contains(r#""step":"password""#), "{told}");
        assert_eq!(world.take(raw), b"");
        let answer = r#"{"op":"answer","room":"vault","password":"open sesame","id":3}"#;
        world.line(ada, answer);
        let told = world.take_text(ada);
        assert!(told.contains(r#"{"op":"admitted","id":3,"#), "{told}");
        let host = world.joined(0, &[]);
        world.line(host, r#"{"op":"join","room":"vault","id":1}"#);
        world.line(
            host,
            r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#,
        );
        world.line(host, "{\"op\":\"send\",\"room\":\"vault\"}\nhello");
        assert_eq!(world.take(raw), frame(MessageKind::Text, b"hello"));
    }
}

#[test]
fn who_does_not_answer_is_put_out_and_the_sibling_is_told_why() {
    for at in PLACES {
        let mut world = World::new(2);
        world.room("vault", asking(&[]));
        let (ada, raw) = paired(&mut world, at, "vault", &[]);
        world.rule("vault", password_rules(1));
        world.take(ada);
        world.wait(Duration::from_secs(61));
        let (code, reason) = close_frame(&world.take(raw));
        assert_eq!(code, 4200);
        let told = world.take(ada);
        assert_eq!(close_frame(&told), (code, reason), "the same refusal");
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(
            told.contains(r#"{"op":"closed","room":"vault","code":4200"#),
            "{told}"
        );
    }
}

#[test]
fn a_wrong_answer_too_many_ends_both() {
    for at in PLACES {
        let mut world = World::new(2);
        world.room("vault", password_rules(1));
        let (ada, shown) = sibling(&mut world, at.0, "/", &[]);
        let raw = showing(&mut world, at.1, "vault", &shown, &[]);
        for id in 1..=3 {
            world.take(ada);
            world.line(
                ada,
                &format!(r#"{{"op":"answer","room":"vault","password":"wrong","id":{id}}}"#),
            );
        }
        let told = world.take(ada);
        assert_eq!(close_frame(&told).0, 4105);
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(
            told.contains(r#"{"op":"refused","id":3,"room":"vault""#),
            "{told}"
        );
        assert_eq!(close_frame(&world.take(raw)).0, 4105);
    }
}

#[test]
fn a_revoked_session_closes_the_pair() {
    for at in PLACES {
        let mut world = World::new(2);
        world.session(1);
        let bearer = format!("Authorization: Bearer {}", token(1));
        let (ada, raw) = paired(&mut world, at, "a", &[&bearer]);
        let session = world.sessions.remove(&hash(1)).expect("a session");
        world.change(vec![ChangeItem::SessionGone(session.id)]);
        assert_eq!(close_frame(&world.take(ada)).0, 4101);
        assert_eq!(close_frame(&world.take(raw)).0, 4101);
    }
}

#[test]
fn a_raw_socket_inside_goes_on_without_its_sibling() {
    for at in PLACES {
        let mut world = World::new(2);
        world.room("vault", asking(&[]));
        let (ada, raw) = paired(&mut world, at, "vault", &[]);
        let host = world.raw(0, "vault");
        world.puddles[at.0].handle(world.now, Input::Lost { socket: ada.socket });
        world.run();
        world.say(host, MessageKind::Text, b"hello");
        assert_eq!(world.take(raw), frame(MessageKind::Text, b"hello"));
        world.rule("vault", password_rules(1));
        assert_eq!(close_frame(&world.take(raw)).0, 4104, "nobody to be asked");
    }
}

#[test]
fn a_raw_socket_before_the_door_does_not() {
    for at in PLACES {
        let mut world = World::new(2);
        world.room("vault", asking(&[]));
        let (ada, raw) = paired(&mut world, at, "vault", &[]);
        world.rule("vault", password_rules(1));
        world.puddles[at.0].handle(world.now, Input::Lost { socket: ada.socket });
        world.run();
        assert_eq!(close_frame(&world.take(raw)).0, 4107);
        let (bob, shown) = sibling(&mut world, at.0, "/", &[]);
        let raw = showing(&mut world, at.1, "vault", &shown, &[]);
        world.puddles[at.0].handle(world.now, Input::Lost { socket: bob.socket });
        world.run();
        assert_eq!(close_frame(&world.take(raw)).0, 4111);
    }
}

#[test]
fn a_sibling_goes_with_its_raw_socket() {
    for at in PLACES {
        let mut world = World::new(2);
        let (ada, raw) = paired(&mut world, at, "a", &[]);
        world.puddles[at.1].handle(world.now, Input::Lost { socket: raw.socket });
        world.run();
        let told = world.take(ada);
        assert_eq!(close_frame(&told).0, 1000);
        assert!(String::from_utf8_lossy(&told).contains(r#"{"op":"left","room":"a"}"#));
    }
}

#[test]
fn a_puddle_that_begins_anew_leaves_the_other_half_alone() {
    let mut world = World::new(2);
    let (ada, _) = paired(&mut world, (0, 1), "a", &[]);
    let (_, raw) = paired(&mut world, (1, 0), "a", &[]);
    let restarted = Input::Restarted {
        puddle: PuddleId(1),
    };
    world.puddles[0].handle(world.now, restarted);
    world.settle_only(0);
    assert_eq!(close_frame(&world.take(ada)).0, 1000);
    assert!(!world.is_ended(raw), "it goes on");
}

#[test]
fn presence_comes_on_the_sibling() {
    for at in PLACES {
        let mut world = World::new(2);
        let mut rules = asking(&[]);
        rules.presence.shown = Shown::Identities;
        world.room("hall", rules);
        let (ada, raw) = paired(&mut world, at, "hall", &[]);
        world.line(ada, r#"{"op":"presence","room":"hall","id":5}"#);
        let told = world.take_text(ada);
        assert!(
            told.contains(r#"{"op":"presence","id":5,"room":"hall""#)
                && told.contains(r#""raw":1"#),
            "{told}"
        );
        world.raw(0, "hall");
        world.wait(Duration::from_secs(2));
        let told = world.take_text(ada);
        assert!(told.contains(r#""joined""#), "{told}");
        assert_eq!(world.take(raw), b"");
    }
}

#[test]
fn who_may_let_others_in_does_so_on_the_sibling() {
    for at in PLACES {
        let mut world = World::new(2);
        world.session(1);
        let owner = world.session(2);
        world.room("vault", asking(&[EntryStep::Approval]));
        let name: RoomName = "vault".parse().expect("a name");
        world.rooms.get_mut(&name).expect("a room").owner = Some(owner);
        let bearer = format!("Authorization: Bearer {}", token(2));
        // Whoever waits first is shown to who comes in, and never on the pipe.
        let guest = world.lobby(0);
        world.line(guest, r#"{"op":"join","room":"vault","id":1}"#);
        let (ada, raw) = paired(&mut world, at, "vault", &[&bearer]);
        assert_eq!(world.take(raw), b"");
        world.line(ada, r#"{"op":"ping","id":1}"#);
        assert!(world.take_text(ada).contains(r#"{"op":"pong","id":1}"#));
        let other = world.lobby(1);
        world.line(other, r#"{"op":"join","room":"vault","id":1}"#);
        let told = world.take_text(ada);
        let (_, clients) = told.rsplit_once(r#""clients":[""#).expect("who waits");
        let admit = format!(
            r#"{{"op":"admit","room":"vault","client":"{}","id":2}}"#,
            &clients[..36]
        );
        world.line(ada, &admit);
        assert!(world.take_text(ada).contains(r#"{"op":"decided","id":2,"#));
        assert_eq!(world.take(raw), b"");
    }
}

#[test]
fn what_a_sibling_cannot_do_is_an_error_and_it_stays() {
    let mut world = World::new(2);
    let (ada, shown) = sibling(&mut world, 0, "/", &[]);
    world.line(ada, r#"{"op":"presence","room":"a","id":1}"#);
    assert!(
        world
            .take_text(ada)
            .contains(r#"{"op":"error","id":1,"rule":"bind""#)
    );
    showing(&mut world, 1, "a", &shown, &[]);
    world.take(ada);
    for (line, rule) in [
        (r#"{"op":"join","room":"b","id":1}"#, "op"),
        (r#"{"op":"send","room":"a","id":1}"#, "op"),
        (r#"{"op":"auth","token":"x","id":1}"#, "op"),
        (r#"{"op":"leave","room":"b","id":1}"#, "room"),
        (r#"{"op":"answer","room":"a","code":"1","id":1}"#, "answer"),
        (r#"{"op":"presence","room":"a","id":1}"#, "room"),
    ] {
        world.line(ada, line);
        let told = world.take_text(ada);
        let expected = format!(r#"{{"op":"error","id":1,"rule":"{rule}""#);
        assert!(told.contains(&expected), "{line}: {told}");
    }
}

#[test]
fn a_line_at_a_time_is_under_way_to_another_puddle() {
    let mut world = World::new(2);
    let (ada, _) = paired(&mut world, (0, 1), "a", &[]);
    world.hops_stand = true;
    for id in 1..=3 {
        let line = format!(r#"{{"op":"answer","room":"a","code":"1","id":{id}}}"#);
        world.line(ada, &line);
    }
    assert!(world.links[0].paused.contains(&ada.socket));
    world.release_hops();
    let told = world.take_text(ada);
    for id in 1..=3 {
        let expected = format!(r#"{{"op":"error","id":{id},"rule":"answer""#);
        assert!(told.contains(&expected), "{told}");
    }
    assert!(!world.links[0].paused.contains(&ada.socket));
}

#[test]
fn a_kicked_client_loses_both() {
    for at in PLACES {
        let mut world = World::new(2);
        let user = world.session(1);
        let bearer = format!("Authorization: Bearer {}", token(1));
        let (ada, raw) = paired(&mut world, at, "a", &[&bearer]);
        world.order(&Command::Kick {
            client: user.into(),
            room: Some("a".parse().expect("a name")),
            block: None,
        });
        assert_eq!(close_frame(&world.take(raw)).0, 4006);
        assert_eq!(close_frame(&world.take(ada)).0, 4006);
    }
}
