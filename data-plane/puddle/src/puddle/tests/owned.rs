//! Transient rooms: who owns one, what an owner may do, and when it ends.

use core::time::Duration;

use porthouse_model::{ChangeItem, ClientSockets, RoomRules, Shown, Surplus, UnixTime};

use super::homes::{home_and_other, restart, told};
use super::world::{Client, HOUR, World, close_frame, hash, members_only, token};
use crate::{OwnerRule, RoomLife};

/// In the room by a join with this further field. With the client's id.
fn enter(world: &mut World, puddle: usize, room: &str, field: &str) -> (Client, String) {
    let client = world.lobby(puddle);
    let line = format!(r#"{{"op":"join","room":"{room}","id":1{field}}}"#);
    world.line(client, &line);
    let text = world.take_text(client);
    let id = told(&text, "admitted", "client");
    (client, id.unwrap_or_else(|| panic!("not admitted: {text}")))
}

fn leave(world: &mut World, client: Client, room: &str) {
    world.line(client, &format!(r#"{{"op":"leave","room":"{room}"}}"#));
}

fn rules(world: &mut World, client: Client, room: &str, rules: &str) -> String {
    let line = format!("{{\"op\":\"rules\",\"room\":\"{room}\",\"id\":5}}\n{rules}");
    world.line(client, &line);
    world.take_text(client)
}

const PEER: &str = r#","life":"peer""#;

#[test]
fn the_maker_owns_a_room_and_everybody_who_comes_is_told() {
    let mut world = World::new(3);
    let (_, maker) = enter(&mut world, 0, "den", "");
    let client = world.lobby(1);
    world.line(client, r#"{"op":"join","room":"den","id":1}"#);
    let text = world.take_text(client);
    assert_eq!(told(&text, "admitted", "owner"), Some(maker), "{text}");
}

#[test]
fn a_peer_room_ends_when_its_maker_leaves() {
    let mut world = World::new(3);
    let (maker, _) = enter(&mut world, 0, "den", PEER);
    let (friend, _) = enter(&mut world, 1, "den", "");
    let raw = world.raw(2, "den");
    leave(&mut world, maker, "den");
    let text = world.take_text(friend);
    assert_eq!(
        told(&text, "closed", "code").as_deref(),
        Some("4015"),
        "{text}"
    );
    assert_eq!(close_frame(&world.take(raw)).0, 4015);
    let (_, own) = enter(&mut world, 1, "den", "");
    let later = world.lobby(2);
    world.line(later, r#"{"op":"join","room":"den","id":1}"#);
    let text = world.take_text(later);
    assert_eq!(
        told(&text, "admitted", "owner"),
        Some(own),
        "it begins anew"
    );
}

#[test]
fn an_owner_whose_newer_socket_takes_the_place_of_the_older_has_not_left() {
    let mut world = World::with(3, |settings| {
        settings.transient_rules.connection.sockets_per_client = Some(ClientSockets {
            sockets_max: 1,
            surplus: Surplus::Oldest,
        });
    });
    world.session(1);
    let older = world.lobby_of(0, 1);
    let join = r#"{"op":"join","room":"den","id":1,"life":"peer"}"#;
    world.line(older, join);
    let text = world.take_text(older);
    let owner = told(&text, "admitted", "owner").expect("it owns the room");
    let (friend, _) = enter(&mut world, 1, "den", "");
    let newer = world.lobby_of(2, 1);
    world.line(newer, join);
    let text = world.take_text(newer);
    assert_eq!(told(&text, "admitted", "owner"), Some(owner), "{text}");
    assert!(world.take_text(older).contains("4009"), "it is replaced");
    let text = world.take_text(friend);
    assert_eq!(told(&text, "closed", "code"), None, "{text}");
    leave(&mut world, newer, "den");
    let text = world.take_text(friend);
    assert_eq!(told(&text, "closed", "code").as_deref(), Some("4015"));
}

#[test]
fn a_peerless_room_passes_to_who_has_been_there_longest_and_ends_with_the_last() {
    let mut world = World::new(3);
    let (maker, _) = enter(&mut world, 0, "den", "");
    let (second, second_id) = enter(&mut world, 1, "den", "");
    let (third, third_id) = enter(&mut world, 2, "den", "");
    leave(&mut world, maker, "den");
    for client in [second, third] {
        let text = world.take_text(client);
        assert_eq!(
            told(&text, "owner", "owner").as_ref(),
            Some(&second_id),
            "{text}"
        );
    }
    leave(&mut world, second, "den");
    let text = world.take_text(third);
    assert_eq!(told(&text, "owner", "owner"), Some(third_id));
    leave(&mut world, third, "den");
    for puddle in &world.puddles {
        assert_eq!(puddle.homes.rooms().count(), 0, "it is over");
    }
}

#[test]
fn a_room_whose_visitors_rights_all_end_at_one_moment_is_over() {
    let mut world = World::new(1);
    let users = 40;
    for user in 1..=users {
        world.session(user);
        let session = world.sessions.get_mut(&hash(user)).expect("a session");
        session.expires = UnixTime::from_millis(HOUR + 2_000);
    }
    let inside: Vec<Client> = (1..=users)
        .map(|user| {
            let bearer = format!("Authorization: Bearer {}", token(user));
            let client = world.upgrade(0, "/den", &[&bearer]);
            assert!(world.take(client).starts_with(b"HTTP/1.1 101"));
            client
        })
        .collect();
    world.wait(Duration::from_secs(2));
    for client in inside {
        assert_eq!(close_frame(&world.take(client)).0, 4102);
    }
    assert_eq!(world.puddles[0].rooms.len(), 0, "it is over");
}

#[test]
fn an_owner_passes_the_room_on_and_nobody_else_does() {
    let mut world = World::new(3);
    let (maker, maker_id) = enter(&mut world, 0, "den", PEER);
    let (friend, friend_id) = enter(&mut world, 1, "den", "");
    let pass = |world: &mut World, client, to: &str| {
        let line = format!(r#"{{"op":"pass","room":"den","id":4,"client":{to}}}"#);
        world.line(client, &line);
        world.take_text(client)
    };
    let text = pass(&mut world, friend, &friend_id);
    assert!(text.contains("capabilities.change_rules"), "{text}");
    let nobody = r#""00000000-0000-0000-0000-000000000000""#;
    assert!(pass(&mut world, maker, nobody).contains(r#""op":"refused","id":4"#));
    let text = pass(&mut world, maker, &friend_id);
    assert!(text.contains(r#""op":"owner","id":4"#), "{text}");
    assert!(pass(&mut world, maker, &maker_id).contains("capabilities.change_rules"));
    leave(&mut world, maker, "den");
    assert!(
        !world.take_text(friend).contains("closed"),
        "it is the friend's now"
    );
}

#[test]
fn what_an_owner_does_is_told_to_it_once_and_to_everybody_else() {
    for (puddles, last) in [(1, 0), (2, 1), (3, 2)] {
        let mut world = World::new(puddles);
        let (maker, _) = enter(&mut world, 0, "den", "");
        let (friend, friend_id) = enter(&mut world, last, "den", "");
        let text = rules(&mut world, maker, "den", r#"{"bytes_max":4}"#);
        assert_eq!(text.matches(r#""op":"rules""#).count(), 1, "{text}");
        let text = world.take_text(friend);
        assert_eq!(text.matches(r#""op":"rules""#).count(), 1, "{text}");

        let line = format!(r#"{{"op":"pass","room":"den","id":4,"client":{friend_id}}}"#);
        world.line(maker, &line);
        let text = world.take_text(maker);
        assert!(text.contains(r#""op":"owner","id":4"#), "{text}");
        assert_eq!(text.matches(r#""op":"owner""#).count(), 1, "{text}");
        let text = world.take_text(friend);
        assert_eq!(text.matches(r#""op":"owner""#).count(), 1, "{text}");
    }
}

#[test]
fn an_owner_sets_rules_for_all_puddles_and_nobody_else_does() {
    let mut world = World::new(3);
    let (maker, _) = enter(&mut world, 0, "den", "");
    let (friend, _) = enter(&mut world, 1, "den", "");
    let text = rules(&mut world, friend, "den", r#"{"content":"text"}"#);
    assert!(text.contains("capabilities.change_rules"), "{text}");
    let text = rules(
        &mut world,
        maker,
        "den",
        r#"{"content":"text","bytes_max":4}"#,
    );
    assert!(
        text.contains(r#""op":"rules","id":5,"room":"den","epoch":2"#),
        "{text}"
    );
    assert!(
        world
            .take_text(friend)
            .contains(r#""op":"rules","room":"den""#)
    );
    world.line(
        friend,
        "{\"op\":\"send\",\"room\":\"den\",\"id\":9}\nlonger",
    );
    assert!(world.take_text(friend).contains("messages.bytes_max"));
    let (late, _) = enter(&mut world, 2, "den", "");
    world.line(late, "{\"op\":\"send\",\"room\":\"den\",\"id\":9}\nlonger");
    assert!(world.take_text(late).contains("messages.bytes_max"));
}

#[test]
fn an_owners_rules_stay_within_the_nodes() {
    let mut world = World::with(2, |settings| {
        settings.owner_rules = [OwnerRule::Presence, OwnerRule::BytesMax].into();
        settings.transient_rules.messages.bytes_max = 100;
    });
    let (maker, _) = enter(&mut world, 0, "den", "");
    for (wish, rule) in [
        (r#"{"approval":true}"#, "rules.approval"),
        (r#"{"bytes_max":101}"#, "rules.bytes_max"),
        ("nonsense", "rules"),
    ] {
        let text = rules(&mut world, maker, "den", wish);
        let error = format!(r#""op":"error","id":5,"rule":"{rule}""#);
        assert!(text.contains(&error), "{text}");
    }
}

#[test]
fn who_the_owners_rules_do_not_let_in_is_put_out_and_the_owner_never() {
    let mut world = World::new(2);
    let (maker, _) = enter(&mut world, 0, "den", "");
    let (stranger, _) = enter(&mut world, 1, "den", "");
    let text = rules(&mut world, maker, "den", r#"{"audience":"users"}"#);
    assert!(text.contains(r#""op":"rules","id":5"#), "{text}");
    let text = world.take_text(stranger);
    assert_eq!(
        told(&text, "closed", "code").as_deref(),
        Some("4103"),
        "{text}"
    );
    assert!(!world.take_text(maker).contains("closed"));
}

#[test]
fn an_owner_turns_presence_on() {
    let mut world = World::new(2);
    let (maker, _) = enter(&mut world, 0, "den", "");
    world.raw(1, "den");
    rules(&mut world, maker, "den", r#"{"presence":"counts"}"#);
    world.wait(Duration::from_secs(1));
    world.line(maker, r#"{"op":"presence","room":"den","id":7}"#);
    assert!(world.take_text(maker).contains(r#""count":2"#));
}

#[test]
fn a_client_makes_so_many_rooms_and_a_node_holds_so_many() {
    let mut world = World::with(1, |settings| {
        settings.transient_rooms_per_client_max = 2;
        settings.transient_rooms_max = 3;
    });
    let client = world.lobby(0);
    let join = |world: &mut World, client, room: &str| {
        let line = format!(r#"{{"op":"join","room":"{room}","id":1}}"#);
        world.line(client, &line);
        world.take_text(client)
    };
    assert!(join(&mut world, client, "a").contains("admitted"));
    assert!(join(&mut world, client, "b").contains("admitted"));
    assert!(join(&mut world, client, "c").contains("4217"), "its limit");
    let other = world.lobby(0);
    assert!(join(&mut world, other, "c").contains("admitted"));
    assert!(
        join(&mut world, other, "d").contains("4202"),
        "the node's limit"
    );
    assert!(
        join(&mut world, client, "c").contains("admitted"),
        "it is there"
    );
    leave(&mut world, client, "a");
    assert!(join(&mut world, client, "d").contains("admitted"));
}

#[test]
fn the_owner_stays_the_owner_when_the_home_begins_anew() {
    let mut world = World::new(3);
    let (home, other) = home_and_other("den");
    let third = 3 - home - other;
    let (friend, _) = enter(&mut world, other, "den", "");
    let (owner, owner_id) = enter(&mut world, third, "den", "");
    leave(&mut world, friend, "den");
    world.take_text(owner);
    enter(&mut world, other, "den", "");
    rules(&mut world, owner, "den", r#"{"bytes_max":9}"#);
    restart(&mut world, home, 4);
    world.wait(Duration::from_secs(10));
    let client = world.lobby(home);
    world.line(client, r#"{"op":"join","room":"den","id":1}"#);
    let text = world.take_text(client);
    assert_eq!(told(&text, "admitted", "owner"), Some(owner_id), "{text}");
    world.line(
        client,
        "{\"op\":\"send\",\"room\":\"den\",\"id\":9}\n0123456789",
    );
    assert!(
        world.take_text(client).contains("messages.bytes_max"),
        "its rules too"
    );
}

#[test]
fn an_owner_lost_with_the_home_is_followed_by_another() {
    let mut world = World::new(3);
    let (home, other) = home_and_other("den");
    enter(&mut world, home, "den", "");
    let (friend, friend_id) = enter(&mut world, other, "den", "");
    restart(&mut world, home, 4);
    assert!(
        !world.take_text(friend).contains(r#""op":"owner""#),
        "not yet"
    );
    world.wait(Duration::from_secs(5));
    let text = world.take_text(friend);
    assert_eq!(told(&text, "owner", "owner"), Some(friend_id), "{text}");
}

#[test]
fn a_persistent_room_takes_over_a_live_transient_name() {
    let mut world = World::new(3);
    let (maker, maker_id) = enter(&mut world, 0, "den", PEER);
    let (friend, friend_id) = enter(&mut world, 1, "den", "");
    world.room("den", RoomRules::default());
    let room = world.rooms.values().next().expect("one").clone();
    world.change(vec![ChangeItem::Room(room)]);
    world.line(friend, "{\"op\":\"send\",\"room\":\"den\",\"id\":9}\nhi");
    assert!(world.take_text(friend).contains("receipt"));
    assert!(world.take_text(maker).contains("\nhi"));
    let pass = format!(r#"{{"op":"pass","room":"den","id":4,"client":{maker_id}}}"#);
    world.line(friend, &pass);
    assert!(
        world.take_text(friend).contains(r#""op":"error","id":4"#),
        "nobody owns it"
    );
    leave(&mut world, maker, "den");
    assert!(!world.take_text(friend).contains("closed"), "it stays");

    world.rule("den", members_only());
    let text = world.take_text(friend);
    assert!(
        told(&text, "closed", "code").is_some(),
        "{text} {friend_id}"
    );
}

#[test]
fn who_is_inside_is_told_at_once_that_the_room_that_takes_over_has_an_order() {
    let mut world = World::new(3);
    let (maker, _) = enter(&mut world, 0, "den", "");
    let (friend, _) = enter(&mut world, 1, "den", "");
    world.take(maker);
    let mut rules = RoomRules::default();
    rules.delivery.order = porthouse_model::Order::Ordered;
    world.room("den", rules);
    let room = world.rooms.values().next().expect("one").clone();
    world.change(vec![ChangeItem::Room(room)]);
    for client in [maker, friend] {
        let text = world.take_text(client);
        assert!(told(&text, "epoch", "epoch").is_some(), "{text}");
    }
}

#[test]
fn what_was_said_before_a_takeover_does_not_cross() {
    let mut world = World::new(2);
    let (maker, _) = enter(&mut world, 0, "den", "");
    let (friend, _) = enter(&mut world, 1, "den", "");
    world.hops_stand = true;
    world.line(maker, "{\"op\":\"send\",\"room\":\"den\"}\nbefore");
    world.room("den", RoomRules::default());
    let room = world.rooms.values().next().expect("one").clone();
    world.change(vec![ChangeItem::Room(room)]);
    world.release_hops();
    assert!(!world.take_text(friend).contains("before"));
}

#[test]
fn where_nobody_owns_transient_rooms_they_have_no_home() {
    let mut world = World::with(2, |settings| settings.transient_life = None);
    let (maker, _) = enter(&mut world, 0, "den", PEER);
    for puddle in &world.puddles {
        assert_eq!(puddle.homes.rooms().count(), 0);
    }
    let text = rules(&mut world, maker, "den", "{}");
    assert!(
        text.contains(r#""op":"error","id":5,"rule":"room""#),
        "{text}"
    );
}

#[test]
fn a_node_that_makes_peer_rooms_by_default_does_so_for_raw_sockets_too() {
    let mut world = World::with(2, |settings| {
        settings.transient_life = Some(RoomLife::Peer);
        settings.transient_rules.presence.shown = Shown::Off;
    });
    let maker = world.raw(0, "den");
    let friend = world.raw(1, "den");
    world.puddles[0].handle(
        world.now,
        crate::Input::Lost {
            socket: maker.socket,
        },
    );
    world.run();
    assert_eq!(close_frame(&world.take(friend)).0, 4015);
}
