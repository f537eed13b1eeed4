//! Permission is live: what is no longer allowed, no socket keeps.

use core::time::Duration;

use porthouse_model::Staleness;
use porthouse_model::{
    ChangeItem, Content, Member, MessageKind, Room, RoomId, RoomRules, SessionId,
};

use super::world::{
    World, close_frame, frame, hash, members_only, password_rules, taking, token, upgrade_request,
};
use crate::{Answer, Input, Output, QuestionId, Verdict};

use MessageKind::Text;

#[test]
fn a_revoked_session_closes_its_sockets_and_nothing_more_is_written() {
    let mut world = World::new(2);
    world.session(1);
    let bearer = format!("Authorization: Bearer {}", token(1));
    let ada = world.upgrade(1, "/lobby", &[&bearer]);
    world.take(ada);
    let ben = world.raw(0, "lobby");
    // Ada's link takes five bytes of the first message and no more.
    world.stall(ada, 5);
    world.say(ben, Text, b"the first message");
    world.say(ben, Text, b"the second message");
    world.sessions.clear();
    world.change(vec![ChangeItem::SessionGone(SessionId::from_bytes(
        [1; 16],
    ))]);
    assert_eq!(world.applied, [1, 1]);
    world.say(ben, Text, b"the third message");
    world.unstall(ada);
    let told = world.take(ada);
    let first = frame(Text, b"the first message");
    assert_eq!(told[..first.len()], first, "a frame that was begun ends");
    let rest = &told[first.len()..];
    let (code, reason) = close_frame(rest);
    assert_eq!(
        (code, rest.len()),
        (4101, 4 + reason.len()),
        "and the close frame is next"
    );
}

/// The one question that is asked of the control plane in this turn, and what is
/// said to it now.
pub(super) fn held(world: &mut World, at: usize) -> (QuestionId, Answer) {
    let asked = world.settle_only(at).into_iter().find_map(|output| {
        let Output::Ask { question, what, .. } = output else {
            return None;
        };
        Some((question, what))
    });
    let (question, what) = asked.expect("a question");
    (question, world.answer(what))
}

fn is_told(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

fn end_session(world: &mut World, user: u8) {
    world.sessions.remove(&hash(user));
    world.change(vec![ChangeItem::SessionGone(SessionId::from_bytes(
        [user; 16],
    ))]);
}

#[test]
fn an_answer_read_before_a_revocation_and_come_after_it_admits_nobody() {
    for is_revoked in [false, true] {
        let mut world = World::new(1);
        world.session(1);
        let ada = world.connect(0);
        let bearer = format!("Authorization: Bearer {}", token(1));
        world.bytes_unanswered(ada, upgrade_request("/lobby", &[&bearer]));
        // The control plane reads, and its answer is under way for long.
        let (question, answer) = held(&mut world, 0);
        assert!(matches!(answer, Answer::Resolved { .. }), "{answer:?}");
        if is_revoked {
            end_session(&mut world, 1);
            assert_eq!(world.take(ada), b"", "nothing is known of it yet");
        }
        world.puddles[0].handle(world.now, Input::Answered { question, answer });
        world.run();
        let told = world.take_text(ada);
        let status = if is_revoked { "401" } else { "101" };
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{told}");
        let ben = world.raw(0, "lobby");
        world.say(ben, Text, b"for those inside");
        assert_eq!(world.take(ada).is_empty(), is_revoked);
    }
}

#[test]
fn a_revocation_that_overtakes_the_verdict_admits_nobody() {
    for is_revoked in [false, true] {
        let mut world = World::new(1);
        world.session(1);
        world.room("vault", password_rules(1));
        let ada = world.lobby_of(0, 1);
        world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
        world.take(ada);
        let answer = r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#;
        world.line_unanswered(ada, answer);
        let (question, answer) = held(&mut world, 0);
        assert!(
            matches!(answer, Answer::Verified(Verdict::Right(_))),
            "{answer:?}"
        );
        if is_revoked {
            end_session(&mut world, 1);
        }
        world.puddles[0].handle(world.now, Input::Answered { question, answer });
        world.run();
        let told = world.take(ada);
        assert_eq!(is_told(&told, r#""op":"admitted""#), !is_revoked);
        if is_revoked {
            assert_eq!(close_frame(&told).0, 4101);
        }
    }
}

#[test]
fn a_revocation_between_the_admission_and_the_seat_leaves_nobody_inside() {
    for is_revoked in [false, true] {
        let mut world = World::new(3);
        world.session(1);
        let ben = world.raw(0, "lobby");
        // All is passed; the room's other puddles have not heard of it yet.
        world.hops_stand = true;
        let ada = world.lobby_of(1, 1);
        world.line(ada, r#"{"op":"join","room":"lobby","id":1}"#);
        assert_eq!(world.take(ada), b"", "not inside yet");
        if is_revoked {
            end_session(&mut world, 1);
        }
        world.release_hops();
        world.say(ben, Text, b"for those inside");
        let told = world.take(ada);
        assert_eq!(is_told(&told, r#""op":"admitted""#), !is_revoked);
        assert_eq!(is_told(&told, "for those inside"), !is_revoked);
        if is_revoked {
            assert_eq!(close_frame(&told).0, 4101);
        }
    }
}

#[test]
fn a_revocation_between_the_admission_and_the_start_leaves_nobody_inside() {
    let mut world = World::new(2);
    world.session(1);
    let bearer = format!("Authorization: Bearer {}", token(1));
    let raw_v1 = "Sec-WebSocket-Protocol: porthouse.raw.v1";
    let ada = world.upgrade(0, "/lobby", &[raw_v1, &bearer]);
    assert!(world.take_text(ada).contains(r#""op":"admitted""#));
    let ben = world.raw(1, "lobby");
    // The start and the revocation are heard in one turn, in this order.
    world.line_unanswered(ada, r#"{"op":"start"}"#);
    end_session(&mut world, 1);
    world.say(ben, Text, b"for those inside");
    let told = world.take(ada);
    assert_eq!(close_frame(&told).0, 4101);
    assert!(!is_told(&told, "for those inside"));
}

#[test]
fn a_removed_member_leaves_that_room_and_keeps_the_others() {
    let mut world = World::new(1);
    let room = world.room("private", members_only());
    let user = world.session(1);
    world.members.push(Member {
        room,
        user,
        role: porthouse_model::Role::MEMBER,
        expires: None,
        then: None,
    });
    let ada = world.lobby_of(0, 1);
    for room in ["private", "lobby"] {
        world.line(ada, &format!(r#"{{"op":"join","room":"{room}","id":1}}"#));
    }
    world.take(ada);
    let ben = world.raw(0, "lobby");
    world.stall(ada, 0);
    world.say(ben, Text, b"public");
    let secret = world.order(&crate::Command::Publish(std::sync::Arc::new(
        crate::Publish {
            room: "private".parse().expect("a name"),
            kind: Text,
            payload: b"secret"[..].into(),
            to: Vec::new(),
            except: Vec::new(),
        },
    )));
    assert_eq!(secret, [crate::Reply::Published { receivers: Some(1) }]);
    world.members.clear();
    world.change(vec![ChangeItem::MemberGone { room, user }]);
    world.unstall(ada);
    let told = world.take_text(ada);
    assert!(told.contains("public"), "{told}");
    assert!(!told.contains("secret"), "{told}");
    assert!(told.contains(r#""op":"closed","room":"private""#), "{told}");
    assert!(!world.is_ended(ada));
}

#[test]
fn a_deleted_room_puts_everybody_out() {
    let mut world = World::new(2);
    let id = world.room("persistent", RoomRules::default());
    let ada = world.raw(0, "persistent");
    let ben = world.joined(1, &["persistent"]);
    world.rooms.clear();
    let name: porthouse_model::RoomName = "persistent".parse().expect("a name");
    world.change(vec![ChangeItem::RoomGone {
        id,
        name,
        template: None,
    }]);
    assert_eq!(close_frame(&world.take(ada)).0, 4005);
    let told = world.take_text(ben);
    assert!(
        told.contains(r#""op":"closed""#) && told.contains("4005"),
        "{told}"
    );
}

#[test]
fn a_changed_rule_holds_for_those_inside() {
    let mut world = World::new(1);
    world.room("lobby", RoomRules::default());
    let ada = world.raw(0, "lobby");
    world.rule("lobby", taking(Content::Binary));
    world.say(ada, Text, b"too late");
    assert_eq!(close_frame(&world.take(ada)).0, 1003);

    let ben = world.raw(0, "lobby");
    world.rule("lobby", members_only());
    assert_eq!(close_frame(&world.take(ben)).0, 4103);
}

#[test]
fn a_changed_password_is_asked_for_again() {
    let mut world = World::new(1);
    world.room("vault", password_rules(1));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#,
    );
    assert!(world.take_text(ada).contains("admitted"));
    world.rule("vault", password_rules(2));
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"challenge","room":"vault""#),
        "{told}"
    );
    world.line(
        ada,
        "{\"op\":\"send\",\"room\":\"vault\",\"id\":3}\nnot inside",
    );
    assert!(world.take_text(ada).contains(r#""op":"error","id":3"#));
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","password":"open sesame","id":4}"#,
    );
    assert!(world.take_text(ada).contains(r#""op":"admitted","id":4"#));
}

#[test]
fn a_persistent_room_takes_over_a_transient_name() {
    let mut world = World::new(2);
    let (ada, ben) = (world.raw(0, "lobby"), world.raw(1, "lobby"));
    let id = RoomId::from_bytes([7; 16]);
    let room = Room {
        id,
        name: "lobby".parse().expect("a name"),
        rules: Box::new(taking(Content::Text)),
        owner: None,
        blocks: porthouse_model::RoomBlocks::default(),
    };
    world.rooms.insert(room.name.clone(), room.clone());
    world.change(vec![ChangeItem::Room(room)]);
    world.say(ada, Text, b"still here");
    assert_eq!(world.take(ben), frame(Text, b"still here"));
    world.say(ada, MessageKind::Binary, b"x");
    assert_eq!(close_frame(&world.take(ada)).0, 1003);
}

#[test]
fn a_room_that_tolerates_no_stale_policy_puts_everybody_out() {
    let mut world = World::new(1);
    let staleness = Staleness {
        deliver_max: Some(Duration::from_secs(10)),
        ..Staleness::default()
    };
    world.room(
        "strict",
        RoomRules {
            staleness,
            ..RoomRules::default()
        },
    );
    let (ada, ben) = (world.raw(0, "strict"), world.raw(0, "strict"));
    let easy = world.raw(0, "lobby");
    world.wait(Duration::from_secs(10));
    world.say(ada, Text, b"in time");
    assert_eq!(world.take(ben), frame(Text, b"in time"));
    world.now = world.now + Duration::from_millis(1);
    world.say(ada, Text, b"too late");
    assert_eq!(close_frame(&world.take(ben)).0, 4204);
    assert!(!world.is_ended(easy));
}

#[test]
fn a_kicked_client_is_out() {
    let mut world = World::new(2);
    world.session(1);
    let ada = world.lobby_of(1, 1);
    world.line(ada, r#"{"op":"join","room":"lobby","id":1}"#);
    let ben = world.raw(0, "lobby");
    world.take(ada);
    let listed = world.order(&crate::Command::ListSockets {
        room: "lobby".parse().expect("a name"),
        after: None,
        sockets_max: 10,
    });
    let clients: Vec<_> = listed
        .iter()
        .flat_map(|reply| {
            let crate::Reply::Sockets(sockets) = reply else {
                panic!("{reply:?}")
            };
            sockets.clone()
        })
        .collect();
    assert_eq!(clients.len(), 2);
    for (client, room) in [
        (clients[1].client, Some("lobby")),
        (clients[0].client, None),
    ] {
        let room = room.map(|room| room.parse().expect("a name"));
        let kicked: u64 = world
            .order(&crate::Command::Kick {
                client,
                room,
                block: None,
            })
            .iter()
            .map(|reply| {
                let crate::Reply::Kicked { sockets } = reply else {
                    panic!("{reply:?}")
                };
                *sockets
            })
            .sum();
        assert_eq!(kicked, 1);
    }
    assert!(
        world
            .take_text(ada)
            .contains(r#""op":"closed","room":"lobby""#)
    );
    assert_eq!(close_frame(&world.take(ben)).0, 4006);
}

#[test]
fn what_is_queued_is_dropped_when_its_client_closes() {
    let mut world = World::new(1);
    let ada = world.raw(0, "lobby");
    let ben = world.raw(0, "lobby");
    world.stall(ada, 5);
    world.say(ben, Text, b"begun");
    world.say(ben, Text, b"queued, and nobody could take it back");
    world.bytes(ada, vec![0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
    world.unstall(ada);
    let told = world.take(ada);
    let rest = told
        .strip_prefix(frame(Text, b"begun").as_slice())
        .expect("a frame that was begun ends");
    assert_eq!(close_frame(rest).0, 1000);
}

#[test]
fn leaving_drops_what_the_room_had_said() {
    let mut world = World::new(1);
    let ada = world.joined(0, &["lobby"]);
    let ben = world.raw(0, "lobby");
    world.take(ada);
    world.stall(ada, 0);
    world.say(ben, Text, b"said before");
    world.line(ada, r#"{"op":"leave","room":"lobby","id":9}"#);
    world.unstall(ada);
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"left""#), "{told}");
    assert!(!told.contains("said before"), "{told}");
}

#[test]
fn who_is_put_back_before_a_door_and_refused_is_told_closed() {
    let mut world = World::new(1);
    world.room("lobby", RoomRules::default());
    world.session(1);
    let ada = world.lobby_of(0, 1);
    world.line(ada, r#"{"op":"join","room":"lobby","id":1}"#);
    world.take(ada);
    world.rule("lobby", members_only());
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"closed","room":"lobby""#), "{told}");
    assert!(
        !told.contains(r#""op":"refused""#),
        "nothing was asked: {told}"
    );
}
