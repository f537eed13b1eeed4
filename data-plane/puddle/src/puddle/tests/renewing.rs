//! What ends by itself is told ahead, and a session can be renewed without
//! leaving a room.

use core::time::Duration;

use porthouse_model::{Member, Role, SessionId, UnixTime};

use super::world::{Client, HOUR, World, hash, members_only, token};

/// A user in a room, whose session ends in this many seconds.
fn ending_in(secs: u64) -> (World, Client) {
    let mut world = World::new(1);
    world.session(7);
    let session = world.sessions.get_mut(&hash(7)).expect("a session");
    session.expires = UnixTime::from_millis(HOUR + secs * 1_000);
    world.room("a", porthouse_model::RoomRules::default());
    let ada = world.lobby_of(0, 7);
    world.line(ada, r#"{"op":"join","room":"a","id":1}"#);
    assert!(world.take_text(ada).contains("admitted"));
    (world, ada)
}

/// Another session, of this user, until an hour from now.
fn another(world: &mut World, number: u8, user: u8) {
    let mut session = world.sessions[&hash(user)].clone();
    session.id = SessionId::from_bytes([number; 16]);
    session.expires = UnixTime::from_millis(2 * HOUR);
    world.sessions.insert(hash(number), session);
}

fn renew(world: &mut World, client: Client, number: u8) -> String {
    let line = format!(r#"{{"op":"renew","id":2,"token":"{}"}}"#, token(number));
    world.line(client, &line);
    world.take_text(client)
}

#[test]
fn a_session_that_ends_is_told_ahead_and_once() {
    let (mut world, ada) = ending_in(90);
    world.wait(Duration::from_secs(29));
    assert_eq!(world.take_text(ada), "");
    world.wait(Duration::from_secs(1));
    let told = world.take_text(ada);
    let ends = HOUR + 90_000;
    assert!(
        told.contains(&format!(r#"{{"op":"expiring","expires_ms":{ends}}}"#)),
        "{told}"
    );
    world.wait(Duration::from_secs(1));
    assert_eq!(world.take_text(ada), "");
}

#[test]
fn a_renewed_session_goes_on_in_its_rooms() {
    let (mut world, ada) = ending_in(90);
    another(&mut world, 8, 7);
    let told = renew(&mut world, ada, 8);
    let ends = 2 * HOUR;
    assert!(
        told.contains(&format!(r#"{{"op":"renewed","id":2,"expires_ms":{ends}}}"#)),
        "{told}"
    );
    for _ in 0..4 {
        world.wait(Duration::from_secs(30));
        world.line(ada, r#"{"op":"ping"}"#);
    }
    let told = world.take_text(ada);
    assert!(!told.contains("expiring"), "{told}");
    assert!(!world.is_ended(ada));
    let bob = world.joined(0, &["a"]);
    world.line(bob, "{\"op\":\"send\",\"room\":\"a\"}\nhello");
    assert!(world.take_text(ada).contains("hello"), "it never left");
}

#[test]
fn the_session_that_was_renewed_ends_without_the_socket() {
    let (mut world, ada) = ending_in(600);
    another(&mut world, 8, 7);
    renew(&mut world, ada, 8);
    let ended =
        |number| porthouse_model::ChangeItem::SessionGone(SessionId::from_bytes([number; 16]));
    world.change(vec![ended(7)]);
    assert!(!world.is_ended(ada) && world.take(ada).is_empty());
    world.change(vec![ended(8)]);
    assert_eq!(super::world::close_frame(&world.take(ada)).0, 4101);
}

#[test]
fn nobody_renews_by_another_users_token_or_by_none() {
    let (mut world, ada) = ending_in(600);
    world.session(9);
    for number in [9, 10] {
        let told = renew(&mut world, ada, number);
        assert!(
            told.contains(r#""op":"refused","id":2,"code":4100"#),
            "{told}"
        );
    }
    world.line(ada, r#"{"op":"renew","id":3,"token":"phs_mistyped"}"#);
    assert!(
        world
            .take_text(ada)
            .contains(r#""op":"refused","id":3,"code":4100"#)
    );
    let nobody = world.lobby(0);
    let told = renew(&mut world, nobody, 9);
    assert!(
        told.contains(r#""op":"error","id":2,"rule":"renew""#),
        "{told}"
    );
}

#[test]
fn a_renewal_that_cannot_be_looked_up_changes_nothing() {
    let (mut world, ada) = ending_in(600);
    another(&mut world, 8, 7);
    world.away = true;
    let told = renew(&mut world, ada, 8);
    assert!(
        told.contains(r#""op":"refused","id":2,"code":4205"#),
        "{told}"
    );
    world.away = false;
    assert!(renew(&mut world, ada, 8).contains("renewed"));
}

#[test]
fn a_membership_that_ends_is_told_ahead_for_its_room() {
    let mut world = World::new(1);
    let user = world.session(7);
    let room = world.room("club", members_only());
    world.members.push(Member {
        room,
        user,
        role: Role::MEMBER,
        expires: Some(UnixTime::from_millis(HOUR + 70_000)),
        then: None,
    });
    let ada = world.lobby_of(0, 7);
    world.line(ada, r#"{"op":"join","room":"club","id":1}"#);
    world.take(ada);
    world.wait(Duration::from_secs(10));
    let told = world.take_text(ada);
    assert!(
        told.contains(r#"{"op":"expiring","room":"club","expires_ms":"#),
        "{told}"
    );
}
