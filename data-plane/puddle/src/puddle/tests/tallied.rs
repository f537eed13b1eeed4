//! What is limited by address or by client is limited on the node: it makes no
//! difference which puddles the sockets come to.

use core::num::NonZeroU32;
use core::time::Duration;

use porthouse_model::{ClientId, Rate, RoomRules};

use super::homes::{restart, restart_with, told};
use super::world::{Client, World};
use crate::Settings;
use crate::counting::client_counted_at;

const TWO_AT_ONCE: Rate = Rate {
    per_second: NonZeroU32::MIN,
    burst: NonZeroU32::new(2).expect("two is not zero"),
};

fn few_joins() -> RoomRules {
    let mut rules = RoomRules::default();
    rules.connection.joins_per_address = Some(TWO_AT_ONCE);
    rules
}

fn join(world: &mut World, client: Client, room: &str) -> String {
    let line = format!(r#"{{"op":"join","room":"{room}","id":1}}"#);
    world.line(client, &line);
    world.take_text(client)
}

fn leave(world: &mut World, client: Client, room: &str) {
    world.line(client, &format!(r#"{{"op":"leave","room":"{room}"}}"#));
    world.take(client);
}

/// A node of three puddles where a client makes two rooms at most, and a user
/// with a socket on each.
fn maker() -> (World, [Client; 3]) {
    let mut world = World::with(3, few_rooms);
    world.session(1);
    let sockets = [0, 1, 2].map(|puddle| world.lobby_of(puddle, 1));
    (world, sockets)
}

fn few_rooms(settings: &mut Settings) {
    settings.transient_rooms_per_client_max = 2;
}

/// The puddle that counts what that user makes.
fn counter() -> usize {
    usize::from(client_counted_at(ClientId::from_bytes([1; 16]), 3).0)
}

#[test]
fn an_address_joins_no_faster_for_coming_to_several_puddles() {
    let mut world = World::new(3);
    world.room("door", few_joins());
    world.raw(0, "door");
    world.raw(1, "door");
    let late = world.upgrade(2, "/door", &[]);
    let answer = world.take_text(late);
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(answer.contains("connection.joins_per_address"), "{answer}");
    let client = world.lobby(1);
    assert!(join(&mut world, client, "door").contains("4212"));
    world.wait(Duration::from_secs(1));
    assert!(join(&mut world, client, "door").contains(r#""op":"admitted""#));
}

#[test]
fn an_entry_is_counted_once_whatever_it_waits_for() {
    let mut world = World::new(3);
    world.room("door", few_joins());
    for puddle in [0, 1] {
        let protocol = "Sec-WebSocket-Protocol: porthouse.raw.v1";
        let client = world.upgrade(puddle, "/door", &[protocol]);
        let told = world.take_text(client);
        assert!(told.contains(r#""op":"admitted""#), "{told}");
        world.line(client, r#"{"op":"start"}"#);
        assert!(world.take_text(client).contains(r#""op":"started""#));
    }
}

#[test]
fn an_address_posts_no_more_for_coming_to_several_puddles() {
    let mut world = World::new(3);
    let mut rules = RoomRules::default();
    rules.messages.rates.per_socket = Some(TWO_AT_ONCE);
    world.room("box", rules);
    let mut post = |puddle| {
        let client = world.connect(puddle);
        let request = b"POST /box HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
        world.bytes(client, request.to_vec());
        world.take_text(client)
    };
    assert!(post(0).starts_with("HTTP/1.1 202 "));
    assert!(post(1).starts_with("HTTP/1.1 202 "));
    let answer = post(2);
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(answer.contains("messages.rates.per_socket"), "{answer}");
}

#[test]
fn an_entry_whose_count_was_lost_is_counted_again() {
    let mut world = World::new(3);
    world.room("door", few_joins());
    for (seed, puddle) in (70..).zip([0, 1, 2]) {
        let client = world.lobby(puddle);
        world.hops_stand = true;
        world.line(client, r#"{"op":"join","room":"door","id":1}"#);
        world.lose_hops();
        for other in [0, 1, 2].into_iter().filter(|other| *other != puddle) {
            restart(&mut world, other, seed);
        }
        world.release_hops();
        assert!(world.take_text(client).contains(r#""op":"admitted""#));
        world.wait(Duration::from_secs(2));
    }
}

#[test]
fn who_leaves_before_the_count_is_known_does_not_come_in() {
    let mut world = World::new(3);
    world.room("door", few_joins());
    for puddle in [0, 1, 2] {
        let client = world.lobby(puddle);
        world.hops_stand = true;
        world.line(client, r#"{"op":"join","room":"door","id":1}"#);
        world.line(client, r#"{"op":"leave","room":"door","id":2}"#);
        world.release_hops();
        let told = world.take_text(client);
        assert!(!told.contains(r#""op":"admitted""#), "{told}");
    }
}

#[test]
fn a_client_makes_no_more_rooms_for_coming_to_several_puddles() {
    let (mut world, [one, other, third]) = maker();
    assert!(join(&mut world, one, "a").contains(r#""op":"admitted""#));
    assert!(join(&mut world, other, "b").contains(r#""op":"admitted""#));
    assert!(join(&mut world, third, "c").contains("4217"), "its limit");
    assert!(
        join(&mut world, third, "a").contains(r#""op":"admitted""#),
        "it is there"
    );
    // The room goes on with its other socket.
    leave(&mut world, one, "a");
    assert!(join(&mut world, one, "c").contains("4217"));
    leave(&mut world, third, "a");
    assert!(join(&mut world, one, "c").contains(r#""op":"admitted""#));
    assert!(join(&mut world, third, "d").contains("4217"));
}

#[test]
fn rooms_that_are_made_at_once_are_counted_before_they_have_an_owner() {
    let (mut world, sockets) = maker();
    world.hops_stand = true;
    for (client, room) in sockets.into_iter().zip(["a", "b", "c"]) {
        world.line(
            client,
            &format!(r#"{{"op":"join","room":"{room}","id":1}}"#),
        );
    }
    world.release_hops();
    let told = sockets.map(|client| world.take_text(client));
    let admitted = told.iter().filter(|told| told.contains("admitted")).count();
    let refused = told.iter().filter(|told| told.contains("4217")).count();
    assert_eq!((admitted, refused), (2, 1), "{told:?}");
}

#[test]
fn what_is_not_made_after_all_does_not_count() {
    let (mut world, [one, other, third]) = maker();
    world.hops_stand = true;
    for (client, room) in [(one, "a"), (other, "b")] {
        world.line(
            client,
            &format!(r#"{{"op":"join","room":"{room}","id":1}}"#),
        );
        world.line(
            client,
            &format!(r#"{{"op":"leave","room":"{room}","id":2}}"#),
        );
    }
    world.release_hops();
    for (client, room) in [(one, "c"), (third, "d")] {
        assert!(join(&mut world, client, room).contains(r#""op":"admitted""#));
    }
    assert!(join(&mut world, other, "e").contains("4217"));
}

#[test]
fn a_room_that_is_passed_on_counts_for_its_new_owner() {
    let (mut world, [one, other, _]) = maker();
    let giver = world.lobby(2);
    for room in ["a", "b"] {
        assert!(join(&mut world, giver, room).contains(r#""op":"admitted""#));
        let told_one = join(&mut world, one, room);
        let client = told(&told_one, "admitted", "client").expect("it has an id");
        world.line(
            giver,
            &format!(r#"{{"op":"pass","room":"{room}","id":3,"client":{client}}}"#),
        );
        let passed = world.take_text(giver);
        assert!(passed.contains(r#""op":"owner","id":3"#), "{passed}");
    }
    assert!(join(&mut world, other, "c").contains("4217"));
    assert!(join(&mut world, giver, "d").contains(r#""op":"admitted""#));
}

#[test]
fn a_puddle_that_begins_anew_learns_again_whose_the_rooms_are() {
    let (mut world, _) = maker();
    let [first, second] = [1, 2].map(|further| (counter() + further) % 3);
    let (one, other) = (world.lobby_of(first, 1), world.lobby_of(second, 1));
    let names = (0..).map(|number| format!("den-{number}"));
    let elsewhere = names.filter(|name| {
        let room = name.parse().expect("a name");
        usize::from(crate::home::home_of(&room, 3).0) != counter()
    });
    let dens: Vec<String> = elsewhere.take(3).collect();
    assert!(join(&mut world, one, &dens[0]).contains(r#""op":"admitted""#));
    assert!(join(&mut world, other, &dens[1]).contains(r#""op":"admitted""#));
    restart_with(&mut world, (counter(), 4), few_rooms);
    world.take(one);
    assert!(join(&mut world, one, &dens[2]).contains("4217"));
}
