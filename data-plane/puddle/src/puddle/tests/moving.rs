//! A backend moves a client from one room to another: nothing more of the one,
//! nothing of the other before it is in, and the other room's rules hold.

use porthouse_model::{ClientId, MessageKind, Refused};

use super::recalled::recalled;
use super::world::{
    Client, World, asking, close_frame, frame, members_only, password_rules, token,
};
use crate::{Cause, Command, Input, Moved, OrderId, Recalled, Reply, WireForm};

use MessageKind::Text;

/// It was refused so, which is kept by the id that is answered.
fn refused(world: &mut World, became: Moved, expected: Refused) -> Recalled {
    let Moved::Refused(refusal) = became else {
        panic!("{became:?}")
    };
    assert_eq!(refusal.refused(), expected);
    let kept = recalled(world, &refusal.id.to_string()).expect("it is kept");
    assert_eq!(kept.cause, Cause::Refused(expected));
    kept
}

/// Moves a client, and answers what became of its sockets, puddle by puddle.
fn moved(world: &mut World, client: ClientId, from: &str, to: &str) -> Vec<(WireForm, Moved)> {
    let replies = world.order(&Command::Move {
        client,
        from: from.parse().expect("a name"),
        to: to.parse().expect("a name"),
    });
    let moved = replies.into_iter().flat_map(|reply| {
        let Reply::Moved(moved) = reply else {
            panic!("{reply:?}");
        };
        moved
    });
    moved.map(|one| (one.wire_form, one.became)).collect()
}

fn bearer(user: u8) -> String {
    format!("Authorization: Bearer {}", token(user))
}

/// A signed-in client: a raw socket, and one of `porthouse.v1` on the other puddle.
fn both(world: &mut World, room: &str) -> (Client, Client, ClientId) {
    let client = ClientId::from(world.session(1));
    let raw = world.upgrade(0, &format!("/{room}"), &[&bearer(1)]);
    assert!(world.take_text(raw).starts_with("HTTP/1.1 101"));
    let lobby = world.lobby_of(1, 1);
    world.line(lobby, &format!(r#"{{"op":"join","room":"{room}","id":1}}"#));
    assert!(world.take_text(lobby).contains(r#""op":"admitted""#));
    (raw, lobby, client)
}

#[test]
fn from_then_on_it_has_the_other_rooms_messages_and_no_others() {
    let mut world = World::new(2);
    let (raw, lobby, client) = both(&mut world, "hall");
    let (hall, den) = (world.raw(0, "hall"), world.raw(1, "den"));
    // The den's rules are known on both puddles.
    world.raw(0, "den");
    let became = moved(&mut world, client, "hall", "den");
    assert_eq!(became.len(), 2);
    for (_, became) in &became {
        assert!(
            matches!(became, Moved::Inside | Moved::Entering),
            "{became:?}"
        );
    }
    let told = world.take_text(lobby);
    let (_, told) = told
        .split_once(r#"{"op":"moved","room":"hall","to":"den"}"#)
        .expect("it is told");
    assert!(told.contains(r#"{"op":"admitted","room":"den""#), "{told}");
    assert_eq!(world.take(raw), b"", "nothing says so");
    world.say(hall, Text, b"of the hall");
    assert_eq!((world.take(raw), world.take(lobby)), (vec![], vec![]));
    world.say(den, Text, b"of the den");
    assert_eq!(world.take(raw), frame(Text, b"of the den"));
    assert!(world.take_text(lobby).ends_with("of the den"));
    world.say(raw, Text, b"from it");
    assert_eq!(world.take(den), frame(Text, b"from it"));
    assert_eq!(world.take(hall), b"");
}

#[test]
fn nothing_that_was_queued_of_the_one_is_written_after() {
    let mut world = World::new(1);
    let client = ClientId::from(world.session(1));
    let raw = world.upgrade(0, "/hall", &[&bearer(1)]);
    world.take(raw);
    let hall = world.raw(0, "hall");
    world.stall(raw, 0);
    world.say(hall, Text, b"first");
    world.say(hall, Text, b"second");
    moved(&mut world, client, "hall", "den");
    world.unstall(raw);
    assert_eq!(world.take(raw), b"", "nothing of it was begun");
}

#[test]
fn what_is_said_in_the_turn_of_the_move_is_of_one_room_only() {
    let mut world = World::new(1);
    let client = ClientId::from(world.session(1));
    let raw = world.upgrade(0, "/hall", &[&bearer(1)]);
    world.take(raw);
    let (hall, den) = (world.raw(0, "hall"), world.raw(0, "den"));
    let say = |world: &mut World, by: Client, text: &[u8]| {
        let mut bytes =
            crate::wire::frame::client::frame(true, crate::wire::frame::client::TEXT, text);
        let input = Input::Received {
            socket: by.socket,
            bytes: &mut bytes,
        };
        world.puddles[0].handle(world.now, input);
    };
    say(&mut world, hall, b"before, in the hall");
    say(&mut world, den, b"before, in the den");
    let command = Command::Move {
        client,
        from: "hall".parse().expect("a name"),
        to: "den".parse().expect("a name"),
    };
    let order = OrderId(1);
    world.puddles[0].handle(world.now, Input::Ordered { order, command });
    say(&mut world, hall, b"after, in the hall");
    say(&mut world, den, b"after, in the den");
    world.run();
    assert_eq!(world.take(raw), frame(Text, b"after, in the den"));
}

#[test]
fn whom_the_other_room_refuses_stays() {
    let mut world = World::new(2);
    world.room("den", members_only());
    world.room("vault", password_rules(1));
    let (raw, lobby, client) = both(&mut world, "hall");
    // Both puddles know these rooms.
    for puddle in 0..2 {
        for room in ["den", "vault"] {
            let knocks = world.lobby_of(puddle, 1);
            world.line(
                knocks,
                &format!(r#"{{"op":"join","room":"{room}","id":1}}"#),
            );
        }
    }
    let became = moved(&mut world, client, "hall", "den");
    assert_eq!(became[0].0, WireForm::Raw);
    assert_eq!(became[1].0, WireForm::Multiplexed);
    for (_, became) in became {
        let kept = refused(&mut world, became, Refused::MembersOnly);
        assert_eq!(kept.room, Some("den".parse().expect("a name")));
    }
    let hall = world.raw(0, "hall");
    world.say(hall, Text, b"still here");
    assert_eq!(world.take(raw), frame(Text, b"still here"));
    assert!(world.take_text(lobby).ends_with("still here"));
    // A raw socket cannot be asked, and the other is.
    let became = moved(&mut world, client, "hall", "vault");
    assert_eq!(became[1], (WireForm::Multiplexed, Moved::Entering));
    refused(&mut world, became[0].1, Refused::PasswordNeeded);
    let told = world.take_text(lobby);
    assert!(
        told.contains(r#""op":"moved""#) && told.contains(r#""step":"password""#),
        "{told}"
    );
}

#[test]
fn one_that_is_there_already_stays_in_both() {
    let mut world = World::new(1);
    let client = ClientId::from(world.session(1));
    let lobby = world.lobby_of(0, 1);
    for room in ["hall", "den"] {
        world.line(lobby, &format!(r#"{{"op":"join","room":"{room}","id":1}}"#));
    }
    world.take(lobby);
    let became = moved(&mut world, client, "hall", "den");
    assert_eq!(became, [(WireForm::Multiplexed, Moved::ThereBefore)]);
    assert_eq!(world.take(lobby), b"");
    assert_eq!(moved(&mut world, client, "elsewhere", "den"), []);
}

#[test]
fn a_raw_socket_that_is_refused_after_it_left_is_closed() {
    let mut world = World::new(1);
    world.room("den", members_only());
    let client = ClientId::from(world.session(1));
    let raw = world.upgrade(0, "/hall", &[&bearer(1)]);
    world.take(raw);
    // Nothing is known of the den yet.
    let became = moved(&mut world, client, "hall", "den");
    assert_eq!(became, [(WireForm::Raw, Moved::Entering)]);
    assert_eq!(close_frame(&world.take(raw)).0, 4003);
}

#[test]
fn a_sibling_is_moved_with_its_raw_socket() {
    for at in [(0, 0), (0, 1), (1, 0)] {
        let mut world = World::new(2);
        world.room("hall", asking(&[]));
        world.room("vault", password_rules(1));
        let client = ClientId::from(world.session(1));
        let bearer = bearer(1);
        let (ada, raw) = super::sibling::paired(&mut world, at, "hall", &[&bearer]);
        moved(&mut world, client, "hall", "vault");
        let told = world.take_text(ada);
        assert!(
            told.contains(r#"{"op":"moved","room":"hall","to":"vault"}"#)
                && told.contains(r#""step":"password""#),
            "{told}"
        );
        let answer = r#"{"op":"answer","room":"vault","password":"open sesame","id":3}"#;
        world.line(ada, answer);
        let told = world.take_text(ada);
        assert!(told.contains(r#"{"op":"admitted","id":3,"#), "{told}");
        assert_eq!(world.take(raw), b"");
    }
}
