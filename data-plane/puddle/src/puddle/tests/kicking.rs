//! A client inside puts another one out, by a line: only who may, never the
//! owner, on whatever puddle anybody is.

use core::time::Duration;

use porthouse_model::{ClientId, RoomName};

use crate::KeptOut;

use super::homes::restart;
use super::world::{Client, World, asking, close_frame, token};

/// A signed-in client that is in a room, and its id.
fn inside(world: &mut World, puddle: usize, user: u8, room: &str) -> (Client, String) {
    let id = world.session(user).to_string();
    let client = world.lobby_of(puddle, user);
    world.line(
        client,
        &format!(r#"{{"op":"join","room":"{room}","id":1}}"#),
    );
    let told = world.take_text(client);
    assert!(told.contains(r#""op":"admitted""#), "{told}");
    (client, id)
}

fn kick(world: &mut World, by: Client, room: &str, client: &str) -> String {
    world.line(
        by,
        &format!(r#"{{"op":"kick","room":"{room}","client":"{client}","id":7}}"#),
    );
    world.take_text(by)
}

#[test]
fn who_may_puts_out_all_sockets_of_a_client_and_it_stays_out_for_a_while() {
    for puddle in 0..2 {
        let mut world = World::new(2);
        world.room("hall", asking(&[]));
        let (host, _) = inside(&mut world, 0, 1, "hall");
        let (guest, id) = inside(&mut world, puddle, 2, "hall");
        let bearer = format!("Authorization: Bearer {}", token(2));
        let raw = world.upgrade(1 - puddle, "/hall", &[&bearer]);
        let told = kick(&mut world, host, "hall", &id);
        let expected = format!(r#"{{"op":"kicked","id":7,"room":"hall","client":"{id}"}}"#);
        assert!(told.ends_with(&expected), "{told}");
        let told = world.take_text(guest);
        assert!(
            told.contains(r#"{"op":"closed","room":"hall","code":4006"#),
            "{told}"
        );
        assert_eq!(close_frame(&world.take(raw)).0, 4006);
        world.line(guest, r#"{"op":"join","room":"hall","id":2}"#);
        assert!(world.take_text(guest).contains(r#""code":4012"#));
    }
}

#[test]
fn who_is_put_out_comes_back_at_once_where_that_is_said() {
    let mut world = World::new(2);
    world.room("hall", asking(&[]));
    let (host, _) = inside(&mut world, 0, 1, "hall");
    let (guest, id) = inside(&mut world, 1, 2, "hall");
    let kick = |rejoin| {
        format!(r#"{{"op":"kick","room":"hall","client":"{id}","id":7,"rejoin":{rejoin}}}"#)
    };
    world.line(host, &kick("\"yes\""));
    let told = world.take_text(host);
    assert!(told.contains(r#""rule":"rejoin""#), "{told}");
    world.line(host, &kick("true"));
    assert!(world.take_text(host).contains(r#""op":"kicked""#));
    assert!(world.take_text(guest).contains(r#""code":4006"#));
    let again = r#"{"op":"join","room":"hall","id":2}"#;
    world.line(guest, again);
    assert!(world.take_text(guest).contains(r#""op":"admitted""#));
    world.line(host, &kick("false"));
    world.take(host);
    world.take(guest);
    world.line(guest, again);
    assert!(world.take_text(guest).contains(r#""code":4012"#));
}

#[test]
fn who_may_not_is_refused_by_the_rule() {
    let mut world = World::new(1);
    world.room("hall", asking(&[]));
    let (guest, id) = inside(&mut world, 0, 1, "hall");
    let stranger = world.joined(0, &["hall"]);
    let told = kick(&mut world, stranger, "hall", &id);
    assert!(
        told.contains(r#"{"op":"refused","id":7,"room":"hall","code":1008"#)
            && told.contains(r#""rule":"capabilities.kick""#),
        "{told}"
    );
    let outside = world.lobby(0);
    let told = kick(&mut world, outside, "hall", &id);
    assert!(
        told.contains(r#"{"op":"error","id":7,"rule":"room""#),
        "{told}"
    );
    assert_eq!(world.take(guest), b"");
}

#[test]
fn a_rooms_owner_is_put_out_by_nobody() {
    let mut world = World::new(1);
    world.room("hall", asking(&[]));
    let owner = world.session(1);
    let name: RoomName = "hall".parse().expect("a name");
    world.rooms.get_mut(&name).expect("a room").owner = Some(owner);
    let (host, id) = inside(&mut world, 0, 1, "hall");
    let (moderator, _) = inside(&mut world, 0, 2, "hall");
    let told = kick(&mut world, moderator, "hall", &id);
    assert!(told.contains(r#""rule":"capabilities.kick""#), "{told}");
    assert_eq!(world.take(host), b"");
}

#[test]
fn the_owner_of_a_transient_room_kicks_and_its_guests_do_not() {
    let mut world = World::new(2);
    let (owner, owner_id) = inside(&mut world, 0, 1, "den");
    let (guest, id) = inside(&mut world, 1, 2, "den");
    let told = kick(&mut world, guest, "den", &owner_id);
    assert!(told.contains(r#""rule":"capabilities.kick""#), "{told}");
    let told = kick(&mut world, owner, "den", &id);
    assert!(told.contains(r#""op":"kicked""#), "{told}");
    assert!(world.take_text(guest).contains(r#""code":4006"#));
}

/// A kick of a client from `hall`, as a backend orders it.
fn kick_by_backend(world: &mut World, client: ClientId, block: Option<Duration>) {
    let room = Some("hall".parse().expect("a name"));
    world.order(&crate::Command::Kick {
        client,
        room,
        block,
    });
}

#[test]
fn who_is_put_out_of_a_room_that_was_made_is_to_be_kept_out_on_all_nodes_once() {
    let mut world = World::new(3);
    let hall = world.room("hall", asking(&[]));
    let (host, host_id) = inside(&mut world, 0, 1, "hall");
    let (_, id) = inside(&mut world, 1, 2, "hall");
    kick(&mut world, host, "hall", &id);
    let client = ClientId::from_bytes([2; 16]);
    let mut expected = KeptOut {
        room: "hall".parse().expect("a name"),
        room_id: Some(hall),
        client,
        by: Some(ClientId::from_bytes([1; 16])),
        time: Duration::from_mins(5),
    };
    assert_eq!(host_id, expected.by.expect("the host").to_string());
    assert_eq!(std::mem::take(&mut world.kept_out), [expected.clone()]);

    kick_by_backend(&mut world, client, Some(Duration::from_mins(1)));
    (expected.by, expected.time) = (None, Duration::from_mins(1));
    // The room's home may not know it: then the control plane says which it is.
    let kept_out = std::mem::take(&mut world.kept_out);
    expected.room_id = kept_out.first().and_then(|kicked| kicked.room_id);
    assert_eq!(kept_out, [expected]);
}

#[test]
fn a_kick_that_lets_back_in_and_one_of_who_is_nobody_stay_on_the_node() {
    let mut world = World::new(1);
    world.room("hall", asking(&[]));
    let (host, _) = inside(&mut world, 0, 1, "hall");
    let (_, id) = inside(&mut world, 0, 2, "hall");
    let back = format!(r#"{{"op":"kick","room":"hall","client":"{id}","rejoin":true}}"#);
    world.line(host, &back);
    kick_by_backend(
        &mut world,
        ClientId::from_bytes([2; 16]),
        Some(Duration::ZERO),
    );
    let stranger = world.lobby(0);
    world.line(stranger, r#"{"op":"join","room":"hall","id":1}"#);
    let told = world.take_text(stranger);
    let at = told.find(r#""client":""#).expect("who it is") + 10;
    let stranger = told[at..at + 36].to_owned();
    kick(&mut world, host, "hall", &stranger);
    // A transient room is the node's own.
    let (owner, _) = inside(&mut world, 0, 3, "den");
    let (_, guest) = inside(&mut world, 0, 4, "den");
    kick(&mut world, owner, "den", &guest);
    assert_eq!(world.kept_out, []);
}

#[test]
fn the_last_one_in_a_room_may_put_itself_out() {
    let mut world = World::new(1);
    world.room("hall", asking(&[]));
    let (host, id) = inside(&mut world, 0, 1, "hall");
    let told = kick(&mut world, host, "hall", &id);
    assert!(told.contains(r#""code":4006"#), "{told}");
    assert_eq!(world.kept_out.len(), 1);
}

#[test]
fn who_was_kicked_stays_out_of_a_puddle_that_has_begun_anew() {
    let mut world = World::new(3);
    world.room("hall", asking(&[]));
    let (host, _) = inside(&mut world, 0, 1, "hall");
    let (guest, id) = inside(&mut world, 1, 2, "hall");
    assert!(kick(&mut world, host, "hall", &id).contains(r#""op":"kicked""#));
    assert!(world.take_text(guest).contains(r#""code":4006"#));
    restart(&mut world, 2, 7);
    let guest = world.lobby_of(2, 2);
    let again = r#"{"op":"join","room":"hall","id":2}"#;
    world.line(guest, again);
    let told = world.take_text(guest);
    assert!(told.contains(r#""code":4012"#), "{told}");
}
